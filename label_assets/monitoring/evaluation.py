"""Service levels: figures against their thresholds, and for how long they have been missed.

Belongs here: thresholds, severity, what is said of them. Does not belong here: figures (`monitoring.figures`), when
they are looked at (`monitoring.monitor`).
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from label_assets.monitoring.figures import Figure, Window, figures
from label_assets.settings import SlaSettings

Severity = Literal["warning", "critical"]


class Level(NamedTuple):
    """What a figure should be.

    Attributes:
        says: What the figure is.
        unit: Its unit.
        setting: Name of its threshold in the settings `sla`; "" for a figure that must not be smaller than 1.
        is_least: The threshold is the smallest good value, not the largest.
        has_traffic: Judged only with `least_events` events or more.
    """

    says: str
    unit: str
    setting: str
    is_least: bool
    has_traffic: bool


LEVELS: dict[str, Level] = {
    "api_latency_ms": Level("99th percentile of requests", "ms", "latency_ms", False, True),
    "live_latency_ms": Level("99th percentile of candle to readable labels", "ms", "latency_ms", False, True),
    "labels_per_minute": Level("labels in a minute of computing", "1/min", "labels_per_minute", True, True),
    "hit_rate": Level("share of reads that the hot cache answers", "1", "hit_rate", True, True),
    "error_rate": Level("share of requests that fail by our fault", "1", "error_rate", False, True),
    "memory_bytes": Level("memory of a process", "bytes", "memory_bytes", False, False),
    "answers": Level("target answers", "1", "", True, False),
}


class Violation(NamedTuple):
    """A service level that is missed.

    Attributes:
        name: Which one, a key of `LEVELS`.
        where: What it is of, where that is not everything.
        value: The figure in the newest window.
        threshold: What it should be at most, or at least.
        since_s: Start of the first of the windows in a row that missed it [epoch s].
        lasted_s: For how long it has been missed [s].
        severity: `warning`; `critical` once it has lasted for `critical_after_s`.
    """

    name: str
    where: str
    value: float
    threshold: float
    since_s: float
    lasted_s: float
    severity: Severity

    @property
    def key(self) -> tuple[str, str]:
        """The same for as long as it lasts: the reason in brackets may change."""
        return self.name, self.where.partition(" (")[0]

    @property
    def text(self) -> str:
        """One line."""
        level = LEVELS[self.name]
        if not level.setting:
            return f"{self.severity}: {self.where} does not answer, for {self.lasted_s:.0f} s"
        of = f" of {self.where}" if self.where else ""
        bound = "at least" if level.is_least else "at most"
        unit = f" {level.unit}" if level.unit != "1" else ""
        return (
            f"{self.severity}: {level.says}{of} is {self.value:,.4g}{unit}, should be {bound} "
            f"{self.threshold:,.4g}{unit}, for {self.lasted_s:.0f} s"
        )


def evaluate(windows: Iterable[Window], sla: SlaSettings) -> list[Violation]:
    """What is missed at the end of some windows that follow one another."""
    found: list[Violation] = []
    for window in windows:
        found = judge(window, figures(window), found, sla)
    return found


def judge(window: Window, found: Iterable[Figure], before: Iterable[Violation], sla: SlaSettings) -> list[Violation]:
    """What is missed in a window, given what was missed in the one before.

    A figure of which nothing can be said, for lack of events, is not missed.

    Args:
        window: The window.
        found: Its figures.
        before: What was missed in the window before.
        sla: Thresholds.
    """
    since: Mapping[tuple[str, str], float] = {violation.key: violation.since_s for violation in before}
    missed = []
    for figure in found:
        threshold = threshold_of(figure.name, sla)
        if figure.value is None or not is_judged(figure, sla) or not _misses(figure.name, figure.value, threshold):
            continue
        violation = Violation(figure.name, figure.where, figure.value, threshold, window.start_s, 0.0, "warning")
        start_s = since.get(violation.key, window.start_s)
        lasted_s = window.end_s - start_s
        missed.append(
            violation._replace(
                since_s=start_s,
                lasted_s=lasted_s,
                severity="critical" if lasted_s >= sla.critical_after_s else "warning",
            )
        )
    return missed


def threshold_of(name: str, sla: SlaSettings) -> float:
    """Threshold of a figure."""
    setting = LEVELS[name].setting
    return float(getattr(sla, setting)) if setting else 1.0


def is_judged(figure: Figure, sla: SlaSettings) -> bool:
    """Whether enough happened for a figure to be held against its threshold."""
    return not LEVELS[figure.name].has_traffic or figure.events >= sla.least_events


def _misses(name: str, value: float, threshold: float) -> bool:
    return value < threshold if LEVELS[name].is_least else value > threshold
