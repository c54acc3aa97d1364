"""The label explorer as a person sees it: a headless Chromium before `label-assets serve` over the synthetic market."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from label_assets.serving.keys import new_key
from label_assets.settings import Settings
from label_assets_tests.serving.market import store_statistics
from label_assets_tests.serving.server import Running, ask, serving
from label_assets_tests.ui.browser import Browser, browsing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VIEW = "/?instrument=EURUSD&granularity=H4&horizon=6&start=2024-01-22&end=2024-02-23"
ENTRY = "2024-02-13T10:00:00Z"
READY = "//section[@id='market'][@aria-busy='false']"
CHOSEN = "//p[@id='status'][starts-with(., 'Chosen: ')]"


@pytest.fixture(scope="module")
def running(stored: Settings) -> Iterator[Running]:
    store_statistics(stored)
    with serving(stored) as server:
        yield server


@pytest.fixture(scope="module")
def one_window(running: Running) -> Iterator[Browser]:
    with browsing(running.port) as opened:
        opened.driver.set_window_size(1400, 1000)
        yield opened


@pytest.fixture
def browser(one_window: Browser) -> Iterator[Browser]:
    """The window, and at the end: nothing failed in it and no request left the host."""
    scheme(one_window, "light")
    yield one_window
    loaded = one_window.driver.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
    assert loaded
    assert {name for name in loaded if not name.startswith((f"{one_window.address}/", "data:"))} == set()
    said = [entry for entry in one_window.driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert said == []


def scheme(browser: Browser, name: str) -> None:
    features = {"features": [{"name": "prefers-color-scheme", "value": name}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)


def traces(browser: Browser, box: str = "chart") -> list[dict[str, Any]]:
    """What a chart draws: type, name, number of points."""
    script = "return document.getElementById(arguments[0]).data.map(t => ({type: t.type, name: t.name, n: t.x.length}))"
    found: list[dict[str, Any]] = browser.driver.execute_script(script, box)
    return found


def drawn_candles(browser: Browser) -> int:
    return sum(trace["n"] for trace in traces(browser) if trace["type"] == "candlestick")


def shown_labels(browser: Browser) -> dict[str, Any]:
    """The values of the table of labels."""
    script = (
        "return [...document.querySelectorAll('#label-table td[data-name]')]"
        ".map(cell => [cell.dataset.name, cell.dataset.value])"
    )
    return {name: json.loads(value) for name, value in browser.driver.execute_script(script)}


def row_of(running: Running, ts: str, granularity: str = "H4") -> dict[str, Any]:
    rows = ask(running, f"/v1/labels/EURUSD/{granularity}?start={ts}&limit=1").json()["rows"]
    (row,) = rows
    assert row["ts"] == ts
    return dict(row)


def test_candles_levels_statistics_and_what_is_materialized(browser: Browser, running: Running) -> None:
    browser.open(VIEW)
    browser.see(READY)
    candles = ask(running, "/v1/candles/EURUSD/H4?start=2024-01-22&end=2024-02-24").json()["rows"]
    assert drawn_candles(browser) == len(candles) > 100
    found = {trace["name"]: trace["n"] for trace in traces(browser)}
    assert found["support"] > 0
    assert found["resistance"] > 0
    assert found["volume"] == len(candles)
    script = "return document.getElementById('chart').data.find(t => t.name === 'flip').text"
    flips = browser.driver.execute_script(script)
    assert flips
    events = ask(running, "/v1/levels/EURUSD/H4/events?start=2024-01-22&end=2024-02-24&limit=5000").json()["rows"]
    assert len(flips) <= len([event for event in events if event["event_type"].startswith("FLIP")])

    browser.see("//*[@id='grid']//button")
    shown = browser.driver.execute_script(
        "return [...document.querySelectorAll('#grid button')]"
        ".map(cell => [cell.dataset.month, Number(cell.textContent), cell.className])"
    )
    months = ask(running, "/v1/coverage?granularity=H4&horizon=6").json()["months"]
    assert shown == [
        [f"{cell['instrument_id']} {cell['month']}", cell["label_rows"], "part" if cell["open_rows"] else ""]
        for cell in months
    ]
    browser.see("//*[@id='drift']//*[name()='svg']")
    monthly = ask(running, "/v1/statistics/EURUSD/H4").json()["rows"]
    totals = browser.driver.execute_script("return document.getElementById('distribution').data[0].customdata")
    names = ("triple_barrier_label_minus_1", "triple_barrier_label_0", "triple_barrier_label_1")
    assert totals == [sum(row[name] for row in monthly) for name in names]
    browser.keep("explorer-1-light")

    Select(browser.see("//*[@id='granularity']")).select_by_value("D")
    browser.see("//h2[.='EURUSD D']")
    browser.see(READY)
    assert 0 < drawn_candles(browser) != len(candles)
    assert "granularity=D" in browser.driver.current_url
    browser.driver.back()
    browser.see("//h2[.='EURUSD H4']")


def test_with_the_keyboard_alone(browser: Browser, running: Running) -> None:
    browser.open(VIEW)
    browser.see(READY)
    body = browser.driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB, Keys.ENTER)  # the link over the controls
    chart = browser.driver.switch_to.active_element
    assert chart.get_attribute("id") == "chart"
    chart.send_keys(Keys.END)
    chart.send_keys(Keys.PAGE_UP, Keys.PAGE_UP, Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    candles = ask(running, "/v1/candles/EURUSD/H4?start=2024-01-22&end=2024-02-24").json()["rows"]
    expected = candles[len(candles) - 1 - 20 + 1]
    browser.see(f"//p[@id='status'][contains(., 'close {expected['close']:.5f}')]")
    chart.send_keys(Keys.ENTER)
    browser.see(CHOSEN)
    assert shown_labels(browser) == row_of(running, expected["ts"])
    before = browser.driver.execute_script("return document.getElementById('chart').layout.xaxis.range")
    chart.send_keys("+")
    after = browser.driver.execute_script("return document.getElementById('chart').layout.xaxis.range")
    assert after[1] - after[0] < before[1] - before[0]
    chart.send_keys(Keys.ESCAPE)
    browser.see("//p[@id='status'][.='No candle is chosen.']")
    assert "entry=" not in browser.driver.current_url


def test_a_shared_address_shows_the_same_barriers_path_and_colors(browser: Browser, running: Running) -> None:
    scheme(browser, "dark")
    browser.open(f"{VIEW}&entry={ENTRY}&color=triple_barrier_label&label=mfe")
    browser.see(READY)
    row = row_of(running, ENTRY)
    assert shown_labels(browser) == row
    path = ask(running, f"/v1/candles/EURUSD/H1?start={row['entry_ts']}&limit={row['path_bars']}").json()["rows"]
    assert path[-1]["close_ts"] == row["horizon_end_ts"]
    (bars,) = [trace["n"] for trace in traces(browser, "path") if trace["type"] == "candlestick"]
    assert bars == row["path_bars"] == len(path)
    shown = browser.see("//*[@id='barrier-table']").text
    plain = [row["entry_price"] + 2 * row["atr"], row["entry_price"] - 2 * row["atr"]]
    for price in (*plain, row["etb_upper"], row["etb_lower"]):
        assert f"{price:.5f}" in shown

    labels = ask(running, "/v1/labels/EURUSD/H4?start=2024-01-22&end=2024-02-24&columns=triple_barrier_label").json()
    values = [each["triple_barrier_label"] for each in labels["rows"]]
    names = {trace["name"] for trace in traces(browser) if trace["type"] == "candlestick"}
    texts = {-1: "−1", 0: "0", 1: "+1", None: "unknown"}
    assert names == {f"{texts[value]} ({values.count(value)})" for value in set(values)}
    browser.keep("explorer-2-dark")
    scheme(browser, "light")
    browser.keep("explorer-3-entry", settle_s=2.0)

    left = browser.driver.execute_script("return document.getElementById('chart').layout.xaxis.range[0]")
    middle = browser.see("//*[@id='chart']//*[contains(@class, 'nsewdrag')]")
    ActionChains(browser.driver).drag_and_drop_by_offset(middle, 150, 0).perform()
    moved = "return document.getElementById('chart').layout.xaxis.range[0] < arguments[0] - 10"
    WebDriverWait(browser.driver, 30).until(lambda driver: driver.execute_script(moved, left))
    browser.click("//*[@id='chart']//*[contains(@class, 'nsewdrag')]")  # its middle
    browser.see(CHOSEN)
    chosen = shown_labels(browser)
    assert chosen["ts"] != ENTRY
    assert chosen == row_of(running, chosen["ts"])


def test_what_is_not_there_is_said(browser: Browser) -> None:
    browser.open(
        "/?instrument=EURUSD&granularity=H4&start=2023-01-01&end=2023-01-31&color=nonsense&entry=x&label=%3Cb%3E"
    )
    assert "No candles of EURUSD H4 from 2023-01-01 to 2023-01-31" in browser.see("//*[@id='empty']").text
    browser.open("/?instrument=EURUSD&granularity=H4&start=2090-01-01&end=2090-01-31")
    found = browser.see("//*[@id='problem']").text
    for part in ("Asked", "a time in the future", "Allowed", "Next"):
        assert part in found
    browser.driver.get_log("browser")  # the refused requests, which the browser tells too


def test_a_key_is_asked_for_and_kept_for_the_tab_alone(stored: Settings) -> None:
    key, entry = new_key("desk")
    with serving(stored, api_keys=entry, page_rows=100) as server, browsing(server.port) as browser:
        browser.open(VIEW)
        field = browser.see("//*[@id='key']")
        field.send_keys("wrong", Keys.ENTER)
        browser.see("//*[@id='key-problem'][contains(., 'not known')]")
        browser.see("//*[@id='key']").send_keys(key, Keys.ENTER)
        browser.see(READY)
        assert drawn_candles(browser) > 100, "more than a page of that server"
        kept = browser.driver.execute_script(
            "return [Object.values(sessionStorage), {...localStorage}, document.cookie]"
        )
        assert kept == [[key], {}, ""]
        assert key not in browser.driver.current_url
