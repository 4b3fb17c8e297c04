"""The page in a real browser: a film goes in, a class and a chart come out, and nothing leaves the machine."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.support.ui import WebDriverWait
from tests.report.browser import Browser

import avpretext
from avpretext.errors import UserError
from avpretext.predict.model import Model
from avpretext.serve import web

gradio = pytest.importorskip("gradio", reason="gradio is absent: pip install 'avpretext[serve]'")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Addresses that this process connects to."""
    found: list[Any] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        found.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return found


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind((web.ADDRESS, 0))
        return int(free.getsockname()[1])


@pytest.fixture
def address(
    model: Path, port: int, called: list[Any], face_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Serve the page."""
    known = Model.predict
    monkeypatch.setattr(Model, "predict", lambda *given, **named: known(*given, **{**named, "min_speech": 0.0}))
    for name, value in {**web.SETTINGS, "GRADIO_TEMP_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    blocks = web.page(model, avpretext.load(model), face_model)
    web.launch(blocks, port)
    yield f"http://{web.ADDRESS}:{port}/"
    blocks.close()


def test_a_film_goes_in_and_a_class_comes_out(
    address: str, called: list[Any], model: Path, film: Path, tmp_path: Path
) -> None:
    with Browser.start(tmp_path / "browser") as browser:
        browser.driver.get("about:blank")
        browser.requests()
        browser.driver.get(address)
        wait = WebDriverWait(browser.driver, 60)
        wait.until(lambda _: browser.all("#file input[type=file]"))
        assert browser.find("h1").text == "What does the model hear?"
        browser.find("#file input[type=file]").send_keys(str(film))
        wait.until(lambda _: browser.all("#label"))
        assert browser.find("#label").text == avpretext.load(model).predict(film).label
        assert browser.find(".chart svg").is_displayed()
        assert len(browser.all(".pictures img")) == 3
        assert browser.all("#microphone")
        assert all(asked.startswith((address, "blob:")) for asked in browser.requests())
    assert {host for host, *_ in called if isinstance(host, str)} <= {web.ADDRESS, "localhost"}


def test_a_port_that_is_taken_is_told(model: Path, port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*web.SETTINGS, "GRADIO_TEMP_DIR", "no_proxy"):
        monkeypatch.setenv(name, "")
    with socket.create_server((web.ADDRESS, port)), pytest.raises(UserError, match=f"--port {port}: something else"):
        web.run(model, port, tmp_path / "none")
