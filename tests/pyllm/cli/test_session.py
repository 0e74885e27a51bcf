"""The conversation: what the model is asked and what is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyllm.cli.arguments import parse
from pyllm.cli.commands import RUN
from pyllm.cli.session import Session, load_model
from pyllm.demo import demo_model
from pyllm.errors import PyLLMError
from pyllm.llm import LLM
from pyllm.sampling.order import LLAMA_CPP_ORDER
from tests.pyllm.cli.fake_llm import FakeLLM

ENGINE = {"num_threads": None, "max_model_len": 512}
SAMPLING = {"temperature": 0.0, "max_tokens": None, "seed": None}


def open_session(llm: FakeLLM, **options: Any) -> Session:
    return Session(Path("m.gguf"), ENGINE, SAMPLING, loader=llm.load, **options)


def ask(session: Session, text: str) -> str:
    return "".join(session.answer(text))


def test_a_conversation_grows(fake_llm: FakeLLM) -> None:
    session = open_session(fake_llm, system="be brief")
    assert ask(session, "hi") == "Hello!"
    assert ask(session, "more") == "Hello!"
    prompt, params = fake_llm.asked[1]
    assert prompt == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "more"},
    ]
    assert params.temperature == 0
    assert params.max_tokens is None


def test_each_answer_draws_a_seed_unless_one_is_given(fake_llm: FakeLLM) -> None:
    session = open_session(fake_llm)
    ask(session, "a")
    ask(session, "b")
    seeds = [params.seed for _, params in fake_llm.asked]
    assert None not in seeds
    assert seeds[0] != seeds[1]
    session.sampling["seed"] = 7
    ask(session, "c")
    assert fake_llm.asked[2][1].seed == 7


def test_without_a_template_text_is_completed() -> None:
    llm = FakeLLM(template=None)
    session = open_session(llm)
    ask(session, "Once <s>")
    ask(session, "again")
    # Plain text: special tokens in it stay text, and one completion knows nothing of the other.
    assert [prompt for prompt, _ in llm.asked] == ["Once <s>", "again"]
    assert session.messages == []


def test_raw_means_special_tokens(fake_llm: FakeLLM) -> None:
    session = open_session(fake_llm, raw=True)
    ask(session, "ab")
    assert fake_llm.asked[0][0] == {"prompt_token_ids": [97, 98]}


def test_timings_and_counts(fake_llm: FakeLLM) -> None:
    session = open_session(fake_llm)
    ask(session, "hi")
    first = session.timings
    assert (first.prompt_tokens, first.tokens) == (3, 3)
    assert first.load_s > 0
    assert (session.finish_reason, session.cut) == ("stop", None)
    ask(session, "hi")
    assert session.timings.load_s == 0  # the model was loaded once


def test_a_stopped_answer_stays_in_the_conversation(fake_llm: FakeLLM) -> None:
    session = open_session(fake_llm)
    pieces = session.answer("hi")
    assert next(pieces) == "Hel"
    pieces.close()
    assert fake_llm.streams_ended == 1
    assert session.messages[-1] == {"role": "assistant", "content": "Hel"}


def test_a_question_that_failed_is_forgotten() -> None:
    llm = FakeLLM([PyLLMError("no")])
    session = open_session(llm)
    with pytest.raises(PyLLMError, match="no"):
        ask(session, "hi")
    assert session.messages == []


def test_an_answer_that_broke_off_is_an_error() -> None:
    llm = FakeLLM(["x"])
    llm.finish_reason = "error"
    with pytest.raises(PyLLMError, match="the answer was stopped"):
        ask(open_session(llm), "hi")


def test_loading_another_model_starts_anew(fake_llm: FakeLLM) -> None:
    session = open_session(fake_llm)
    ask(session, "hi")
    session.load(Path("other.gguf"), {"max_model_len": 64})
    assert fake_llm.loads[1] == (Path("other.gguf"), {**ENGINE, "max_model_len": 64})
    assert fake_llm.closed == 1
    assert session.messages == []
    session.close()
    session.close()
    assert fake_llm.closed == 2


def test_a_model_that_does_not_load_leaves_the_old_one(fake_llm: FakeLLM) -> None:
    session = open_session(fake_llm)
    ask(session, "hi")

    def refuse_others(path: Path, engine: Any) -> FakeLLM:
        if path != Path("m.gguf"):
            raise PyLLMError("broken")
        return fake_llm.load(path, engine)

    session._loader = refuse_others
    with pytest.raises(PyLLMError, match="broken"):
        session.load(Path("other.gguf"), {"max_model_len": 64})
    assert (session.path, session.engine) == (Path("m.gguf"), ENGINE)
    assert len(session.messages) == 2
    assert ask(session, "hi") == "Hello!"


def test_samplers_stand_in_the_order_of_llama_cpp_unless_told_otherwise(fake_llm: FakeLLM) -> None:
    session = open_session(fake_llm)
    for wish in ({}, {"samplers": ("top_k",)}, {"mirostat": 2}):
        session.sampling = dict(wish)
        ask(session, "hi")
    assert [p.samplers for _, p in fake_llm.asked] == [LLAMA_CPP_ORDER, ("top_k",), None]


def test_every_engine_flag_reaches_the_model() -> None:
    typed = ["x.gguf", "--kv", "q8_0", "-ctv", "q4_0", "-c", "64", "--spec-type", "none"]
    llm = load_model(demo_model(), parse(RUN, typed, {}).values["engine"])
    assert isinstance(llm, LLM)
    try:
        assert (llm.model.program.kv_pool.k_type, llm.model.max_model_len) == ("q8_0", 64)
        assert llm.engine.speculator is None
    finally:
        llm.close()
