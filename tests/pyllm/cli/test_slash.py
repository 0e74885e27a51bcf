"""The /commands of the chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.session import Session
from pyllm.cli.slash import ChatState, execute
from tests.pyllm.cli.fake_llm import FakeLLM
from tests.pyllm.cli.tiny_model import write_tiny_model

ENGINE = {"num_threads": None, "max_model_len": None, "max_num_batched_tokens": 512}


@pytest.fixture
def state(fake_llm: FakeLLM) -> ChatState:
    return ChatState(Session(Path("m.gguf"), ENGINE, {"top_k": 40}, loader=fake_llm.load))


@pytest.mark.parametrize(
    ("typed", "field", "value"),
    [
        ("temperature 0.5", "temperature", 0.5),
        ("num_predict 32", "max_tokens", 32),
        ("num_predict -1", "max_tokens", None),
        ("repeat_penalty 1.1", "repetition_penalty", 1.1),
        ("seed 42", "seed", 42),
        ('stop "</s>"', "stop", ["</s>"]),
    ],
)
def test_parameters_of_an_answer(state: ChatState, typed: str, field: str, value: object) -> None:
    assert execute(state, f"/set parameter {typed}")
    assert state.session.sampling[field] == value


def test_parameters_of_the_engine_load_again(state: ChatState, fake_llm: FakeLLM) -> None:
    execute(state, "/set parameter num_ctx 4K")
    assert fake_llm.loads[-1] == (Path("m.gguf"), {**ENGINE, "max_model_len": 4096})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/set parameter top_p 2", "top_p: 2 is out of range; allowed: more than 0 to 1"),
        ("/set parameter heat 2", "unknown parameter 'heat'"),
        ("/set sytem x", "unknown setting 'sytem'"),
        ("/show me", "unknown subject 'me'"),
        ("/load", "/load needs a model"),
        ("/load nowhere.gguf", "no such file"),
        ("/claer", "unknown command '/claer'; did you mean /clear?"),
        ("/sett x", "unknown command '/sett'; did you mean /set?"),
    ],
)
def test_refusals(state: ChatState, line: str, message: str) -> None:
    with pytest.raises(CommandLineError) as error:
        execute(state, line)
    assert str(error.value).startswith(message)


def test_system_message(state: ChatState, capsys: pytest.CaptureFixture[str]) -> None:
    execute(state, "/set system be brief")
    execute(state, "/show system")
    assert state.session.system == "be brief"
    assert capsys.readouterr().out == "Set the system message.\nbe brief\n"
    execute(state, "/set system")
    assert state.session.system is None


def test_switches(state: ChatState) -> None:
    switched: list[bool] = []
    state.set_history = switched.append
    for line in ("/set verbose", "/set nohistory", "/set history"):
        execute(state, line)
    assert (state.verbose, switched) == (True, [False, True])
    execute(state, "/set quiet")
    assert not state.verbose


def test_clear_keeps_the_system_message(state: ChatState) -> None:
    state.session.system = "be brief"
    state.session.messages.append({"role": "user", "content": "hi"})
    execute(state, "/clear")
    assert (state.session.messages, state.session.system) == ([], "be brief")


def test_load(state: ChatState, fake_llm: FakeLLM, tmp_path: Path) -> None:
    (tmp_path / "new.gguf").touch()
    execute(state, f"/load {tmp_path}")
    assert fake_llm.loads[-1][0] == tmp_path / "new.gguf"


def test_show(state: ChatState, fake_llm: FakeLLM, capsys: pytest.CaptureFixture[str]) -> None:
    execute(state, "/show template")
    execute(state, "/show parameters")
    fake_llm.tokenizer.chat_template = "\x1b[2J"
    execute(state, "/show template")
    out = capsys.readouterr().out
    assert out.startswith("a template\n")
    assert "top_k                    40" in out
    assert out.endswith("\\x1b[2J\n")


def test_show_info(state: ChatState, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.session.load(write_tiny_model(tmp_path / "m.gguf"))
    execute(state, "/show info")
    assert "llama" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["/?", "/help", "/set", "/show", "/? shortcuts", "/set parameter"])
def test_help(state: ChatState, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(state, line)
    out = capsys.readouterr().out
    assert out.count("\n") >= 4


def test_help_names_what_there_is(state: ChatState, capsys: pytest.CaptureFixture[str]) -> None:
    execute(state, "/?")
    execute(state, "/set parameter")
    out = capsys.readouterr().out
    assert all(word in out for word in ("/load", '"""', "num_ctx", "temperature"))
