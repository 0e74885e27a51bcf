from __future__ import annotations

import pytest

from pyllm.server.answer_parts import AnswerParts, PartEnd, PartPiece, PartStart, Step
from pyllm.server.errors import ApiError
from pyllm.server.events import CallStart, ChoiceEnd, Event, Text
from tests.pyllm.server.parts_support import CUT, TEXT, THOUGHT_AND_CALLS, USAGE


def read(events: list[Event]) -> tuple[AnswerParts, list[Step]]:
    answer = AnswerParts()
    return answer, [step for event in events for step in answer.read(event)]


def shape(steps: list[Step]) -> list[str]:
    names = {PartStart: "start", PartPiece: "piece", PartEnd: "end"}
    return [f"{names[type(step)]} {step.part.number}" for step in steps]


def test_pieces_of_one_kind_are_one_part() -> None:
    answer, steps = read(TEXT)
    assert shape(steps) == ["start 0", "piece 0", "piece 0", "end 0"]
    assert [(part.kind, part.text) for part in answer.parts] == [("text", "Hello")]
    assert answer.usage is USAGE


def test_another_kind_and_every_call_begins_a_part() -> None:
    answer, steps = read(THOUGHT_AND_CALLS)
    assert [part.kind for part in answer.parts] == ["reasoning", "text", "call", "call"]
    assert answer.parts[2].text == '{"city": "Oslo"}'
    assert (answer.parts[3].call_id, answer.parts[3].name) == ("call_b", "now")
    # Each part is over before the next begins.
    opened: list[int] = []
    for step in steps:
        if isinstance(step, PartStart):
            assert not opened
            opened.append(step.part.number)
        elif isinstance(step, PartEnd):
            assert opened.pop() == step.part.number
    assert not opened


def test_a_call_without_arguments_is_a_part_too() -> None:
    _, steps = read([CallStart(0, 0, "a", "now"), ChoiceEnd(0, "tool_calls", None)])
    assert shape(steps) == ["start 0", "end 0"]


def test_only_a_limit_leaves_the_last_part_unfinished() -> None:
    for events, whole in ((TEXT, True), (CUT, False), (THOUGHT_AND_CALLS, True)):
        last = read(events)[1][-1]
        assert isinstance(last, PartEnd)
        assert last.whole is whole


def test_an_answer_that_fails_is_an_error() -> None:
    with pytest.raises(ApiError) as caught:
        read([Text(0, "a"), ChoiceEnd(0, "error", "nonfinite_logits")])
    assert caught.value.status_code == 500
