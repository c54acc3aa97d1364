"""Sizes and rates on paper, and a small simulation of a backfill: what docs/scaling.md shows.

    python -m benchmarks.scaling                # the tables, as Markdown
    python -m benchmarks.scaling --write        # the same into docs/scaling.md
    python -m benchmarks.scaling --measure      # bytes and rows again, from the warehouse that is configured

Belongs here: measured constants with where each comes from, arithmetic, the simulation. Does not belong here:
measuring speed (the other parts of `benchmarks`).
"""

import argparse
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
BEGIN, END = "<!-- begin: python -m benchmarks.scaling -->\n", "<!-- end -->\n"
YEAR_S = 365.25 * 86_400


@dataclass(frozen=True)
class Constant:
    """A measured figure.

    Attributes:
        value: The figure.
        unit: Its unit.
        source: Where it was measured.
    """

    value: float
    unit: str
    source: str


_DEMO = "`make demo`, 3 instruments × 24 months"
_PARTS = f"system.parts after {_DEMO}"
_EVENTS = f"PostgreSQL after {_DEMO}"

CANDLES_A_YEAR = {
    name: Constant(count / years, "candles", f"{_DEMO}: {count:,} in {years} instrument-years")
    for name, count, years in (
        ("M15", 149_472, 6),
        ("H1", 3 * 12_456, 6),
        ("H4", 3 * 3_114, 6),
        ("D", 3 * 519, 6),
        ("W", 3 * 103, 6),
    )
}
CANDLES_A_YEAR["M1"] = Constant(15 * CANDLES_A_YEAR["M15"].value, "candles", "15 to each M15 candle")

BYTES = {
    table: Constant(value, "bytes a row", _PARTS)
    for table, value in {
        "raw_candles": 17.9,
        "candles": 18.6,
        "level_intervals": 24.4,
        "level_events": 22.4,
        "path_windows": 15.3,
        "returns": 11.9,
        "barriers": 35.8,
        "excursions": 12.1,
        "volatility": 14.4,
        "path_shape": 24.0,
        "level_touches": 2.9,
        "level_breaks": 13.2,
        "sample_weights": 5.1,
        "labels": 133.7,
        "label_statistics": 399.3,
        "label_statistics_monthly": 1_935.5,
    }.items()
}
PER_LABEL_ROW = {
    "level_intervals": Constant(12_079 / 48_576, "rows a label row", _DEMO),
    "level_events": Constant(38_909 / 48_576, "rows a label row", _DEMO),
}
STATISTICS_A_YEAR = {
    "label_statistics": Constant(5_628 / 6 / 4, "rows a year and granularity", _DEMO),
    "label_statistics_monthly": Constant(12, "rows a year and granularity", "one a month"),
}
LABEL_TABLES = (
    *("path_windows", "returns", "barriers", "excursions", "volatility", "path_shape"),
    *("level_touches", "level_breaks", "sample_weights", "labels"),
)

RUN_EVENTS = Constant(501 - 15 * 24, "events a run", f"{_EVENTS}: 501 events a run, less one an asset and month")
PARTITION_EVENTS = Constant(15, "events a run and month", f"{_EVENTS}: one for each of 15 assets")
EVENT_BYTES = Constant(2_965_504 / 1_518, "bytes", f"{_EVENTS}: pg_total_relation_size of event_logs")
TAGS = Constant(3, "rows an asset, run and month", f"{_EVENTS}: asset_event_tags")
TAG_BYTES = Constant(704_512 / 3_240, "bytes", f"{_EVENTS}: pg_total_relation_size of asset_event_tags")
INSERTS = Constant(20, "inserts a run", "part `history`, size tiny: calls that write in a first run")

ROW_CPU_S = Constant(11.3 / 81_028, "CPU s a label row", "docs/performance_log.md: 81,028 rows through all checks")
CLICKHOUSE_SHARE = Constant(2 / 3, "of ROW_CPU_S", "docs/performance_log.md: ClickHouse, two thirds of the time")
RUN_S = Constant(
    2 * 361 / 29 - 105_504 / 29 * ROW_CPU_S.value,
    "s a run",
    "docs/performance.md: 29 runs, two at a time, 105,504 rows, 361 s; less what the rows cost. An upper bound: the "
    "first tick of the daemon is in it, and a run's process took 7 s of CPU more then (docs/performance_log.md)",
)
TICK_S = Constant(5, "s", "label_assets.instance: the daemon looks at backfills so often")
DEQUEUE_S = Constant(1, "s", "dagster.yaml, dequeue_interval_seconds")
BASE_MB = Constant(400, "MB", "part `history`, size tiny: peak of the process with 3 months of one instrument")
ROW_MB = Constant((764 - 400) / 81_028, "MB a label row", "ten years in a process that had made other runs: 764 MB")

