"""The Markdown report: targets beside figures, then every figure of every part with a bar.

Belongs here: from figures to text. Does not belong here: numbers of any kind.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.figures import Figure, Measured
from benchmarks.targets import MEMORY_TARGET, NOT_THE_PRODUCT, TARGETS, Target

BAR_WIDTH = 30
PASS, MISS = "PASS", "MISS"
NOT_MEASURED = "not measured"


class Verdict(NamedTuple):
    """One row of the table of targets.

    Attributes:
        what: What is asked for.
        asked: The bound with its unit.
        found: The figure, or that there is none.
        ratio: How many times better than each comparison.
        outcome: `PASS`, `MISS` or `not measured`.
    """

    what: str
    asked: str
    found: str
    ratio: str
    outcome: str


def verdicts(parts: Mapping[str, Measured]) -> list[Verdict]:
    """Every row of DESIGN.md §11 against what was measured."""
    return [*(_verdict(target, _find(parts, target)) for target in TARGETS), _memory_verdict(parts)]


def _find(parts: Mapping[str, Measured], target: Target) -> Figure | None:
    measured = parts.get(target.part)
    return next((each for each in measured.figures if each.name == target.figure), None) if measured else None


def _verdict(target: Target, found: Figure | None) -> Verdict:
    asked = f"{'≥' if target.at_least else '≤'} {number(target.bound)} {target.unit}"
    if found is None:
        return Verdict(target.what, asked, "", "", NOT_MEASURED)
    ratios = (
        f"{number(found.median / other if target.at_least else other / found.median)} × {name} ({number(other)})"
        for name, other in target.comparisons
    )
    spread = f" ({number(found.least)} to {number(found.most)})" if found.count > 1 else ""
    return Verdict(
        target.what,
        asked,
        f"**{number(found.median)}** {found.unit}{spread}, {found.clock}",
        "; ".join(ratios),
        PASS if target.is_met(found) else MISS,
    )


def _memory_verdict(parts: Mapping[str, Measured]) -> Verdict:
    what, asked = "memory of any process", f"< {number(MEMORY_TARGET / 1e6)} MB"
    peaks = [
        (size, kind, part)
        for part, found in parts.items()
        for kind, size in found.peak_rss.items()
        if kind not in NOT_THE_PRODUCT
    ]
    if not peaks:
        return Verdict(what, asked, "", "", NOT_MEASURED)
    size, kind, part = max(peaks)
    outcome = PASS if size < MEMORY_TARGET else MISS
    return Verdict(what, asked, f"**{number(size / 1e6)}** MB ({kind}, part {part})", "", outcome)


def verdict_lines(parts: Mapping[str, Measured]) -> str:
    """The verdicts as lines for a terminal."""
    return "\n".join(
        f"{each.outcome:<13}{each.what}: {each.found.replace('**', '') or '-'} of {each.asked}"
        for each in verdicts(parts)
    )


def number(value: float) -> str:
    """A number with three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bar(value: float, longest: float) -> str:
    """A bar as long as the value is of the longest one."""
    return "█" * max(1, round(BAR_WIDTH * value / longest)) if value > 0 and longest > 0 else ""


def as_markdown(whole: Mapping[str, Any], parts: Mapping[str, Measured], pictures: Sequence[str]) -> str:
    """The whole report."""
    lines = [*_head(whole), "", "## Targets", "", *_targets(parts)]
    for picture in pictures:
        lines += ["", f"![{picture}]({picture})"]
    failed = [part for part in whole["parts"] if "error" in part]
    missing = [name for name in whole["asked_for"] if name not in {part["name"] for part in whole["parts"]}]
    if failed:
        lines += ["", "## Parts that failed"]
        for part in failed:
            lines += ["", f"### {part['name']}", "", "```", part["error"], "```"]
    if missing:
        lines += ["", f"Not run yet: {', '.join(missing)}."]
    lines += ["", "## Memory", "", *_memory(parts)]
    for part in whole["parts"]:
        if part["name"] in parts:
            lines += ["", *_part(part, parts[part["name"]])]
    return "\n".join(lines) + "\n"


def _head(whole: Mapping[str, Any]) -> Iterator[str]:
    box, code = whole["machine"], whole["code"]
    yield f"# Benchmarks, {whole['began']}, size `{whole['size']}`"
    yield ""
    yield (
        f"{box['processor']}, {box['usable_cores']} of {box['cores']} cores, {box['memory_bytes'] / 1e9:.0f} GB, "
        f"{box['system']}, Python {box['python']}. "
        f"Commit {code['commit'][:12]}{' with changes that are not committed' if code['changed'] else ''}."
    )
    yield ""
    yield "Packages: " + ", ".join(f"{name} {version}" for name, version in whole["versions"].items()) + "."
    yield ""
    yield (
        "Load average (1 minute) before and after each part, the share of the processor that was busy before, and the "
        "CPU time of a fixed piece of work before and after: where it is larger, a CPU second was worth less."
    )
    yield ""
    yield "| part | seconds | load before | after | busy before | fixed work before | after |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for part in whole["parts"]:
        before, after = part["before"], part["after"]
        yield (
            f"| {part['name']} | {part['seconds']:.0f} | {before['one_minute']} | {after['one_minute']} "
            f"| {before['busy']:.0%} | {before['fixed_work_ms']} ms | {after['fixed_work_ms']} ms |"
        )
    yield ""
    yield (
        "Wall figures hold only where nobody else was busy. CPU figures depend on the load far less, but do: neighbors "
        "take the cache and the other half of a core. A figure is the median of its repetitions, with least and most "
        "beside it; a target is judged by the median."
    )


def _targets(parts: Mapping[str, Measured]) -> Iterator[str]:
    yield "| what | asked | measured | compared | |"
    yield "|---|---|---|---|---|"
    for row in verdicts(parts):
        yield f"| {row.what} | {row.asked} | {row.found} | {row.ratio} | {row.outcome} |"


def _memory(parts: Mapping[str, Measured]) -> Iterator[str]:
    yield "Most resident memory of any process of a kind, as the kernel counts it [MB]."
    yield ""
    yield "| part | process | MB | |"
    yield "|---|---|---:|---|"
    for name, measured in parts.items():
        for kind, size in sorted(measured.peak_rss.items(), key=lambda item: -item[1]):
            yield f"| {name} | {kind} | {number(size / 1e6)} | `{bar(size, MEMORY_TARGET)}` |"


def _part(told: Mapping[str, Any], measured: Measured) -> Iterator[str]:
    yield f"## {told['name']}"
    for note in measured.notes:
        yield ""
        yield note
    if told["left_running"]:
        yield ""
        yield f"It left running: {', '.join(told['left_running'])}."
    groups: dict[str, list[Figure]] = {}
    for each in measured.figures:
        groups.setdefault(each.group, []).append(each)
    for name, figures in groups.items():
        yield from _group(name, figures)


def _group(name: str, figures: Sequence[Figure]) -> Iterator[str]:
    yield ""
    if name:
        yield f"**{name}**"
        yield ""
    yield "| figure | median | least | most | unit | clock | of | |"
    yield "|---|---:|---:|---:|---|---|---:|---|"
    longest = max(each.median for each in figures) if name else 0.0
    for each in figures:
        yield (
            f"| {each.name} | {number(each.median)} | {number(each.least)} | {number(each.most)} | {each.unit} "
            f"| {each.clock} | {each.count} | `{bar(each.median, longest)}` |"
        ).replace("| `` |", "| |")
