"""Messages as OpenAI's clients send them, made what a template wants."""

from __future__ import annotations

from typing import Any

import pytest

from pyllm import RequestError
from pyllm.tokenizer import ChatTemplate
from pyllm.tool_calls.messages import MessageStyle

HEAD = "{% for m in messages %}{% for c in m.tool_calls or [] %}"
TAIL = "{% endfor %}{% endfor %}"
AS_JSON = HEAD + '{"a": {{ c.function.arguments | tojson }}}' + TAIL
AS_TEXT = HEAD + '{"a": {{ c.function.arguments }}}' + TAIL
AS_ITEMS = (
    HEAD + "{% for k, v in c.function.arguments.items() %}<{{ k }}>{{ v }}{% endfor %}" + TAIL
)
ONLY_WITHOUT_CONTENT = AS_JSON.replace("{% for c", "{% for c").replace(
    "m.tool_calls or []", "(m.tool_calls if m.content is none else []) or []"
)


def style_of(source: str, **options: Any) -> MessageStyle:
    options = {"short_ids": False} | options
    return MessageStyle.detect(ChatTemplate(source, None, None), **options)


def conversation(arguments: Any = '{"city": "Brno"}', **message: Any) -> list[dict[str, Any]]:
    function = {"name": "get_weather", "arguments": arguments}
    call = {"id": "call_1", "type": "function", "function": function}
    return [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call], **message},
        {"role": "tool", "tool_call_id": "call_1", "content": "7"},
    ]


def arguments_of(messages: list[dict[str, Any]]) -> Any:
    return messages[1]["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize("source", [AS_JSON, AS_ITEMS])
def test_templates_that_want_an_object_get_one(source: str) -> None:
    style = style_of(source)
    assert not style.arguments_as_text
    assert arguments_of(style.prepare(conversation())) == {"city": "Brno"}
    assert arguments_of(style.prepare(conversation({"city": "Brno"}))) == {"city": "Brno"}
    assert arguments_of(style.prepare(conversation(""))) == {}
    assert arguments_of(style.prepare(conversation(None))) == {}


def test_templates_that_want_text_get_it() -> None:
    style = style_of(AS_TEXT)
    assert style.arguments_as_text
    assert arguments_of(style.prepare(conversation('{"a":  1}'))) == '{"a":  1}'
    assert arguments_of(style.prepare(conversation({"a": "č"}))) == '{"a": "č"}'
    assert arguments_of(style.prepare(conversation(""))) == "{}"


def test_no_content_is_what_the_template_takes_for_none() -> None:
    assert style_of(AS_JSON).prepare(conversation())[1]["content"] == ""
    assert style_of(ONLY_WITHOUT_CONTENT).prepare(conversation())[1]["content"] is None
    assert style_of(AS_JSON).prepare(conversation(content="So."))[1]["content"] == "So."


def test_results_know_their_functions() -> None:
    prepared = style_of(AS_JSON).prepare(conversation())
    assert prepared[2] == {
        "role": "tool",
        "tool_call_id": "call_1",
        "name": "get_weather",
        "content": "7",
    }


def test_short_ids_still_belong_together() -> None:
    prepared = style_of(AS_JSON, short_ids=True).prepare(conversation())
    identity = prepared[1]["tool_calls"][0]["id"]
    assert len(identity) == 9
    assert identity.isalnum()
    assert prepared[2]["tool_call_id"] == identity
    assert prepared[2]["name"] == "get_weather"


def test_reasoning_has_two_names() -> None:
    prepared = style_of(AS_JSON).prepare([{"role": "assistant", "reasoning": "a", "content": "b"}])
    assert prepared[0]["reasoning_content"] == "a"


def test_the_callers_messages_are_not_changed() -> None:
    messages = conversation()
    style_of(AS_JSON, short_ids=True).prepare(messages)
    assert messages == conversation()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"tool_calls": 3}, "messages[1].tool_calls"),
        ({"tool_calls": [3]}, "messages[1].tool_calls[0]"),
        ({"tool_calls": [{"function": {}}]}, "messages[1].tool_calls[0].function.name"),
        (
            {"tool_calls": [{"id": 3, "function": {"name": "f"}}]},
            "messages[1].tool_calls[0].id",
        ),
    ],
)
def test_calls_that_are_none_are_refused(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        MessageStyle().prepare(conversation(**changed))
    assert caught.value.field == field


@pytest.mark.parametrize("arguments", ["{", "[1]", "3", [1], '{"a": ' * 100_000, "9" * 5000])
def test_arguments_that_are_no_object_are_refused(arguments: Any) -> None:
    with pytest.raises(RequestError) as caught:
        MessageStyle().prepare(conversation(arguments))
    assert caught.value.field == "messages[1].tool_calls[0].function.arguments"


def test_a_result_without_a_name_for_its_call_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        MessageStyle().prepare([{"role": "tool", "tool_call_id": 3, "content": ""}])
    assert caught.value.field == "messages[0].tool_call_id"
