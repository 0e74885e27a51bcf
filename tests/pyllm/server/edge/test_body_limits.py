"""Row 19: bodies that are too large, compressed, endless, or slow."""

from __future__ import annotations

import gzip
import json
import resource
import threading
import time
from pathlib import Path

import pytest

from pyllm.server.edge.settings import EdgeSettings
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

LIMIT = 100_000
SETTINGS = EdgeSettings(
    port=0,
    max_body_bytes=LIMIT,
    max_upload_bytes=3 * LIMIT,
    max_buffered_bytes=2 * LIMIT,
    body_idle_s=0.5,
    body_total_s=1.5,
    unsent_s=0.5,
)
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def server():
    with running_server(SETTINGS) as running:
        yield running


def chunks(size: int, count: int) -> bytes:
    return (b"%x\r\n" % size + b"x" * size + b"\r\n") * count


def error_code(answer: bytes) -> str:
    return answer_json(answer)["error"]["code"]


def test_a_body_at_the_limit_is_read(server: RunningServer) -> None:
    assert status(server.exchange(post("/sink", b"x" * LIMIT))) == 200
    assert status(server.exchange(post("/sink", chunks(1000, 100) + b"0\r\n\r\n", CHUNKED))) == 200


def test_one_byte_more_is_refused(server: RunningServer) -> None:
    answer = server.exchange(post("/sink", b"x" * (LIMIT + 1)))
    assert (status(answer), error_code(answer)) == (413, "body_too_large")
    body = chunks(1000, 100) + chunks(1, 1) + b"0\r\n\r\n"
    answer = server.exchange(post("/sink", body, CHUNKED))
    assert (status(answer), error_code(answer)) == (413, "body_too_large")


def test_a_declared_gigabyte_is_refused_before_it_comes(server: RunningServer) -> None:
    answer = server.exchange(post("/sink", b"", f"Content-Length: {10**9}"))
    assert status(answer) == 413


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


@pytest.mark.parametrize("header", [f"Content-Length: {10**9}", CHUNKED])
def test_an_endless_body_is_cut_off_without_growing(server: RunningServer, header: str) -> None:
    part = chunks(60_000, 1) if header == CHUNKED else b"x" * 60_000
    with server.connect() as connection:
        connection.sendall(post("/sink", b"", header))
        before = resident_kib()
        sent = 0
        started = time.monotonic()
        try:
            while time.monotonic() - started < 10:
                connection.sendall(part)
                sent += len(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() - started < 10, "closed while it was still sending"
        assert resident_kib() - before < 16 * 1024
    assert server.healthy()


def test_the_answer_arrives_although_the_body_is_unread(server: RunningServer) -> None:
    """A connection that is closed with unread bytes is reset, and its answer is lost."""
    body = b"x" * 30 * LIMIT
    answer = server.exchange(post("/sink", body))
    assert status(answer) == 413


def test_a_connection_goes_on_after_a_small_unread_body(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(post("/sink", b"x" * 100, "Content-Encoding: gzip"))
        assert status(read_answer(connection)) == 415
        connection.sendall(get("/health"))
        assert status(read_answer(connection)) == 200


def test_a_compressed_bomb_is_refused_unread(server: RunningServer) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    answer = server.exchange(post("/json", bomb, "Content-Encoding: gzip"))
    assert (status(answer), error_code(answer)) == (415, "unsupported_content_encoding")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a":' + b"[" * 49_000 + b"]" * 49_000 + b"}", "json_too_deep"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": "\\ud800"}', "invalid_unicode"),
        (b'{"a": NaN}', "invalid_number"),
        (b"[]", "invalid_json"),
    ],
)
def test_strange_json_over_a_socket(server: RunningServer, body: bytes, code: str) -> None:
    answer = server.exchange(post("/json", body))
    assert (status(answer), answer_json(answer)["code"]) == (400, code)


def test_a_body_that_stops_is_given_up(server: RunningServer) -> None:
    for request in (
        post("/sink", b"x", "Content-Length: 10"),
        post("/sink", b"5\r\nab", CHUNKED),
    ):
        answer = server.exchange(request)
        assert (status(answer), error_code(answer)) == (408, "body_timeout")


def test_a_body_that_drips_is_given_up_too(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(post("/sink", b"", "Content-Length: 1000"))
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                connection.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        answer = read_answer(connection)
        stop.set()
        dripping.join()
        assert status(answer) == 408


def test_uploads_have_a_limit_of_their_own(server: RunningServer) -> None:
    form = "Content-Type: multipart/form-data; boundary=x"
    answer = server.exchange(post("/v1/files", b"x" * 3 * LIMIT, form))
    assert (status(answer), answer_json(answer)["bytes"]) == (200, 3 * LIMIT)
    assert status(server.exchange(post("/v1/files", b"x" * (3 * LIMIT + 1), form))) == 413


def test_the_bodies_of_all_connections_together_are_bounded(server: RunningServer) -> None:
    held = [server.connect() for _ in range(2)]
    try:
        for connection in held:
            connection.sendall(post("/sink", b"x" * (LIMIT - 10), f"Content-Length: {LIMIT}"))
        time.sleep(0.2)
        answer = server.exchange(post("/sink", b"x" * 1000))
        assert (status(answer), error_code(answer)) == (503, "bodies_too_large")
        for connection in held:
            connection.sendall(b"x" * 10)
            assert status(read_answer(connection)) == 200
    finally:
        for connection in held:
            connection.close()
    assert status(server.exchange(post("/sink", b"x" * 1000))) == 200


def test_a_body_is_asked_for_only_when_it_will_be_read(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(post("/sink", b"", f"Content-Length: {10**9}", "Expect: 100-continue"))
        assert status(read_answer(connection)) == 413
        assert closed_within(connection, 5)
    with server.connect() as connection:
        connection.sendall(post("/sink", b"", "Content-Length: 2", "Expect: 100-continue"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(b"{}")
        assert json.loads(read_answer(connection).partition(b"\r\n\r\n")[2]) == {"bytes": 2}
