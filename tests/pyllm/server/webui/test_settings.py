"""The settings panel: what is set is sent, what is wrong is said in place."""

from __future__ import annotations

from math import log

import pytest

from tests.pyllm.server.webui.mock_server import saying, scored
from tests.pyllm.server.webui.visit import Visit

SCHEMA = '{"type": "object", "properties": {"name": {"type": "string"}}}'


@pytest.fixture
def panel(visit: Visit) -> Visit:
    visit.open()
    visit.click("Settings")
    return visit


def fill(visit: Visit, label: str, text: str) -> None:
    visit.page.get_by_label(label, exact=True).fill(text)


def switch(visit: Visit, name: str) -> None:
    visit.page.get_by_role("switch", name=name).check()


def test_what_is_set_is_sent(panel: Visit) -> None:
    values = {
        "Temperature": ("temperature", 0.7),
        "Top p": ("top_p", 0.9),
        "Top k": ("top_k", 40),
        "Min p": ("min_p", 0.05),
        "Repeat penalty": ("repetition_penalty", 1.1),
        "Presence penalty": ("presence_penalty", -0.5),
        "Frequency penalty": ("frequency_penalty", 0.25),
        "Max tokens": ("max_tokens", 300),
        "Seed": ("seed", 7),
    }
    for label, (_, value) in values.items():
        fill(panel, label, str(value))
    fill(panel, "System prompt", "Be brief.")
    fill(panel, "Stop at", "END\n###")
    panel.ask("Hello")
    sent = panel.server.requests[0]
    assert {name: sent[name] for name, _ in values.values()} == dict(values.values())
    assert sent["stop"] == ["END", "###"]
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("label", "text", "problem"),
    [
        ("Temperature", "9", "from 0 to 2"),
        ("Temperature", "warm", "not a number"),
        ("Top k", "1.5", "a whole number"),
        ("Max tokens", "0", "from 1 to 1000000"),
        ("Seed", "1e999", "not a number"),
    ],
)
def test_what_is_wrong_is_said_and_not_sent(
    panel: Visit, label: str, text: str, problem: str
) -> None:
    fill(panel, label, text)
    panel.page.get_by_role("alert").get_by_text(problem).wait_for()
    assert panel.page.get_by_label(label, exact=True).get_attribute("aria-invalid") == "true"
    panel.ask("Hello")
    assert not {"temperature", "top_k", "max_tokens", "seed"} & set(panel.server.requests[0])


def test_reset_leaves_it_to_the_server(panel: Visit) -> None:
    fill(panel, "Temperature", "0.2")
    fill(panel, "Top k", "nonsense")
    fill(panel, "System prompt", "Stay.")
    panel.click("Reset")
    assert panel.page.get_by_role("alert").count() == 0
    panel.ask("Hello")
    sent = panel.server.requests[0]
    assert not {"temperature", "top_k"} & set(sent)
    assert sent["messages"][0]["content"] == "Stay."  # texts take work to write


def test_settings_belong_to_their_chat(panel: Visit) -> None:
    fill(panel, "Temperature", "0.2")
    panel.ask("Cold chat")
    panel.page.keyboard.press("Control+k")
    assert panel.page.get_by_label("Temperature", exact=True).input_value() == "0.2"
    fill(panel, "Temperature", "1.5")
    panel.ask("Hot chat")
    panel.page.get_by_role("button", name="Cold chat", exact=True).click()
    panel.finished()
    assert panel.page.get_by_label("Temperature", exact=True).input_value() == "0.2"
    panel.page.reload()
    panel.finished()
    panel.ask("Still cold?")
    assert panel.server.requests[-1]["temperature"] == 0.2


def test_a_schema_is_sent_and_its_answer_shown_as_json(panel: Visit) -> None:
    switch(panel, "JSON schema")
    fill(panel, "Schema", SCHEMA)
    answer = panel.ask("Who?", '{"name": "*Ada*"}')
    format_ = panel.server.requests[0]["response_format"]
    assert format_["type"] == "json_schema"
    assert format_["json_schema"]["schema"]["properties"] == {"name": {"type": "string"}}
    assert answer.locator(".code pre").inner_text() == '{\n  "name": "*Ada*"\n}'


@pytest.mark.parametrize("schema", ["", '{"type": "object",', "[]", "3", "null"])
def test_a_wrong_schema_stops_the_message_and_says_why(panel: Visit, schema: str) -> None:
    switch(panel, "JSON schema")
    fill(panel, "Schema", schema)
    assert panel.page.locator("#schema-error").inner_text()
    panel.click("Close settings")
    panel.write("Who?")
    panel.page.locator("#schema:focus").wait_for()
    assert panel.page.input_value("#composer") == "Who?"
    assert panel.server.requests == []


def test_token_probabilities(panel: Visit) -> None:
    switch(panel, "Token probabilities")
    likely = [(" Canberra", log(0.6)), (" Sydney", log(0.3)), ("\n", log(0.01))]
    reply = scored([("It is", log(0.99), [("It is", log(0.99))]), (" Sydney", log(0.3), likely)])
    panel.server.replies.append(reply)
    answer = panel.ask("Capital of Australia?")
    sent = panel.server.requests[0]
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 5)
    tokens = answer.locator("[data-token]")
    assert tokens.all_inner_texts() == ["It is", " Sydney"]
    assert tokens.nth(0).get_attribute("class") != tokens.nth(1).get_attribute("class")
    tokens.nth(1).hover()
    tooltip = panel.page.locator(".tooltip")
    assert tooltip.locator("code").all_inner_texts() == ["·Canberra", "·Sydney", "↵"]
    assert tooltip.locator(".chosen").inner_text().split() == ["·Sydney", "30.0", "%"]
    token, tip = tokens.nth(1).bounding_box(), tooltip.bounding_box()
    assert token is not None
    assert tip is not None
    assert abs(tip["x"] - token["x"]) < 2
    assert 0 < tip["y"] - token["y"] - token["height"] < 12
    panel.page.mouse.move(0, 0)
    tooltip.wait_for(state="detached")
    answer.locator(".tokens").focus()
    panel.page.keyboard.press("ArrowRight")
    panel.page.keyboard.press("ArrowRight")
    assert tooltip.locator(".chosen code").inner_text() == "·Sydney"
    panel.click("Show as text")
    assert panel.answers == ["It is Sydney"]


def test_a_chosen_token_outside_the_likeliest_is_listed(panel: Visit) -> None:
    switch(panel, "Token probabilities")
    answer = panel.ask("Go", scored([("rare", log(0.001), [("common", log(0.9))])]))
    answer.locator("[data-token]").hover()
    texts = panel.page.locator(".tooltip code").all_inner_texts()
    assert texts == ["rare", "common"]


def test_the_token_that_ends_an_answer_stands_apart(panel: Visit) -> None:
    switch(panel, "Token probabilities")
    reply = scored([("Bye", -0.1, []), ("<|end|>", -0.2, [])])
    chunks = list(reply.chunks)
    assert isinstance(chunks[1], dict)
    chunks[1]["choices"][0]["delta"] = {}  # its text is no part of the answer
    reply.chunks = chunks
    answer = panel.ask("Go", reply)
    assert answer.locator(".ender").all_inner_texts() == ["<|end|>"]
    panel.click("Show as text")
    assert panel.answers == ["Bye"]


def test_the_count_of_changes_is_shown(panel: Visit) -> None:
    fill(panel, "Temperature", "0.2")
    switch(panel, "Token probabilities")
    assert panel.page.locator(".badge").inner_text() == "2"
    panel.server.replies.append(saying("x"))