# Limits that are not ours, as their makers name them.
PARTS_DELAY, PARTS_REFUSE = 1_000, 3_000
"""Active parts of a table's partition from which ClickHouse slows inserts down, and refuses them (its defaults)."""
LARGEST_MERGE_BYTES = 150 * 2**30
"""ClickHouse merges no parts beyond this together by itself (max_bytes_to_merge_at_max_space_in_pool)."""
MOST_PARTITIONS = 100_000
"""Partitions of an asset beyond which Dagster's documentation expects a slow UI."""


@dataclass(frozen=True)
class Scenario:
    """What is to be held.

    Attributes:
        name: Heading.
        instruments: How many.
        years: Years of each.
        base: Granularity that is ingested.
        stored: Granularities in `candles`, the base among them.
        labelled: Granularities with labels.
        years_a_run: Years that one run covers.
    """

    name: str
    instruments: int
    years: int
    base: str
    stored: tuple[str, ...]
    labelled: tuple[str, ...]
    years_a_run: int

    @property
    def runs(self) -> int:
        """Runs of a whole backfill, one an instrument and stretch of years."""
        return self.instruments * -(-self.years // self.years_a_run)

    @property
    def instrument_years(self) -> int:
        """Years of all instruments together."""
        return self.instruments * self.years

    @property
    def label_rows_a_year(self) -> float:
        """Label rows of one instrument in a year, one horizon."""
        return sum(CANDLES_A_YEAR[name].value for name in self.labelled)


SCENARIOS = (
    Scenario(
        "29 instruments × 20 years, M15",
        *(29, 20, "M15", ("M15", "H1", "H4", "D", "W"), ("H1", "H4", "D", "W")),
        years_a_run=20,
    ),
    Scenario(
        "5,000 instruments × 20 years, M1",
        *(5_000, 20, "M1", ("M1", "M15", "H1", "H4", "D", "W"), ("M15", "H1", "H4", "D", "W")),
        years_a_run=1,
    ),
)


def table_rows(scenario: Scenario) -> dict[str, float]:
    """Rows of every table once all is stored, one horizon."""
    years = scenario.instrument_years
    labels = years * scenario.label_rows_a_year
    return {
        "raw_candles": years * CANDLES_A_YEAR[scenario.base].value,
        "candles": years * sum(CANDLES_A_YEAR[name].value for name in scenario.stored),
        **{name: labels * each.value for name, each in PER_LABEL_ROW.items()},
        **dict.fromkeys(LABEL_TABLES, labels),
        **{name: years * len(scenario.labelled) * each.value for name, each in STATISTICS_A_YEAR.items()},
    }


def table_bytes(scenario: Scenario) -> dict[str, float]:
    """Compressed bytes of every table, without replicas."""
    return {name: rows * BYTES[name].value for name, rows in table_rows(scenario).items()}


def run_rows(scenario: Scenario) -> float:
    """Label rows that one run makes."""
    return scenario.label_rows_a_year * min(scenario.years_a_run, scenario.years)


def costed_rows(scenario: Scenario) -> float:
    """Label rows of one run, as many as would cost what it costs.

    What a row costs was measured with M15 candles under H1 labels. How much of it is due to the base candles is not
    known; this takes all of it, which is an upper bound where there are more of them to a label row.
    """
    measured = CANDLES_A_YEAR["M15"].value / sum(CANDLES_A_YEAR[name].value for name in ("H1", "H4", "D", "W"))
    base_candles = CANDLES_A_YEAR[scenario.base].value * min(scenario.years_a_run, scenario.years)
    return max(run_rows(scenario), base_candles / measured)


def run_memory_mb(scenario: Scenario) -> float:
    """Peak memory of a run's process, an upper bound in the same way."""
    return BASE_MB.value + ROW_MB.value * costed_rows(scenario)


def events(scenario: Scenario) -> float:
    """Rows of Dagster's event log after one whole backfill."""
    months = 12 * scenario.instrument_years
    return scenario.runs * RUN_EVENTS.value + months * PARTITION_EVENTS.value


def postgres_bytes(scenario: Scenario) -> float:
    """Event log and its tags after one whole backfill."""
    tags = 12 * scenario.instrument_years * PARTITION_EVENTS.value * TAGS.value
    return events(scenario) * EVENT_BYTES.value + tags * TAG_BYTES.value


@dataclass(frozen=True)
class Simulated:
    """What a simulated backfill took.

    Attributes:
        hours: From its launch to the end of its last run.
        clickhouse_busy: Share of that in which ClickHouse's cores worked.
        inserts_per_s: Inserts a second, into all tables together.
    """

    hours: float
    clickhouse_busy: float
    inserts_per_s: float


def simulate(runs: int, rows: float, places: int, clickhouse_cores: int) -> Simulated:
    """Runs that wait for a place, work in a process of their own, then for a core of ClickHouse.

    A run takes its place at the next look of the queue, spends the fixed cost and its own share of the rows' cost
    there, then ClickHouse's share on one of ClickHouse's cores, first come first served. The place is held throughout.

    Args:
        runs: How many there are.
        rows: Label rows of each.
        places: Runs at a time; each has a core of its own.
        clickhouse_cores: Cores that ClickHouse has for them.
    """
    own_s = RUN_S.value + rows * ROW_CPU_S.value * (1 - CLICKHOUSE_SHARE.value)
    clickhouse_s = rows * ROW_CPU_S.value * CLICKHOUSE_SHARE.value
    free_places = [TICK_S.value] * places  # the daemon finds the backfill at its first tick
    free_cores = [0.0] * clickhouse_cores
    asking: list[float] = []  # times at which runs ask for a core, not yet served
    end = 0.0
    begun = 0
    while begun < runs or asking:
        # Whoever comes first: a run that begins, or one that asks for a core.
        begins = heapq.heappop(free_places) if begun < runs and free_places else None
        if begins is not None and (not asking or begins + own_s <= asking[0]):
            begins = -(-begins // DEQUEUE_S.value) * DEQUEUE_S.value
            begun += 1
            heapq.heappush(asking, begins + own_s)
            continue
        if begins is not None:
            heapq.heappush(free_places, begins)
        started = max(heapq.heappop(asking), heapq.heappop(free_cores))
        end = max(end, started + clickhouse_s)
        heapq.heappush(free_cores, started + clickhouse_s)
        heapq.heappush(free_places, started + clickhouse_s)
    return Simulated(
        end / 3_600, runs * clickhouse_s / (clickhouse_cores * end), runs * INSERTS.value / (end - TICK_S.value)
    )


def _shown(value: float) -> str:
    """Three figures, with a power of 1,000."""
    for factor, name in ((1e12, " T"), (1e9, " G"), (1e6, " M")):
        if value >= factor:
            return f"{value / factor:.3g}{name}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _sizes() -> Iterator[str]:
    names = [scenario.name for scenario in SCENARIOS]
    rows, sizes = [table_rows(each) for each in SCENARIOS], [table_bytes(each) for each in SCENARIOS]
    yield "### Rows and bytes\n"
    yield "One horizon, compressed, one copy.\n"
    body = [
        [f"`{table}`", *(f"{_shown(r[table])} rows, {_shown(s[table])}B" for r, s in zip(rows, sizes, strict=True))]
        for table in BYTES
    ]
    body.append(
        [
            "all",
            *(f"{_shown(sum(r.values()))} rows, {_shown(sum(s.values()))}B" for r, s in zip(rows, sizes, strict=True)),
        ]
    )
    yield from _grid(["table", *names], body)
    yield "\n### Runs, events, parts, memory\n"
    lines: Mapping[str, list[str]] = {
        "years that a run covers": [f"{each.years_a_run}" for each in SCENARIOS],
        "runs of a whole backfill": [_shown(each.runs) for each in SCENARIOS],
        "memory of a run over all years [MB]": [
            _shown(run_memory_mb(replace(each, years_a_run=each.years))) for each in SCENARIOS
        ],
        "label rows of a run": [_shown(run_rows(each)) for each in SCENARIOS],
        "partitions of an asset, by month": [_shown(12 * each.instrument_years) for each in SCENARIOS],
        "… by year": [_shown(each.instrument_years) for each in SCENARIOS],
        "inserts, and parts before merges": [_shown(each.runs * INSERTS.value) for each in SCENARIOS],
        "parts of one table before merges": [_shown(each.runs) for each in SCENARIOS],
        "largest table / largest merge": [f"{max(s.values()) / LARGEST_MERGE_BYTES:.2g}" for s in sizes],
        "rows of Dagster's event log": [_shown(events(each)) for each in SCENARIOS],
        "PostgreSQL, events and tags": [_shown(postgres_bytes(each)) + "B" for each in SCENARIOS],
        "memory of a run over so many years [MB]": [_shown(run_memory_mb(each)) for each in SCENARIOS],
        "base candles a second, all markets open": [
            f"{each.instrument_years / each.years * 7_200 / {'M1': 1, 'M15': 15}[each.base] / (120 * 3_600):.3g}"
            for each in SCENARIOS
        ],
        "runs a day if each instrument's file lands daily": [_shown(each.instruments) for each in SCENARIOS],
        "places that these keep busy": [f"{each.instruments * RUN_S.value / 86_400:.2g}" for each in SCENARIOS],
    }
    yield from _grid(["", *names], [[name, *values] for name, values in lines.items()])


def _hours() -> Iterator[str]:
    for scenario in SCENARIOS:
        yield f"\n### A backfill: {scenario.name}\n"
        yield "Hours; how busy ClickHouse's cores are; inserts a second.\n"
        body = []
        for places in (2, 8, 32, 128):
            found = [simulate(scenario.runs, costed_rows(scenario), places, cores) for cores in (2, 8, 32)]
            body.append(
                [
                    f"{places}",
                    *(f"{one.hours:.3g} h; {one.clickhouse_busy:.0%}; {one.inserts_per_s:.2g}/s" for one in found),
                ]
            )
        yield from _grid(["runs at a time", *(f"ClickHouse with {cores} cores" for cores in (2, 8, 32))], body)


def _constants() -> Iterator[str]:
    yield "\n### What it is made of\n"
    named = {
        **{f"candles of {name} a year": each for name, each in CANDLES_A_YEAR.items()},
        **{f"`{name}`": each for name, each in BYTES.items()},
        **{f"`{name}`, rows": each for name, each in (PER_LABEL_ROW | STATISTICS_A_YEAR).items()},
        "events, fixed": RUN_EVENTS,
        "events, by month": PARTITION_EVENTS,
        "an event": EVENT_BYTES,
        "tags": TAGS,
        "a tag": TAG_BYTES,
        "inserts": INSERTS,
        "a label row": ROW_CPU_S,
        "of it ClickHouse": CLICKHOUSE_SHARE,
        "a run, fixed": RUN_S,
        "the daemon's tick": TICK_S,
        "the queue's look": DEQUEUE_S,
        "memory, fixed": BASE_MB,
        "memory, by row": ROW_MB,
    }
    yield "| constant | value | unit | measured |\n|---|---:|---|---|"
    for name, each in named.items():
        yield f"| {name} | {each.value:.4g} | {each.unit} | {each.source} |"


def tables() -> str:
    """All tables, as Markdown."""
    return "\n".join([*_sizes(), *_hours(), *_constants()]) + "\n"


def page_with_tables(text: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def measured_bytes() -> dict[str, float]:
    """Bytes on disk a row of every table of the warehouse that is configured."""
    from label_assets.settings import load_settings  # noqa: PLC0415 - the tables need no warehouse
    from label_assets.warehouse.client import Warehouse  # noqa: PLC0415

    warehouse = Warehouse(load_settings())
    rows = warehouse.query_text(
        "SELECT table, sum(bytes_on_disk) / sum(rows) AS bytes FROM system.parts "
        "WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
    ).to_pylist()
    warehouse.close()
    return {row["table"].removesuffix("_storage"): row["bytes"] for row in rows}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    made.add_argument("--write", action="store_true", help="write the tables into docs/scaling.md")
    made.add_argument("--measure", action="store_true", help="bytes a row of the configured warehouse, beside ours")
    return made


def main() -> None:
    """Do what the command line says."""
    arguments = parser().parse_args()
    if arguments.measure:
        for table, value in measured_bytes().items():
            print(f"{table:<28}{value:>10.1f} bytes a row, here {BYTES[table].value:>10.1f}")  # noqa: T201 - a program
    elif arguments.write:
        PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(tables(), end="")  # noqa: T201 - a program


if __name__ == "__main__":
    main()
