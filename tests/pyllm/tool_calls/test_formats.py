"""How each family writes calls: read as such, whatever the pieces, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.tool_calls import TextPiece
from tests.pyllm.tool_calls.support import format_of, parser_of, read, read_all, shown

BRNO = ("get_weather", {"city": "Brno"})
STOP: tuple[str, dict[str, Any]] = ("stop", {})

# Texts that a template of the family holds, an answer, what it says.
ANSWERS: dict[str, tuple[tuple[str, ...], str, list[Any]]] = {
    "hermes": (
        ("tools", "<tool_call>\\n"),
        'I look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Brno"}}\n'
        '</tool_call>\n<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>',
        ["I look.", BRNO, STOP],
    ),
    "arguments before the name": (
        ("tools", "<tool_call>\\n"),
        '<tool_call>{"arguments": {"city": "Brno"}, "name": "get_weather"}</tool_call>',
        [BRNO],
    ),
    "arguments as text": (
        ("tools", "<tool_call>\\n"),
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Brno\\"}"}</tool_call>',
        [BRNO],
    ),
    "no arguments": (
        ("tools", "<tool_call>\\n"),
        '<tool_call>{"name": "stop"}</tool_call><tool_call>{"name": "stop", "arguments": null}',
        [STOP, STOP],
    ),
    "a line break within a string": (
        ("tools", "<tool_call>\\n"),
        '<tool_call>{"name": "get_weather", "arguments": {"city": "a\n\tb"}}</tool_call>',
        [("get_weather", {"city": "a\n\tb"})],
    ),
    "text behind calls": (
        ("tools", "<tool_call>{"),
        '<tool_call>{"name": "stop"}</tool_call>\n\nDone. \n',
        [STOP, "Done."],
    ),
    "a list": (
        ("tools", "<TOOLCALL>"),
        '<TOOLCALL>[{"name": "stop", "arguments": {}}, '
        '{"name": "get_weather", "arguments": {"city": "Brno"}}]</TOOLCALL>',
        [STOP, BRNO],
    ),
    "cohere": (
        ("tools", "<|START_ACTION|>"),
        '<|START_ACTION|>[\n  {"tool_call_id": "0", "tool_name": "get_weather", '
        '"parameters": {"city": "Brno"}}\n]<|END_ACTION|>',
        [BRNO],
    ),
    "apertus": (
        ("tools", "<|tools_prefix|>"),
        '<|tools_prefix|>[{"get_weather": {"city": "Brno"}}, {"stop": {}}]<|tools_suffix|>',
        [BRNO, STOP],
    ),
    "granite 3": (
        ("tools", "<|tool_call|>"),
        '<|tool_call|>[{"name": "stop", "arguments": {}}]',
        [STOP],
    ),
    "phi 4 mini": (
        ("tools", "<|tool|>"),
        '<|tool_call|>[{"name": "stop", "arguments": {}}]<|/tool_call|>',
        [STOP],
    ),
    "phi 4 mini's other way": (
        ("tools", "<|tool|>"),
        'functools[{"name": "stop", "arguments": {}}]',
        [STOP],
    ),
    "llama": (
        ("tools", '"parameters": '),
        '{"name": "get_weather", "parameters": {"city": "Brno"}}; {"name": "stop"}',
        [BRNO, STOP],
    ),
    "llama with a tag": (
        ("tools", "<|python_tag|>"),
        '<|python_tag|>{"type": "function", "name": "stop", "parameters": {}}',
        [STOP],
    ),
    "unknown template": (
        ("tools",),
        ' {"name": "get_weather", "arguments": {"city": "Brno"}}\n',
        [BRNO],
    ),
    "mistral's list": (
        ("tools", "[TOOL_CALLS] "),
        '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Brno"}, "id": "a1b2c3d4e"}]',
        [BRNO],
    ),
    "mistral's names": (
        ("tools", "[TOOL_CALLS]", "[ARGS]"),
        'So.[TOOL_CALLS]get_weather[CALL_ID]a1b2c3d4e[ARGS]{"city": "Brno"}'
        "[TOOL_CALLS]stop[ARGS]{}",
        ["So.", BRNO, STOP],
    ),
    "deepseek r1": (
        ("tools", "<｜tool▁calls▁begin｜>", "```json"),
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n"
        '```json\n{"city": "Brno"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function'
        "<｜tool▁sep｜>stop\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        [BRNO, STOP],
    ),
    "deepseek 3.1": (
        ("tools", "<｜tool▁calls▁begin｜>"),
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Brno"}'
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        [BRNO],
    ),
    "kimi k2": (
        ("tools", "<|tool_calls_section_begin|>"),
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
        '<|tool_call_argument_begin|>{"city": "Brno"}<|tool_call_end|><|tool_call_begin|>'
        "functions.stop:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
        "<|tool_calls_section_end|>",
        [BRNO, STOP],
    ),
    "solar": (
        ("tools", "<|tool_call:begin|>"),
        "<|tool_calls|><|tool_call:begin|>c1<|tool_call:name|>stop<|tool_call:args|>{}"
        "<|tool_call:end|>",
        [STOP],
    ),
    "functionary": (
        ("tools", "<function="),
        '<function=get_weather>{"city": "Brno"}</function><function=stop>{}</function>',
        [BRNO, STOP],
    ),
    "qwen 3 coder": (
        ("tools", "<function=", "<parameter="),
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nBr\nno\n</parameter>\n"
        "<parameter=days>\n3\n</parameter>\n<parameter=flags>\n[true]\n</parameter>\n"
        "</function>\n</tool_call>\n<tool_call>\n<function=stop>\n</function>\n</tool_call>",
        [("get_weather", {"city": "Br\nno", "days": 3, "flags": [True]}), STOP],
    ),
    "qwen 3 coder without its marker": (
        ("tools", "<function=", "<parameter="),
        "Now <function=get_weather><parameter=city>12</parameter></function></tool_call>",
        ["Now", ("get_weather", {"city": "12"})],
    ),
    "seed": (
        ("tools", "<seed:tool_call>"),
        "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Brno</parameter>\n"
        "</function>\n</seed:tool_call>",
        [BRNO],
    ),
    "glm": (
        ("tools", "<arg_key>"),
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Brno</arg_value>\n"
        "</tool_call><tool_call>stop</tool_call>",
        [BRNO, STOP],
    ),
    "gemma 4": (
        ("tools", "<|tool_call>", "call:"),
        '<|tool_call>call:get_weather{city:<|"|>a "b", {c}<|"|>,flags:[true,false],x:{y:-1.5,'
        "z:[]}}<tool_call|><|tool_call>call:stop{}<tool_call|>",
        [
            (
                "get_weather",
                {"city": 'a "b", {c}', "flags": [True, False], "x": {"y": -1.5, "z": []}},
            ),
            STOP,
        ],
    ),
    "gpt-oss": (
        ("tools", "<|channel|>", "<|message|>"),
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary"
        "<|message|>I look.<|end|><|start|>assistant<|channel|>commentary "
        'to=functions.get_weather <|constrain|>json<|message|>{"city": "Brno"}<|call|>',
        [("thinks", "Hm."), "I look.", BRNO],
    ),
    "gpt-oss, function first": (
        ("tools", "<|channel|>", "<|message|>"),
        ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Brno"}',
        [BRNO],
    ),
    "gpt-oss, text": (
        ("tools", "<|channel|>", "<|message|>"),
        "<|channel|>final<|message|>Hello.<|return|>",
        ["Hello."],
    ),
}


@pytest.mark.parametrize("family", ANSWERS)
def test_calls_are_read(family: str) -> None:
    texts, answer, expected = ANSWERS[family]
    assert shown(read_all(format_of(*texts), answer)) == expected


@pytest.mark.parametrize("family", ANSWERS)
def test_without_tools_calls_are_text(family: str) -> None:
    texts, answer, _ = ANSWERS[family]
    if "<|channel|>" in texts:
        return  # headings of channels are never text
    assert shown(read_all(format_of(*texts), answer, tool_choice="none")) == [answer]


@pytest.mark.parametrize("family", ANSWERS)
def test_one_call_at_most_where_that_is_asked_for(family: str) -> None:
    texts, answer, expected = ANSWERS[family]
    calls = [each for each in expected if isinstance(each, tuple) and each[0] != "thinks"]
    events = shown(read_all(format_of(*texts), answer, parallel_tool_calls=False))
    assert [each for each in events if each in calls] == calls[:1]


@pytest.mark.parametrize("family", ANSWERS)
@settings(deadline=None)
@given(data=st.data())
def test_pieces_do_not_matter(family: str, data: st.DataObject) -> None:
    texts, answer, _ = ANSWERS[family]
    # Some of it repeated, left out or torn: still, only the text counts.
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(answer))] * 2)))
    answer = data.draw(st.sampled_from([answer, answer[:end], answer[begin:], answer + answer]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=12)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    form = format_of(*texts)
    assert read(parser_of(form), pieces) == read(parser_of(form), [answer])


LOOKALIKES = {
    "unknown function": '<tool_call>{"name": "rm", "arguments": {}}</tool_call>',
    "no name": '<tool_call>{"arguments": {}}</tool_call>',
    "no object": "<tool_call>3</tool_call>",
    "arguments are a list": '<tool_call>{"name": "stop", "arguments": [1]}</tool_call>',
    "arguments are other text": '<tool_call>{"name": "stop", "arguments": "now"}</tool_call>',
    "broken JSON": '<tool_call>{"name": "stop", "arguments": {"a": tru}}</tool_call>',
    "unfinished": '<tool_call>{"name": "stop", "arguments": {"a": "',
    "a number as a name": '<tool_call>{"name": 3, "arguments": {}}</tool_call>',
    "only a marker": "Write <tool_call> and then",
    "half a marker": "Write <tool_ca",
    "a long name": '<tool_call>{"name": "' + "x" * 300,
    "nested": '<tool_call>{"name": "stop", "arguments": ' + '{"a":' * 70,
}


@pytest.mark.parametrize("case", LOOKALIKES)
def test_what_only_looks_like_a_call_is_text(case: str) -> None:
    text = LOOKALIKES[case]
    for texts in (("tools", "<tool_call>{"), ("tools",), ("tools", "<function=", "<parameter=")):
        assert read_all(format_of(*texts), text) == [TextPiece(text)]


def test_a_call_behind_a_false_one_is_found() -> None:
    false, true = '<tool_call>{"name": "rm"}</tool_call>', '<tool_call>{"name": "stop"}</tool_call>'
    events = shown(read_all(format_of("tools", "<tool_call>{"), f"{false} {true}"))
    assert events == [false, STOP]


@settings(deadline=None)
@given(st.text(alphabet='<tool_ca>/{}[]":, \n\\name0stop', max_size=200))
def test_no_text_is_lost_and_nothing_raises(text: str) -> None:
    for texts in (("tools", "<tool_call>{"), ("tools", "<arg_key>"), ("tools",)):
        events = read(parser_of(format_of(*texts)), list(text))
        if all(isinstance(event, TextPiece) for event in events):
            assert "".join(event.text for event in events if isinstance(event, TextPiece)) == text
