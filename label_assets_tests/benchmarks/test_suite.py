"""The suite at its tiny size: reports are complete, verdicts follow from figures, a part that fails is seen.

`landing` and `backfill` are left out: they start a Dagster and wait for its daemon, a minute each.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import growth, report, suite
from benchmarks.figures import Figure, Measured, figure, inverted, measured_from_json, quantile, quantiles
from benchmarks.part import PARTS
from benchmarks.processes import kind_of
from benchmarks.stopwatch import Stopwatch
from benchmarks.targets import MEMORY_TARGET, TARGETS, Target

UNKNOWN = "a part that does not exist"
MAY_BE_NEGATIVE = {"exponent"}


def assert_complete(folder: Path, whole: Mapping[str, Any], names: Sequence[str]) -> dict[str, Measured]:
    """Every part is in both files with all of its figures, in order and positive; returns what was measured."""
    stored = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(whole))
    assert [part["name"] for part in stored["parts"]] == list(names)
    assert stored["machine"]["processor"]
    assert stored["machine"]["cores"] > 0
    assert stored["machine"]["memory_bytes"] > 0
    assert set(stored["versions"]) >= {"dagster", "chdb", "numba", "numpy"}
    assert "not installed" not in stored["versions"].values()
    assert stored["code"]["commit"]
    text = (folder / "report.md").read_text(encoding="utf-8")
    for target in TARGETS:
        assert text.count(f"| {target.what} |") == 1
    found = suite.parts_of(whole)
    for part in stored["parts"]:
        assert part["seconds"] > 0
        for load in (part["before"], part["after"]):
            assert set(load) == {"one_minute", "five_minutes", "busy", "fixed_work_ms"}
            assert load["fixed_work_ms"] > 0
        assert part["left_running"] == []
        assert f"\n{'###' if 'error' in part else '##'} {part['name']}\n" in text
    for name, measured in found.items():
        assert measured.figures, name
        assert measured.notes, name
        assert all(size > 0 for size in measured.peak_rss.values())
        names_of_figures = [each.name for each in measured.figures]
        assert len(set(names_of_figures)) == len(names_of_figures), name
        for each in measured.figures:
            assert_measured(each)
            assert f"| {each.name} | {report.number(each.median)} |" in text
        for note in measured.notes:
            assert note in text
    return found


def assert_measured(each: Figure) -> None:
    assert each.count > 0, each
    assert each.least <= each.median <= each.most, each
    assert all(math.isfinite(value) for value in (each.least, each.median, each.most)), each
    assert each.unit in MAY_BE_NEGATIVE or each.least > 0 or each.clock != "none", each
    assert each.unit in MAY_BE_NEGATIVE or each.least >= 0, each


def test_a_part_that_was_measured_beside_one_that_failed(tmp_path: Path) -> None:
    names = ["kernels", UNKNOWN]
    whole = suite.run_suite(names, "tiny", tmp_path)
    found = assert_complete(tmp_path, whole, names)
    assert set(found) == {"kernels"}
    failed = whole["parts"][1]
    assert "exit code 1" in failed["error"]
    assert UNKNOWN in failed["error"]
    assert failed["error"].splitlines()[0] in (tmp_path / "report.md").read_text(encoding="utf-8")

    rows = {row.what: row for row in report.verdicts(found)}
    for target in TARGETS:
        row = rows[target.what]
        if target.part != "kernels":
            assert row.outcome == report.NOT_MEASURED
            continue
        measured = next(each for each in found["kernels"].figures if each.name == target.figure)
        assert measured.least > 0
        assert measured.unit == target.unit
        assert (row.outcome == report.PASS) == (measured.median >= target.bound)
        assert f"**{report.number(measured.median)}**" in row.found
        for name, _ in target.comparisons:
            assert name in row.ratio
    assert (tmp_path / "throughput.png").stat().st_size > 0
    assert "![throughput.png](throughput.png)" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_parts_with_servers(tmp_path: Path) -> None:
    names = ["history", "queries", "live"]
    found = assert_complete(tmp_path, suite.run_suite(names, "tiny", tmp_path), names)
    assert set(found) == set(names)
    for target in TARGETS:
        if target.part in found:
            assert [(each.name, each.unit) for each in found[target.part].figures].count(
                (target.figure, target.unit)
            ) == 1
    by_name = {each.name: each for each in found["history"].figures}
    for run in ("first run", "unchanged again", "one corrected candle"):
        phases = [each.median for name, each in by_name.items() if name.startswith(f"{run}: ")]
        assert sum(phases) == pytest.approx(by_name[run].median)
    assert "first run: waits for ClickHouse, writing" in by_name
    assert "unchanged again: waits for ClickHouse, writing" not in by_name, "it writes nothing"
    assert "are the same" in " ".join(found["queries"].notes)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.what)
def test_a_target_is_met_at_its_bound_and_not_beyond(target: Target) -> None:
    def outcome(value: float) -> str:
        parts = {target.part: Measured([figure(target.figure, "unit", "wall", [value])])}
        return next(row.outcome for row in report.verdicts(parts) if row.what == target.what)

    beyond = math.nextafter(target.bound, -math.inf if target.at_least else math.inf)
    assert (outcome(target.bound), outcome(beyond)) == (report.PASS, report.MISS)
    assert report.verdicts({})[TARGETS.index(target)].outcome == report.NOT_MEASURED


def test_memory_is_judged_by_the_largest_process_of_any_part() -> None:
    small = Measured([], peak_rss={"run": int(MEMORY_TARGET) - 1, "the benchmark itself": 10**12})
    assert report.verdicts({"a": small})[-1].outcome == report.PASS
    large = Measured([], peak_rss={"run": 1, "ClickHouse": int(MEMORY_TARGET)})
    row = report.verdicts({"a": small, "b": large})[-1]
    assert row.outcome == report.MISS
    assert "ClickHouse, part b" in row.found


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("python -m dagster._daemon run --instance-ref {postgres_url: postgresql+psycopg2://}", "Dagster daemon"),
        ("python -m dagster_webserver --port 1 --instance-ref {postgres_url: postgresql://}", "Dagster UI"),
        ("python -m dagster api grpc --socket x --instance-ref {postgres_url: postgresql://}", "Dagster code server"),
        ("python -B -c from multiprocessing.forkserver import main; main(9, 10)", "Dagster run"),
        ("python -m label_assets.warehouse.embedded.clickhouse_owner --home x", "ClickHouse"),
        ("pginstall18/bin/postgres -D x", "PostgreSQL"),
        ("python -m benchmarks.part live tiny x y", "the benchmark itself"),
        ("something else", "other"),
    ],
)
def test_kinds_of_processes(command: str, kind: str) -> None:
    assert kind_of(command) == kind


def test_figures_from_values() -> None:
    made = figure("name", "s", "wall", [3.0, 1.0, 2.0, 10.0])
    assert (made.least, made.median, made.most, made.count) == (1.0, 2.5, 10.0, 4)
    rate = inverted(made, "rate", "1/s", 1.0)
    assert (rate.least, rate.median, rate.most) == (0.1, 0.4, 1.0)
    with pytest.raises(ValueError, match="nothing was measured"):
        figure("name", "s", "wall", [])
    values = list(range(1, 101))
    assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert quantile([5.0, 4.0], 0.99) == 5.0
    assert [each.name for each in quantiles("wait", "ms", values, {"p50": 0.5, "max": 1.0})] == [
        "wait, p50",
        "wait, max",
    ]
    measured = Measured([made, replace(made, name="other")], ["a note"], {"run": 5}, {"curve": [(1.0, 2.0)]})
    again = measured_from_json(json.loads(json.dumps(measured.as_json())))
    assert again == replace(measured, series={"curve": [[1.0, 2.0]]})


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 2.0])
def test_exponent_is_the_slope_of_the_logarithms(slope: float) -> None:
    values = {times: [3 * times**slope] * 2 for times in (1, 2, 4, 8, 16)}
    assert growth.exponent(values) == pytest.approx(slope, abs=1e-12)


def test_a_stopwatch_takes_inner_phases_out_of_outer_ones() -> None:
    class Client:
        def inner(self) -> float:
            return float(np.linalg.svd(np.ones((200, 200)))[1][0])

        def outer(self) -> float:
            return self.inner() + self.inner()

    before = dict(vars(Client))
    watch = Stopwatch()
    watch.wrap(Client, "inner", "inside")
    watch.wrap(Client, "outer", "outside")
    with watch.phase("all"):
        Client().outer()
    watch.unwrap()
    assert watch.calls == {"inside": 2, "outside": 1, "all": 1}
    assert watch.seconds["inside"] > watch.seconds["outside"] > 0
    assert dict(vars(Client)) == before
    with pytest.raises(AttributeError):
        watch.wrap(Client, "gone", "a phase that would be lost")


def test_every_part_has_a_module_that_measures() -> None:
    import importlib

    assert {target.part for target in TARGETS} - {"serving"} <= set(PARTS)
    for module in PARTS.values():
        assert callable(importlib.import_module(module).measure)
