"""What holds for the rows of any reader, and how tests declare and write files."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from label_assets.market.validation import REASONS, reason_of
from label_assets.sources.declaration import CsvDeclaration, ParquetDeclaration, PresetDeclaration
from label_assets.sources.raw_rows import RawRows

ARRAYS = ("line", "stamp_s", "has_stamp", "has_fraction", "open", "high", "low", "close", "volume", "fault")
KINDS = dict(zip(ARRAYS, ("int64", "int64", "bool", "bool", *["float64"] * 5, "int8"), strict=True))


def preset(format_name: str, **keys: Any) -> PresetDeclaration:
    return PresetDeclaration(**{"instrument": "EURUSD", "granularity": "M1", "files": "*"} | keys, format=format_name)


def csv(**keys: Any) -> CsvDeclaration:
    defaults = {
        "columns": ["ts", "open", "high", "low", "close", "volume"],
        "stamp_format": "%Y-%m-%d %H:%M",
    }
    return CsvDeclaration(instrument="EURUSD", granularity="M1", format="csv", files="*", **defaults | keys)


def parquet(**keys: Any) -> ParquetDeclaration:
    return ParquetDeclaration(instrument="EURUSD", granularity="M1", format="parquet", files="*", **keys)


def write(folder: Path, content: str | bytes, name: str = "candles.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def assert_laws(rows: RawRows, count: int | None = None) -> None:
    """Every row is there once and either has a time stamp and prices, or says what it lacks."""
    lengths = {name: len(getattr(rows, name)) for name in ARRAYS}
    assert set(lengths.values()) == {lengths["line"] if count is None else count}, lengths
    assert {name: str(getattr(rows, name).dtype) for name in ARRAYS} == KINDS
    assert np.all(np.diff(rows.line) > 0)
    assert not len(rows.line) or rows.line[0] >= 1
    faulty = rows.line[rows.fault != 0].tolist()
    assert set(rows.fault_details) == set(faulty)
    assert all(rows.fault_details[line] for line in faulty)
    assert all(reason_of(int(code)) in REASONS for code in rows.fault[rows.fault != 0])
    assert not np.any(rows.has_fraction & ~rows.has_stamp)
    texts = rows.stamp_texts(rows.line)
    assert len(texts) == len(rows.line)
    assert not any(text is None and has for text, has in zip(texts, rows.has_stamp.tolist(), strict=True))


def faults(rows: RawRows) -> dict[int, tuple[str, str]]:
    """Reason and words of every fault, by line."""
    codes = {int(line): reason_of(int(code)) for line, code in zip(rows.line, rows.fault, strict=True) if code}
    return {line: (str(reason), rows.fault_details[line]) for line, reason in codes.items()}


def values(rows: RawRows) -> list[tuple[int | None, float | None, ...]]:
    """Stamp and values row by row; None for what is missing."""
    stamps = [stamp if has else None for stamp, has in zip(rows.stamp_s.tolist(), rows.has_stamp.tolist(), strict=True)]
    columns = [getattr(rows, name).tolist() for name in ("open", "high", "low", "close", "volume")]
    numbers = [[None if math.isnan(value) else value for value in column] for column in columns]
    return list(zip(stamps, *numbers, strict=True))
