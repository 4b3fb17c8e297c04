"""A real browser for the tests of pages: Debian's Chromium, driven by Selenium."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


class Browser:
    """A page in a window of any size, in light or dark."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator["Browser"]:
        """Start a browser whose profile is in `folder`; skip the test where there is none."""
        program = next(
            (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
        )
        driver = shutil.which("chromedriver")
        if program is None or driver is None:
            pytest.skip("no Chromium with its driver on this machine: apt-get install chromium chromium-driver")
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (*QUIET, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        started = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield cls(started)
        finally:
            started.quit()

    def open(
        self, file: Path, fragment: str = "", *, width: int = 1600, scheme: Literal["light", "dark"] = "light"
    ) -> None:
        """Open a file anew, and forget what was logged before."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.emulate("screen", scheme)
        self.driver.get(file.as_uri() + fragment)

    def emulate(self, medium: Literal["screen", "print"], scheme: Literal["light", "dark"] = "light") -> None:
        """Show the page as on screen or as printed."""
        # Without motion a click need not wait until the page has scrolled.
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})

    def messages(self) -> list[str]:
        """Return what the console says: errors, warnings, whatever a script writes."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for, without pictures that it holds itself."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [address for address in sent if not address.startswith("data:")]

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; `return` says what comes back."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """Return the first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """Return all elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def download_to(self, folder: Path) -> None:
        """Let the page save files to a folder."""
        command = {"behavior": "allow", "downloadPath": str(folder)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", command)

    def pdf(self) -> bytes:
        """Print the page."""
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
