"""`label-assets monitor`: reads the metrics again and again, says what changes, leaves the last evaluation for others.

A process of its own: inside `serve` or `live` it could not tell that these have died.

Belongs here: the loop, and what is told when. Does not belong here: judging (`monitoring.evaluation`).
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from types import FrameType

from label_assets.cache.hot import open_cache
from label_assets.errors import CacheUnavailableError, EmbeddedServerError
from label_assets.monitoring.alert import Alert, tell
from label_assets.monitoring.evaluation import LEVELS, Violation, is_judged, judge, threshold_of
from label_assets.monitoring.figures import Figure, Window, figures
from label_assets.monitoring.page import Page, read_page
from label_assets.monitoring.record import Evaluation, write_evaluation
from label_assets.settings import Settings

LOG = logging.getLogger("label_assets.monitor")


def targets(settings: Settings) -> tuple[str, ...]:
    """Addresses that are watched: those of the settings, else `serve` and the first worker of `live` here."""
    if settings.sla.targets:
        return settings.sla.targets
    found = [f"http://127.0.0.1:{settings.serve.port}/metrics"]
    if settings.live.metrics_port:
        found.append(f"http://127.0.0.1:{settings.live.metrics_port}/metrics")
    return tuple(found)


class Monitor:
    """Evaluates the service levels of one deployment, one window after the other."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """Keep what is watched; nothing is asked before `look`."""
        self.violations: list[Violation] = []
        self.figures: list[Figure] = []
        self._settings = settings
        self._targets = targets(settings)
        self._clock = clock
        self._before: dict[str, Page] = {}
        self._started_s = 0.0
        self._readers = ThreadPoolExecutor(max(1, min(16, len(self._targets))))

    def look(self) -> list[Violation] | None:
        """Read every target; tell what began, became critical or ended.

        Returns:
            What is missed; None at the first look, which has nothing to be compared with.
        """
        now = self._clock()
        pages = dict(zip(self._targets, self._readers.map(read_page, self._targets), strict=True))
        before, self._before = self._before, pages
        started_s, self._started_s = self._started_s, now
        if not before:
            return None
        window = Window(started_s, now, {name: (before[name], page) for name, page in pages.items()})
        self.figures = figures(window)
        missed_before = self.violations
        self.violations = judge(window, self.figures, missed_before, self._settings.sla)
        for alert in alerts(missed_before, self.violations):
            if self._settings.alerts.severity == "WARN" or alert.kind == "sla_critical":
                tell(alert, self._settings.alerts, LOG)
            else:
                LOG.warning(alert.text)
        self._leave(now)
        return self.violations

    def close(self) -> None:
        """End the threads."""
        self._readers.shutdown()

    def _leave(self, now: float) -> None:
        sla = self._settings.sla
        judged = {
            f"{figure.name} {figure.where}".strip(): figure.value
            for figure in self.figures
            if figure.value is not None and is_judged(figure, sla)
        }
        told = [violation._asdict() | {"text": violation.text} for violation in self.violations]
        # Where there is no Redis nobody reads it, and one that is away gets the next, wherever it is then.
        with suppress(CacheUnavailableError, EmbeddedServerError):
            cache = open_cache(self._settings, start=False)
            if cache is not None:
                with closing(cache):
                    write_evaluation(cache, Evaluation(now, sla.interval_s, judged, told))


def alerts(before: Sequence[Violation], now: Sequence[Violation]) -> list[Alert]:
    """What there is to tell: what became critical, what began, what is over; at most one alert of each kind."""
    known = {violation.key: violation for violation in before}
    began = [each for each in now if each.severity == "warning" and each.key not in known]
    worse = [
        each
        for each in now
        if each.severity == "critical" and (each.key not in known or known[each.key].severity == "warning")
    ]
    ended = [known[key] for key in known.keys() - {each.key for each in now}]
    found = []
    for kind, title, changed in (
        ("sla_critical", "Service levels missed for long", worse),
        ("sla_warning", "Service levels missed", began),
        ("sla_resolved", "Service levels met again", sorted(ended)),
    ):
        if changed:
            names = ", ".join(sorted({each.name for each in changed}))
            details = {"violations": [each._asdict() for each in changed]}
            found.append(Alert(kind, f"{title}: {names}", tuple(each.text for each in changed), details))
    return found


def table(found: Sequence[Figure], settings: Settings) -> str:
    """Figures beside their thresholds, one a line."""
    lines = []
    for figure in found:
        level, threshold = LEVELS[figure.name], threshold_of(figure.name, settings.sla)
        if figure.value is None or not is_judged(figure, settings.sla):
            says = f"too little happened ({figure.events:.0f})"
        else:
            says = f"{figure.value:,.4g}"
        bound = "≥" if level.is_least else "≤"
        lines.append(f"{figure.name:<18} {says:<28} {bound} {threshold:<14,.6g} {figure.where}".rstrip())
    return "\n".join(lines)


def run_monitor(settings: Settings, *, once: bool, show: Callable[[str], None]) -> int:
    """Look every `interval_s` until SIGINT or SIGTERM; with `once` at one window only.

    Returns:
        Exit code: with `once` 1 where a service level is missed, otherwise 0.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    monitor = Monitor(settings)
    LOG.info("watching %s every %g s", ", ".join(targets(settings)), settings.sla.interval_s)
    try:
        monitor.look()
        while not stopping.wait(settings.sla.interval_s):
            monitor.look()
            if once:
                show(table(monitor.figures, settings))
                return 1 if monitor.violations else 0
    finally:
        monitor.close()
    return 0
