"""Which columns the four prices come from: plain ones, or those of the bid or the ask.

Belongs here: the choice of the side, mid prices. Does not belong here: what columns a format has.
"""

from collections.abc import Collection, Mapping

import numpy as np

from label_assets.errors import SourceUnreadableError
from label_assets.kernels.arrays import FloatArray
from label_assets.sources.declaration import PRICES, SIDES
from label_assets.sources.formats.opening import UNDAMAGED


def price_columns(asked: str, columns: Collection[str], side: str | None) -> tuple[tuple[str, ...], ...]:
    """The columns that make open, high, low and close; two for each where it is their mean.

    Args:
        asked: What is read, in the words of the caller.
        columns: Columns that there are, by our names.
        side: bid, ask or mid, where one is declared.

    Returns:
        Four tuples; the plain columns where no side has all four prices, whether they are there or not.

    Raises:
        SourceUnreadableError: the side is not there, or there are both and none is declared.
    """
    there = [name for name in SIDES if all(f"{name}_{price}" in columns for price in PRICES)]
    is_plain = all(price in columns for price in PRICES)
    if not there or (is_plain and side is None):
        return tuple((price,) for price in PRICES)
    if side is None and len(there) == 1:
        side = there[0]
    wanted = SIDES if side == "mid" else (side,)
    if side is None or not set(wanted) <= set(there):
        raise SourceUnreadableError(
            asked=f"{side or 'one side'} of {asked}",
            found=f"{' and '.join(there)} prices{'' if side else ', and no `price` declared'}",
            allowed="price: bid, ask or mid" if len(there) > 1 else f"price: {there[0]}",
            action=f"declare `price`; {UNDAMAGED}",
        )
    return tuple(tuple(f"{name}_{price}" for name in wanted) for price in PRICES)


def combined_prices(
    values: Mapping[str, FloatArray], columns: tuple[tuple[str, ...], ...], divisor: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Open, high, low and close from the columns that `price_columns` named.

    Args:
        values: Numbers by column.
        columns: For each price one column, or two whose mean it is.
        divisor: Prices are divided by it.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found by the rules
        means = (values[some[0]] if len(some) == 1 else (values[some[0]] + values[some[1]]) / 2 for some in columns)
        open_, high, low, close = (mean if divisor == 1 else mean / divisor for mean in means)
    return open_, high, low, close
