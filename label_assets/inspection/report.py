"""What was found about a file, in words: 80 columns, one section after the other.

Belongs here: texts and their layout. Does not belong here: finding anything out.
"""

import textwrap
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import yaml

from label_assets.catalog.granularities import GRANULARITIES
from label_assets.inspection.facts import Facts
from label_assets.inspection.inspecting import UNNAMED, Inspection
from label_assets.inspection.weeks import FX_WEEK_H, HOUR_S, Weeks
from label_assets.inspection.zones import ALWAYS_OPEN_SHARE, FEWEST_ENDS, TOLERANCE_S, Finding, Status, opens_late_h
from label_assets.kernels.arrays import IntArray

WIDTH = 80
_INDENT = 2
_LABEL = 14
_HOURS_SHOWN = 4
_WEEKS_SHOWN = 6
_SCORES_SHOWN = 12
_FIT_SHOWN = 4
_MINUTES = 10


def report(inspection: Inspection, base: str) -> str:
    """All sections.

    Args:
        inspection: What was found.
        base: Base granularity of the settings: a coarser source is refused.
    """
    sections = [_file(inspection), _rows(inspection), _time_zone(inspection), _declaration(inspection, base)]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _file(inspection: Inspection) -> list[str]:
    fields, facts = inspection.fields, inspection.facts
    clock = "UTC" if inspection.has_offsets else "as the stamps say"
    span = f"{_minute(facts.first_s)} to {_minute(facts.last_s)}, {clock}"
    lines = [inspection.name, *_item("format", fields["format"]), *_item("bars", _bars_words(facts))]
    lines += [*_item("span", span), *_item("rows", f"{facts.rows:,}")]
    if "price" in fields:
        lines += _item("sides", f"bid and ask; {fields['price']} is declared below, bid or ask are possible")
    elif inspection.side is not None:
        lines += _item("sides", f"{inspection.side} prices, says the name of the file")
    if "price_divisor" in fields:
        lines += _item(
            "points", f"whole numbers around {facts.median_price:,.0f}: price_divisor {fields['price_divisor']}"
        )
    elif facts.are_whole_numbers:
        lines += _item(
            "points?",
            f"whole numbers around {facts.median_price:,.0f}; if these are points of a price, declare price_divisor "
            "(--instrument NAME lets this be checked against the instrument's prices)",
        )
    return lines


def _bars_words(facts: Facts) -> str:
    spacing = facts.spacing
    if not spacing.seconds:
        return "one bar; its length is not known"
    if spacing.granularity is not None:
        return f"{spacing.name} ({spacing.share:.0%} of the bars are that far apart)"
    return f"{spacing.name}: refused, {_refusal(facts)}"


def _refusal(facts: Facts) -> str:
    names = list(GRANULARITIES)
    return (
        f"the granularities are {', '.join(names)}, each made of whole bars of the one before; others fit in nowhere. "
        "Take bars of one of these from the same vendor"
    )


def _rows(inspection: Inspection) -> list[str]:
    facts = inspection.facts
    lines = ["Rows"]
    lines += _item("unreadable", _reasons(facts.unreadable))
    lines += [line for number, words in facts.unreadable_examples for line in _item("", f"line {number}: {words}")]
    examples = f"; lines {', '.join(map(str, facts.price_fault_lines))}" if facts.price_fault_lines else ""
    lines += _item("bad prices", f"{facts.price_faults or 'none'}{examples}")
    lines += _item("duplicates", _duplicates(facts))
    lines += _item("order", _order(facts))
    if facts.off_grid:
        lines += _item("off grid", f"{facts.off_grid:,} stamps are no multiples of the bars' length")
    if facts.has_volume:
        lines += _item("filler", _filler(inspection))
    else:
        lines += _item("volume", "none, or 0 everywhere")
    weekends = "every hour counts" if _never_closes(inspection.finding) else "usual weekends do not count"
    missing = f"{facts.gaps:,}, where {facts.missing_bars:,} bars would fit" if facts.gaps else "none"
    lines += _item("gaps", f"{missing} ({weekends})")
    for gap in facts.largest_gaps:
        lines += _item("", f"{_minute(gap.begin_s)} to {_minute(gap.end_s)}, {_length(gap.end_s - gap.begin_s)}")
    return lines


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in counts.items()) or "none"


def _duplicates(facts: Facts) -> str:
    if not facts.identical and not facts.conflicting:
        return "none"
    words = f"{facts.identical:,} rows stand twice, to the value; {facts.conflicting:,} with other values"
    if facts.backwards_count and facts.identical and not facts.conflicting:
        words += ". Rows were written twice: where time runs backwards no hour is repeated"
    elif facts.backwards_count and facts.conflicting:
        words += ". Where time runs backwards that may be an hour that a clock repeats"
    return words


