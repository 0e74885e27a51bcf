from __future__ import annotations

from pyllm.server.turns import Turns


def test_texts_of_one_turn_are_paragraphs_of_one_message() -> None:
    turns = Turns()
    for role, text in (
        ("system", "Be brief."),
        ("system", "Be kind."),
        ("user", "Hi"),
        ("user", "!"),
    ):
        turns.text(role, text)
    assert turns.messages == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "Hi\n\n!"},
    ]


def test_an_assistants_turn_is_one_message() -> None:
    turns = Turns()
    turns.text("user", "Weather?")
    turns.reasoning("I must ask.")
    turns.text("assistant", "I ")
    turns.text("assistant", "ask.")
    turns.call("a", "weather", "{}")
    turns.call("b", "now", "{}")
    turns.result("a", "sunny")
    turns.text("assistant", "It is sunny.")
    assert [message["role"] for message in turns.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    answer = turns.messages[1]
    assert answer["content"] == "I ask."
    assert answer["reasoning_content"] == "I must ask."
    assert [call["function"]["name"] for call in answer["tool_calls"]] == ["weather", "now"]
    assert turns.messages[2] == {"role": "tool", "tool_call_id": "a", "content": "sunny"}
