"""Row 36, inside one process: no new work, what runs is finished, the rest is told."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pyllm.server.dialects import edge_refusal
from pyllm.server.edge.draining import DrainGate, Draining
from pyllm.server.edge.settings import EdgeSettings
from tests.support.asgi_calls import acall, call, make_scope, ok_app
from tests.support.edge_server import (
    RunningServer,
    answer_header,
    get,
    read_answer,
    running_server,
    status,
)


@pytest.fixture
def server():
    with running_server(EdgeSettings(port=0)) as running:
        yield running


def gate(draining: Draining, app=ok_app) -> DrainGate:
    return DrainGate(app, draining, edge_refusal)


def test_new_work_is_refused_and_the_process_stays_visible() -> None:
    draining = Draining(30.0)
    assert call(gate(draining), make_scope(path="/ready")).status == 200
    draining.begin()
    for path in ("/ready", "/v1/chat/completions", "/"):
        answer = call(gate(draining), make_scope(path=path))
        assert answer.status == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert answer.headers["connection"] == "close"
        assert answer.json()["error"]["code"] == "shutting_down"
    for path in ("/health", "/metrics"):
        assert call(gate(draining), make_scope(path=path)).status == 200


def test_a_second_begin_does_not_move_the_deadline() -> None:
    draining = Draining(30.0)
    assert draining.remaining_s == 30.0
    draining.begin()
    before = draining.remaining_s
    draining.begin()
    assert draining.remaining_s <= before


def test_what_is_in_flight_is_counted() -> None:
    draining = Draining(30.0)
    seen: list[int] = []

    async def app(scope, receive, send):
        seen.append(draining.num_in_flight)
        await ok_app(scope, receive, send)

    call(gate(draining, app), make_scope())
    call(gate(draining, app), make_scope(path="/health"))
    assert seen == [1, 0]
    assert draining.num_in_flight == 0


def test_a_cut_answers_those_that_have_not_begun() -> None:
    async def run():
        draining = Draining(0.0)
        cleaned_up = []

        async def app(scope, receive, send):
            try:
                await asyncio.sleep(60)
            finally:
                cleaned_up.append(True)

        request = asyncio.create_task(acall(gate(draining, app), make_scope()))
        await asyncio.sleep(0)
        draining.cut()
        return await request, cleaned_up, draining

    answer, cleaned_up, draining = asyncio.run(run())
    assert answer.status == 503
    assert cleaned_up == [True]
    assert draining.is_cut
    assert draining.is_draining
    assert draining.num_in_flight == 0


def test_a_cancel_of_somebody_else_is_passed_on() -> None:
    async def run() -> None:
        async def app(scope, receive, send):
            await asyncio.sleep(60)

        request = asyncio.create_task(acall(gate(Draining(1.0), app), make_scope()))
        await asyncio.sleep(0)
        request.cancel()
        await request

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_a_stream_can_wait_for_the_cut() -> None:
    async def run() -> bool:
        draining = Draining(1.0)
        waiting = asyncio.create_task(draining.wait_cut())
        await asyncio.sleep(0)
        draining.cut()
        await asyncio.wait_for(waiting, 5)
        return draining.is_cut

    assert asyncio.run(run())


def test_a_request_in_flight_finishes(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(get("/slow"))
        assert server.app.entered.wait(5)
        server.draining.begin()
        answer = server.exchange(get("/ready"))
        assert (status(answer), answer_header(answer, "connection")) == (503, "close")
        assert server.healthy()
        threading.Timer(0.2, server.app.gate.set).start()
        assert status(read_answer(connection)) == 200
