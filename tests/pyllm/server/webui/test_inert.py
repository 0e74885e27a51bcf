"""Whatever a model writes stays text: no script, no request, no page that was not asked for.

Each test ends with Visit.check_inert, which fails for a dialog, an exception, a request to another
host, a violation of the page's policy, a script that ran, and foreign elements or attributes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pyllm.server.webui import hostile_texts
from tests.pyllm.server.webui.mock_server import Reply, delta, finish, pieces, saying, scored
from tests.pyllm.server.webui.visit import Visit

GROUPS = {
    "raw html": hostile_texts.RAW_HTML,
    "links": hostile_texts.LINKS,
    "pictures": hostile_texts.PICTURES,
    "code": hostile_texts.CODE,
    "structures": hostile_texts.STRUCTURES,
}


def shown(visit: Visit) -> str:
    return visit.last.inner_text()


@pytest.mark.parametrize("group", GROUPS)
def test_answers(visit: Visit, group: str) -> None:
    """Each text alone, whole, so that no text hides in the block of another."""
    visit.open()
    address = visit.page.url
    for text in GROUPS[group]:
        visit.page.keyboard.press("Control+k")
        visit.ask("Attack", Reply([delta(content=text), finish()]))
        assert visit.last.locator(".markdown").count() == 1, text
        visit.check_inert()
    assert visit.page.url == address
    assert len(hostile_texts.ALL) >= 100


@pytest.mark.parametrize("group", GROUPS)
def test_answers_while_they_grow(visit: Visit, group: str) -> None:
    """Half a tag, half a link, half an entity: drawn at every length."""
    visit.open()
    text = "\n\n".join(part for part in GROUPS[group] if len(part) < 300)
    visit.ask("Attack", saying(text, size=7, pause=0.001))


def test_html_is_shown_as_it_was_written(visit: Visit) -> None:
    visit.open()
    visit.ask("Attack", "<img src=x onerror=window.pwned=1>")
    assert shown(visit).count("<img src=x onerror=window.pwned=1>") == 1


def test_links_to_scripts_and_relative_ones_are_dead(visit: Visit) -> None:
    visit.open()
    answer = visit.ask(
        "Attack", "[a](javascript:window.pwned=1) [b](/v1/models) [c](data:text/html,x)"
    )
    assert answer.locator("a").count() == 0
    for dead in answer.locator(".dead-link").all():
        dead.click()


@pytest.mark.parametrize("name", hostile_texts.INVISIBLE)
def test_control_characters_are_dropped_or_visible(visit: Visit, name: str) -> None:
    text, expected = hostile_texts.INVISIBLE[name]
    visit.open()
    visit.ask("Attack", Reply([delta(content=text), finish()]))
    assert visit.last.locator(".markdown").inner_text() == expected


def test_questions(visit: Visit) -> None:
    """The reader's own text, for it may have been pasted."""
    visit.open()
    text = "\n".join(part for part in hostile_texts.RAW_HTML if len(part) < 300)
    visit.ask(text + "\u202e", "Well")
    assert "⟦U+202E⟧" in visit.questions[0]
    assert "<script>" in visit.questions[0]


def test_everything_around_an_answer(visit: Visit) -> None:
    """Reasoning, tool names and arguments, tokens, names of models, languages of code."""
    attack = "<img src=x onerror=window.pwned=1>\u202e\x1b[31m"
    visit.server.models = [attack, "</option><script>window.pwned=1</script>"]
    visit.open()
    call = {"index": 0, "id": attack, "function": {"name": attack, "arguments": attack}}
    chunks = [delta(reasoning_content=attack), *pieces(attack), delta(tool_calls=[call])]
    answer = visit.ask(attack, Reply([*chunks, finish(attack)]))
    answer.get_by_text("Thought").click()
    assert answer.inner_text().count("<img src=x onerror=window.pwned=1>⟦U+202E⟧") >= 3
    assert visit.page.locator(".sidebar .title").inner_text().startswith("<img src=x")
    visit.page.get_by_label("Model", exact=True).select_option(index=1)
    tokens = visit.ask(attack, scored([(attack, -1.0, [(attack, -1.0), ("<b>", -2.0)])]))
    tokens.locator("[data-token]").first.hover()
    visit.page.get_by_role("status").get_by_text("<b>").wait_for()


@pytest.mark.parametrize("kind", ["json", "html", "text", "in stream"])
def test_errors(visit: Visit, kind: str) -> None:
    attack = "<img src=x onerror=window.pwned=1>\x1b[31m"
    bodies = {"json": {"error": {"message": attack}}, "html": attack, "text": f"sorry: {attack}"}
    reply = Reply(status=500, body=bodies.get(kind))
    if kind == "in stream":
        reply = Reply([*pieces("Well"), {"error": {"message": attack}}])
    visit.open()
    visit.ask("Fail", reply)
    visit.last.get_by_role("button", name="Try again").wait_for()


def test_an_imported_file(visit: Visit, tmp_path: Path) -> None:
    attack = "<img src=x onerror=window.pwned=1>[x](javascript:window.pwned=1)"
    message = {
        "id": "__proto__", "parent": None, "role": attack, "text": attack, "model": attack,
        "tokens": [{"text": attack}], "tools": [{"name": attack, "arguments": {"a": attack}}],
        "state": attack, "failure": {"message": attack},
        "stats": {"tokensPerSecond": attack}, "toString": attack,
    }  # fmt: skip
    answer = {**message, "id": "constructor", "parent": "__proto__", "role": "assistant"}
    chat = {
        "id": "../../x", "title": attack, "created": attack, "messages": [message, answer, 3, None],
        "selected": {"root": "__proto__", "__proto__": "constructor"},
        "settings": {"system": attack, "sampling": {"temperature": attack, "__proto__": 1, "x": 2}},
    }  # fmt: skip
    path = tmp_path / "chats.json"
    path.write_text(json.dumps({"format": "pyllm-chats", "chats": [chat]}))
    visit.open()
    visit.page.locator("input[type=file]").set_input_files(path)
    visit.page.locator(".sidebar .title").click()
    visit.finished()
    visit.ask("On")
    sent = visit.server.requests[0]
    assert sent["messages"][0] == {"role": "system", "content": attack}
    assert not {"temperature", "x"} & set(sent)


@pytest.mark.parametrize(
    "below",
    ["?q=hello", "?prompt=hello", "?message=hello&send=1", "#q=hello", "#hello", "?model=evil"],
)
def test_an_address_neither_sends_nor_fills_in(visit: Visit, below: str) -> None:
    visit.open(below)
    visit.page.wait_for_timeout(300)
    assert visit.server.requests == []
    assert visit.page.input_value("#composer") == ""
    assert visit.page.locator(".message").count() == 0
    assert visit.page.get_by_label("Model", exact=True).input_value() == "tiny-Q8_0.gguf"
