"""Row 20: slow and oversized heads, too many connections, answers that nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import pytest
import uvicorn
from uvicorn.server import ServerState

from pyllm.server.edge.connection import EdgeConnection
from pyllm.server.edge.settings import EdgeSettings
from tests.support.asgi_calls import ok_app
from tests.support.edge_server import (
    RunningServer,
    answer_json,
    closed_within,
    get,
    post,
    read_answer,
    running_server,
    status,
)

SETTINGS = EdgeSettings(port=0, header_timeout_s=1.0, keep_alive_s=1)


@pytest.fixture(scope="module")
def server():
    with running_server(SETTINGS) as running:
        yield running


def test_a_long_uri_is_refused(server: RunningServer) -> None:
    limit = SETTINGS.max_uri_bytes
    assert status(server.exchange(get("/" + "a" * (limit - 1)))) == 404
    assert status(server.exchange(get("/" + "a" * limit))) == 414
    assert status(server.exchange(get("/?" + "a" * limit))) == 414


@pytest.mark.parametrize(
    "lines",
    [
        ["x: y"] * 100,
        [f"x{i}: y" for i in range(10_000)],
        ["x: " + "y" * 33_000],
        ["x: " + "y" * 1_000_000],
        ["y" * 1_000_000 + ": x"],
        [f"x{i}: " + "y" * 10_000 for i in range(100)],
    ],
    ids=["101", "10 000", "33 kB", "1 MB", "1 MB name", "100 of 10 kB"],
)
def test_large_headers_are_refused(server: RunningServer, lines: list[str]) -> None:
    answer = server.exchange(get("/", *lines))
    assert status(answer) == 431
    assert answer_json(answer)["error"]["code"] == "headers_too_large"
    assert server.healthy()


def test_headers_within_the_limits_pass(server: RunningServer) -> None:
    assert status(server.exchange(get("/", *["x: " + "y" * 300] * 99))) == 200


def test_a_head_that_drips_is_closed_in_time(server: RunningServer) -> None:
    """More bytes do not move the deadline."""
    with server.connect() as connection:
        started = time.monotonic()
        connection.settimeout(0.1)
        answer = b""
        for byte in get("/", "x: " + "y" * 1000):
            connection.sendall(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
                break
        assert status(answer) == 408
        assert time.monotonic() - started < 5
        assert closed_within(connection, 5)


def test_a_silent_connection_is_closed_without_an_answer(server: RunningServer) -> None:
    with server.connect() as connection:
        assert read_answer(connection) == b""


def test_the_second_head_has_a_deadline_too(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(get("/health"))
        assert status(read_answer(connection)) == 200
        connection.sendall(b"GET / HT")
        assert status(read_answer(connection)) == 408


def test_an_idle_connection_is_closed_after_keep_alive(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(get("/health"))
        assert status(read_answer(connection)) == 200
        assert closed_within(connection, 5)


def test_500_slow_heads_leave_the_server_well() -> None:
    with running_server(EdgeSettings(port=0, header_timeout_s=2.0)) as server:
        slow = [server.connect() for _ in range(500)]
        try:
            for connection in slow:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: loc")
            assert server.healthy()
            started = time.monotonic()
            for connection in slow:
                assert closed_within(connection, 10)
            assert time.monotonic() - started < 10
        finally:
            for connection in slow:
                connection.close()
        assert server.healthy()


def test_an_idle_connection_makes_room_for_a_new_one() -> None:
    with running_server(EdgeSettings(port=0), max_connections=4) as server:
        idle = [server.connect() for _ in range(10)]
        try:
            assert server.healthy()
            assert closed_within(idle[0], 5)
        finally:
            for connection in idle:
                connection.close()


def test_a_new_connection_is_refused_when_all_are_at_work() -> None:
    with running_server(EdgeSettings(port=0), max_connections=2) as server:
        busy = [server.connect() for _ in range(2)]
        try:
            for connection in busy:
                server.app.entered.clear()
                connection.sendall(get("/slow"))
                assert server.app.entered.wait(5)
            with server.connect() as refused:
                answer = read_answer(refused)
            assert status(answer) == 503
            assert b"retry-after: 1" in answer
            server.app.gate.set()
            for connection in busy:
                assert status(read_answer(connection)) == 200
        finally:
            for connection in busy:
                connection.close()


def test_an_answer_that_nobody_reads_ends() -> None:
    settings = EdgeSettings(port=0, unsent_s=0.5, keep_alive_s=1)
    with running_server(settings) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(get("/big"))
        assert connection.recv(10).startswith(b"HTTP/1.1")
        deadline = time.monotonic() + 10
        while server.num_connections:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_slow_answer_goes_on_while_it_is_read() -> None:
    settings = EdgeSettings(port=0, unsent_s=0.5, keep_alive_s=1)
    with running_server(settings) as server, server.connect() as connection:
        connection.sendall(get("/big"))
        received = 0
        while received < 20_000_000:  # for about two seconds
            part = connection.recv(500_000)
            assert part
            received += len(part)
            time.sleep(0.02)


def test_errors_of_the_parser_are_json(server: RunningServer) -> None:
    answer = server.exchange(b"nonsense\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "bad_request"


def test_a_bad_chunk_during_an_answer_closes_the_connection(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(post("/stream", b"", "Transfer-Encoding: chunked"))
        assert connection.recv(10).startswith(b"HTTP/1.1")
        connection.sendall(b"nonsense\r\n")
        assert closed_within(connection, 5)
    assert server.healthy()


def test_another_configuration_of_uvicorn_is_refused() -> None:
    async def connect() -> None:
        EdgeConnection(uvicorn.Config(ok_app, log_config=None), ServerState(), {})

    with pytest.raises(TypeError):
        asyncio.run(connect())


def test_an_upgrade_is_answered_as_a_plain_request(server: RunningServer) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    assert status(server.exchange(get("/v1/models", *upgrade))) == 200
