"""The source of raw candles that the settings name.

Belongs here: choosing. Does not belong here: reading (`sources`), what a run does with it (`assets`).
"""

from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.batch import Source


def configured_source(settings: Settings, calendar: SessionCalendar | None = None) -> Source:
    """The source of raw candles that the settings name. Opens no candle file and no connection.

    Args:
        settings: The settings.
        calendar: Trading session; that of the settings where it is None.

    Raises:
        SettingsError: the source file cannot be used; it names file, line and key.
    """
    calendar = calendar or SessionCalendar(settings.session_open)
    if settings.source == "landing" and settings.landing_folder is not None:
        from label_assets.sources.parquet import ParquetLandingFolder  # noqa: PLC0415 - only the one in use

        return ParquetLandingFolder(settings.landing_folder, calendar, settings.instruments)
    if settings.source == "declared" and settings.sources_file is not None:
        from label_assets.sources.declaration import load_declarations  # noqa: PLC0415 - only the one in use
        from label_assets.sources.declared import DeclaredSources  # noqa: PLC0415
        from label_assets.warehouse.client import address, connect  # noqa: PLC0415

        return DeclaredSources(
            load_declarations(settings.sources_file),
            settings.sources_file.parent,
            calendar,
            settings.instruments,
            lambda: connect(address(settings), settings.database),
        )
    from label_assets.sources.synthetic import SyntheticMarket  # noqa: PLC0415 - only the one in use

    return SyntheticMarket(settings.synthetic.seed, settings.instruments, calendar)
