"""The corpus: the same seed writes the same text, every family's own answers are right."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from models.demo.corpus.case import Check
from models.demo.corpus.chat_format import segments
from models.demo.corpus.documents import documents
from models.demo.corpus.draw import Draw, is_reserved
from models.demo.corpus.families import FAMILIES, make_case
from models.demo.corpus.phrase import expansions, parse
from models.demo.corpus.words import HELD_OUT_NAMES, NAMES
from models.demo.evaluate import held_out_cases


def test_the_same_seed_writes_the_same_documents() -> None:
    assert list(documents(7, 3, 200)) == list(documents(7, 3, 200))


@pytest.mark.parametrize("other", [(8, 3), (7, 4)], ids=["seed", "shard"])
def test_another_seed_or_shard_writes_others(other: tuple[int, int]) -> None:
    assert list(documents(7, 3, 50)) != list(documents(*other, 50))


@pytest.mark.parametrize("held_out", [False, True], ids=["train", "held-out"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_answer_is_right_and_every_turn_is_text(family: str, held_out: bool) -> None:
    draw = Draw("test", held_out=held_out)
    for _ in range(200):
        case = make_case(draw, family)
        roles = [message["role"] for message in case.messages]
        assert roles[-1] == "assistant"
        assert roles[-2] in ("user", "tool")
        assert all(message["content"] for message in case.messages)
        assert not any("{" in m["content"] and "|" in m["content"] for m in case.messages)
        assert case.family == family
        assert case.check.accepts(case.messages[-1]["content"])
        json.dumps(case.tools)


def test_evaluation_has_a_thousand_cases_that_no_other_number_changes() -> None:
    cases = held_out_cases(60)
    assert len(cases) >= 1000
    assert cases[:60] == held_out_cases(60)[:60]


def test_training_text_lacks_the_held_out_names() -> None:
    assert not set(NAMES) & set(HELD_OUT_NAMES)
    draw = Draw("names")
    assert not {draw.name() for _ in range(5000)} & set(HELD_OUT_NAMES)


def test_training_and_evaluation_pairs_are_disjoint() -> None:
    for held_out in (False, True):
        draw = Draw("pairs", held_out=held_out)
        pairs = [draw.pair(0, 999) for _ in range(1000)]
        assert all(is_reserved(a, b) == held_out for a, b in pairs if max(a, b) > 20)


def test_only_the_assistant_is_learned() -> None:
    for document in islice(documents(7, 0, 300), 300):
        for text, learn in document:
            assert learn == (not text.startswith("<|"))
            assert text.endswith("<|end|>") or text == "<|assistant|>"


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (Check("exact", ("a", "b")), "b", "c"),
        (Check("json", ('{"a": 1}',)), '{ "a":1 }', '{"a": 2}'),
        (Check("json", ('{"a": 1}',)), '{"a": 1}', '{"a": 1'),
        (Check("tool", ('{"a": 1}',)), '<tool_call>{"a": 1}</tool_call>', '{"a": 1}'),
        (Check("words", ("Sea",)), "the sea", "the lake"),
        (Check("prose", ("fox",)), "A fox ran. It slept.", "A fox ran. A fox ran."),
        (Check("prose", ("fox",)), "A fox ran. It slept.", "A fox ran. It sle"),
    ],
)
def test_checks(check: Check, right: str, wrong: str) -> None:
    assert check.accepts(right)
    assert not check.accepts(wrong)


def test_phrases_expand_to_every_choice() -> None:
    assert expansions("{a|b{c|d}} <x>", {"x": "<y>"}) == ("a <y>", "bc <y>", "bd <y>")


def test_an_open_brace_is_an_error() -> None:
    with pytest.raises(ValueError, match="brace"):
        parse("{a|b")


def test_tools_are_listed_one_a_line_behind_the_instructions() -> None:
    draw = Draw("tools")
    case = next(c for c in (make_case(draw, "tools") for _ in range(99)) if len(c.tools) > 1)
    text, learn = segments(case)[0]
    assert text.startswith("<|system|>")
    assert not learn
    listed = text.removesuffix("<|end|>").partition("Tools:\n")[2].split("\n")
    assert [json.loads(line) for line in listed] == [tool["function"] for tool in case.tools]
