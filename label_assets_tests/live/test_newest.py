"""What the hot path makes of each candle is what a run makes of the whole history, to the bit."""

import numpy as np
import pytest

from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.tables import PATH_WINDOWS
from label_assets.compute.families import COMPUTED_TABLES, compute_rows
from label_assets.compute.inputs import MarketSlice
from label_assets.compute.rows import rows_from_arrays
from label_assets.kernels.arrays import Candles
from label_assets.live.newest import NewestRows, RowMaker
from label_assets.live.tail import Tail
from label_assets.market.resampling import ladder
from label_assets.settings import Settings, load_settings
from label_assets_tests.live.markets import CALENDAR, at, base_candles, one, tail_of

PATHS = {"H1": "M15", "H4": "H1", "D": "H4", "W": "D"}
SMALL = {name: {"level_lifetime": 60, "quantile_sample": 40, "burst_sample": 50, "burst_minimum": 10} for name in PATHS}


def settings_of(**overrides: object) -> Settings:
    return load_settings(**({"instruments": ["EURUSD"], "horizons": [3, 8], "labels": {"numbers": SMALL}} | overrides))


def expected_rows(settings: Settings, base: Candles, granularity: str, horizon: int) -> dict[str, list[object]]:
    """All rows as a run computes them from all candles at once, by column."""
    rungs = {"M15": base, **ladder(base, "M15", CALENDAR)}
    market = MarketSlice("EURUSD", granularity, 0, 2**32 - 1, rungs[granularity], rungs[PATHS[granularity]])
    columns: dict[str, list[object]] = {}
    for table in COMPUTED_TABLES:
        rows = compute_rows(table, market, horizon, settings.labels).rows
        columns |= {name: rows[name].to_pylist() for name in rows.column_names}
    return columns


def as_lists(rows: NewestRows) -> dict[str, list[object]]:
    inside = np.ones(len(rows.columns["ts"]), bool)
    constants = {"instrument_id": rows.instrument_id, "granularity": rows.granularity, "horizon": rows.horizon}
    found: dict[str, list[object]] = {}
    for table in (PATH_WINDOWS, *(family.table for family in FAMILIES)):
        made = rows_from_arrays(table, constants, rows.columns, inside)
        found |= {name: made[name].to_pylist() for name in made.column_names}
    return found


def feed(settings: Settings, base: Candles, begin: int, batches: list[int]) -> tuple[Tail, int]:
    """Append base candles in batches; after each compare what changed with a run over all candles so far."""
    tail = tail_of(settings, "EURUSD", Candles._make(column[:begin] for column in base))
    makers = {name: RowMaker(tail.view, name) for name in settings.granularities}
    compared, end = 0, begin
    for size in batches:
        added: dict[str, int] = {}
        for index in range(end, min(end + size, len(base.ts))):
            for name, count in tail.append(one(base, index)).items():
                added[name] = added.get(name, 0) + count
        end += size
        so_far = Candles._make(column[:end] for column in base)
        for name, count in added.items():
            if name not in settings.granularities:
                continue
            for rows in makers[name].rows(tail.view, count):
                expected = expected_rows(settings, so_far, name, rows.horizon)
                number = len(rows.columns["ts"])
                for column, values in as_lists(rows).items():
                    assert values == expected[column][-number:], (name, rows.horizon, column, end)
                compared += number
        tail.trim()
    return tail, compared


@pytest.mark.parametrize("begin", [0, 5_000])
def test_every_candle_gives_the_rows_of_a_run(begin: int) -> None:
    """From the very first candle, and on top of a history; one candle at a time and in batches, gaps included."""
    settings = settings_of()
    base = base_candles(settings, "EURUSD", at("2024-01-01"), at("2024-04-20"))
    draw = np.random.default_rng(begin)
    kept = draw.random(len(base.ts)) > 0.02
    kept[6_000:6_700] = False  # a week without candles
    base = Candles._make(column[kept] for column in base)
    batches = [1] * 150 + draw.integers(1, 40, 20).tolist() + [1] * 20 + [700, 1, 1, 1, 1, 600, 5]
    _, compared = feed(settings, base, begin, batches)
    assert compared > 1_000


def test_the_columns_are_those_of_labels() -> None:
    settings = settings_of()
    base = base_candles(settings, "EURUSD", at("2024-01-01"), at("2024-02-20"))
    tail = tail_of(settings, "EURUSD", base)
    for rows in RowMaker(tail.view, "H1").rows(tail.view, 1):
        made = {"instrument_id", "granularity", "horizon", "label_version", "computed_at"} | set(rows.columns)
        assert made == set(LABELS.names)


def test_a_history_that_is_long_for_one_granularity_and_short_for_another() -> None:
    """Two years: more candles of an hour than are kept, fewer of a week than its rows look back."""
    settings = settings_of(granularities=["H1", "H4", "D", "W"], horizons=[6])
    base = base_candles(settings, "EURUSD", at("2022-01-03"), at("2024-02-03"))
    begin = len(base.ts) - 490  # more than a week
    tail, compared = feed(settings, base, begin, [1, 480, 9])
    assert compared > 0
    assert "W" in tail.whole
    assert "H1" not in tail.whole
    for name in settings.granularities:
        RowMaker(tail.view, name)  # as for an instrument that is about to be served


def test_tails_stay_bounded_and_right() -> None:
    """After several times what is needed the tail holds a bounded number, and its newest rows are still a run's."""
    settings = settings_of(granularities=["H1"], horizons=[3])
    base = base_candles(settings, "EURUSD", at("2022-01-01"), at("2022-12-01"))
    tail = tail_of(settings, "EURUSD", Candles._make(column[:1] for column in base))
    maker = RowMaker(tail.view, "H1")
    longest = added = 0
    for index in range(1, len(base.ts)):
        added += tail.append(one(base, index)).get("H1", 0)
        if added and (index % 97 == 0 or index == len(base.ts) - 1):
            rows = maker.rows(tail.view, added)[0]
            added = 0
        if index % 500 == 0:
            tail.trim()
        longest = max(longest, len(tail.rungs["M15"]))
    assert longest < len(base.ts) / 2
    assert not tail.whole
    expected = expected_rows(settings, base, "H1", 3)
    for column, values in as_lists(rows).items():
        assert values == expected[column][-len(values) :], column