def _order(facts: Facts) -> str:
    direction = "descending" if facts.is_descending else "ascending"
    if not facts.backwards_count:
        return direction
    examples = "; ".join(
        f"line {step.line}: {_minute(step.before_s)}, then {_minute(step.stamp_s)}" for step in facts.backwards
    )
    return (
        f"{direction}, but for {facts.backwards_count:,} {'row' if facts.backwards_count == 1 else 'rows'} ({examples})"
    )


def _filler(inspection: Inspection) -> str:
    facts = inspection.facts
    if not facts.flat_without_volume:
        return "no flat bars without volume"
    known = inspection.weekend_filler
    where = (
        f"{facts.filler:,} of them between Saturday 12:00 and Sunday 09:00"
        if known is None
        else f"{known:,} of them while FX is closed; for fx, metals and indices these are dropped"
    )
    return f"{facts.flat_without_volume:,} flat bars without volume, {where}"


def _time_zone(inspection: Inspection) -> list[str]:
    finding, weeks = inspection.finding, inspection.finding.weeks
    lines = ["Time zone", *_paragraph(_verdict(inspection))]
    if _never_closes(finding) or not (finding.opens or finding.closes):
        return lines
    late_h = opens_late_h(weeks)
    rule = (
        f"Evidence. The market opens on Sunday {17 + late_h}:00 and closes on Friday 17:00 New York. On the right "
        f"clock the first bar of a week contains the open, or begins at most {TOLERANCE_S // 60} minutes after it, and "
        "the last one ends at the close. What the stamps show:"
    )
    lines += ["", *_paragraph(rule)]
    if late_h:
        assumption = (
            f"(The weeks last {weeks.usual_hours:.0f} hours. That the open is later than that of FX, as it is for "
            "metals, and not the close earlier, is assumed.)"
        )
        lines += _paragraph(assumption)
    lines += _item("opens", _local_hours(weeks, weeks.first_s[weeks.has_open], round_up=False))
    lines += _item("closes", _local_hours(weeks, weeks.end_s[weeks.has_close], round_up=True))
    return [*lines, "", *_scores(finding)]


def _verdict(inspection: Inspection) -> str:
    finding, stated = inspection.finding, inspection.stated_clock
    said = "" if stated is None else f"The format says {stated}."
    said = "The stamps carry their offset from UTC." if inspection.has_offsets else said
    clocks = ", ".join(finding.clocks)
    if inspection.contradiction:
        shown = (", then " if finding.status is Status.CHANGES else " or ").join(finding.clocks)
        words = f"CONTRADICTION. {said} But the weeks show {shown}: look at the evidence before you use this file."
    elif finding.status is Status.FOUND:
        words = f"FOUND: {clocks}. {f'{said} The weeks agree.' if said else _caveat(finding)}"
    elif finding.status is Status.CHANGES:
        words = (
            f"THE CLOCK CHANGES inside the file: {finding.clocks[0]} until the week that begins "
            f"{_minute(finding.changed_s)}, then {finding.clocks[1]}."
        )
    elif finding.status is Status.SEVERAL and stated is not None:
        others = ", ".join(clock for clock in finding.clocks if clock != stated)
        words = f"{said} The weeks agree with it, but would with these too: {others}."
    elif finding.status is Status.SEVERAL:
        words = f"SEVERAL fit and cannot be told apart: {clocks}. {_what_would_tell(finding)}"
    else:
        words = f"{said} NOT ENOUGH EVIDENCE: {finding.reason}. {_fit_by_all(finding)}"
    return " ".join(words.split())


def _caveat(finding: Finding) -> str:
    """What else would look the same."""
    if finding.weeks.length_s <= HOUR_S:
        return ""
    return (
        "This rests on weeks that begin and end with a whole bar. Days of another clock of which the vendor left out "
        "the short bar of Sunday look the same; bars of an hour or less would show it."
    )


def _fit_by_all(finding: Finding) -> str:
    """The clocks that the few opens and closes fit, where there are some and they are few."""
    if _never_closes(finding):
        return ""
    fit = [score.clock for score in finding.scores if score[1:3] == (finding.opens, finding.closes)]
    return f"These all fit {', '.join(fit)}." if 0 < len(fit) <= _FIT_SHOWN and finding.opens and finding.closes else ""


def _what_would_tell(finding: Finding) -> str:
    """Which data would tell clocks apart."""
    weeks = finding.weeks
    if weeks.length_s > HOUR_S and abs(weeks.usual_hours - FX_WEEK_H) > 0.5:
        return f"Bars of an hour or less would tell: those of {weeks.length_s / HOUR_S:g} h contain the open."
    if finding.opens_apart + finding.closes_apart < FEWEST_ENDS:
        return (
            "Weeks would tell in which only one of New York and London is on summer time (from the second Sunday of "
            "March to the last; from the last Sunday of October to the first of November), two at least, and weeks of "
            "both summer and winter."
        )
    return "Weeks of both summer and winter would tell."


