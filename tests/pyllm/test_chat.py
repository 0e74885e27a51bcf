"""Conversations: one or several, through the model's template or another, with exactly one BOS."""

import pytest

from pyllm.chat import ChatRenderer, as_conversations
from pyllm.errors import RequestError, TemplateError
from tests.pyllm.fake_program import BOS, FakeTokenizer

HELLO = [{"role": "user", "content": "hé"}]


class Tokenizer(FakeTokenizer):
    """Knows "<256>", its BOS token, when special tokens are parsed."""

    def encode(self, text, *, add_special=True, parse_special=False):
        ids = []
        for number, part in enumerate(text.split("<256>") if parse_special else [text]):
            ids += [BOS] * (number > 0) + list(part.encode())
        return [BOS] * add_special + ids


def test_one_conversation_or_several():
    assert as_conversations(HELLO) == [HELLO]
    assert as_conversations([HELLO, HELLO]) == [HELLO, HELLO]


@pytest.mark.parametrize(
    "messages", [[], {}, "hi", None, 5, [[]], ["hi"], [{"content": "no role"}], [HELLO, [{}]]]
)
def test_malformed_conversations_are_refused(messages):
    with pytest.raises(RequestError, match="messages"):
        as_conversations(messages)


def test_the_models_template():
    text, ids = ChatRenderer(Tokenizer()).encode(HELLO)
    assert text == "[user]hé[assistant]"
    assert ids == [BOS, *text.encode()]


def test_options():
    renderer = ChatRenderer(Tokenizer())
    assert renderer.encode(HELLO, add_generation_prompt=False)[0] == "[user]hé"
    template = "{{ mood }} {{ tools[0].name }} {{ eos_token }}"
    text, _ = renderer.encode(
        HELLO, chat_template=template, tools=[{"name": "f"}], chat_template_kwargs={"mood": "calm"}
    )
    assert text == "calm f <257>"


OPEN = [*HELLO, {"role": "assistant", "content": "Well, "}]


def test_the_last_answer_can_be_continued():
    renderer = ChatRenderer(Tokenizer())
    for options in ({}, {"add_generation_prompt": False}):
        text, ids = renderer.encode(OPEN, continue_final_message=True, **options)
        assert text == "[user]hé[assistant]Well, "
        assert ids == [BOS, *text.encode()]
    with pytest.raises(RequestError, match="continue_final_message"):
        renderer.encode(OPEN, continue_final_message=True, add_generation_prompt=True)


CLOSING = "{% for m in messages %}<{{ m.role }}>{{ m.content EDIT }} </s>{% endfor %}"


@pytest.mark.parametrize(
    ("content", "edit", "text"),
    [
        ("Well, ", "", "<user>hé </s><assistant>Well, "),
        ("Well, ", "| trim", "<user>hé </s><assistant>Well,"),
        ("hé", "", "<user>hé </s><assistant>hé"),  # as the question: the last place counts
        ("", "", "<user>hé </s><assistant>"),
        ("<256>, ", "", "<user>hé </s><assistant><256>, "),  # a special token stays text
        (
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b "}],
            "",
            "hé </s><assistant>ab ",
        ),
    ],
)
def test_what_a_template_writes_behind_an_open_answer_is_left_out(content, edit, text):
    messages = [*HELLO, {"role": "assistant", "content": content}]
    template = CLOSING.replace("EDIT", edit)
    found, ids = ChatRenderer(Tokenizer()).encode(
        messages, chat_template=template, continue_final_message=True
    )
    assert found.endswith(text)
    assert ids == [BOS, *found.encode()]


@pytest.mark.parametrize(
    ("last", "error", "message"),
    [
        ({"role": "user", "content": "x"}, RequestError, r"messages\[1\]\.role"),
        ({"role": "assistant", "content": None}, RequestError, r"messages\[1\]\.content"),
        ({"role": "assistant"}, RequestError, r"messages\[1\]\.content"),
        ({"role": "assistant", "content": "x"}, TemplateError, "cannot be continued"),
    ],
)
def test_what_cannot_be_continued(last, error, message):
    with pytest.raises(error, match=message):
        ChatRenderer(Tokenizer()).encode(
            [*HELLO, last],
            chat_template="{{ messages[0].content }}",
            continue_final_message=True,
        )


def test_a_template_that_writes_bos_gets_no_second_one():
    _, ids = ChatRenderer(Tokenizer()).encode(HELLO, chat_template="{{ bos_token }}x")
    assert ids == [BOS, ord("x")]


def test_a_users_special_text_stays_text():
    text, ids = ChatRenderer(Tokenizer()).encode(
        [{"role": "user", "content": "<256>!"}], chat_template="{{ messages[0].content }}"
    )
    assert text == "<256>!"
    assert ids == [BOS, *b"<256>!"]


def test_a_model_without_a_template_says_what_to_do():
    tokenizer = Tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(TemplateError, match="chat_template="):
        ChatRenderer(tokenizer).encode(HELLO)


def test_a_lone_surrogate_is_refused():
    with pytest.raises(RequestError, match=r"messages.*surrogate"):
        ChatRenderer(Tokenizer()).encode([{"role": "user", "content": "\ud800"}])


@pytest.mark.parametrize(
    "options",
    [
        {"chat_template": ["x"]},
        {"chat_template_kwargs": {"tools": []}},
        {"chat_template_kwargs": {"add_generation_prompt": True}},
        {"chat_template_kwargs": {"continue_final_message": True}},
        {"chat_template_kwargs": {1: 2}},
        {"chat_template_kwargs": [1]},
    ],
)
def test_impossible_options_are_refused_by_name(options):
    with pytest.raises(RequestError, match=next(iter(options))):
        ChatRenderer(Tokenizer()).encode(HELLO, **options)


def test_only_so_many_compiled_templates_are_kept():
    renderer = ChatRenderer(Tokenizer())
    for number in range(100):
        assert renderer.encode(HELLO, chat_template=f"t{number}")[0] == f"t{number}"
    assert len(renderer._templates) <= 16


def test_parts_of_text_are_one_text():
    parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "3 + 4?"}]
    renderer = ChatRenderer(FakeTokenizer())
    whole = renderer.encode([{"role": "user", "content": "What is 3 + 4?"}])
    assert renderer.encode([{"role": "user", "content": parts}]) == whole


@pytest.mark.parametrize(
    "part", [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text"}, "words", None]
)
def test_parts_that_are_no_text_are_refused_by_name(part):
    with pytest.raises(RequestError, match=r"messages\[0\]\.content\[0\]"):
        ChatRenderer(FakeTokenizer()).encode([{"role": "user", "content": [part]}])


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(RequestError, match="chat_tempalte"):
        ChatRenderer(FakeTokenizer()).encode([{"role": "user", "content": "x"}], chat_tempalte="")
