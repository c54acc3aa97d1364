"""The instruments that exist without configuration, and what is known of each.

Belongs here: the shape of an instrument and the default list. A deployment replaces the list in `label_assets.toml`.
Does not belong here: where candles come from (`sources`).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

INSTRUMENT_PATTERN = r"^[A-Z0-9_.]{3,20}$"


class Instrument(BaseModel):
    """One instrument.

    Attributes:
        name: Identifier in every table, partition key and file name.
        kind: Asset class; shown, and used by the synthetic market for its trading hours and volatility.
        decimals: Decimal places of a quoted price.
        reference_price: Price around which the synthetic market moves; nothing else uses it.
        annual_volatility: Yearly standard deviation of log returns of the synthetic market; nothing else uses it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=INSTRUMENT_PATTERN)
    kind: Literal["fx", "metal", "index", "other"] = "other"
    decimals: int = Field(default=5, ge=0, le=10)
    reference_price: float = Field(default=1.0, gt=0)
    annual_volatility: float = Field(default=0.1, gt=0, le=5)


def _fx(name: str, reference_price: float, annual_volatility: float) -> Instrument:
    decimals = 3 if name.endswith("JPY") else 5
    return Instrument(
        name=name, kind="fx", decimals=decimals, reference_price=reference_price, annual_volatility=annual_volatility
    )


DEFAULT_INSTRUMENTS: tuple[Instrument, ...] = (
    _fx("EURUSD", 1.10, 0.075),
    _fx("GBPUSD", 1.28, 0.085),
    _fx("USDJPY", 135.0, 0.095),
    _fx("USDCHF", 0.91, 0.075),
    _fx("AUDUSD", 0.68, 0.105),
    _fx("USDCAD", 1.34, 0.070),
    _fx("NZDUSD", 0.62, 0.105),
    _fx("EURGBP", 0.86, 0.060),
    _fx("EURJPY", 148.0, 0.090),
    _fx("EURCHF", 0.98, 0.055),
    _fx("EURAUD", 1.62, 0.085),
    _fx("EURCAD", 1.47, 0.075),
    _fx("EURNZD", 1.77, 0.085),
    _fx("GBPJPY", 172.0, 0.105),
    _fx("GBPCHF", 1.15, 0.080),
    _fx("GBPAUD", 1.88, 0.090),
    _fx("GBPCAD", 1.71, 0.080),
    _fx("GBPNZD", 2.06, 0.090),
    _fx("AUDJPY", 92.0, 0.115),
    _fx("AUDCAD", 0.91, 0.075),
    _fx("AUDCHF", 0.62, 0.095),
    _fx("AUDNZD", 1.08, 0.060),
    _fx("CADJPY", 101.0, 0.105),
    _fx("CHFJPY", 150.0, 0.095),
    _fx("NZDJPY", 84.0, 0.115),
    Instrument(name="XAUUSD", kind="metal", decimals=2, reference_price=1900.0, annual_volatility=0.15),
    Instrument(name="SPX500", kind="index", decimals=1, reference_price=4300.0, annual_volatility=0.18),
    Instrument(name="NAS100", kind="index", decimals=1, reference_price=14500.0, annual_volatility=0.23),
    Instrument(name="GER40", kind="index", decimals=1, reference_price=15500.0, annual_volatility=0.18),
)
