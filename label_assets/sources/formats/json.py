"""Candles from JSON: OANDA's answers, and lists of arrays.

Belongs here: the two shapes. Does not belong here: numbers and time stamps from text (`formats.numbers`,
`formats.stamps`).
"""

import json
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from label_assets.kernels.arrays import FloatArray, IntArray
from label_assets.market.validation import BAD_VOLUME, BROKEN_ROW, NON_FINITE_PRICE, UNFINISHED
from label_assets.sources.declaration import PRICES, SourceDeclaration
from label_assets.sources.formats.collecting import Block, RowCollector, clipped
from label_assets.sources.formats.numbers import parse_numbers
from label_assets.sources.formats.opening import opened, unreadable
from label_assets.sources.formats.sides import combined_prices
from label_assets.sources.formats.stamps import Stamps, parse_stamps
from label_assets.sources.raw_rows import RawRows

LONGEST_DOCUMENT = 96 << 20
"""JSON is parsed whole [bytes]: 59 MB, a million arrays, took 520 MB."""

_OANDA_SIDES = ("mid", "bid", "ask")
_OANDA_STAMPS = ("%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z", "epoch_s")
_CHUNK = 1 << 20
_SLICE = 1 << 16
"""Rows that are turned into columns at a time: what they are in between takes as much room as the document."""

_NO_ROW = (None,) * 6


def read_oanda_json(path: Path, declaration: SourceDeclaration) -> RawRows:
    """Rows of OANDA v20 candles: one document, or one a line.

    A candle that is not complete comes with that fault. `line` counts candles.

    Args:
        path: The file; plain, .gz or .zip.
        declaration: Says granularity, and side and divisor of the prices.

    Raises:
        SourceUnreadableError: the file is no such document, is of another granularity, or has not the side, or has
            several and none is declared.
    """
    collector = RowCollector(path.name)
    sides: tuple[str, ...] = ()
    count = 0
    for document in _documents(path):
        candles = _candles_of(path, document, declaration.granularity)
        sides = _sides(path, candles, declaration.price, sides)
        for first in range(0, len(candles), _SLICE):
            part = candles[first : first + _SLICE]
            _add_candles(part, count + first + 1, (sides, declaration.price_divisor), collector)
        count += len(candles)
    return collector.rows(is_utc=True)


def read_arrays_json(path: Path, declaration: SourceDeclaration) -> RawRows:
    """Rows of a list of [milliseconds since 1970, open, high, low, close, volume]. `line` counts rows.

    Args:
        path: The file; plain, .gz or .zip.
        declaration: Says the divisor of the prices.

    Raises:
        SourceUnreadableError: the file is no JSON list.
    """
    collector = RowCollector(path.name)
    count = 0
    for document in _documents(path):
        if not isinstance(document, list):
            raise unreadable(path, _described(document), "a list of [milliseconds, open, high, low, close, volume]")
        for first in range(0, len(document), _SLICE):
            _add_arrays(document[first : first + _SLICE], count + first + 1, declaration.price_divisor, collector)
        count += len(document)
    return collector.rows(is_utc=False)


def _add_candles(
    candles: list[Any], first_line: int, meaning: tuple[tuple[str, ...], float], collector: RowCollector
) -> None:
    """Read some candles of OANDA, of given sides and divisor."""
    sides, divisor = meaning
    line = np.arange(first_line, first_line + len(candles))
    for number, candle in zip(line.tolist(), candles, strict=True):
        _add_candle_faults(number, candle, sides, collector)
    rows = [candle if isinstance(candle, dict) else {} for candle in candles]
    texts = _texts([row.get("time") for row in rows])
    stamps = _first_read(texts)
    collector.add_unread_stamps(line, texts, stamps, "RFC 3339 or seconds since 1970")
    values = {}
    for side in sides:
        prices = [price if isinstance(price := row.get(side), dict) else {} for row in rows]
        for name in PRICES:
            label = name if len(sides) == 1 else f"{side}_{name}"
            values[f"{side}_{name}"] = _numbers(label, [price.get(name[0]) for price in prices], line, collector)
    columns = tuple(tuple(f"{side}_{name}" for side in sides) for name in PRICES)
    volume = _numbers("volume", [row.get("volume") for row in rows], line, collector)
    collector.add(Block(line, stamps, *combined_prices(values, columns, divisor), volume), texts, lambda: 1.0)


def _add_arrays(rows: list[Any], first_line: int, divisor: float, collector: RowCollector) -> None:
    """Read some arrays."""
    line = np.arange(first_line, first_line + len(rows))
    is_whole = [isinstance(row, list) and len(row) == 6 for row in rows]
    for index, row in enumerate(rows):
        if not is_whole[index]:
            found = f"{_described(row)} where a list of 6 values is expected: {clipped(reprlib.repr(row))}"
            collector.add_fault(first_line + index, BROKEN_ROW, found)
    columns = dict(
        zip(
            ("ts", *PRICES, "volume"),
            zip(*(row if whole else _NO_ROW for row, whole in zip(rows, is_whole, strict=True)), strict=True),
            strict=True,
        )
    )
    texts = _texts(columns["ts"])
    stamps = parse_stamps(texts, "epoch_ms")
    collector.add_unread_stamps(line, texts, stamps, "milliseconds since 1970")
    values = {name: _numbers(name, columns[name], line, collector) for name in (*PRICES, "volume")}
    prices = combined_prices(values, tuple((name,) for name in PRICES), divisor)
    collector.add(Block(line, stamps, *prices, values["volume"]), texts, lambda: 1.0)


