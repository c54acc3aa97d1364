"""Revisions of known candles: what is one, and a trace that tells each change once, whatever dies in between."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from label_assets.catalog.tables import CANDLE_REVISIONS, RAW_CANDLES, REVISION_CHANGES
from label_assets.compute.revisions import VALUES, Changes, History, find_changes, revision_rows

BASE_S = 900
ALWAYS = History(-1, 2**40)
CONSTANTS: dict[str, str | int] = {"instrument_id": "A", "granularity": "M15", "source": "here", "revised_at": 7}

Stored = Mapping[int, float]
"""Close by open time; the other values follow from it."""


def raw(candles: Stored, granularity: str = "M15") -> pa.Table:
    columns: dict[str, Any] = {
        "instrument_id": ["A"] * len(candles),
        "granularity": [granularity] * len(candles),
        "ts": list(candles),
        **{name: [value + column for value in candles.values()] for column, name in enumerate(VALUES)},
    }
    return pa.table(columns, schema=RAW_CANDLES.wire_schema())


def changes(old: Stored, new: Stored, history: History | None = ALWAYS) -> Changes:
    return find_changes("M15", raw(old), raw(new), history)


def shown(found: Changes) -> list[tuple[int, str, float | None, float | None]]:
    """Time, change, open before and after of each revision."""
    revisions = found.revisions
    values = (np.where(np.isnan(column), None, column).tolist() for column in (revisions.before, revisions.after))
    return [
        (ts, REVISION_CHANGES[change], before[0], after[0])
        for ts, change, before, after in zip(revisions.ts.tolist(), revisions.change.tolist(), *values, strict=True)
    ]


def test_restated_removed_and_late() -> None:
    found = changes({1: 10.0, 2: 20.0, 3: 30.0, 5: 50.0}, {5: 51.0, 4: 40.0, 2: 20.0, 1: 10.0})
    assert shown(found) == [
        (3, "removed", 30.0, None),
        (4, "added_late", None, 40.0),
        (5, "restated", 50.0, 51.0),
    ]
    assert found.revisions.before[2].tolist() == [50.0, 51.0, 52.0, 53.0, 54.0]
    assert found.counts() == {"restated": 1, "removed": 1, "added_late": 1}
    assert found.span == (3, 5)
    assert found.added_ts.tolist() == []


def test_each_value_counts_and_each_bit() -> None:
    old = raw({1: 10.0})
    for name in VALUES:
        place = old.schema.get_field_index(name)
        value = np.nextafter(old[name].to_numpy(), np.inf)
        assert len(
            find_changes("M15", old, old.set_column(place, old.schema.field(name), pa.array(value)), ALWAYS)[0].ts
        )
    assert changes({1: 10.0}, {1: 10.0}).span is None


def test_what_lengthens_history_is_no_revision() -> None:
    found = changes({4: 1.0}, {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 6: 1.0, 7: 1.0, 8: 1.0}, History(2, 7))
    assert [(ts, change) for ts, change, *_ in shown(found)] == [(3, "added_late"), (6, "added_late")]
    assert found.added_ts.tolist() == [1, 2, 7, 8]
    assert found.span == (1, 8)
    first = changes({}, {1: 1.0, 2: 1.0}, None)
    assert shown(first) == []
    assert first.added_ts.tolist() == [1, 2]


def test_candles_of_another_granularity_are_none_of_it() -> None:
    old = pa.concat_tables([raw({1: 1.0}), raw({1: 2.0, 2: 2.0}, "M5")])
    assert find_changes("M15", old, raw({1: 1.0}), ALWAYS).span is None


@given(
    st.lists(
        st.tuples(st.dictionaries(st.integers(1, 4), st.sampled_from([1.0, 2.0, 3.0]), max_size=4), st.booleans()),
        max_size=9,
    )
)
def test_the_trace_tells_every_change_once(files: Sequence[tuple[dict[int, float], bool]]) -> None:
    """Ingestions of files one after the other, some of which die between trace and candles."""
    stored: Stored = {}
    happened: list[tuple[int, float | None, float | None]] = []
    traced = CANDLE_REVISIONS.wire_schema().empty_table()
    for file, dies in files:
        found = changes(stored, file)
        traced = revision_rows(traced, found.revisions, CONSTANTS).sort_by(
            [("ts", "ascending"), ("revision", "ascending")]
        )
        again = revision_rows(traced, found.revisions, CONSTANTS)
        assert again.sort_by([("ts", "ascending"), ("revision", "ascending")]).equals(traced)
        if not dies:
            keys = [ts for ts in sorted({*stored, *file}) if stored.get(ts) != file.get(ts)]
            happened += [(ts, stored.get(ts), file.get(ts)) for ts in keys]
            stored = file
        rows = traced.to_pylist()
        numbers = {ts: [row["revision"] for row in rows if row["ts"] == ts] for ts in range(1, 5)}
        assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
        # A change that did not come about is the last of its candle, and starts from what is stored.
        carried_out = [
            row
            for row in rows
            if row["revision"] < len(numbers[row["ts"]]) or row["open_before"] != stored.get(row["ts"])
        ]
        told = [(row["ts"], row["open_before"], row["open_after"]) for row in carried_out]
        assert told == sorted(happened, key=lambda change: change[0])
