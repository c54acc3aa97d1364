"""Which tests run beside each other, and in which order, where pytest-xdist has several processes.

Tests of a file stay together, as with `--dist loadfile`: they share what its fixtures make. Those of some folders do
not, for each takes long and makes all that it needs. The longest begin first, or one process works on them at the end
while the others have nothing left.

Belongs here: order. Does not belong here: how many processes (`Makefile`).
"""

from typing import Any

from xdist.scheduler import LoadScopeScheduling

LONGEST_FIRST = (
    "backfill/test_whole_market.py",
    "backfill/test_faults.py",
    "ui/",
    "backfill/test_command.py",
    "benchmarks/",
    "assets/test_faults.py",
    "backfill/test_full_disk.py",
    "assets/test_runs.py",
    "assets/test_bad_input.py",
    "assets/test_checks.py",
    "assets/test_restatement.py",
    "assets/",
    "live/",
    "examples/",
    "test_cli.py",
    "docs/",
    "inspection/",
    "cache/",
    "serving/",
)
"""Beginnings of paths below label_assets_tests; the others follow."""

APART = ("backfill/test_faults.py", "backfill/test_full_disk.py", "ui/test_development.py", "assets/")
"""Whose tests are spread one by one; `TOGETHER` in it are not."""

TOGETHER = ("assets/test_graph.py",)


def path_of(nodeid: str) -> str:
    """Path of a test's file below label_assets_tests."""
    return nodeid.split("::", 1)[0].removeprefix("label_assets_tests/")


def place(nodeid: str) -> int:
    """Where in the order a test stands."""
    path = path_of(nodeid)
    return next((k for k, beginning in enumerate(LONGEST_FIRST) if path.startswith(beginning)), len(LONGEST_FIRST))


class Distribution(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a free process the next file, or the next test of those that run apart."""

    def __init__(self, config: Any, log: Any) -> None:
        """Keep the order of the tests."""
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        path = path_of(nodeid)
        return nodeid if path.startswith(APART) and not path.startswith(TOGETHER) else path
