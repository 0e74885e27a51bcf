"""One line for each request, whatever becomes of it, and nobody can forge one."""

import asyncio
import json
import logging
from types import SimpleNamespace

import pytest

from pyllm.server.log_format import StructuredFormatter
from pyllm.server.request_facts import RequestFacts, note_failed, note_finished
from pyllm.server.request_log import RequestLog
from tests.pyllm.server.metrics.stubs import output

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"x"}
MORE = {**BODY, "more_body": True}


def scope_of(**changes):
    return {
        "type": "http", "method": "POST", "path": "/secret/path", "client": ("10.0.0.7", 5000),
        "headers": [], "state": {"request_id": "req-1"}, **changes,
    }  # fmt: skip


class Counts:
    def __init__(self):
        self.answers, self.rejections, self.stalls = [], [], []

    def answered(self, *what):
        self.answers.append(what)

    def rejected(self, code):
        if code is not None:
            self.rejections.append(code)

    def stalled(self, seconds):
        self.stalls.append(seconds)


class Line:
    """What was logged and counted of one request."""

    def __init__(self, app, caplog, log_format="json", **scope):
        counts = Counts()
        log = RequestLog(app, counts)
        caplog.clear()
        caplog.set_level(logging.DEBUG, "pyllm.server.request_log")
        self.error = None
        try:
            asyncio.run(log(scope_of(**scope), None, self._send))
        except BaseException as error:
            self.error = error
        self.counted, self.rejections = counts.answers, counts.rejections
        (self.record,) = caplog.records
        self.text = StructuredFormatter(log_format).format(self.record)
        self.fields = json.loads(self.text) if log_format == "json" else None

    async def _send(self, message):
        pass


def answering(*messages, route="/v1/chat/completions"):
    async def app(scope, receive, send):
        scope["route"] = SimpleNamespace(path=route)
        note_finished("demo", output())
        for message in messages or (START, BODY):
            await send(message)

    return app


def test_a_line_says_what_a_request_was(caplog):
    line = Line(answering(), caplog)
    fields = line.fields
    assert fields.pop("time").endswith("Z")
    assert fields.pop("total_ms") >= 0
    assert fields == {
        "level": "info", "logger": "pyllm.server.request_log", "event": "request",
        "request_id": "req-1", "client": "10.0.0.7", "method": "POST",
        "route": "/v1/chat/completions", "status": 200, "complete": True, "model": "demo",
        "prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 5, "queue_ms": 1000.0,
        "ttft_ms": 3000.0, "finish_reason": "stop",
    }  # fmt: skip
    assert line.counted == [("/v1/chat/completions", 200)]


def test_a_stream_that_fails_is_counted_although_it_said_200(caplog):
    async def failing(scope, receive, send):
        await send(START)
        note_failed("request_timeout")
        await send(BODY)

    line = Line(failing, caplog)
    assert line.rejections == ["request_timeout"]
    assert line.fields["error"] == "request_timeout"
    assert line.fields["status"] == 200


def test_an_answer_that_fails_is_counted_where_it_is_written(caplog):
    async def refusing(scope, receive, send):
        note_failed("queue_full")
        await send({**START, "status": 429})
        await send(BODY)

    line = Line(refusing, caplog)
    assert line.rejections == []
    assert line.fields["error"] == "queue_full"


def test_the_same_as_words(caplog):
    text = Line(answering(), caplog, "text").text
    assert " request_id=req-1 client=10.0.0.7 method=POST route=/v1/chat/completions " in text
    assert " status=200 complete=true model=demo " in text


def test_neither_paths_nor_prompts_are_in_it(caplog):
    line = Line(answering(), caplog, query_string=b"key=geheim")
    assert "secret" not in line.text
    assert "geheim" not in line.text


def test_a_path_without_a_route_has_no_name_of_its_own(caplog):
    async def refuse(scope, receive, send):
        await send({**START, "status": 403})
        await send(BODY)

    line = Line(refuse, caplog)
    assert line.fields["route"] == "unmatched"
    assert line.counted == [("unmatched", 403)]
    assert "model" not in line.fields


def test_a_stream_that_was_cut_is_not_complete(caplog):
    line = Line(answering(START, MORE), caplog)
    assert (line.fields["status"], line.fields["complete"]) == (200, False)
    assert Line(answering(START, MORE, MORE, BODY), caplog).fields["complete"]


def test_a_client_that_left_before_the_answer(caplog):
    async def cancelled(scope, receive, send):
        raise asyncio.CancelledError

    line = Line(cancelled, caplog)
    assert isinstance(line.error, asyncio.CancelledError)
    assert (line.fields["status"], line.fields["complete"]) == (499, False)


@pytest.mark.parametrize(("messages", "status"), [((), 500), ((START,), 200)])
def test_an_application_that_fails(caplog, messages, status):
    async def failing(scope, receive, send):
        for message in messages:
            await send(message)
        raise RuntimeError("a reason")

    line = Line(failing, caplog)
    assert isinstance(line.error, RuntimeError)
    assert line.counted == [("unmatched", status)]
    assert not line.fields["complete"]


@pytest.mark.parametrize("route", ["/health", "/metrics"])
def test_what_machines_ask_all_the_time_is_for_debugging(caplog, route):
    line = Line(answering(route=route), caplog)
    assert line.record.levelno == logging.DEBUG
    assert line.counted == [(route, 200)]


def test_other_kinds_of_connection_pass(caplog):
    async def app(scope, receive, send):
        await send({"type": "lifespan.startup.complete"})

    sent = []

    async def main():
        async def send(message):
            sent.append(message)

        await RequestLog(app, Counts())({"type": "lifespan"}, None, send)

    asyncio.run(main())
    assert sent == [{"type": "lifespan.startup.complete"}]
    assert not caplog.records


def test_requests_side_by_side_keep_their_own_facts(caplog):
    caplog.set_level(logging.INFO, "pyllm.server.request_log")

    async def app(scope, receive, send):
        async def answer():  # as a stream does: in a task of its own
            for _ in range(3):
                await asyncio.sleep(0)
                note_finished(scope["model"], output(num_prompt=scope["size"]))

        await asyncio.create_task(answer())
        await send(START)
        await send(BODY)

    async def main():
        async def send(message):
            pass

        log = RequestLog(app, Counts())
        scopes = [scope_of(model=f"m{size}", size=size) for size in range(1, 9)]
        await asyncio.gather(*(log(scope, None, send) for scope in scopes))

    asyncio.run(main())
    found = {r.fields["model"]: r.fields["prompt_tokens"] for r in caplog.records}
    assert found == {f"m{size}": 3 * size for size in range(1, 9)}


@pytest.mark.parametrize(("seconds", "count"), [(0, 0), (0.03, 2)])
def test_writes_that_wait_for_the_reader_are_counted(seconds, count):
    counts = Counts()

    async def send(message):
        await asyncio.sleep(seconds)

    asyncio.run(RequestLog(answering(), counts)(scope_of(), None, send))
    assert len(counts.stalls) == count
    assert all(stall > 0.01 for stall in counts.stalls)


def test_facts_of_several_prompts():
    facts = RequestFacts()
    facts.add("m", output(reason="stop"))
    facts.add("m", output(reason="error", first_scheduled_time=102.5, first_token_time=102.75))
    facts.add("m", output(reason="length"))
    assert (facts.prompt_tokens, facts.cached_tokens, facts.completion_tokens) == (30, 12, 15)
    assert (facts.queue_s, facts.first_token_s) == (2.5, 2.75)
    assert facts.finish_reason == "error"


def test_outside_of_a_request_nothing_is_noted():
    note_finished("demo", output())
