"""`pyllm chat` against servers of every temper."""

from __future__ import annotations

import io
import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from pyllm.cli.main import main
from tests.pyllm.cli.pseudo_terminal import PseudoTerminal
from tests.pyllm.cli.scripted_server import (
    DONE,
    ScriptedServer,
    Step,
    answer,
    chunk,
    event,
    model_list,
    refusal,
    says,
    stream,
)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No prompt is piped in, no key or proxy is around."""
    monkeypatch.setattr(sys, "stdin", None)
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited for a busy server, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr("pyllm.cli.chat_server.sleep", waited.append)
    return waited


def chat(server: ScriptedServer, *typed: str) -> int:
    return main(["chat", "--url", server.url, *typed])


def failure(step: Step, capsys: Any, *typed: str, models: Step | None = None) -> tuple[int, str]:
    """Exit code and error line of a chat with a server that answers with `step`."""
    with ScriptedServer(step, models=models) as server:
        code = chat(server, *(typed or ("--model", "tiny", "hi")))
    err = capsys.readouterr().err
    *_, line = err.splitlines()
    assert line.startswith("pyllm: error: ")
    return code, line.removeprefix("pyllm: error: ")


def test_one_shot(capsys: Any) -> None:
    with ScriptedServer(says("Hel", "lo")) as server:
        assert chat(server, "say", "hello") == 0
    assert capsys.readouterr() == ("Hello\n", "")
    models, question = server.asked
    assert (models.path, question.path) == ("/v1/models", "/v1/chat/completions")
    assert question.body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "say hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert "authorization" not in question.headers


def test_what_is_asked_for_is_sent_and_nothing_else(capsys: Any) -> None:
    schema = {"type": "object"}
    with ScriptedServer(says("{}")) as server:
        flags = "--model large -n 5 --temp 0.5 --top-k 7 --stop a --stop b -l 7-5,8-inf --seed 1"
        more = [
            "-sys",
            "be brief",
            "--json-schema",
            json.dumps(schema),
            "--reasoning-effort",
            "low",
        ]
        assert chat(server, *flags.split(), *more, "-p", "hi") == 0
    (body,) = server.questions
    assert len(server.asked) == 1  # the model was named, so none had to be looked up
    form = {"name": "answer", "schema": schema, "strict": True}
    assert body == {
        "model": "large",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "temperature": 0.5,
        "top_k": 7,
        "stop": ["a", "b"],
        "logit_bias": {"7": -5.0, "8": -100.0},
        "seed": 1,
        "response_format": {"type": "json_schema", "json_schema": form},
        "reasoning_effort": "low",
    }


def test_text_piped_in_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("tëxt".encode())))
    with ScriptedServer(says("ok")) as server:
        assert chat(server, "summarize") == 0
    assert server.questions[0]["messages"][0]["content"] == "tëxt summarize"


@pytest.mark.parametrize("name", ["PYLLM_API_KEY", "OPENAI_API_KEY"])
def test_the_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "sk-env")
    with ScriptedServer(says("ok")) as server:
        chat(server, "hi")
        chat(server, "--api-key", "sk-typed", "hi")
    sent = [asked.headers["authorization"] for asked in server.asked]
    assert sent == ["Bearer sk-env"] * 2 + ["Bearer sk-typed"] * 2


def test_a_key_that_is_none(capsys: Any) -> None:
    assert main(["chat", "--api-key", "sk\nX-Evil: 1", "hi"]) == 2
    err = capsys.readouterr().err
    assert err == "pyllm: error: the API key has a space or a character that no key has\n"


def test_verbose_tells_times_and_tokens(capsys: Any) -> None:
    with ScriptedServer(says("a", "b")) as server:
        chat(server, "--verbose", "hi")
    err = capsys.readouterr().err
    assert err.startswith("pyllm: note: the model is tiny (one of 2; /model lists them)\n")
    lines = dict(line.split(":", 1) for line in err.splitlines()[2:])
    assert {name: value.strip() for name, value in lines.items() if "tokens" in name} == {
        "prompt tokens": "12",
        "completion tokens": "3",
    }
    assert lines["cached of them"].strip() == "8"
    assert lines["reasoning of them"].strip() == "1"
    assert lines["time to first token"].strip().endswith("s")
    assert lines["generation rate"].strip().endswith("tokens/s")


def test_a_server_that_counts_no_tokens(capsys: Any) -> None:
    with ScriptedServer(stream(chunk(content="a"), chunk("stop"), DONE)) as server:
        chat(server, "--verbose", "hi")
    assert "tokens:               not told by the server\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_stays_out_of_the_answer(name: str, capsys: Any) -> None:
    step = stream(
        chunk(**{name: "hm, "}), chunk(**{name: "so"}), chunk("stop", content="yes"), DONE
    )
    with ScriptedServer(step) as server:
        chat(server, "hi")
    assert capsys.readouterr() == ("yes\n", "hm, so\n")


def test_reasoning_that_is_sent_under_both_names_is_shown_once(capsys: Any) -> None:
    step = stream(chunk(reasoning="hm", reasoning_content="hm"), chunk("stop", content="a"), DONE)
    with ScriptedServer(step) as server:
        chat(server, "hi")
    assert capsys.readouterr() == ("a\n", "hm\n")


def test_tool_calls_are_told_and_not_run(capsys: Any) -> None:
    def part(**function: str) -> dict[str, Any]:
        return {"index": 0, "function": function}

    step = stream(
        chunk(tool_calls=[part(name="rm", arguments="")]),
        chunk(tool_calls=[part(arguments='{"path": ')]),
        chunk("tool_calls", tool_calls=[part(arguments='"\x1b[2J\n/"}')]),
        DONE,
    )
    with ScriptedServer(step) as server:
        assert chat(server, "hi") == 0
    shown = 'rm({"path": "\\x1b[2J\\n/"})'
    assert capsys.readouterr() == (
        "",
        f"(the model asks for a tool, which is not run: {shown})\n",
    )


def test_a_cut_answer_is_noted(capsys: Any) -> None:
    with ScriptedServer(says("a", finish_reason="length")) as server:
        chat(server, "hi")
        assert "it reached the server's limit of tokens" in capsys.readouterr().err
        chat(server, "-n", "3", "hi")
        assert capsys.readouterr().err == ""
        chat(server, "-n", "3", "-j", "{}", "hi")
        assert "it reached the limit of 3 tokens" in capsys.readouterr().err
    with ScriptedServer(says("a", finish_reason="content_filter")) as server:
        chat(server, "hi")
    assert "the server's filter stopped it" in capsys.readouterr().err


def test_a_server_that_does_not_stream(capsys: Any) -> None:
    document = {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}
    with ScriptedServer(answer(200, json.dumps(document).encode())) as server:
        assert chat(server, "hi") == 0
    assert capsys.readouterr().out == "whole\n"


def test_a_stream_without_done_that_says_how_it_ended(capsys: Any) -> None:
    with ScriptedServer(stream(chunk("stop", content="all"))) as server:
        assert chat(server, "hi") == 0
    assert capsys.readouterr().out == "all\n"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (stream(chunk(content="par")), "the server's stream ended in the middle of the answer"),
        (
            stream(chunk(content="par"), cut=True),
            "the connection broke in the middle of the answer",
        ),
        (
            stream(chunk(content="par"), b'data: {"choi'),
            "the server sent what is no JSON object: '{\"choi'",
        ),
        (
            stream(chunk(content="par"), event({"error": {"message": "out of\x1b[2J memory"}})),
            "the server failed: out of\\x1b[2J memory",
        ),
        (stream(b"data: [1]\n\n"), "the server sent what is no JSON object: '[1]'"),
        (stream(b"data: " + b"[" * 5000 + b"\n\n"), "the server sent what is no JSON object: "),
        (answer(200, b"<html>", "text/html"), "sends text/html where events are due"),
        (answer(200, b"{}"), "the server's answer has no choices"),
        (refusal(500, "bug"), "the server answers 500 Internal Server Error: bug; the server's"),
        (refusal(503, "loading"), "the server answers 503 Service Unavailable: loading; "),
    ],
)
def test_a_server_that_fails(step: Step, message: str, capsys: Any) -> None:
    code, line = failure(step, capsys)
    assert code == 1
    assert message in line


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            refusal(401, "bad key"),
            "the server answers 401 Unauthorized: bad key; give a key with --api-key or "
            "PYLLM_API_KEY",
        ),
        (
            refusal(404, "no model tiny"),
            "the server answers 404 Not Found: no model tiny; it has: small, big",
        ),
        (
            refusal(400, "top_k: must be -1 or more."),
            "the server answers 400 Bad Request: top_k: must be -1 or more",
        ),
        (
            refusal(404, "no model tiny; there are: small, big"),
            "no model tiny; there are: small, big; name one of them with --model",
        ),
        (answer(404, b'{"detail": "Not Found"}'), "404 Not Found; is the address right?"),
        (answer(404, b"<html>no"), "the server answers 404 Not Found; is the address right?"),
        (answer(422, b'{"detail": [{"loc": ["body", "n"], "msg": "too big"}]}'), ": body.n: too "),
        (answer(400, b'{"error": "plain\x1b[31m"}'), "400 Bad Request"),
        (answer(400, b"a\x1b]0;title\x07\nb"), ": a\\x1b]0;title\\x07 b"),
        (
            answer(308, b"", Location="https://there.example/v1/chat/completions"),
            "the server sends us on to https://there.example/v1; give that with --url",
        ),
    ],
)
def test_a_server_that_refuses(step: Step, message: str, capsys: Any) -> None:
    code, line = failure(step, capsys, models=model_list(["small", "big"]))
    assert code == 2
    assert message in line
    assert "\x1b" not in line


def test_a_message_without_end_is_cut(capsys: Any) -> None:
    _, line = failure(refusal(400, "x" * 60_000), capsys)
    assert "xxx…" in line
    assert len(line) < 700
    _, line = failure(refusal(400, "x" * 10**6), capsys)
    assert line == "the server answers 400 Bad Request"


def test_a_redirect_is_not_followed(capsys: Any) -> None:
    with ScriptedServer(says("never")) as other:
        step = answer(307, b"", Location=f"{other.url}/chat/completions")
        code, _ = failure(step, capsys, "--model", "tiny", "--api-key", "sk-secret", "hi")
    assert code == 2
    assert other.asked == []


def test_a_busy_server_is_waited_for(waits: list[float], capsys: Any) -> None:
    busy = refusal(429, "slow down", retry_after="7")
    starting = refusal(503, "loading", retry_after="2")
    with ScriptedServer(busy, starting, refusal(429, "again"), says("ok")) as server:
        assert chat(server, "--model", "tiny", "hi") == 0
    assert waits == [7, 2, 4]
    out, err = capsys.readouterr()
    assert out == "ok\n"
    assert err.splitlines()[0] == (
        "pyllm: note: the server is busy (429); trying again in 7 s (1 of 3; Ctrl-C gives up)"
    )


def test_patience_has_an_end(waits: list[float], capsys: Any) -> None:
    code, line = failure(refusal(429, "slow down", retry_after="1"), capsys)
    assert (code, waits) == (1, [1, 1, 1])
    assert line == "the server answers 429 Too Many Requests: slow down; try again later"
    failure(refusal(429, "tomorrow", retry_after="90000"), capsys)
    failure(refusal(429, "x"), capsys, "--max-retries", "0", "--model", "tiny", "hi")
    assert len(waits) == 3


def test_no_server(capsys: Any) -> None:
    with socket.socket() as taken:  # bound and not listening: a connection is refused
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert main(["chat", "--url", f"127.0.0.1:{port}", "hi"]) == 1
    address = f"http://127.0.0.1:{port}"
    start = f"start one with: pyllm serve MODEL --port {port}"
    assert capsys.readouterr().err == f"pyllm: error: no server answers at {address}; {start}\n"


def test_a_silent_server(capsys: Any) -> None:
    release = threading.Event()

    def silent(_: BaseHTTPRequestHandler) -> None:
        release.wait(20)

    with ScriptedServer(silent) as server:
        assert chat(server, "--model", "tiny", "--timeout", "0.05", "hi") == 1
        release.set()
    assert "the server sent nothing for 0.05 s; --timeout allows more" in capsys.readouterr().err


def test_a_server_without_models(capsys: Any) -> None:
    code, line = failure(says("x"), capsys, "hi", models=model_list([]))
    assert code == 1
    assert "the server has no models" in line
    code, line = failure(says("x"), capsys, "hi", models=answer(200, b'{"data": 1}'))
    assert "is no list of models" in line


def test_a_key_from_the_environment_is_not_sent_where_others_can_read_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from pyllm.cli.chat import _key

    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert _key("http://example.com/v1", None) is None
    assert "OPENAI_API_KEY is not sent over http" in capsys.readouterr().err
    assert _key("http://example.com/v1", "sk-typed") == "sk-typed"
    assert "note: the key is sent over http" in capsys.readouterr().err
    assert _key("https://example.com/v1", None) == "sk-env"
    assert _key("http://localhost:8000/v1", None) == "sk-env"
    assert capsys.readouterr().err == ""


def terminal(server: ScriptedServer, tmp_path: Path, *typed: str) -> PseudoTerminal:
    return PseudoTerminal(["chat", "--url", server.url, *typed], XDG_STATE_HOME=str(tmp_path))


def test_a_chat_in_a_terminal(tmp_path: Path) -> None:
    with (
        ScriptedServer(
            stream(chunk(reasoning="hm\x1b[2J"), chunk("stop", content="\x1b]0;t\x07hi"), DONE),
            says("again"),
        ) as server,
        terminal(server, tmp_path) as screen,
    ):
        screen.wait_for("note: the model is tiny (one of 2; /model lists them)")
        screen.wait_for(">>> ")
        screen.type("hello\r")
        screen.wait_for("\x1b[2mhm\\x1b[2J\x1b[0m\r\n")
        screen.wait_for("\\x1b]0;t\\x07hi\r\n")
        screen.wait_for(">>> ")
        screen.type("/model large\r")
        screen.wait_for("The model is large now.")
        screen.wait_for(">>> ")
        screen.type('"""two\r')
        screen.wait_for("...")
        screen.type('lines"""\r')
        screen.wait_for("again\r\n")
        screen.wait_for(">>> ")
        screen.type("/bye\r")
        assert screen.exit_code() == 0
    first, second = server.questions
    assert [first["model"], second["model"]] == ["tiny", "large"]
    assert second["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "\x1b]0;t\x07hi"},
        {"role": "user", "content": "two\nlines"},
    ]


