"""One file, looked at from all sides, and what to declare it as.

Belongs here: putting together what the other modules find, and the fields of a declaration. Does not belong here: words
for people (`inspection.report`).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from glob import escape
from math import log10
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from label_assets.catalog.granularities import DAY_S
from label_assets.catalog.instruments import INSTRUMENT_PATTERN, Instrument
from label_assets.errors import SettingsError, SourceEmptyError
from label_assets.inspection.facts import Facts, facts_of, is_flat_without_volume
from label_assets.inspection.sniffing import file_names, read_best
from label_assets.inspection.weeks import saturday_before
from label_assets.inspection.zones import Finding, Status, infer_clock
from label_assets.kernels.arrays import IntArray
from label_assets.market.calendar import END_TS, FIRST_TS
from label_assets.market.validation import VALID
from label_assets.market.weekend import is_weekend
from label_assets.sources.clocks import parse_clock, to_utc
from label_assets.sources.declaration import SIDES
from label_assets.sources.formats.reading import FileDeclaration, format_clock
from label_assets.sources.raw_rows import RawRows

UNNAMED = "INSTRUMENT"
"""Stands in a declaration where a file does not say what it is of."""

_CURRENCIES = ("USD", "EUR", "JPY", "GBP", "CHF", "AUD", "NZD", "CAD")
# Prices in points are at least a thousand; a price lies within a factor of three of its instrument's reference price.
_FEWEST_POINTS = 1_000.0
_FARTHEST = 3.0


class Inspection(NamedTuple):
    """What a file is.

    Attributes:
        name: Name of the file, without folders.
        fields: Of a declaration that reads it, as they stand in `sources.yaml`; without `clock` where that is not
            known or need not be declared.
        facts: What its rows are.
        finding: What its weeks say about its clock.
        stated_clock: Clock that the format or the stamps state; None where they do not.
        has_offsets: The stamps carry their offset from UTC.
        is_known: The instrument was given, or its name is in the file's and in the settings.
        side: bid or ask, where the name of the file says so.
        weekend_filler: Flat rows without volume while the FX week is closed; None where the clock is not known.
    """

    name: str
    fields: dict[str, Any]
    facts: Facts
    finding: Finding
    stated_clock: str | None
    has_offsets: bool
    is_known: bool
    side: str | None
    weekend_filler: int | None

    @property
    def contradiction(self) -> bool:
        """The weeks show other clocks than the format states."""
        stated, shown = self.stated_clock, self.finding.clocks
        return stated is not None and bool(shown) and (stated not in shown or self.finding.status is Status.CHANGES)


def inspect_file(
    path: Path, instruments: Sequence[Instrument], instrument: str | None = None, format_name: str | None = None
) -> Inspection:
    """Look at a file.

    Args:
        path: The file; plain, .gz or .zip.
        instruments: Instruments that are known, by whose names and prices the file's are understood.
        instrument: What the file is of, where that is known.
        format_name: Its format, where that is known.

    Raises:
        SourceUnreadableError: it cannot be read in any format.
        SourceEmptyError: it has no row that could be read.
        SettingsError: there is no such format, or the instrument cannot be one's name.
    """
    _check_name(instrument)
    declaration, rows = read_best(path, format_name)
    facts = facts_of(rows)
    if facts.first_s is None:
        raise SourceEmptyError(
            asked=f"what {path.name} is",
            found=f"{facts.rows} rows, none of which could be read as {declaration.format}",
            allowed="at least one row with a time stamp",
            action="name the format with --format, or declare the columns (format csv)",
        )
    names = file_names(path)
    named = instrument or _instrument(names, instruments)
    finding = infer_clock(_bars(rows), max(facts.spacing.seconds, 1))
    stated = "UTC" if rows.is_utc else format_clock(declaration, path)
    fields = _fields(declaration, path, named or UNNAMED, facts)
    divisor = _divisor(facts, next((known for known in instruments if known.name == named), None))
    if divisor is not None:
        fields["price_divisor"] = divisor
    clock = _clock(finding, stated)
    if clock is not None and clock != stated and not rows.is_utc:
        fields = _with_clock(fields, clock)
    return Inspection(
        path.name,
        fields,
        facts,
        finding,
        stated,
        rows.is_utc,
        named is not None and (instrument is not None or named in {known.name for known in instruments}),
        _side(names),
        _weekend_filler(rows, clock),
    )


def _check_name(instrument: str | None) -> None:
    if instrument is not None and not re.fullmatch(INSTRUMENT_PATTERN, instrument):
        raise SettingsError(
            asked=f"instrument {instrument!r}",
            found="a name that no instrument can have",
            allowed="3 to 20 capital letters, digits, dots and underscores",
            action="give the name that the settings have",
        )


def _bars(rows: RawRows) -> IntArray:
    """Stamps of the bars that show when the market was open."""
    is_bar = rows.has_stamp & (rows.fault == VALID) & ~is_flat_without_volume(rows)
    return np.unique(rows.stamp_s[is_bar])


def _instrument(names: Sequence[str], instruments: Sequence[Instrument]) -> str | None:
    """The instrument that a file's name tells: one that is known, or else a pair with a currency in it."""
    for name in names:
        plain = re.sub(r"[^A-Z0-9]", "", name.upper())
        known = [item.name for item in instruments if re.sub(r"[^A-Z0-9]", "", item.name) in plain]
        if known:
            return max(known, key=len)
    for name in names:
        for word in re.findall(r"[A-Z]{3}[-_]?[A-Z]{3}(?![A-Z])", name.upper()):
            pair = re.sub(r"[-_]", "", word)
            if pair.endswith(_CURRENCIES):
                return str(pair)
    return None


