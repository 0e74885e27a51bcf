"""The /commands of a chat with a server."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import pytest

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.chat_conversation import Conversation
from pyllm.cli.chat_slash import ServerChat


class FakeServer:
    url = "http://127.0.0.1:8000/v1"

    def models(self) -> list[str]:
        return ["tiny", "la\x1brge"]

    def stream(self, body: Mapping[str, Any]) -> Generator[Mapping[str, Any], None, None]:
        yield {"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}


@pytest.fixture
def chat() -> ServerChat:
    return ServerChat(Conversation(FakeServer(), "tiny", {"seed": None}))


def test_models(chat: ServerChat, capsys: Any) -> None:
    assert chat.obey("/model")
    assert capsys.readouterr().out == "* tiny\n  la\\x1brge\n"
    chat.answer("hi")
    chat.obey("/model la\x1brge")
    assert (chat.session.model, len(chat.session.messages)) == ("la\x1brge", 2)
    chat.obey("/load tiny")
    assert (chat.session.model, len(chat.session.messages)) == ("tiny", 0)


def test_settings(chat: ServerChat, capsys: Any) -> None:
    for line in ("/set parameter num_predict 5", '/set parameter stop "x"', "/set system be brief"):
        assert chat.obey(line)
    assert chat.session.sampling == {"seed": None, "max_tokens": 5, "stop": ["x"]}
    assert chat.session.system == "be brief"
    chat.obey("/set verbose")
    assert chat.verbose
    capsys.readouterr()
    chat.obey("/show parameters")
    chat.obey("/show system")
    chat.obey("/show info")
    out = capsys.readouterr().out
    assert "seed                     the server chooses\n" in out
    assert "be brief\n  server  http://127.0.0.1:8000/v1\n  model   tiny\n" in out
    chat.obey("/system")
    chat.obey("/system   be kind")
    assert chat.session.system == "be kind"


def test_clear_and_leave(chat: ServerChat) -> None:
    chat.answer("hi")
    assert chat.obey("/clear")
    assert chat.session.messages == []
    assert not chat.obey("/bye")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/model none", "the server has no model 'none'; /model lists them"),
        ("/load", "/load needs a model"),
        ("/set parameter num_ctx 5", "unknown parameter 'num_ctx'"),
        ("/set parameter top_p 2", "top_p: 2 is out of range"),
        ("/set colour", "unknown setting 'colour'"),
        ("/show me", "unknown subject 'me'"),
        ("/modle", "unknown command '/modle'; did you mean /model?"),
    ],
)
def test_refusals(chat: ServerChat, line: str, message: str) -> None:
    with pytest.raises(CommandLineError) as error:
        chat.obey(line)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("line", ["/?", "/? set", "/? show", "/? shortcuts", "/set", "/show"])
def test_help(chat: ServerChat, line: str, capsys: Any) -> None:
    assert chat.obey(line)
    assert capsys.readouterr().out.count("\n") >= 3