class Endless:
    """Writes until the client leaves, and tells when that happens."""

    def __init__(self, *, begins: bool = True) -> None:
        self.left = threading.Event()
        self._begins = begins

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        if self._begins:
            stream(chunk(content="aaa"), cut=True)(handler)
        handler.connection.settimeout(20)
        if handler.connection.recv(1) == b"":  # the client says nothing more, it can only leave
            self.left.set()
        handler.close_connection = True


@pytest.mark.parametrize("begins", [True, False])
def test_interrupt_stops_the_answer_and_the_stream_not_the_chat(
    begins: bool, tmp_path: Path
) -> None:
    endless = Endless(begins=begins)
    with (
        ScriptedServer(endless, says("done")) as server,
        terminal(server, tmp_path, "--model", "tiny", "--no-history") as screen,
    ):
        screen.wait_for(">>> ")
        screen.type("go on\r")
        if begins:
            screen.wait_for("aaa")
        else:
            while not server.questions:
                threading.Event().wait(0.01)
        screen.type("\x03\x03\x03")
        screen.wait_for("(stopped)")
        assert endless.left.wait(20)
        screen.wait_for(">>> ")
        screen.type("more\r")
        screen.wait_for("done\r\n")
        screen.wait_for(">>> ")
        screen.type("\x04")
        assert screen.exit_code() == 0
    before = [
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": "aaa"},
    ]
    question = {"role": "user", "content": "more"}
    assert server.questions[1]["messages"] == [*(before if begins else []), question]


def test_interrupt_of_one_answer_ends_the_program(tmp_path: Path) -> None:
    endless = Endless()
    with ScriptedServer(endless) as server, terminal(server, tmp_path, "go on") as screen:
        screen.wait_for("aaa")
        screen.type("\x03")
        assert screen.exit_code() == 130
        assert endless.left.wait(20)