def _side(names: Sequence[str]) -> str | None:
    words = {word for name in names for word in re.split(r"[^a-z]", name.lower())}
    found = [side for side in SIDES if side in words]
    return found[0] if len(found) == 1 else None


def _divisor(facts: Facts, instrument: Instrument | None) -> int | None:
    """By which power of ten whole numbers are larger than the instrument's prices; None where they are not."""
    if not facts.are_whole_numbers or instrument is None or facts.median_price < _FEWEST_POINTS:
        return None
    ratio = facts.median_price / instrument.reference_price
    power = round(log10(ratio)) if ratio > 0 else 0
    is_near = 1 / _FARTHEST <= ratio / 10.0**power <= _FARTHEST
    return int(10**power) if power >= 1 and is_near else None


def _fields(declaration: FileDeclaration, path: Path, instrument: str, facts: Facts) -> dict[str, Any]:
    """Fields of a declaration in the order in which people write them; defaults left out."""
    given = declaration.model_dump(exclude_defaults=True)
    rest = {
        name: value for name, value in given.items() if name not in ("instrument", "granularity", "format", "files")
    }
    return {
        "instrument": instrument,
        "granularity": facts.spacing.granularity or facts.spacing.name,
        "format": declaration.format,
        "files": escape(path.name),
        **{name: list(value) if isinstance(value, tuple) else value for name, value in rest.items()},
    }


def _clock(finding: Finding, stated: str | None) -> str | list[tuple[str, str | None]] | None:
    """The clock to declare: the one that was found, or else the one that is stated; None where there is none."""
    if finding.status is Status.FOUND:
        return finding.clocks[0]
    if finding.status is Status.CHANGES and finding.changed_s is not None:
        until = datetime.fromtimestamp(saturday_before(finding.changed_s), UTC).strftime("%Y-%m-%dT%H:%M")
        return [(finding.clocks[0], until), (finding.clocks[1], None)]
    return stated


def _with_clock(fields: dict[str, Any], clock: str | list[tuple[str, str | None]]) -> dict[str, Any]:
    """Fields with the clock after the files."""
    declared: Any = clock
    if not isinstance(clock, str):
        declared = [{"clock": name} | ({} if until is None else {"until": until}) for name, until in clock]
    before = {name: fields[name] for name in ("instrument", "granularity", "format", "files")}
    return before | {"clock": declared} | {name: value for name, value in fields.items() if name not in before}


def _weekend_filler(rows: RawRows, clock: str | list[tuple[str, str | None]] | None) -> int | None:
    """Flat rows without volume while the FX week is closed; None without a clock."""
    if clock is None:
        return None
    inside = (rows.stamp_s >= FIRST_TS + DAY_S) & (rows.stamp_s < END_TS - DAY_S)
    stamps = rows.stamp_s[rows.has_stamp & inside & is_flat_without_volume(rows)]
    return int(np.count_nonzero(is_weekend(stamps if rows.is_utc else to_utc(stamps, parse_clock(clock)).ts)))
