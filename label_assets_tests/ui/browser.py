"""A headless browser in front of the Dagster UI: what a person sees and clicks.

Belongs here: finding, clicking, pictures. Does not belong here: what should be seen.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import element_to_be_clickable, visibility_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

BROWSER, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
SCREENSHOTS = "UI_SCREENSHOTS"
"""Variable with a folder; if it is set, each page is kept there as a picture."""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--window-size=1700,1400",
)
PATIENCE_S = 60.0


def text(what: str) -> str:
    """Locator of the element that has exactly this text."""
    return f"//*[text()={_quoted(what)}]"


def button(what: str) -> str:
    """Locator of the button or link whose text contains this one."""
    return f"//button[contains(normalize-space(.), {_quoted(what)})]"


def _quoted(what: str) -> str:
    return f'"{what}"'


class Browser:
    """One window on one web server."""

    def __init__(self, driver: webdriver.Chrome, port: int) -> None:
        self.driver = driver
        self.address = f"http://127.0.0.1:{port}"

    def open(self, path: str) -> None:
        self.driver.get(self.address + path)

    def see(self, xpath: str) -> WebElement:
        """Wait until it is visible."""
        found: WebElement = self._waiting(xpath).until(visibility_of_element_located((By.XPATH, xpath)))
        return found

    def sees(self, xpath: str) -> bool:
        return bool(self.driver.find_elements(By.XPATH, xpath))

    def click(self, xpath: str) -> None:
        """Wait until it can be clicked; a list that is drawn anew in between is tried again."""
        for attempt in range(3):
            try:
                self._waiting(xpath).until(element_to_be_clickable((By.XPATH, xpath))).click()
            except StaleElementReferenceException:
                if attempt == 2:
                    raise
            else:
                return

    def type(self, xpath: str, what: str) -> None:
        """Replace the text of an input field."""
        self.click(xpath)
        self.see(xpath).send_keys(Keys.CONTROL, "a")
        self.see(xpath).send_keys(what, Keys.TAB)

    def keep(self, name: str, settle_s: float = 1.0) -> None:
        """Keep a picture of the page, if anybody wants one."""
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            time.sleep(settle_s)  # what is drawn after the text: plots, edges of the graph
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder, f"{name}.png")))

    def _waiting(self, xpath: str) -> WebDriverWait[webdriver.Chrome]:
        """Says on failure what was looked for, and what the page showed instead."""

        class Waiting(WebDriverWait[webdriver.Chrome]):
            def until(self, method, message=""):  # type: ignore[no-untyped-def]
                try:
                    return super().until(method, message)
                except Exception as error:
                    page = self._driver.find_element(By.TAG_NAME, "body").text
                    raise AssertionError(f"{xpath} at {self._driver.current_url}:\n{page[:3000]}") from error

        return Waiting(self.driver, PATIENCE_S, ignored_exceptions=[StaleElementReferenceException])


@contextmanager
def browsing(port: int) -> Iterator[Browser]:
    """A browser with an empty profile; skips where none is installed."""
    for program in (BROWSER, DRIVER):
        if not Path(program).exists():
            pytest.skip(f"no browser: {program} is not installed (Debian packages chromium and chromium-driver)")
    profile = tempfile.mkdtemp(prefix="label_assets_browser_")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield Browser(driver, port)
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)