def _scores(finding: Finding) -> list[str]:
    """How many weekly opens and closes fit, clock by clock."""
    total = (finding.opens, finding.closes, finding.opens_apart, finding.closes_apart)
    has_apart = finding.opens_apart + finding.closes_apart > 0
    head = f"  {'clock':<28}{'opens':>10}{'closes':>10}"
    lines = [head + (f"{'opens*':>10}{'closes*':>10}" if has_apart else "")]
    lines += [f"  {'(all)':<28}" + "".join(f"{count:>10}" for count in (total if has_apart else total[:2]))]
    for score in finding.scores[:_SCORES_SHOWN]:
        counts = score[1:] if has_apart else score[1:3]
        mark = " <" if score.clock in finding.clocks else ""
        lines.append(f"  {score.clock:<28}" + "".join(f"{count:>10}" for count in counts) + mark)
    note = "* of weeks in which only one of New York and London is on summer time: only these tell their rules apart"
    if not has_apart:
        note = "No week in which only one of New York and London is on summer time: nothing tells their rules apart."
    return [*lines, *_paragraph(note)]


def _local_hours(weeks: Weeks, stamps: IntArray, *, round_up: bool) -> str:
    """Weekday and time of the stamps, the most common ones with their numbers; each by date where there are few."""
    if not len(stamps):
        return "none that count"
    grid_s = _MINUTES * 60 if weeks.length_s < 900 else 60
    rounded = -(-stamps // grid_s) * grid_s if round_up else stamps // grid_s * grid_s
    if len(stamps) <= _WEEKS_SHOWN:
        return ", ".join(_format(ts, "%a %Y-%m-%d %H:%M") for ts in rounded.tolist())
    common = Counter(_format(ts, "%a %H:%M") for ts in rounded.tolist()).most_common()
    shown = ", ".join(f"{when} ({count})" for when, count in common[:_HOURS_SHOWN])
    rest = sum(count for _, count in common[_HOURS_SHOWN:])
    return f"{shown}{f', other ({rest})' if rest else ''}"


def _declaration(inspection: Inspection, base: str) -> list[str]:
    facts = inspection.facts
    if facts.spacing.granularity is None:
        return ["Declaration", *_paragraph(f"None: bars of {facts.spacing.name} are refused; {_refusal(facts)}.")]
    order, notes = list(GRANULARITIES), _clock_notes(inspection)
    if order.index(facts.spacing.granularity) > order.index(base):
        notes.append(f"# Refused with base granularity {base}: it is coarser.")
    if inspection.fields["instrument"] == UNNAMED:
        notes.append(f"# {UNNAMED}: write the name that the settings have.")
    elif not inspection.is_known:
        notes.append(f"# The settings have no {inspection.fields['instrument']}: add it there, or correct the name.")
    entry = yaml_entry(inspection.fields)
    return ["Declaration, for sources.yaml in the folder of the file", "", "sources:", *notes, *entry]


def _clock_notes(inspection: Inspection) -> list[str]:
    """What to do about a clock that is not declared below."""
    finding = inspection.finding
    is_settled = inspection.stated_clock is not None and not inspection.contradiction
    if "clock" in inspection.fields or inspection.has_offsets or is_settled:
        return []
    if finding.status is Status.SEVERAL:
        return [
            "# One of these, which this file cannot tell apart:",
            *(f"#   clock: {clock}" for clock in finding.clocks),
        ]
    return ["# The clock must be declared, and this file does not tell it: `clock: ...`"]


def yaml_entry(fields: dict[str, Any]) -> list[str]:
    """One entry of `sources` as lines of YAML.

    Args:
        fields: Keys and values of a declaration.
    """
    lines: list[str] = []
    for name, value in fields.items():
        text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
        lines.append(f"{'    ' if lines else '  - '}{name}: {text.removesuffix('...' + chr(10)).rstrip(chr(10))}")
    return lines


def _length(seconds: int) -> str:
    return f"{seconds / HOUR_S:.1f} h" if seconds >= HOUR_S else f"{seconds / 60:.0f} min"


def _never_closes(finding: Finding) -> bool:
    return finding.weeks.closed_share > ALWAYS_OPEN_SHARE


def _item(label: str, words: str) -> list[str]:
    start = " " * _INDENT + f"{label:<{_LABEL}}"
    after = " " * len(start)
    return textwrap.wrap(words, WIDTH, initial_indent=start, subsequent_indent=after, break_on_hyphens=False)


def _paragraph(words: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _minute(ts: int | None) -> str:
    return "unknown" if ts is None else _format(ts, "%Y-%m-%d %H:%M")


def _format(ts: int, form: str) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime(form) if abs(ts) < 2**35 else f"{ts} s since 1970"
