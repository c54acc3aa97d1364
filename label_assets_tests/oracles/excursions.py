"""Labels 9 and 10."""

from label_assets_tests.oracles.windows import Row, Window, divide

COLUMNS = ("mfe", "time_to_mfe", "mae", "time_to_mae", "profit_factor")


def excursions(windows: list[Window], largest_profit_factor: float = 100.0) -> list[Row]:
    rows = []
    for window in windows:
        row: Row = dict.fromkeys(COLUMNS)
        if window.complete:
            highs = [bar.high for bar in window.bars]
            lows = [bar.low for bar in window.bars]
            mfe = max(0.0, max(highs) / window.entry_price - 1)
            mae = min(0.0, min(lows) / window.entry_price - 1)
            row["mfe"] = mfe
            row["mae"] = mae
            row["time_to_mfe"] = highs.index(max(highs)) + 1 if mfe != 0 else None
            row["time_to_mae"] = lows.index(min(lows)) + 1 if mae != 0 else None
            factor = divide(mfe, abs(mae))
            row["profit_factor"] = None if factor is None else min(largest_profit_factor, factor)
        rows.append(row)
    return rows
