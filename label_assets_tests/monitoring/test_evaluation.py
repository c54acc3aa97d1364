"""Service levels from samples: what is missed, since when, how badly. Pages come from the real registries."""

from collections.abc import Callable

import pytest

from label_assets.monitoring.evaluation import LEVELS, Violation, evaluate
from label_assets.monitoring.figures import NAMES, Figure, Window, figures
from label_assets.monitoring.page import Page, parsed
from label_assets.settings import SlaSettings
from label_assets_tests.monitoring.pages import Server

INTERVAL_S = 15.0
SLA = SlaSettings()


class Watched:
    """A server whose pages are kept at the borders of windows of equal length."""

    def __init__(self) -> None:
        self.server = Server()
        self.windows: list[Window] = []
        self._page = self._read()

    def _read(self) -> Page:
        return Page(INTERVAL_S * len(self.windows), parsed(self.server.text))

    def pass_window(self, after: Page | None = None) -> Window:
        start_s = INTERVAL_S * len(self.windows)
        before, self._page = self._page, after or self._read()
        self.windows.append(Window(start_s, start_s + INTERVAL_S, {"t": (before, self._page)}))
        return self.windows[-1]

    def missed(self, sla: SlaSettings = SLA) -> list[Violation]:
        return evaluate(self.windows, sla)


def value(window: Window, name: str) -> Figure:
    found = [figure for figure in figures(window) if figure.name == name]
    assert len(found) == 1
    return found[0]


def test_every_name_that_is_read_is_shown() -> None:
    server = Server()
    server.requests(1, 0.01)
    server.reads(hit=1)
    assert set(NAMES) <= set(parsed(server.text))


def test_figures_of_a_window_are_those_of_its_time_alone() -> None:
    watched = Watched()
    watched.server.requests(1000, 5.0, status=500)
    watched.server.reads(miss=1000)
    watched.pass_window()
    watched.server.requests(99, 0.004)
    watched.server.requests(1, 0.004, status=503)
    watched.server.requests(50, 30.0, route="/v1/cache/warm")
    watched.server.reads(hit=90, miss=8, unavailable=2)
    watched.server.candles(100, 0.006, rows=8, compute_seconds=0.001)
    window = watched.pass_window()
    # All lie in the bucket from 3 to 4 ms; the 99th percentile is estimated within it.
    assert value(window, "api_latency_ms") == ("api_latency_ms", pytest.approx(3.99), 100, "")
    assert value(window, "error_rate").value == pytest.approx(1 / 150)
    assert value(window, "hit_rate") == ("hit_rate", 0.9, 100, "")
    assert value(window, "live_latency_ms").value == pytest.approx(5 + 2.5 * 0.99)
    assert value(window, "labels_per_minute").value == pytest.approx(8 * 37 * 60 / 0.001)
    assert watched.missed()[0].name == "hit_rate"


def test_a_window_in_which_little_happened_misses_nothing() -> None:
    watched = Watched()
    watched.server.requests(SLA.least_events - 1, 9.0, status=500)
    watched.server.reads(miss=SLA.least_events - 1)
    watched.server.candles(SLA.least_events - 1, 9.0, rows=1, compute_seconds=5.0)
    watched.pass_window()
    assert watched.missed() == []


def slow_requests(server: Server) -> None:
    server.requests(97, 0.001)
    server.requests(3, 0.2)


def slow_candles(server: Server) -> None:
    server.candles(97, 0.001)
    server.candles(3, 0.2)


def slow_computing(server: Server) -> None:
    server.candles(30, 0.001, rows=1, compute_seconds=0.003)


def many_misses(server: Server) -> None:
    server.reads(hit=94, miss=6)


def many_errors(server: Server) -> None:
    server.requests(98, 0.001)
    server.requests(1, 0.001, status=500)
    server.requests(1, 0.001, status=408)


HARM: dict[str, Callable[[Server], None]] = {
    "api_latency_ms": slow_requests,
    "live_latency_ms": slow_candles,
    "labels_per_minute": slow_computing,
    "hit_rate": many_misses,
    "error_rate": many_errors,
}


@pytest.mark.parametrize("name", HARM)
def test_each_level_is_missed_by_itself_and_becomes_critical(name: str) -> None:
    """A warning at once, critical after a minute in a row, and nothing any more after one good window."""
    watched = Watched()
    watched.pass_window()
    for number in range(1, 6):
        HARM[name](watched.server)
        watched.pass_window()
        missed = watched.missed()
        assert [violation.name for violation in missed] == [name]
        assert missed[0].since_s == INTERVAL_S
        assert missed[0].lasted_s == number * INTERVAL_S
        assert missed[0].severity == ("critical" if number >= 4 else "warning")
        assert LEVELS[name].says in missed[0].text
    watched.pass_window()
    assert watched.missed() == []
    HARM[name](watched.server)
    watched.pass_window()
    assert watched.missed()[0].lasted_s == INTERVAL_S


def test_what_meets_the_threshold_exactly_is_met() -> None:
    watched = Watched()
    watched.server.requests(99, 0.001)
    watched.server.requests(1, 0.3, status=500)
    watched.server.reads(hit=95, miss=5)
    watched.pass_window()
    assert watched.missed() == []


def test_memory_is_that_of_each_process() -> None:
    watched = Watched()
    watched.server.serving.cache_stats = {"used_memory": 3e9}
    watched.pass_window()
    assert [(each.name, each.where) for each in watched.missed()] == [("memory_bytes", "Redis, told by t")]
    assert [each.where for each in watched.missed(SlaSettings(memory_bytes=1))] == ["t", "Redis, told by t"]


def test_a_target_that_is_away_and_comes_back_with_new_counters() -> None:
    watched = Watched()
    watched.server.requests(1000, 0.001)
    watched.pass_window()
    watched.pass_window(Page(0.0, {}, "ConnectionRefusedError"))
    watched.pass_window(Page(0.0, {}, "TimeoutError"))
    missed = watched.missed()
    assert [(each.name, each.lasted_s) for each in missed] == [("answers", 2 * INTERVAL_S)]
    assert "t (TimeoutError) does not answer, for 30 s" in missed[0].text
    watched.server = Server()
    watched.server.requests(500, 9.0)
    window = watched.pass_window()
    assert value(window, "api_latency_ms").value is None, "with what it was before the outage nothing is compared"
    assert watched.missed() == []
    watched.server = Server()
    watched.server.requests(100, 0.001)
    assert value(watched.pass_window(), "error_rate").events == 100, "a counter that is smaller began anew"
