"""The benchmark suite: `python -m benchmarks.suite [--full] [--only NAME …] [--peers] [--out FOLDER]`.

Each part runs in a process of its own, in a folder of its own; what it leaves running is ended. A part that fails is in
the report with its error. Written are `report.json`, `report.md` and the plots.

Belongs here: running parts and gathering what they say. Does not belong here: measuring (the parts, see `part`), what
is asked for (`targets`), how it is shown (`report`, `plots`).
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots, report
from benchmarks.figures import Measured, Size, measured_from_json
from benchmarks.machine import ROOT, commit, load, machine, versions
from benchmarks.part import PARTS, PEERS
from benchmarks.processes import end_processes

FOLDER = Path("bench-results")
PATIENCE_S: dict[Size, int] = {"tiny": 600, "bench": 900, "full": 2400}
"""How long one part may take [s]."""

GRACE_S = 60
LAST_LINES = 15


def run_part(name: str, size: Size) -> dict[str, Any]:
    """Run one part.

    Returns:
        `name`, `seconds`, load `before` and `after`, `left_running` (processes that it did not end), and either
        `measured` or `error`.
    """
    folder = Path(tempfile.mkdtemp(prefix="label_assets_bench_"))
    told: dict[str, Any] = {"name": name, "before": load()}
    started = time.monotonic()
    try:
        told |= _outcome(name, size, folder)
    finally:
        told["left_running"] = end_processes(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return told | {"seconds": round(time.monotonic() - started, 1), "after": load()}


def _outcome(name: str, size: Size, folder: Path) -> dict[str, Any]:
    work, target, log = folder / "home", folder / "measured.json", folder / "log"
    folder.chmod(0o755)  # PostgreSQL may run as another user, who must get through
    work.mkdir()
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.part", name, size, str(work), str(target)],
            cwd=work,  # no label_assets.toml of whoever measures
            env=_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        error = _wait(child, PATIENCE_S[size])
    if error is None and target.exists():
        return {"measured": json.loads(target.read_text(encoding="utf-8"))}
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])
    return {"error": f"{error or 'it wrote no figures'}\n{tail}".strip()}


def _wait(child: "subprocess.Popen[bytes]", patience_s: float) -> str | None:
    """Wait for the end of a part; what went wrong, or None."""
    try:
        code = child.wait(patience_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        return f"it took longer than {patience_s:.0f} s"
    except BaseException:
        child.kill()
        child.wait()
        raise
    return None if code == 0 else f"it ended with exit code {code}"


def _environment() -> dict[str, str]:
    """That of this process, without settings and servers of whoever measures."""
    foreign = ("LABEL_ASSETS_", "DAGSTER_", "CLICKHOUSE_URL", "REDIS_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def run_suite(names: Sequence[str], size: Size, folder: Path) -> Mapping[str, Any]:
    """Run parts one after the other and write report and plots after each, so that nothing is lost.

    Returns:
        What `report.json` holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole: dict[str, Any] = {
        "size": size,
        "began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
        "code": commit(),
        "asked_for": list(names),
        "parts": [],
    }
    for name in names:
        print(f"{time.strftime('%H:%M:%S')} {name} …", flush=True)  # noqa: T201 - a program
        told = run_part(name, size)
        whole["parts"].append(told)
        outcome = "FAILED: " + told["error"].splitlines()[0] if "error" in told else "measured"
        print(f"         {outcome} in {told['seconds']:.0f} s", flush=True)  # noqa: T201 - a program
        write(whole, folder)
    return whole


def write(whole: Mapping[str, Any], folder: Path) -> None:
    """Write `report.json`, `report.md` and the plots."""
    (folder / "report.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")
    found = parts_of(whole)
    pictures = plots.draw(found, folder)
    (folder / "report.md").write_text(report.as_markdown(whole, found, pictures), encoding="utf-8")


def parts_of(whole: Mapping[str, Any]) -> dict[str, Measured]:
    """What was measured, by part; parts that failed are absent."""
    return {part["name"]: measured_from_json(part["measured"]) for part in whole["parts"] if "measured" in part}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    known = [*PARTS, *PEERS]
    made = argparse.ArgumentParser(prog="python -m benchmarks.suite", description=__doc__)
    made.add_argument("--full", action="store_true", help="all of it: up to forty minutes instead of a few")
    made.add_argument("--tiny", action="store_true", help="only to see that it works: the figures mean nothing")
    made.add_argument("--only", nargs="+", choices=known, metavar="NAME", help=f"some parts: {', '.join(known)}")
    made.add_argument("--peers", action="store_true", help="other libraries too, each installed into its own venv")
    made.add_argument("--out", type=Path, default=FOLDER, help="folder of the report (default: %(default)s)")
    return made


def main() -> None:
    """Run what the command line names; exit code 1 if a part failed."""
    arguments = parser().parse_args()
    size: Size = "full" if arguments.full else "tiny" if arguments.tiny else "bench"
    names = arguments.only or [*PARTS, *(PEERS if arguments.peers else ())]
    whole = run_suite(names, size, arguments.out)
    print(report.verdict_lines(parts_of(whole)))  # noqa: T201 - a program
    print(f"wrote {arguments.out / 'report.md'}")  # noqa: T201 - a program
    sys.exit(1 if any("error" in part for part in whole["parts"]) else 0)


if __name__ == "__main__":
    main()
