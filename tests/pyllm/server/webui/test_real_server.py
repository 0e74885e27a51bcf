"""The page on the real server, with the embedded model behind the edge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pyllm.demo import demo_model
from pyllm.server.app import create_app
from pyllm.server.settings import ModelSource, ServerSettings
from tests.pyllm.server.webui.mock_server import MockServer
from tests.pyllm.server.webui.visit import Visit
from tests.support.live_server import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def url(browser: Browser) -> Iterator[str]:
    path = demo_model()
    assert path is not None
    settings = ServerSettings(models=(ModelSource("demo", path),), engine={"num_threads": 1})
    with serving(create_app(settings)) as url:
        yield f"{url}/"


class RealServer(MockServer):
    """The address of a server that is not scripted."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    @property
    def url(self) -> str:
        return self._url


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Visit]:
    visit = Visit(browser, RealServer(url))
    visit.page.set_default_timeout(60_000)
    visit.open()
    yield visit
    visit.check_inert()
    visit.close()


def test_a_conversation(visit: Visit) -> None:
    visit.ask("Tell me a story.")
    assert len(visit.answers[0]) > 40
    answer = visit.ask("Tell me another one.")
    assert "tok/s" in answer.inner_text()
    assert " of " in answer.locator(".stats").inner_text()
    assert "demo" in visit.page.get_by_label("Model", exact=True).inner_text()


def test_every_setting_is_understood(visit: Visit) -> None:
    visit.click("Settings")
    values = {
        "Temperature": "0.7", "Top p": "0.9", "Top k": "40", "Min p": "0.05", "Max tokens": "20",
        "Repeat penalty": "1.1", "Presence penalty": "0.1", "Frequency penalty": "0.1", "Seed": "7",
        "Stop at": "END", "System prompt": "You tell stories.",
    }  # fmt: skip
    for label, value in values.items():
        visit.page.get_by_label(label, exact=True).fill(value)
    visit.page.get_by_role("switch", name="Token probabilities").check()
    first = visit.ask("Once upon a time").locator(".tokens").inner_text()
    assert visit.last.locator("[data-token]").count() == 20
    visit.last.locator("[data-token]").first.hover()
    assert visit.page.locator(".tooltip code").count() >= 5
    visit.click("Answer again")
    visit.page.get_by_role("group", name="Version 2 of 2").wait_for()
    visit.finished()
    assert visit.last.locator(".tokens").inner_text() == first  # the same seed


def test_a_schema(visit: Visit) -> None:
    visit.click("Settings")
    visit.page.get_by_role("switch", name="JSON schema").check()
    schema = visit.page.get_by_label("Schema", exact=True)
    schema.fill(
        '{"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}'
    )
    visit.page.get_by_label("Max tokens", exact=True).fill("60")
    assert '"age":' in visit.ask("A girl").locator(".code pre").inner_text()
    schema.fill('{"$ref": "https://example.org/schema"}')
    assert "HTTP 400" in visit.ask("A boy").inner_text()


def test_a_prompt_beyond_the_context(visit: Visit) -> None:
    answer = visit.ask("word " * 4000)
    assert "the context holds" in answer.get_by_role("alert").inner_text()
