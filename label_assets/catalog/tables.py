"""The tables that are no label family: candles, what became of others, path windows, the bookkeeping of labels.

Belongs here: their columns as plain data. Does not belong here: label families (`catalog.families`), DDL
(`warehouse.schema`).
"""

from label_assets.catalog.columns import Column, ColumnType, Table

INSTRUMENT = Column("instrument_id", ColumnType.NAME, "Instrument, as configured.")
GRANULARITY = Column("granularity", ColumnType.NAME, "Candle length: M1, M5, M15, H1, H4, D or W.")
HORIZON = Column("horizon", ColumnType.BARS, "Candles to the horizon end.", unit="candles", low=1, high=100)
TS = Column("ts", ColumnType.TIME, "Open time of the candle, UTC.", unit="s")

CANDLE_KEY = (INSTRUMENT, GRANULARITY, TS)
LABEL_KEY = (INSTRUMENT, GRANULARITY, HORIZON, TS)

_PRICES = (
    Column("open", ColumnType.PRICE, "First price.", unit="price", low=0),
    Column("high", ColumnType.PRICE, "Highest price.", unit="price", low=0),
    Column("low", ColumnType.PRICE, "Lowest price.", unit="price", low=0),
    Column("close", ColumnType.PRICE, "Last price.", unit="price", low=0),
    Column("volume", ColumnType.PRICE, "Volume in the source's own unit; 0 where it has none.", low=0),
)

RAW_CANDLES = Table(
    "raw_candles", "One finished candle of the base granularity as its source gave it, validated.", CANDLE_KEY, _PRICES
)

CANDLES = Table(
    "candles",
    "One candle: of the base as ingested, of every coarser granularity resampled from the base.",
    CANDLE_KEY,
    (
        Column(
            "close_ts", ColumnType.TIME, "Open time of the next bucket; the candle covers [ts, close_ts).", unit="s"
        ),
        *_PRICES,
    ),
)

REJECTED_CANDLES = Table(
    "rejected_candles",
    "One row of a source that was not stored, with the reason.",
    (
        INSTRUMENT,
        GRANULARITY,
        Column(
            "ts", ColumnType.TIME, "Open time under which it is filed; of the file's first candle if unreadable.", "s"
        ),
        Column("source_file", ColumnType.NAME, "Name of the file."),
        Column("line", ColumnType.COUNT, "Row in the file, the first is 1."),
    ),
    (
        Column("stamp", ColumnType.TEXT, "Time stamp as found.", null="absent in the file"),
        *(
            Column(name, ColumnType.PRICE, f"The row's {name} as found.", null="not a number in the file")
            for name in ("open", "high", "low", "close", "volume")
        ),
        Column("reason", ColumnType.NAME, "Name of the rule that the row breaks."),
        Column("detail", ColumnType.TEXT, "The values that break it."),
    ),
)

REVISION_CHANGES = ("restated", "removed", "added_late")

CANDLE_REVISIONS = Table(
    "candle_revisions",
    "One change of a raw candle that was known already: what it was and what a later ingestion made of it.",
    (
        INSTRUMENT,
        GRANULARITY,
        TS,
        Column("revision", ColumnType.COUNT, "Number among the changes of this candle, the first is 1.", low=1),
    ),
    (
        Column(
            "change",
            ColumnType.ENUM,
            "restated: other values; removed: the source no longer has it; added_late: it opens before the newest "
            "candle that was known then, and after the oldest.",
            values=REVISION_CHANGES,
        ),
        *(
            Column(
                f"{column.name}_before",
                column.type,
                f"The candle's {column.name} until then.",
                column.unit,
                low=0,
                null="where there was no candle",
            )
            for column in _PRICES
        ),
        *(
            Column(
                f"{column.name}_after",
                column.type,
                f"The candle's {column.name} since then.",
                column.unit,
                low=0,
                null="where there is no candle any more",
            )
            for column in _PRICES
        ),
        Column("source", ColumnType.NAME, "Where the change came from, as the source describes itself."),
        Column("revised_at", ColumnType.TIME, "When the change was found.", unit="s"),
    ),
    uncompared=frozenset({"revised_at"}),
)
"""A log, not a state: it tells how the history of candles came about, and so depends on the order of ingestions."""

WINDOW_STATUS = ("complete", "open", "gap")

WINDOW_COLUMNS = (
    Column("entry_ts", ColumnType.TIME, "Entry time E: the candle's close time.", unit="s", known_at_entry=True),
    Column("entry_price", ColumnType.PRICE, "Entry price P: the candle's close.", "price", low=0, known_at_entry=True),
    Column(
        "atr",
        ColumnType.PRICE,
        "Average true range at entry: simple mean of the last 14 true ranges.",
        unit="price",
        low=0,
        null="for the first 14 candles of an instrument and where it is below 1e-9 of the close",
        known_at_entry=True,
        reference="Wilder 1978, with a simple mean",
    ),
    Column(
        "horizon_end_ts",
        ColumnType.TIME,
        "Horizon end X: close time of the horizon-th next observed candle.",
        unit="s",
        null="while that candle is not observed",
    ),
    Column(
        "exit_price",
        ColumnType.PRICE,
        "Price at the horizon end: that candle's close.",
        unit="price",
        low=0,
        null="while that candle is not observed",
    ),
    Column("path_bars", ColumnType.BARS, "Bars n of the path granularity from entry to horizon end.", "bars", low=0),
    Column("coverage", ColumnType.RELATIVE, "Share of the expected path bars that exist.", unit="1", low=0, high=1),
    Column(
        "window_status",
        ColumnType.ENUM,
        "complete: read it for training; open: the future has not come yet; gap: too little of it exists.",
        values=WINDOW_STATUS,
    ),
)

PATH_WINDOWS = Table(
    "path_windows",
    "The path window of one candle and horizon: entry, horizon end, status.",
    LABEL_KEY,
    WINDOW_COLUMNS,
)

LABEL_BOOKKEEPING = (
    Column("label_version", ColumnType.NAME, "Hash of the settings and code version that made the row."),
    Column("computed_at", ColumnType.TIME, "When the row was last written.", unit="s"),
)
