"""Compare what a kernel returned with an oracle's rows, value by value."""

import math

from label_assets_tests.oracles.windows import Row

NULL_INT = -(2**31)


def is_null(value: object) -> bool:
    return value is None or value == NULL_INT or (isinstance(value, float) and math.isnan(value))


def same(expected: object, found: object, relative: float, absolute: float) -> bool:
    """NULL equals NULL, whole numbers and booleans are equal, floats are close."""
    if is_null(expected) or is_null(found):
        return is_null(expected) and is_null(found)
    if isinstance(expected, float):
        return math.isclose(expected, found, rel_tol=relative, abs_tol=absolute)
    return expected == found


def differences(
    expected: list[Row],
    found: dict[str, list],
    relative: float = 1e-9,
    absolute: dict[str, float | list[float]] | None = None,
) -> list[str]:
    """One line for each value that differs; `found` holds the kernel's columns as plain lists.

    `absolute` gives, by column, an absolute tolerance (one for all entries, or one each) for values that come from a
    cancellation. It is 1e-15 elsewhere: a relative value has the rounding of a price divided by a price.
    """
    lines = []
    for column in expected[0] if expected else ():
        if len(found[column]) != len(expected):
            lines.append(f"{column}: {len(found[column])} values for {len(expected)} entries")
            continue
        tolerance = (absolute or {}).get(column, 1e-15)
        tolerances = tolerance if isinstance(tolerance, list) else [tolerance] * len(expected)
        lines += [
            f"{column}[{i}]: oracle {row[column]!r}, kernel {found[column][i]!r}"
            for i, row in enumerate(expected)
            if not same(row[column], found[column][i], relative, tolerances[i])
        ]
    return lines
