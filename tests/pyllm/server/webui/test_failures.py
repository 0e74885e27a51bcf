"""What goes wrong is said in words, can be tried again, and loses no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pyllm.server.webui.mock_server import (
    MockServer,
    Reply,
    delta,
    finish,
    pieces,
    saying,
    usage,
)
from tests.pyllm.server.webui.visit import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_refused_request_can_be_tried_again(visit: Visit) -> None:
    visit.open()
    body = {"error": {"message": "prompt has 9000 tokens, the context holds 4096", "code": "x"}}
    answer = visit.ask("Too long?", Reply(status=400, body=body))
    assert "prompt has 9000 tokens, the context holds 4096" in answer.inner_text()
    assert "HTTP 400" in answer.inner_text()
    visit.server.replies.append(saying("Now it fits"))
    visit.click("Try again")
    visit.see("Now it fits")
    assert visit.page.locator(".siblings").count() == 0  # a failure that left nothing was replaced


def test_a_busy_server_is_asked_again_when_it_said(visit: Visit) -> None:
    visit.open()
    body = {"error": {"message": "the queue is full: 128 requests wait"}}
    busy = Reply(status=429, headers={"Retry-After": "2"}, body=body)
    visit.server.replies.extend([busy, saying("Your turn")])
    visit.write("Hello?")
    visit.see("the queue is full: 128 requests wait")
    visit.see("Trying again in 2 s.")
    visit.see("Trying again in 1 s.")
    visit.see("Your turn")
    assert len(visit.server.requests) == 2


def test_waiting_for_a_busy_server_can_be_cancelled(visit: Visit) -> None:
    visit.open()
    busy = Reply(status=503, headers={"Retry-After": "60"}, body={"error": {"message": "loading"}})
    visit.server.replies.append(busy)
    visit.write("Hello?")
    visit.see("Trying again in")
    visit.page.keyboard.press("Escape")
    assert "Stopped before an answer came." in visit.finished().inner_text()
    visit.click("Try again")
    visit.see("Nothing was scripted.")


def test_busy_without_a_time_is_a_failure(visit: Visit) -> None:
    visit.open()
    answer = visit.ask("Hello?", Reply(status=429, body={"detail": "slow down"}))
    assert "slow down" in answer.inner_text()


@pytest.mark.parametrize("body", ["<html><h1>Bad Gateway</h1></html>", None, [], {"error": {}}])
def test_an_answer_that_says_nothing(visit: Visit, body: object) -> None:
    visit.open()
    answer = visit.ask("Hello?", Reply(status=502, body=body))
    assert answer.get_by_role("alert").count() == 1
    assert "HTTP 502" in answer.inner_text()


def test_an_error_in_the_stream_keeps_what_came(visit: Visit) -> None:
    visit.open()
    reply = Reply([*pieces("Half an ans"), {"error": {"message": "the model gave no number"}}])
    answer = visit.ask("Go", reply)
    assert visit.answers == ["Half an ans"]
    assert "the model gave no number" in answer.inner_text()
    visit.server.replies.append(saying("A whole answer"))
    visit.click("Try again")
    visit.see("A whole answer")
    visit.finished()
    visit.click("Previous version")
    assert visit.answers == ["Half an ans"]


def test_a_stream_that_breaks_off(visit: Visit) -> None:
    visit.open()
    answer = visit.ask("Go", Reply(pieces("Half an ans"), done=False))
    assert visit.answers == ["Half an ans"]
    assert "The connection was lost" in answer.inner_text()


def test_a_stream_of_something_else(visit: Visit) -> None:
    visit.open()
    answer = visit.ask("Go", Reply(["data: {nonsense\n\n"]))
    answer.get_by_role("alert").wait_for()


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_events_however_they_are_cut(visit: Visit, end: str) -> None:
    visit.open()
    raw = f": comment{end}event: x{end}data: " + '{"choices": [{"delta": {"content": "Grüße"}}]}'
    parts = [*raw, end, "data:[DONE]", end]  # a character at a time
    visit.ask("Go", Reply(parts, done=False))
    assert visit.answers == ["Grüße"]


def test_a_restarted_server_loses_no_text(browser: Browser) -> None:
    server = MockServer()
    server.start()
    visit = Visit(browser, server)
    visit.open()
    visit.ask("First", "One")
    server.replies.append(Reply([delta(content=f"w{n} ") for n in range(9999)], pause=0.01))
    visit.write("Second")
    visit.see("w20")
    server.stop()
    answer = visit.finished()
    assert "w20" in answer.inner_text()
    visit.write("Is anybody there?")
    visit.see("The server does not answer. Your text is kept")
    visit.page.get_by_text("Server not reachable").wait_for()
    server.start()
    visit.page.get_by_text("Server not reachable").wait_for(state="detached")
    server.replies.append(saying("Back again"))
    visit.last.get_by_role("button", name="Try again").click()
    visit.see("Back again")
    assert visit.questions == ["First", "Second", "Is anybody there?"]
    visit.check_inert()
    visit.close()
    server.stop()


def test_a_key_is_asked_for_and_kept_in_the_tab(visit: Visit) -> None:
    visit.server.key = "sesame"
    visit.open()
    visit.page.get_by_role("dialog", name="API key").wait_for()
    visit.page.get_by_role("textbox", name="API key").fill("wrong")
    visit.click("Use key")
    visit.page.get_by_text("The server did not accept this key.").wait_for()
    visit.page.get_by_role("textbox", name="API key").fill("sesame")
    visit.click("Use key")
    visit.page.get_by_label("Model", exact=True).wait_for()
    visit.ask("Hello", Reply([*pieces("Welcome"), finish(), usage(1, 2)]))
    assert visit.answers == ["Welcome"]
    kept = "Object.entries(localStorage).flat().concat(location.href, document.cookie).join()"
    assert "sesame" not in visit.page.evaluate(kept)
    visit.page.reload()
    visit.page.get_by_label("Model", exact=True).wait_for()
