"""What `label-assets backfill` does: hand a backfill to Dagster's daemon, follow it, and say how it ended.

Belongs here: whose daemon carries it out, progress, Ctrl-C, the table of failures. Does not belong here: what a
backfill is (`backfill`), how Dagster's processes begin and end (`development`).
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from label_assets.backfill import (
    Selection,
    State,
    failures_of,
    new_backfill,
    partitions_of,
    request_cancellation,
    rest_of,
    state_of,
)
from label_assets.definitions import build_defs
from label_assets.development import running_dagster, stop_requests
from label_assets.errors import EmbeddedServerError
from label_assets.materialize import dagster_instance
from label_assets.settings import Settings
from label_assets.stack import dagster_is_taken, only_dagster, own_storage

POLL_S = 2.0
HEARTBEAT_PATIENCE_S = 60.0
"""The daemon's queue of runs says every 30 s that it lives; a daemon that was not heard of for so long is gone [s]."""

EXIT_INTERRUPTED = 130

DAEMON = (sys.executable, "-m", "dagster._daemon", "run", "-m", "label_assets.definitions")


def run_backfill(settings: Settings, asked: Selection | str) -> int:
    """Carry a backfill out and show its progress.

    Args:
        settings: The settings.
        asked: What to materialize, or the name of an ended backfill of which to do the rest.

    Returns:
        Exit code: 0 if every partition was materialized, 1 if not, 130 after Ctrl-C.

    Raises:
        SettingsError: for an instrument, month, asset or backfill that does not exist.
        EmbeddedServerError: if a server or the daemon does not start.
    """
    console = Console()
    with stop_requests() as stops, dagster_instance(settings) as instance:
        graph = build_defs(settings).resolve_asset_graph()
        if isinstance(asked, str):
            backfill = rest_of(instance, graph, asked)
        else:
            backfill = new_backfill(settings, graph, instance, asked)
        if backfill is None:
            console.print("nothing is missing")
            return 0
        if stops():
            return EXIT_INTERRUPTED
        instance.add_backfill(backfill)
        with ExitStack() as own:
            state = _follow(settings, instance, graph, backfill, console, stops, own)
        return _conclude(console, instance, backfill, state, interrupted=bool(stops()))


def _follow(
    settings: Settings,
    instance: dg.DagsterInstance,
    graph: AssetGraph,
    backfill: PartitionBackfill,
    console: Console,
    stops: Callable[[], int],
    own: ExitStack,
) -> State:
    """Show progress until the backfill has ended, or two signals came; start a daemon where none runs."""
    counted: dict[str, int] = {}
    check_own: Callable[[], None] | None = None
    name = backfill.backfill_id
    state = state_of(instance, graph, name, counted)
    console.print(f"backfill {name}: {state.targeted:,} partitions of {len(backfill.asset_selection or ())} assets")
    with _display(console) as display:
        task = display.add_task("waiting for Dagster's daemon", total=state.targeted)
        while not state.has_ended and stops() < 2:
            if check_own is not None:
                check_own()
            elif not daemon_runs(settings, instance):
                display.update(task, description="starting Dagster's daemon")
                check_own = own.enter_context(own_daemon(settings))
            if stops() and state.status == BulkActionStatus.REQUESTED:
                request_cancellation(instance, name)
            time.sleep(POLL_S)
            state = state_of(instance, graph, name, counted)
            display.update(task, completed=state.materialized, description=_doing(state, canceling=bool(stops())))
    return state


def _display(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<40}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=1800,  # assets come in jumps, a whole run of months at once
    )


def _doing(state: State, *, canceling: bool) -> str:
    if canceling:
        return "canceling, up to a minute; Ctrl-C leaves"
    running = [partitions_of(run) for run in state.runs if not run.is_finished and run.status.value == "STARTED"]
    ended = sum(run.is_finished for run in state.runs)
    return f"run {ended + 1}: {running[0]}" if running else f"{ended} runs, waiting for the daemon"


def daemon_runs(settings: Settings, instance: dg.DagsterInstance) -> bool:
    """Say whether somebody carries backfills out.

    On storage of our own that is whoever holds the lock of the home; on a server that others use too, whoever was heard
    of lately.
    """
    if dagster_is_taken(settings):
        return True
    if own_storage(settings):
        return False
    beats = instance.get_daemon_heartbeats().values()
    return any(time.time() - beat.timestamp < HEARTBEAT_PATIENCE_S for beat in beats)


@contextmanager
def own_daemon(settings: Settings) -> Iterator[Callable[[], None]]:
    """A daemon with a code server, for as long as it is needed; what it says goes to `daemon.log` in the home.

    Its sensors start nothing: whoever asks for a backfill did not ask for all that may have landed, and would not wait
    for it.

    Yields:
        Raises an error if the daemon has ended.

    Raises:
        EmbeddedServerError: if another process took the home meanwhile.
    """
    log = settings.home / "daemon.log"
    with (
        only_dagster(settings) as record,
        log.open("wb") as output,
        running_dagster(settings, DAEMON, record, output, LABEL_ASSETS_SENSORS="false") as child,
    ):

        def check() -> None:
            if child.poll() is not None:
                raise EmbeddedServerError(
                    asked="Dagster's daemon for this backfill",
                    found=f"it ended with code {child.returncode}",
                    allowed="a daemon that runs until the backfill has ended",
                    action=f"read {log}, remove the cause, and start any Dagster of this home: it goes on",
                )

        yield check


def _conclude(
    console: Console, instance: dg.DagsterInstance, backfill: PartitionBackfill, state: State, *, interrupted: bool
) -> int:
    """Print how it ended."""
    seconds = time.time() - backfill.backfill_timestamp
    failures = list(failures_of(instance, state.runs))
    if failures:
        console.print("Failed", style="bold")
    for failure in failures:
        where = f"{failure.step or 'the run'}  {failure.partitions}  run {failure.run_id}"
        console.print(Padding(Text(where), (0, 2)))
        console.print(Padding(Text(failure.cause), (0, 6)))
    if state.error:
        console.print(f"Dagster says: {state.error}", markup=False)
    console.print(
        f"{state.materialized:,} of {state.targeted:,} partitions materialized in {len(state.runs)} runs and "
        f"{seconds:.0f} s, {state.failed:,} failed or wait for one that did: {state.status.value}",
        markup=False,
    )
    if state.status == BulkActionStatus.COMPLETED_SUCCESS:
        return 0
    console.print(f"the rest: label-assets backfill --resume {backfill.backfill_id}", markup=False)
    return EXIT_INTERRUPTED if interrupted else 1
