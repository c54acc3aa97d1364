"""Every setting, typed, with units.

Read from (first wins): arguments, the environment (`LABEL_ASSETS_*`, nested with `__`), the nearest
`label_assets.toml` in the working directory or above it, the defaults below.

Belongs here: settings and what makes one invalid. Does not belong here: anything that opens a file or a connection.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from label_assets.catalog.granularities import GRANULARITIES, Granularity, granularity, ladder
from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS, Instrument
from label_assets.errors import CatalogError, SettingsError

SETTINGS_FILE = "label_assets.toml"
API_KEY_NAME = r"[A-Za-z0-9_.-]{1,64}"
SECTIONS_OF_SECRETS = {"alerts", "live", "serve"}
"""What is found there is not repeated in messages: even a misspelled name may have the webhook as its value."""


def parse_width(text: str) -> tuple[float, float]:
    """Read "2 ATR" or "1 %": the multiple of ATR and the share of price, one of which is 0.

    Raises:
        ValueError: for anything else, or a width that is not positive.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(ATR|%)\s*", text, flags=re.IGNORECASE)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"found {text!r}; allowed is a positive multiple of ATR such as '2 ATR' or a share as '1 %'")
    number = float(match[1])
    return (0.0, number / 100) if match[2] == "%" else (number, 0.0)


