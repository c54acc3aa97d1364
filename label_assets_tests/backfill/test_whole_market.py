"""Twenty instruments as a user has them for a year: files, a backfill from the UI, and more files that land.

One `label-assets dev` for all tests of this file; each goes on where the one before it ended.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from label_assets.assets.partitions import month_start, months_between, next_month, partition_key
from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.synthetic import SyntheticMarket
from label_assets_tests.assets.landing import Rows, differences, taken, write_rows
from label_assets_tests.backfill.directly import computed_directly, report
from label_assets_tests.ui import dagster_graphql as ui_client
from label_assets_tests.ui.dagster_graphql import wait_for
from label_assets_tests.ui.development import Development, own_development

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BASE = "H1"
NAMES = sorted(item.name for item in DEFAULT_INSTRUMENTS)[:20]
MONTHS = ("2025-01", "2025-12")
JANUARY = "2026-01"
LAST_TICK_OF_DECEMBER = "2025-12-31 23:59:59"
EARLY, CORRECTED, FIRST_OF_TWO, SECOND_OF_TWO, SAME, BROKEN = NAMES[0], *NAMES[4:9]
SAMPLE = (EARLY, CORRECTED, FIRST_OF_TWO, BROKEN, NAMES[-1])


class Market(NamedTuple):
    """The folder in which files land, and the Dagster that watches it."""

    folder: Path
    development: Development

    def land(self, instrument: str, rows: Rows, suffix: str = "") -> Path:
        """Put a file there as a person does: under another name first."""
        hidden = write_rows(self.folder / "unfinished", rows, f"{instrument}_{BASE}{suffix}.parquet")
        return hidden.rename(self.folder / hidden.name)

    def open_rows_of_december(self, instrument: str) -> int:
        """Labels of December whose windows have not ended."""
        rows = self.development.sql(
            "SELECT toUInt32(count()) AS n FROM labels WHERE window_status = 'open' AND "
            f"ts <= '{LAST_TICK_OF_DECEMBER}' AND instrument_id = '{instrument}'"
        )
        return int(str(rows[0]["n"]))

    def runs(self, instrument: str) -> list[tuple[str, str, str]]:
        """Sensor, status and first month of the runs that sensors asked for, first tries only."""
        return [
            (
                run["tags"]["dagster/sensor_name"],
                run["status"],
                run["tags"]["dagster/asset_partition_range_start"].rsplit("|", 1)[1],
            )
            for run in ui_client.runs_of_sensors(self.development.ui)
            if run["tags"]["label_assets/instrument"] == instrument and "dagster/parent_run_id" not in run["tags"]
        ]

    def wait_for_run(self, instrument: str, status: str, number: int = 1) -> None:
        """Wait until as many runs have ended in this way."""

        def has_ended() -> bool:
            return [run[1] for run in self.runs(instrument)].count(status) >= number

        wait_for(f"{instrument}: run {number} with {status}", has_ended, poll_s=2)

    def wait_for_ticks(self) -> None:
        """Wait until both sensors have looked once more at all that lies there now."""
        for name in ("landing_sensor", "stream_sensor"):
            wait_for(f"a tick of {name}", partial(self._has_ticked, name, time.time()))
            assert all(tick["status"] != "FAILURE" for tick in ui_client.ticks(self.development.ui, name))

    def _has_ticked(self, sensor: str, since: float) -> bool:
        return any(tick["timestamp"] > since for tick in ui_client.ticks(self.development.ui, sensor))


@pytest.fixture(scope="module")
def rows() -> dict[str, Rows]:
    """Candles of every instrument, a month more than the backfill."""
    market = SyntheticMarket(7, DEFAULT_INSTRUMENTS, SessionCalendar("17:00 America/New_York"))
    found = {}
    for name in NAMES:
        candles = market.read(name, BASE, month_start(MONTHS[0]), month_start(next_month(JANUARY)), 2**40).candles
        columns = ("ts", "open", "high", "low", "close", "volume")
        found[name] = {column: getattr(candles, column).copy() for column in columns}
    return found


@pytest.fixture(scope="module")
def market(rows: dict[str, Rows], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder = tmp_path_factory.mktemp("landing")
    with own_development(
        instruments=",".join(NAMES),
        first_month=MONTHS[0],
        source="landing",
        landing_folder=str(folder),
        base_granularity=BASE,
        granularities="H4,D",
        pictures="false",
        sensors="false",  # or they had brought everything in before anybody could ask for a backfill
    ) as started:
        opened = Market(folder, started)
        for name in NAMES:
            opened.land(name, until_january(rows[name]))
        started.start()
        yield opened


def until_january(rows: Rows) -> Rows:
    return taken(rows, rows["ts"] < month_start(JANUARY))


def january(rows: Rows) -> Rows:
    return taken(rows, rows["ts"] >= month_start(JANUARY))


def of(tables: dict[str, pa.Table], instruments: tuple[str, ...]) -> dict[str, pa.Table]:
    """Rows of some instruments."""
    wanted = pa.array(instruments)
    return {
        name: table.filter(pc.is_in(table["instrument_id"].cast(pa.string()), value_set=wanted))
        for name, table in tables.items()
    }


def assert_as_computed_directly(market: Market, make_settings: Callable[..., Settings], last_month: str) -> None:
    expected = computed_directly(make_settings, market.development.settings, (MONTHS[0], last_month), SAMPLE)
    assert differences(expected, of(market.development.contents(), SAMPLE)) == {}


def test_backfill_of_everything_while_a_file_lands(market: Market, rows: dict[str, Rows]) -> None:
    ui = market.development.ui
    assets = list(ui_client.asset_nodes(ui))
    launched = time.time()
    keys = [partition_key(name, month) for name in NAMES for month in months_between(*MONTHS)]
    backfill_id = ui_client.launch_backfill(ui, assets, keys)

    def first_run_has_ended() -> bool:
        return any(run["status"] == "SUCCESS" for run in ui_client.backfill(ui, backfill_id)["runs"])

    wait_for("a run ends", first_run_has_ended, poll_s=3)
    assert market.open_rows_of_december(EARLY) > 0
    for sensor in ("landing_sensor", "stream_sensor"):
        ui_client.start_sensor(ui, sensor)
    market.land(EARLY, january(rows[EARLY]), "_2026-01")
    market.wait_for_run(EARLY, "SUCCESS")
    assert ui_client.backfill(ui, backfill_id)["status"] == "REQUESTED", "a file waits for no backfill"
    assert market.open_rows_of_december(EARLY) == 0

    ended = ui_client.end_of_backfill(ui, backfill_id)
    seconds = time.time() - launched
    assert ended["status"] == "COMPLETED_SUCCESS", ended
    assert [run["status"] for run in ended["runs"]] == ["SUCCESS"] * len(NAMES)
    assert {ui_client.partition_range(run) for run in ended["runs"]} == {
        (partition_key(name, MONTHS[0]), partition_key(name, MONTHS[1])) for name in NAMES
    }
    assert set(ended["assets"]) == set(assets)
    for counts in ended["assets"].values():
        assert counts["numPartitionsMaterialized"] == counts["numPartitionsTargeted"] == len(keys), counts

    # One row for each candle and horizon, and nothing that a sensor found left to do.
    counts_of = "SELECT instrument_id, granularity, toUInt32(count()) AS n FROM {} GROUP BY ALL ORDER BY ALL"
    labels = market.development.sql(counts_of.format("labels"))
    candles = market.development.sql(counts_of.format("candles"))
    assert len(labels) == 2 * len(NAMES)
    assert labels == [row for row in candles if row["granularity"] != BASE]
    market.wait_for_ticks()
    assert [run for name in NAMES for run in market.runs(name)] == [("landing_sensor", "SUCCESS", "2025-12")] * 1
    total = sum(int(str(row["n"])) for row in labels)
    report(
        f"{len(ended['runs'])} runs of {len(NAMES)} instruments × {len(months_between(*MONTHS))} months: {total:,} "
        f"labels in {seconds:.0f} s, {total / seconds * 60:,.0f} labels/min"
    )


def test_files_that_land(market: Market, rows: dict[str, Rows], make_settings: Callable[..., Settings]) -> None:
    ui = market.development.ui
    corrected = until_january(rows[CORRECTED])
    at = int(corrected["ts"].searchsorted(month_start("2025-03") + 10 * 86_400))
    corrected["high"][at] *= 1.01
    market.land(CORRECTED, corrected)
    for name in (FIRST_OF_TWO, SECOND_OF_TWO):
        assert market.open_rows_of_december(name) > 0
        market.land(name, january(rows[name]), "_2026-01")
    same = market.land(SAME, until_january(rows[SAME]))
    broken = write_rows(market.folder / "unfinished", january(rows[BROKEN]), f"{BROKEN}_{BASE}_2026-01.parquet")
    broken.write_bytes(broken.read_bytes()[:-100])
    broken.rename(market.folder / broken.name)

    market.wait_for_run(BROKEN, "FAILURE")
    for name in (CORRECTED, FIRST_OF_TWO, SECOND_OF_TWO):
        market.wait_for_run(name, "SUCCESS")
    (first,) = (month for _, _, month in market.runs(CORRECTED))
    assert "2024-12" < first <= "2025-03"
    for name in (FIRST_OF_TWO, SECOND_OF_TWO):
        assert market.open_rows_of_december(name) == 0
    assert market.open_rows_of_december(BROKEN) > 0

    market.land(BROKEN, january(rows[BROKEN]), "_2026-01")
    market.wait_for_run(BROKEN, "SUCCESS")
    assert market.open_rows_of_december(BROKEN) == 0
    market.wait_for_ticks()
    assert market.runs(SAME) == [], f"{same.name} has the same content, written again"
    assert {sensor for name in NAMES for sensor, _, _ in market.runs(name)} == {"landing_sensor"}
    failed = [run for run in ui_client.runs_of_sensors(ui) if run["status"] == "FAILURE"]
    assert {run["tags"]["label_assets/instrument"] for run in failed} == {BROKEN}
    assert any(broken.name in text for text in ui_client.run_messages(ui, failed[0]["runId"]))
    for name in sorted(set(NAMES) - {EARLY, CORRECTED, FIRST_OF_TWO, SECOND_OF_TWO, BROKEN}):
        assert market.runs(name) == []
    assert_as_computed_directly(market, make_settings, JANUARY)
