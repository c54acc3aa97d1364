"""What must hold for any function from candles and path bars to columns (LABELS.md §5), bit for bit.

Each law returns a list of differences, empty when it holds.
"""

import math
import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace

from label_assets_tests.oracles.candle import Candle

Columns = dict[str, list]
Compute = Callable[[list[Candle], list[Candle]], Columns]


def bits(value: object) -> object:
    """Equal for equal values to the last bit, signs of zero included; NaN equals NaN."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    return value


def changed(before: Columns, after: Columns, pairs: Iterable[tuple[int, int]], columns: Iterable[str]) -> list[str]:
    """Differences between entry k of `before` and entry j of `after` for each (k, j)."""
    pairs = list(pairs)
    return [
        f"{column}[{k}]: {before[column][k]!r} became {after[column][j]!r}"
        for column in columns
        for k, j in pairs
        if bits(before[column][k]) != bits(after[column][j])
    ]


def scaled(candles: list[Candle], factor: float) -> list[Candle]:
    """The same candles with all prices times a factor."""
    return [
        replace(c, open=c.open * factor, high=c.high * factor, low=c.low * factor, close=c.close * factor)
        for c in candles
    ]


def scrambled(candles: list[Candle], first_ts: float, end_ts: float, seed: int) -> list[Candle]:
    """The same candles with other prices in those that open in [first_ts, end_ts)."""
    rng = random.Random(seed)
    result = []
    for candle in candles:
        if first_ts <= candle.ts < end_ts:
            low, first, last, high = sorted(candle.close * math.exp(rng.gauss(0.0, 0.05)) for _ in range(4))
            if rng.random() < 0.5:
                first, last = last, first
            candle = replace(candle, open=first, high=high, low=low, close=last)  # noqa: PLW2901
        result.append(candle)
    return result


def future_is_unknown(
    compute: Compute,
    candles: list[Candle],
    path: list[Candle],
    cut: int,
    *,
    horizon: int,
    at_entry: Iterable[str] = (),
) -> list[str]:
    """Other prices from the open of candle `cut` on change no row whose window ends by then.

    The columns `at_entry` are unchanged in every row whose entry is by then.
    """
    cut_ts = candles[cut].ts
    before = compute(candles, path)
    after = compute(scrambled(candles, cut_ts, math.inf, cut), scrambled(path, cut_ts, math.inf, cut + 1))
    ended = [i for i in range(cut - horizon) if candles[i + horizon].close_ts <= cut_ts]
    entered = [i for i in range(cut) if candles[i].close_ts <= cut_ts]
    return changed(before, after, [(i, i) for i in ended], before) + changed(
        before, after, [(i, i) for i in entered], at_entry
    )


def distant_past_is_forgotten(
    compute: Compute, candles: list[Candle], path: list[Candle], cut: int, *, look_back: int
) -> list[str]:
    """Other prices before the open of candle `cut` change no row from `cut` + look-back on."""
    cut_ts = candles[cut].ts
    before = compute(candles, path)
    after = compute(scrambled(candles, -math.inf, cut_ts, cut), scrambled(path, -math.inf, cut_ts, cut + 1))
    return changed(before, after, [(i, i) for i in range(cut + look_back, len(candles))], before)


def slices_agree(
    compute: Compute,
    candles: list[Candle],
    path: list[Candle],
    piece: range,
    *,
    look_back: int,
    horizon: int,
) -> list[str]:
    """The candles `piece` alone give the same rows as all of time, but for its look-back and its open end."""
    first, last = piece.start, piece.stop - 1
    start_ts, end_ts = candles[first].ts, candles[last].close_ts
    whole = compute(candles, path)
    part = compute(candles[first : last + 1], [bar for bar in path if start_ts <= bar.ts and bar.close_ts <= end_ts])
    rows = range(first if first == 0 else first + look_back, last + 1 - horizon)
    return changed(whole, part, [(i, i - first) for i in rows], whole)


def scale_does_not_matter(
    compute: Compute, candles: list[Candle], path: list[Candle], exponent: int, *, prices: Iterable[str] = ()
) -> list[str]:
    """All prices times a power of two: the same labels, and the columns `prices` times that power."""
    before, factor = compute(candles, path), 2.0**exponent
    after = compute(scaled(candles, factor), scaled(path, factor))
    expected = {
        column: [None if value is None else value * factor for value in values] if column in prices else values
        for column, values in before.items()
    }
    return changed(expected, after, [(i, i) for i in range(len(candles))], before)


def all_laws(
    compute: Compute,
    candles: list[Candle],
    path: list[Candle],
    *,
    cut: int,
    end: int,
    exponent: int,
    horizon: int,
    look_back: int,
    at_entry: Iterable[str] = (),
    prices: Iterable[str] = (),
) -> list[str]:
    """Every law, with the past and the future cut at candle `cut` and the slice cut .. end − 1."""
    return (
        future_is_unknown(compute, candles, path, cut, horizon=horizon, at_entry=at_entry)
        + distant_past_is_forgotten(compute, candles, path, cut, look_back=look_back)
        + slices_agree(compute, candles, path, range(cut, end), look_back=look_back, horizon=horizon)
        + scale_does_not_matter(compute, candles, path, exponent, prices=prices)
    )
