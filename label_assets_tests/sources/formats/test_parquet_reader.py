"""Parquet files as rows: names of columns, sides, divisors, zones. Types and damages: `sources/test_parquet.py`."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from label_assets.errors import SourceUnreadableError
from label_assets.sources.formats.reading import format_clock, read_file
from label_assets.sources.raw_rows import RawRows
from label_assets_tests.sources.formats.laws import assert_laws, parquet, values

T0 = 1_514_764_800
STAMPS = pa.array([T0 * 1_000, T0 * 1_000 + 60_500, None], pa.timestamp("ms"))
PRICES = {"open": [1.1, 1.2, 1.3], "high": [1.3, None, 1.4], "low": [1.0, 1.1, 1.2], "close": [1.2, 1.2, 1.3]}


def _read(folder: Path, table: dict[str, Any], **keys: Any) -> RawRows:
    pq.write_table(pa.table(table), folder / "a.parquet")
    rows = read_file(folder / "a.parquet", parquet(**keys))
    assert_laws(rows)
    return rows


def test_rows_as_they_stand(tmp_path: Path) -> None:
    rows = _read(tmp_path, {"ts": STAMPS, **PRICES, "volume": [5, 6, None]})
    assert values(rows) == [
        (T0, 1.1, 1.3, 1.0, 1.2, 5.0),
        (T0 + 60, 1.2, None, 1.1, 1.2, 6.0),
        (None, 1.3, 1.4, 1.2, 1.3, None),
    ]
    assert rows.line.tolist() == [1, 2, 3]
    assert rows.has_fraction.tolist() == [False, True, False]
    assert not rows.fault.any()
    assert rows.stamp_texts(np.array([3, 1])) == [None, "2018-01-01 00:00:00.000"]


def test_a_zone_makes_instants(tmp_path: Path) -> None:
    """A column with a zone holds UTC, whatever the zone; one without holds the time of some clock."""
    for zone, is_utc, clock in ((None, False, None), ("UTC", True, "UTC"), ("America/New_York", True, "UTC")):
        rows = _read(tmp_path, {"ts": STAMPS.cast(pa.timestamp("ms", zone)), **PRICES})
        assert (rows.is_utc, rows.stamp_s[0]) == (is_utc, T0)
        assert format_clock(parquet(), tmp_path / "a.parquet") == clock
        assert rows.stamp_texts(np.array([1])) == ["2018-01-01 00:00:00.000" + ("Z" if zone else "")]


def test_columns_by_other_names(tmp_path: Path) -> None:
    columns = {"time": STAMPS, **{name.upper(): column for name, column in PRICES.items()}, "ticks": [1, 2, 3]}
    names = {"ts": "time", **{name: name.upper() for name in PRICES}}
    assert _read(tmp_path, columns, columns=names).volume.tolist() == [0.0] * 3
    assert _read(tmp_path, columns, columns=names | {"volume": "ticks"}).volume.tolist() == [1.0, 2.0, 3.0]
    for declared, found in ((names | {"volume": "v"}, "no columns 'v'"), ({"ts": "time"}, "no columns 'open'")):
        with pytest.raises(SourceUnreadableError, match=found):
            _read(tmp_path, columns, columns=declared)
    with pytest.raises(SourceUnreadableError, match="no columns 'ts'"):
        format_clock(parquet(), tmp_path / "a.parquet")


def test_sides_and_divisor(tmp_path: Path) -> None:
    sided = {f"{side}_{name}": [1.1 + shift] * 3 for side, shift in (("bid", 0), ("ask", 0.1)) for name in PRICES}
    both = {"ts": STAMPS, **sided, **PRICES}
    assert _read(tmp_path, both).open[0] == 1.1
    assert _read(tmp_path, both, price="ask").open[0] == 1.1 + 0.1
    assert _read(tmp_path, both, price="mid").close[0] == (1.1 + (1.1 + 0.1)) / 2
    assert _read(tmp_path, {"ts": STAMPS, **PRICES}, price_divisor=100, price="bid").open[1] == 1.2 / 100
    with pytest.raises(SourceUnreadableError, match="no `price` declared"):
        _read(tmp_path, {"ts": STAMPS, **sided})


def test_files_that_are_not_parquet_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    for name in ("a.parquet", "absent.parquet"):
        for read in (read_file, lambda path, declaration: format_clock(declaration, path)):
            with pytest.raises(SourceUnreadableError) as caught:
                read(tmp_path / name, parquet())
            assert caught.value.asked == f"candles of file {name}"
            assert str(tmp_path) not in str(caught.value)
