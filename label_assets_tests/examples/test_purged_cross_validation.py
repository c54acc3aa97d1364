"""The example as it is run: on labels of three synthetic pairs that a real ClickHouse holds."""

import contextlib
import io
import runpy
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from label_assets.settings import load_settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.cache.labels import label_rows, store
from label_assets_tests.live.markets import at

EXAMPLE = Path(__file__).parents[2] / "examples" / "purged_cross_validation.py"
START, CUT, END = at("2024-01-15"), at("2024-04-01"), at("2024-06-15")
Folds = Sequence[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def fill(home: Path, clickhouse_url: str) -> Iterator[Callable[[int], None]]:
    """A function that stores labels of candles that open before `end`; the environment leads there."""
    warehouse = Warehouse(
        load_settings(home=home, clickhouse_url=clickhouse_url, database=f"t_{uuid.uuid4().hex[:12]}")
    )

    def store_until(end: int) -> None:
        for name in ("EURUSD", "GBPUSD", "USDJPY"):
            store(warehouse, label_rows(name, "H4", start=START, end=end), START, END)

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CLICKHOUSE_URL", clickhouse_url)
        environment.setenv("LABEL_ASSETS_DATABASE", warehouse.settings.database)
        yield store_until
    warehouse.client.command(f"DROP DATABASE `{warehouse.settings.database}` SYNC")
    warehouse.close()


@pytest.fixture(scope="module")
def example(fill: Callable[[int], None]) -> dict[str, Any]:
    """Names of the example after a run, and `said`, what it printed."""
    fill(END)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        names = runpy.run_path(str(EXAMPLE))
    return {**names, "said": said.getvalue()}


def leaks(names: dict[str, Any], folds: Folds) -> tuple[int, int]:
    """Pairs of a training and a test row whose lives overlap, and that are nearer than the embargo after it."""
    entry, end = (names[name].to_numpy() for name in ("entry", "end"))
    overlapping, near = 0, 0
    for train, test in folds:
        begin, until = entry[train, None], end[train, None]
        overlapping += int(((begin < end[test]) & (entry[test] < until)).sum())
        near += int(((begin >= end[test]) & (begin <= end[test] + names["EMBARGO"])).sum())
    return overlapping, near


def test_laws(example: dict[str, Any]) -> None:
    rows, folds = example["rows"], example["purged_folds"]
    assert len(rows) > 1_000
    assert set(rows["instrument_id"]) == set(example["PAIRS"])

    # Nothing that trains knows the future of what is tested; the folds that are not purged show that this can fail.
    assert leaks(example, folds) == (0, 0)
    assert all(count > 0 for count in leaks(example, example["unpurged_folds"]))
    assert all(count > 0 for count in leaks(example, example["shuffled_folds"]))
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(len(rows))), "each row is tested once"
    assert all(len(train) > len(rows) / 2 for train, _ in folds)
    assert (example["entry"] < example["end"]).all()

    assert (example["weight"] > 0).all()
    assert (example["weight"] <= 1).all()
    assert np.isfinite(example["features"].to_numpy(dtype=float)).all()
    assert set(example["target"]) <= set(example["CLASSES"])

    scores = example["scores"]
    assert np.isfinite(np.array(list(scores.values()))).all()
    assert all(error > 0 for _, error in scores.values())
    for name, (mean, error) in scores.items():
        assert f"{name:<58}{mean:+.4f} ± {error:.4f}" in example["said"]
    # What does not depend on luck: near barriers are touched more often, and neighbors are a leak.
    assert scores["linear, distances of the barriers, against frequencies"][0] > 0
    assert scores["what folds at random pretend, against purged ones"][0] > 0


def test_the_loss_is_that_of_the_definition(example: dict[str, Any]) -> None:
    """Frequencies counted by hand, and a saved loss of nothing against itself."""
    train, test = example["purged_folds"][0]
    weight, target = example["weight"], example["target"]
    row = int(test[0])
    share = weight[train][target[train] == target[row]].sum() / weight[train].sum()
    assert example["frequencies"][row] == pytest.approx(-np.log(share))
    assert example["saved"](example["frequencies"], example["frequencies"]) == (0.0, 0.0)


def test_features_are_known_at_entry(fill: Callable[[int], None]) -> None:
    """With everything after a time taken away, the features of the rows before are the same."""
    cells = EXAMPLE.read_text().partition("# ## Rows that train")[0]
    found = []
    for end in (END, CUT):
        fill(end)
        names: dict[str, Any] = {}
        exec(compile(cells, str(EXAMPLE), "exec"), names)
        found.append(names["features"].set_index([names["rows"]["instrument_id"], names["rows"]["ts"]]))
    whole, cut = found
    assert len(cut) > 900
    assert len(cut) < len(whole)
    pd.testing.assert_frame_equal(whole.loc[cut.index], cut, check_exact=True)