def parse_level_widths(text: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Read "0.1 ATR, 0.25 ATR" or "0.1 %, 0.2 %": touch width and break width as in `parse_width`.

    Raises:
        ValueError: for anything else, or shares of 100 % and more.
    """
    parts = text.split(",")
    if len(parts) != 2:
        raise ValueError(f"found {text!r}; allowed are two widths such as '0.1 ATR, 0.25 ATR' or '0.1 %, 0.2 %'")
    touch, breaking = parse_width(parts[0]), parse_width(parts[1])
    if touch[1] >= 1 or breaking[1] >= 1:
        raise ValueError(f"found {text!r}; allowed are shares below 100 %")
    return touch, breaking


class GranularityNumbers(BaseModel):
    """Numbers of one granularity; an unset one has the catalogue's value (`catalog.granularities`).

    Attributes:
        gap_limit_s: Two successive candles that open further apart than this make a window a `gap` [s].
        level_lifetime: Life of a support or resistance level [candles].
        quantile_sample: Candles in the reference sample of `return_quantile`.
        burst_sample: Candles in the reference sample of `event_burst`.
        burst_minimum: Fewest complete windows in that sample.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gap_limit_s: int | None = Field(default=None, ge=60)
    level_lifetime: int | None = Field(default=None, ge=1, le=100_000)
    quantile_sample: int | None = Field(default=None, ge=2, le=100_000)
    burst_sample: int | None = Field(default=None, ge=2, le=100_000)
    burst_minimum: int | None = Field(default=None, ge=1, le=100_000)


class LabelSettings(BaseModel):
    """The numbers of LABELS.md that a user may change. Each enters the code version of the assets that use it.

    Attributes:
        atr_period: Candles in the mean of the true range.
        minimum_coverage: Windows with a smaller share of their path bars are `gap` [1].
        flat_return: A forward return of at most this magnitude has sign 0 [1].
        clip_atr: Bound of `vol_scaled_return` [ATR].
        barrier_width: Distance of the triple barrier from the entry: "2 ATR" or a share of price, "1 %".
        profit_factor_cap: Largest `profit_factor` [1].
        end_extremum_gap_cap: Largest `end_extremum_gap` [1].
        level_span: Candles on either side of a pivot that becomes a level.
        level_widths: Touch width and break width of a level: multiples of ATR, "0.1 ATR, 0.25 ATR", or shares of its
            price, "0.1 %, 0.2 %".
        flip_deadline: A broken level that was not retested after this many candles dies.
        considered_atr: A level further from the entry price than this is not considered [ATR].
        merge_atr: A level this near to a nearer considered one of its role is dropped [ATR].
        most_considered: Most levels considered at an entry.
        level_barrier_atr: Distance of the level-adjusted barriers where no level is ahead [ATR].
        level_ahead_atr: A level nearer than this is where the price is, not what lies ahead [ATR].
        level_margin_atr: How far inside of a level a barrier is drawn [ATR].
        numbers: Numbers by granularity that replace the catalogue's, for example `[labels.numbers.D]` with
            `quantile_sample = 250`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    atr_period: int = Field(default=14, ge=2, le=200)
    minimum_coverage: float = Field(default=0.8, gt=0, le=1)
    flat_return: float = Field(default=0.0, ge=0, lt=1)
    clip_atr: float = Field(default=10.0, gt=0)
    barrier_width: str = "2 ATR"
    profit_factor_cap: float = Field(default=100.0, gt=0)
    end_extremum_gap_cap: float = Field(default=10.0, gt=0)
    level_span: int = Field(default=5, ge=1, le=50)
    level_widths: str = "0.1 ATR, 0.25 ATR"
    flip_deadline: int = Field(default=50, ge=1, le=100_000)
    considered_atr: float = Field(default=3.0, gt=0)
    merge_atr: float = Field(default=0.1, ge=1e-6)
    most_considered: int = Field(default=32, ge=1, le=1000)
    level_barrier_atr: float = Field(default=2.0, gt=0)
    level_ahead_atr: float = Field(default=0.5, ge=0)
    level_margin_atr: float = Field(default=0.1, ge=0)
    numbers: dict[str, GranularityNumbers] = {}

    @field_validator("barrier_width")
    @classmethod
    def _width_is_readable(cls, text: str) -> str:
        if parse_width(text)[1] >= 1:
            raise ValueError(f"found {text!r}; allowed is a share below 100 %, or the lower barrier is no price")
        return text

    @field_validator("level_widths")
    @classmethod
    def _level_widths_are_readable(cls, text: str) -> str:
        parse_level_widths(text)
        return text

    @field_validator("numbers")
    @classmethod
    def _granularities_exist(cls, numbers: dict[str, GranularityNumbers]) -> dict[str, GranularityNumbers]:
        for name in numbers:
            granularity(name)
        return numbers

    @model_validator(mode="after")
    def _margin_is_inside(self) -> Self:
        if self.level_margin_atr >= self.level_ahead_atr:
            raise ValueError(
                f"level_margin_atr: found {self.level_margin_atr}; allowed is less than level_ahead_atr = "
                f"{self.level_ahead_atr}, or a barrier could lie behind the entry"
            )
        return self

    def granularity(self, name: str) -> Granularity:
        """A granularity of the catalogue with the numbers that these settings replace."""
        numbers = self.numbers.get(name)
        return replace(granularity(name), **numbers.model_dump(exclude_none=True)) if numbers else granularity(name)


class SyntheticSettings(BaseModel):
    """The synthetic market.

    Attributes:
        seed: Another seed is another market.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 7


class AlertSettings(BaseModel):
    """Who is told of failed runs and failed checks; the log always is.

    Attributes:
        webhook_url: Where each alert is posted as JSON that Slack and Mattermost show; unset means nowhere. A secret.
        timeout_s: How long one of the three attempts to post may take [s].
        severity: Failed checks of this severity and above are posted: `WARN` or `ERROR`.
        ui_url: Address of the Dagster UI, for links to runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook_url: SecretStr | None = None
    timeout_s: float = Field(default=2.0, gt=0, le=3)  # five alerts a tick, each three times, are to end in a minute
    severity: Literal["WARN", "ERROR"] = "WARN"
    ui_url: str | None = Field(default=None, pattern=r"^https?://\S+$")

    @field_validator("webhook_url")
    @classmethod
    def _is_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not re.fullmatch(r"https?://[^\s/]+\S*", url.get_secret_value()):
            raise ValueError("allowed is an address that begins with http:// or https://")
        return url


class LiveSettings(BaseModel):
    """The live engine: candles from Redis streams, labels in milliseconds.

    Attributes:
        queue_url: Redis of the candle streams, `redis://…`. It must not evict and should write to disk. Unset means
            `redis_url`, or an embedded server of its own where that is unset too.
        prefix: What keys of streams and channels begin with; one deployment has one.
        flush_s: Longest wait until what was computed goes to ClickHouse [s].
        lease_s: A worker that has not been heard of for so long loses its instruments to the others [s].
        read_count: Entries read at once.
        most_unstored: With so many candles that ClickHouse has not taken a worker reads no more: they wait in Redis.
        clock_tolerance_s: A candle that closes up to so far in the future is taken for finished: clocks differ [s].
        retention_s: Entries are trimmed from the streams when they were stored and are older than this [s].
        statistics_s: Shortest pause between two updates of the statistics of changed days [s].
        recheck_s: Pause between looks for raw candles that somebody else wrote [s].
        metrics_port: Port of `/metrics` of the first worker, the next has the next; 0 means none.
        metrics_host: Address that `/metrics` listens on. It shows counts and no label, and asks for no key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue_url: SecretStr | None = None
    prefix: str = Field(default="label_assets", pattern=r"^[A-Za-z0-9_.:-]{1,64}$")
    flush_s: float = Field(default=0.5, gt=0, le=1)
    lease_s: float = Field(default=5.0, ge=0.5, le=300)
    read_count: int = Field(default=256, ge=1, le=100_000)
    most_unstored: int = Field(default=50_000, ge=1)
    clock_tolerance_s: int = Field(default=2, ge=0, le=60)
    retention_s: int = Field(default=3600, ge=0)
    statistics_s: float = Field(default=30.0, ge=0)
    recheck_s: float = Field(default=5.0, gt=0)
    metrics_port: int = Field(default=0, ge=0, le=65_000)
    metrics_host: str = Field(default="127.0.0.1", pattern=r"^[A-Za-z0-9_.:-]+$")


class CacheSettings(BaseModel):
    """The hot cache: the newest label rows of every instrument, granularity and horizon in Redis.

    Attributes:
        days: Rows that open so far before the newest one of their kind are held [days].
        least_rows: At least about so many rows of each kind are held, of daily and weekly candles too.
        ttl_jitter: Rows live as long as they are held and a random part of this share longer, so that those written
            together do not expire together [1].
        timeout_s: Longest wait for Redis, after which ClickHouse is asked [s].
        sync_s: Pause between two looks for rows in ClickHouse that the cache lacks [s].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(default=7, ge=1, le=3660)
    least_rows: int = Field(default=64, ge=1, le=10_000)
    ttl_jitter: float = Field(default=0.1, ge=0, le=1)
    timeout_s: float = Field(default=0.25, gt=0, le=60)
    sync_s: float = Field(default=5.0, gt=0)


class ServeSettings(BaseModel):
    """The API.

    Attributes:
        host: Address that it listens on. Anything but loopback needs `api_keys`.
        port: Port.
        workers: Processes that share the port.
        api_keys: Who may ask, each as `name:hash`, with commas between them; `label-assets api-key NAME` makes one.
            Where any is set every request but those for health and metrics needs one.
        trusted_hosts: Host names that requests may be addressed to; unset means the loopback ones while it listens on
            loopback, and any otherwise.
        cors_origins: Web pages of other origins that may ask, `https://…`; none by default.
        requests_per_minute: Most requests of one client a minute and worker; 0 means any number.
        request_bytes: Largest request body [bytes].
        page_rows: Most rows of one answer; more follow by the link of the next page.
        gzip_bytes: Answers from this size on are compressed for those who accept it [bytes].
        threads: Threads of a worker that wait for ClickHouse.
        waiting: Most requests that wait for a thread; more are turned away at once.
        read_timeout_s: Longest wait for ClickHouse [s].
        compute_timeout_s: Longest wait for a computation [s].
        send_timeout_s: A client that takes nothing, or has not sent its request, after so long is cut off [s].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", pattern=r"^[A-Za-z0-9_.:-]+$")
    port: int = Field(default=8000, ge=0, le=65_535)
    workers: int = Field(default=1, ge=1, le=64)
    api_keys: Annotated[tuple[Annotated[str, Field(pattern=rf"^{API_KEY_NAME}:[0-9a-f]{{64}}$")], ...], NoDecode] = ()
    trusted_hosts: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(\*|(\*\.)?[A-Za-z0-9.:\[\]-]+)$")], ...], NoDecode
    ] = ()
    cors_origins: Annotated[tuple[Annotated[str, Field(pattern=r"^(\*|https?://\S+)$")], ...], NoDecode] = ()
    requests_per_minute: int = Field(default=6000, ge=0)
    request_bytes: int = Field(default=65_536, ge=1024)
    page_rows: int = Field(default=10_000, ge=100, le=100_000)
    gzip_bytes: int = Field(default=2048, ge=0)
    threads: int = Field(default=8, ge=2, le=256)
    waiting: int = Field(default=256, ge=1)
    read_timeout_s: float = Field(default=10.0, gt=0)
    compute_timeout_s: float = Field(default=10.0, gt=0)
    send_timeout_s: float = Field(default=30.0, gt=0)

    @field_validator("api_keys", "trusted_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return _names(value)


class SlaSettings(BaseModel):
    """What the service promises; `label-assets monitor` looks whether it keeps it.

    Attributes:
        latency_ms: Longest 99th percentile of a request, and of a live candle until its labels are readable [ms].
        labels_per_minute: Fewest labels that a minute of computing in `live` makes; a row holds 37 [1/min].
        hit_rate: Smallest share of reads that the hot cache answers [1].
        error_rate: Largest share of requests that fail by our fault [1].
        memory_bytes: Most memory of one process [bytes].
        interval_s: Pause between two evaluations [s].
        critical_after_s: What has been missed for so long is critical, until then it is a warning [s].
        least_events: With fewer requests, reads, candles or rows in an interval nothing is said of them.
        targets: Addresses of `/metrics` that are watched, one for each server, with commas between them; unset means
            `serve` and, if `live.metrics_port` is set, the first worker of `live` on this machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: float = Field(default=100.0, gt=0)
    labels_per_minute: float = Field(default=1_000_000.0, gt=0)
    hit_rate: float = Field(default=0.95, ge=0, le=1)
    error_rate: float = Field(default=0.01, ge=0, le=1)
    memory_bytes: int = Field(default=2 * 10**9, gt=0)
    interval_s: float = Field(default=15.0, gt=0)
    critical_after_s: float = Field(default=60.0, ge=0)
    least_events: int = Field(default=20, ge=1)
    targets: Annotated[tuple[Annotated[str, Field(pattern=r"^https?://\S+$")], ...], NoDecode] = ()

    @field_validator("targets", mode="before")
    @classmethod
    def _split_targets(cls, value: Any) -> Any:
        return _names(value)


def _names(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """All settings of one deployment.

    Attributes:
        home: Folder of the embedded servers, Dagster's home and charts. Default: `.label_assets` beside the settings
            file, or in the working directory where there is none.
        clickhouse_url: `http(s)://user:password@host:port`; unset means the embedded server.
        database: ClickHouse database that holds every table.
        redis_url: `redis://…`; unset means the embedded server.
        postgres_url: Storage of Dagster, `postgresql+psycopg2://…`; unset means the embedded server.
        source: Where raw candles come from: `synthetic` (the invented market), `landing` (a folder of Parquet files,
            found by their names), `declared` (files of every format and tables, as `sources_file` declares them).
        landing_folder: Folder with one Parquet file or more for each instrument (source `landing`).
        sources_file: YAML file that declares the sources (source `declared`), see docs/sources.md.
        synthetic: The synthetic market (source `synthetic`).
        instruments: Names or full declarations. A name of the default list brings what is known of it.
        base_granularity: The granularity that is ingested; all coarser ones are resampled from it.
        granularities: The granularities that get labels.
        horizons: Horizons of the labels [candles].
        session_open: Local time and zone at which a trading day begins.
        first_month: First monthly partition, `YYYY-MM`.
        pictures: Draw a chart and class balances into the metadata of each run's last partition.
        sensors: Sensors start runs by themselves, unless they are switched off in the UI. Otherwise they do not, unless
            they are switched on there; so it is while `label-assets backfill` runs a daemon of its own.
        overdue_hours: The UI shows `candles` and `labels` as overdue when nothing of them was materialized for so long
            [h]; 0 means never. Markets are closed for 49 hours a week.
        owners: Teams that own the assets, as `team:name`; shown in the UI.
        docs_url: Address at which the folder `docs` is published, for links in the UI; unset shows where a page lies.
        alerts: Who is told of failures.
        live: The live engine.
        cache: The hot cache.
        serve: The API.
        sla: What the service promises.
        labels: Numbers inside the definitions.
    """

    model_config = SettingsConfigDict(
        env_prefix="LABEL_ASSETS_", env_nested_delimiter="__", extra="forbid", frozen=True, populate_by_name=True
    )

    home: Path = Path(".label_assets")
    clickhouse_url: str | None = Field(
        default=None, validation_alias=AliasChoices("CLICKHOUSE_URL", "LABEL_ASSETS_CLICKHOUSE_URL", "clickhouse_url")
    )
    database: str = Field(default="label_assets", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
    redis_url: str | None = Field(
        default=None, validation_alias=AliasChoices("REDIS_URL", "LABEL_ASSETS_REDIS_URL", "redis_url")
    )
    postgres_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DAGSTER_POSTGRES_URL", "LABEL_ASSETS_POSTGRES_URL", "postgres_url"),
    )
    source: Literal["synthetic", "landing", "declared"] = "synthetic"
    landing_folder: Path | None = None
    sources_file: Path | None = None
    synthetic: SyntheticSettings = SyntheticSettings()
    instruments: Annotated[tuple[Instrument, ...], NoDecode] = DEFAULT_INSTRUMENTS
    base_granularity: str = "M15"
    granularities: Annotated[tuple[str, ...], NoDecode] = ("H1", "H4", "D", "W")
    horizons: Annotated[tuple[int, ...], NoDecode] = (6,)
    session_open: str = "17:00 America/New_York"
    first_month: str = Field(default="2020-01", pattern=r"^(19[9]\d|20[0-3]\d)-(0[1-9]|1[0-2])$")
    pictures: bool = True
    sensors: bool = True
    overdue_hours: int = Field(default=96, ge=0)
    owners: Annotated[tuple[Annotated[str, Field(pattern=r"^team:[A-Za-z0-9_.-]+$")], ...], NoDecode] = ()
    docs_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    alerts: AlertSettings = AlertSettings()
    live: LiveSettings = LiveSettings()
    cache: CacheSettings = CacheSettings()
    serve: ServeSettings = ServeSettings()
    sla: SlaSettings = SlaSettings()
    labels: LabelSettings = LabelSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the nearest settings file."""
        file = nearest_settings_file()
        return (init_settings, env_settings, *([TomlConfigSettingsSource(settings_cls, file)] if file else []))

    @field_validator("granularities", "owners", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return _names(value)

    @field_validator("horizons", mode="before")
    @classmethod
    def _split_horizons(cls, value: Any) -> Any:
        return [value] if isinstance(value, int) else _names(value)

    @field_validator("instruments", mode="before")
    @classmethod
    def _known_instruments(cls, value: Any) -> Any:
        known = {instrument.name: instrument for instrument in DEFAULT_INSTRUMENTS}
        value = _names(value)
        if not isinstance(value, Sequence):
            return value
        return [known.get(item, {"name": item}) if isinstance(item, str) else item for item in value]

    @field_validator("horizons")
    @classmethod
    def _horizons_in_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or any(not 1 <= horizon <= 100 for horizon in value):
            raise ValueError(f"found {value}; allowed are 1 to 100 candles, at least one horizon")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [instrument.name for instrument in self.instruments]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"instruments: found {names}; allowed is at least one name, none twice")
        order = list(GRANULARITIES)
        granularity(self.base_granularity)
        for name in self.granularities:
            path = granularity(name).path
            if path is None or order.index(path) < order.index(self.base_granularity):
                raise ValueError(
                    f"granularities: {name} is checked on {path or 'no finer granularity'}, which is finer than the "
                    f"base {self.base_granularity}; allowed are those whose path granularity is the base or coarser"
                )
        if not self.granularities or len(set(self.granularities)) != len(self.granularities):
            raise ValueError(f"granularities: found {self.granularities}; allowed is at least one, none twice")
        if self.source == "landing" and self.landing_folder is None:
            raise ValueError("source = landing needs landing_folder, the folder of the Parquet files")
        if self.source == "declared" and self.sources_file is None:
            raise ValueError("source = declared needs sources_file, the YAML file that declares them")
        return self

    @property
    def ladder(self) -> tuple[str, ...]:
        """Names of the stored granularities, base first."""
        order = list(GRANULARITIES)
        coarsest = max(self.granularities, key=order.index)
        return tuple(rung.name for rung in ladder(self.base_granularity, coarsest))

    def value(self, dotted: str) -> Any:
        """The setting of a dotted name such as `labels.clip_atr`."""
        return reduce(getattr, dotted.split("."), self)

    @property
    def first_day(self) -> date:
        """First day of the first monthly partition."""
        return date.fromisoformat(f"{self.first_month}-01")

    def instrument(self, name: str) -> Instrument:
        """Look a configured instrument up.

        Raises:
            SettingsError: for a name that is not configured.
        """
        for instrument in self.instruments:
            if instrument.name == name:
                return instrument
        raise SettingsError(
            asked=f"instrument {name!r}",
            found="it is not configured",
            allowed=", ".join(instrument.name for instrument in self.instruments),
            action=f"use one of these, or add it to `instruments` in {SETTINGS_FILE}",
        )


def nearest_settings_file(start: Path | None = None) -> Path | None:
    """Find `label_assets.toml` in `start` (default: working directory) or the closest folder above it."""
    folder = (start or Path.cwd()).resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / SETTINGS_FILE).is_file():
            return candidate / SETTINGS_FILE
    return None


def load_settings(**overrides: Any) -> Settings:
    """Read the settings and make `home`, `landing_folder` and `sources_file` absolute.

    Raises:
        SettingsError: naming each setting that cannot be used, with what was found.
    """
    try:
        settings = Settings(**overrides)
    except CatalogError as error:
        raise SettingsError(
            asked=f"the settings, with {error.asked}", found=error.found, allowed=error.allowed, action=error.action
        ) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'settings'}: {problem['msg']}"
            + (
                f" (found {problem['input']!r})"
                if problem["loc"] and problem["loc"][0] not in SECTIONS_OF_SECRETS
                else ""
            )
            for problem in error.errors()
        )
        raise SettingsError(
            asked="the settings",
            found=problems,
            allowed="the settings listed in docs/settings.md",
            action=f"mend {nearest_settings_file() or SETTINGS_FILE} or the LABEL_ASSETS_… variable",
        ) from error
    file = nearest_settings_file()
    root = file.parent if file else Path.cwd()
    paths = {name: getattr(settings, name) for name in ("home", "landing_folder", "sources_file")}
    return settings.model_copy(
        update={name: path and (root / path.expanduser()).resolve() for name, path in paths.items()}
    )
