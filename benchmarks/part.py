"""One part of the suite, in a process of its own: `python -m benchmarks.part NAME SIZE FOLDER FILE`.

Belongs here: running it and writing what it measured. Does not belong here: what a part does, the report.
"""

import importlib
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import cast, get_args

from benchmarks.figures import Part, Size

PARTS = {
    "kernels": "benchmarks.computing",
    "history": "benchmarks.history",
    "growth": "benchmarks.growth",
    "queries": "benchmarks.queries",
    "live": "benchmarks.live",
    "serving": "benchmarks.serving",
    "landing": "benchmarks.landing",
    "backfill": "benchmarks.backfill",
}
"""Parts by name, in the order in which they run: each a module with a function `measure` (see `figures.Part`)."""

PEERS = {"peers": "benchmarks.peers"}
"""Parts that are only run when they are asked for: they need packages that nothing else does."""


def main() -> None:
    """Measure, and write the figures as JSON."""
    name, size, folder, target = sys.argv[1:]
    if size not in get_args(Size):
        raise SystemExit(f"asked: size {size}; allowed: {', '.join(get_args(Size))}")
    signal.signal(signal.SIGTERM, _leave)  # a part that takes too long still stops its servers
    measure = cast(Part, importlib.import_module((PARTS | PEERS)[name]).measure)
    measured = measure(cast(Size, size), Path(folder))
    Path(target).write_text(json.dumps(measured.as_json(), indent=1), encoding="utf-8")


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit("asked to end")


if __name__ == "__main__":
    main()
