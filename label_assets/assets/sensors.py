"""Sensors that start incremental runs: files that landed, rows that somebody else wrote.

Both ask for one range run an instrument, over the months that the change reaches and no others. A run key derives from
what changed, so that no tick, restart or lost cursor starts the same work twice. An instrument of which a run is queued
or under way, a backfill's too, waits for its end: what that run stored needs no other one.

Belongs here: when to look and what to start. Does not belong here: what changed and what it reaches
(`compute.arrivals`).
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, PARTITION_NAME_TAG, WILL_RETRY_TAG

from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, clamp_months, partition_key
from label_assets.assets.resources import now_ts
from label_assets.compute.arrivals import (
    Arrival,
    find_source_arrival,
    find_stored_arrival,
    newest_raw_versions,
)
from label_assets.errors import LabelAssetsError, SourceError
from label_assets.settings import Settings
from label_assets.sources.batch import Source, WatchedSource
from label_assets.warehouse.client import Warehouse

INSTRUMENT_TAG = "label_assets/instrument"
REASON_TAG = "label_assets/reason"

INTERVAL_S = 5
LANDING_INTERVAL_S = 2
"""A look at a landing folder is a list of its files; who lands one waits for it [s]."""
SETTLE_S = 2.0
"""A file that changed less than this long ago may still be written to; the next tick looks again [s]."""

BUDGET_S = 30.0
"""After this long a tick leaves the other instruments to the next one; Dagster ends a tick after 60 s [s]."""

RETRY_PATIENCE_S = 120.0
"""A run that failed longer ago and was not tried again will not be [s]; the daemon does it within seconds."""

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

Seen = dict[str, list[Any]]
"""Cursor of one instrument in the landing sensor: name → [modification time in ns, size, digest of the content]."""


def sensors(settings: Settings, assets: Sequence[str]) -> list[dg.SensorDefinition]:
    """The sensors of a deployment.

    Args:
        settings: The settings; `landing_sensor` exists where the source is files or tables.
        assets: Keys of all assets.
    """
    found = [_stream_sensor(settings, assets)]
    return found if settings.source == "synthetic" else [_landing_sensor(settings, assets), *found]


def _landing_sensor(settings: Settings, assets: Sequence[str]) -> dg.SensorDefinition:
    @dg.sensor(
        name="landing_sensor",
        target=dg.AssetSelection.assets(*assets),
        minimum_interval_seconds=LANDING_INTERVAL_S,
        default_status=_default_status(settings),
        description="Files or tables of the source with new content start one run an instrument, over the months that "
        "the new, changed or removed candles reach. The same content again starts none.",
    )
    def landing_sensor(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        candle_source: dg.ResourceParam[Source],
    ) -> dg.SensorResult:
        cursor: dict[str, Seen] = json.loads(context.cursor or "{}")
        busy = cache(partial(_busy_instruments, context.instance))
        requests, notes = [], []
        for name in _within_budget(instrument.name for instrument in settings.instruments):
            seen = _contents(candle_source, name, settings.base_granularity, cursor.get(name, {}))
            if seen is None or _digests(seen) == _digests(cursor.get(name, {})):
                continue
            if name in busy():
                continue  # a run that has yet to read takes the new content along; the next tick looks again
            try:
                arrival = find_source_arrival(warehouse, settings, candle_source, name, now_ts())
            except SourceError as error:
                # The run fails with the same message, where people look for failures.
                notes.append(f"{name}: {error}")
                arrival = _unreadable(settings, name)
            if arrival is not None:
                requests.append(_request(settings, arrival, "landing", assets, _digests(seen), warehouse))
            cursor[name] = seen
        return _result(context, requests, notes, json.dumps(cursor))

    return landing_sensor


def _stream_sensor(settings: Settings, assets: Sequence[str]) -> dg.SensorDefinition:
    downstream = [name for name in assets if name != "raw_candles"]

    @dg.sensor(
        name="stream_sensor",
        target=dg.AssetSelection.assets(*downstream),
        minimum_interval_seconds=INTERVAL_S,
        default_status=_default_status(settings),
        description="Raw candles that came by another way than a run (the live engine, another writer) start one run "
        "an instrument, from `candles` on, over the months that they reach.",
    )
    def stream_sensor(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SensorResult:
        cursor: dict[str, int] = json.loads(context.cursor or "{}")
        busy = cache(partial(_busy_instruments, context.instance))
        newest = {mark.instrument_id: mark.version for mark in newest_raw_versions(warehouse, settings)}
        requests = []
        for name in _within_budget(name for name in newest if newest[name] > cursor.get(name, 0)):
            if name in busy():
                continue  # what is being written now is that run's business; the next tick looks again
            arrival = find_stored_arrival(warehouse, settings, name, cursor.get(name, 0))
            if arrival is not None:
                requests.append(_request(settings, arrival, "stream", downstream, newest[name], warehouse))
            cursor[name] = newest[name]
        return _result(context, requests, [], json.dumps(cursor))

    return stream_sensor


def _default_status(settings: Settings) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if settings.sensors else dg.DefaultSensorStatus.STOPPED


def _within_budget(names: Iterable[str], clock: Callable[[], float] = time.monotonic) -> Iterable[str]:
    started = clock()
    for name in names:
        if clock() - started > BUDGET_S:
            return
        yield name


def _contents(source: Source, instrument: str, granularity: str, seen: Seen) -> Seen | None:
    """What an instrument is read from now; None while a file may still be written to, or where there is nothing."""
    if not isinstance(source, WatchedSource):
        return None
    try:
        watched = source.watched(instrument, granularity)
    except LabelAssetsError:
        return None  # nothing is declared or there yet; a run by hand says so
    found: Seen = {}
    for name, content in watched.items():
        if isinstance(content, str):
            found[name] = [0, 0, content]
            continue
        try:
            status = content.stat()
            if 0 <= time.time() - status.st_mtime < SETTLE_S:
                return None
            known = seen.get(name)
            is_known = known is not None and known[:2] == [status.st_mtime_ns, status.st_size]
            digest = known[2] if known is not None and is_known else _digest(content)
        except OSError:
            return None  # it is being replaced
        found[name] = [status.st_mtime_ns, status.st_size, digest]
    return found or None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=12)).hexdigest()


def _digests(seen: Seen) -> Mapping[str, str]:
    return {name: str(entry[2]) for name, entry in seen.items()}


def _unreadable(settings: Settings, instrument: str) -> Arrival:
    """The months of a run that shall fail because the source cannot be read: the newest one."""
    month = time.strftime("%Y-%m", time.gmtime())
    return Arrival(instrument, 0, 0, 0, *clamp_months(settings, month, month))


def _request(
    settings: Settings, arrival: Arrival, reason: str, assets: Sequence[str], content: object, warehouse: Warehouse
) -> dg.RunRequest:
    first, last = clamp_months(settings, arrival.first_month, arrival.last_month)
    newest = {mark.instrument_id: mark.version for mark in newest_raw_versions(warehouse, settings)}
    # The same content may come again after another one was stored in between: the stored version tells the two apart.
    identity = json.dumps([reason, arrival, content, newest.get(arrival.instrument_id, 0)], sort_keys=True)
    return dg.RunRequest(
        run_key=f"{reason}-{arrival.instrument_id}-{blake2b(identity.encode(), digest_size=12).hexdigest()}",
        asset_selection=[dg.AssetKey(name) for name in assets],
        tags={
            RANGE_START_TAG: partition_key(arrival.instrument_id, first),
            RANGE_END_TAG: partition_key(arrival.instrument_id, last),
            INSTRUMENT_TAG: arrival.instrument_id,
            REASON_TAG: reason,
        },
    )


def _busy_instruments(instance: dg.DagsterInstance) -> set[str]:
    """Instruments with a run that is queued, under way, or failed and about to be tried again."""
    recent = datetime.now(UTC) - timedelta(seconds=RETRY_PATIENCE_S)
    runs = [
        *instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)),
        *(
            run
            for run in instance.get_runs(
                dg.RunsFilter(
                    statuses=[dg.DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "true"}, updated_after=recent
                )
            )
            if AUTO_RETRY_RUN_ID_TAG not in run.tags
        ),
    ]
    keys = (run.tags.get(tag) for run in runs for tag in (RANGE_START_TAG, RANGE_END_TAG, PARTITION_NAME_TAG))
    return {key.rsplit("|", 1)[0] for key in keys if key is not None}


def _result(
    context: dg.SensorEvaluationContext, requests: list[dg.RunRequest], notes: list[str], cursor: str
) -> dg.SensorResult:
    for note in notes:
        context.log.error(note)
    for request in requests:
        context.log.info(f"{request.tags[RANGE_START_TAG]} .. {request.tags[RANGE_END_TAG]}: {request.run_key}")
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=cursor)
    return dg.SensorResult(skip_reason="nothing new", cursor=cursor)