def _documents(path: Path) -> Iterator[Any]:
    """The documents of a file: one, or one a line."""
    content = _content(path)
    try:
        document = _loaded(content)
    except ValueError as error:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].rstrip().endswith((b"}", b"]")):
            raise unreadable(path, f"no JSON: {error}", "a JSON document, or one a line") from error
    else:
        del content  # what it became is several times as long
        yield document
        return
    for number, line in enumerate(lines, 1):
        try:
            yield _loaded(line)
        except ValueError as error:
            raise unreadable(
                path, f"no JSON in document {number}: {error}", "a JSON document, or one a line"
            ) from error


def _content(path: Path) -> bytes:
    parts, length = [], 0
    with opened(path) as file:
        while part := file.stream.read(_CHUNK):
            parts.append(part)
            length += len(part)
            if length > LONGEST_DOCUMENT:
                longest = f"at most {LONGEST_DOCUMENT >> 20} MiB of JSON, unpacked"
                raise unreadable(path, f"more than {longest[8:]}", longest, "split the file, by year for example")
    return b"".join(parts).removeprefix(b"\xef\xbb\xbf")


def _loaded(content: bytes) -> Any:
    """One document; ValueError where it is none.

    What orjson refuses gets a second chance: Python programs write NaN and Infinity, which then are faults of rows.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise error from None


def _candles_of(path: Path, document: Any, granularity: str) -> list[Any]:
    """The candles of one document of OANDA."""
    candles = document.get("candles") if isinstance(document, dict) else None
    if not isinstance(candles, list):
        raise unreadable(path, _described(document), "an object with a list `candles`, as OANDA v20 answers")
    found = document.get("granularity", granularity)
    if found != granularity:
        raise unreadable(
            path, f"granularity {clipped(found, 20)}", f"granularity {granularity}, as declared", "correct one of them"
        )
    return candles


def _sides(path: Path, candles: list[Any], declared: str | None, before: tuple[str, ...]) -> tuple[str, ...]:
    """Sides whose prices are taken: one, or bid and ask for their mean; `before` are those of earlier documents."""
    found = {side for candle in candles if isinstance(candle, dict) for side in _OANDA_SIDES if side in candle}
    if declared is None:
        found |= set(before)
    there = [side for side in _OANDA_SIDES if side in found]
    if not there:
        return before or (declared or "mid",)
    if declared is None and len(there) == 1:
        return (there[0],)
    if declared in found:
        return (str(declared),)
    if declared == "mid" and {"bid", "ask"} <= found:
        return ("bid", "ask")
    asked = f"{declared} prices declared, but" if declared else "no `price` declared, and"
    raise unreadable(path, f"{asked} {' and '.join(there)} prices", f"price: {' or '.join(there)}", "declare `price`")


def _add_candle_faults(number: int, candle: Any, sides: tuple[str, ...], collector: RowCollector) -> None:
    """What is wrong with the shape of one candle."""
    if not isinstance(candle, dict):
        collector.add_fault(number, BROKEN_ROW, f"{_described(candle)} where a candle is expected")
        return
    for side in sides:
        if not isinstance(candle.get(side), dict):
            there = " and ".join(name for name in _OANDA_SIDES if name in candle) or "none"
            collector.add_fault(number, BROKEN_ROW, f"no {side} prices; there are {there}")
    complete = candle.get("complete", True)
    if complete is False:
        collector.add_fault(number, UNFINISHED, "complete: false")
    elif complete is not True:
        collector.add_fault(number, BROKEN_ROW, f"complete is {_described(complete)}")


def _first_read(texts: pa.Array) -> Stamps:
    """Time stamps in any of the formats that OANDA gives."""
    stamp_s, is_read, has_fraction = parse_stamps(texts, _OANDA_STAMPS[0])
    for stamp_format in _OANDA_STAMPS[1:]:
        if is_read.all():
            break
        other = parse_stamps(texts, stamp_format)
        stamp_s = np.where(other.is_read, other.stamp_s, stamp_s)
        has_fraction = has_fraction | other.has_fraction
        is_read = is_read | other.is_read
    return Stamps(stamp_s, is_read, has_fraction)


def _numbers(name: str, values: Sequence[Any], line: IntArray, collector: RowCollector) -> FloatArray:
    """Numbers, or texts of numbers, of one column; what is none becomes a fault of its row."""
    if set(map(type, values)) <= {float, int, type(None)}:  # Arrow takes true for 1
        try:
            return np.array(pa.array(values, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        except pa.ArrowInvalid:
            pass  # an integer beyond 2^53
    texts = _texts(values)
    numbers, bad = parse_numbers(texts)
    reason = BAD_VOLUME if name == "volume" else NON_FINITE_PRICE
    for number, text in zip(line[bad].tolist(), texts.take(pa.array(bad)).to_pylist(), strict=True):
        collector.add_fault(number, reason, f"{name} {clipped(text, 40)} is no number")
    return numbers


def _texts(values: Sequence[Any]) -> pa.Array:
    """Values as texts; null where there is none."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return _described(value)


def _described(value: Any) -> str:
    """A JSON value in few words, however deep it is."""
    if isinstance(value, dict):
        return f"an object of {', '.join(clipped(key, 20) for key in list(value)[:5]) or 'nothing'}"
    if isinstance(value, list):
        return f"a list of {len(value)} values"
    return json.dumps(value)[:40]
