"""A browser for the tests of the page: Chromium of the system, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.pyllm.server.webui.mock_server import MockServer
from tests.pyllm.server.webui.visit import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("PYLLM_CHROMIUM") or next(filter(None, map(shutil.which, names)), "")


# Not longer than a module: while Playwright runs, no other test could start an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not chromium():
        pytest.skip("no Chromium: install it, or name it in PYLLM_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def running_server() -> Iterator[MockServer]:
    server = MockServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running_server: MockServer) -> MockServer:
    running_server.reset()
    return running_server


@pytest.fixture
def visit(browser: Browser, server: MockServer) -> Iterator[Visit]:
    """A visitor with an empty browser; at the end the page must have kept all its promises."""
    visit = Visit(browser, server)
    yield visit
    visit.check_inert()
    visit.close()
