"""Row 21: what proxies and servers read differently is refused."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.server.edge.http_parser import StrictConnection
from pyllm.server.edge.settings import EdgeSettings
from tests.support.edge_server import (
    RunningServer,
    closed_within,
    get,
    post,
    read_answer,
    running_server,
    status,
)

HOST = b"Host: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
POST = b"POST /sink HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST

SMUGGLING = {
    "both framings": POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "both framings, other order": POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two lengths in one": POST + b"Content-Length: 5, 6\r\n\r\nhello!",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "signed length": POST + b"Content-Length: +5\r\n\r\nhello",
    "hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "length with an underscore": POST + b"Content-Length: 1_0\r\n\r\nhello",
    "fractional length": POST + b"Content-Length: 5.0\r\n\r\nhello",
    "empty length": POST + b"Content-Length: \r\n\r\n",
    "length of 30 digits": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "digits of another script": POST + "Content-Length: ５\r\n\r\nhello".encode(),
    "unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity too": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "coding twice": POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "coding misspelt": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding with a tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "coding in HTTP/1.0": POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n0\r\n\r\n",
    "chunk size negative": POST + CHUNKED + b"\r\n-1\r\n\r\n",
    "chunk size with 0x": POST + CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size of 40 digits": POST + CHUNKED + b"\r\n" + b"f" * 40 + b"\r\n",
    "chunk longer than said": POST + CHUNKED + b"\r\n3\r\nhello\r\n0\r\n\r\n",
    "no request line": b"\r\n\r\n" + POST,
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "version 2": b"GET / HTTP/2\r\n" + HOST + b"\r\n",
    "bare CR in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rY: b\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "NUL in the path": b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the path": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "header without a name": b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "header without a colon": b"GET / HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "folded first header": b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "absolute target": b"GET http://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "tunnel": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.fixture(scope="module")
def server():
    with running_server(EdgeSettings(port=0)) as running:
        yield running


@pytest.mark.parametrize("case", SMUGGLING)
def test_smuggling_is_refused_and_the_connection_closed(server: RunningServer, case: str) -> None:
    hidden = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(SMUGGLING[case] + hidden)
        answer = read_answer(connection)
        assert status(answer) == 400
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b'"path"' not in answer
        assert closed_within(connection, 5)


def test_a_pipelined_request_is_refused_after_the_first_answer(server: RunningServer) -> None:
    for first in (get("/v1/models"), post("/sink", b"{}")):
        with server.connect() as connection:
            connection.sendall(first + get("/health"))
            data = b""
            while part := connection.recv(65536):
                data += part
        assert data.count(b"HTTP/1.1 200") == 1
        assert data.count(b"HTTP/1.1 400") == 1
        assert b"pipelining" in data


def test_requests_one_after_the_other_are_fine(server: RunningServer) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(post("/sink", b"{}"))
            assert status(read_answer(connection)) == 200


def test_a_client_that_pipelines_and_leaves_is_noticed(server: RunningServer) -> None:
    """Reading goes on while the first request is in work."""
    with server.connect() as connection:
        connection.sendall(get("/slow") + get("/slow"))
        assert server.app.entered.wait(5)
        assert len(server.config.idle) == 0
    server.app.gate.set()
    assert server.healthy()


def test_a_body_in_tiny_pieces_is_refused(server: RunningServer) -> None:
    body = b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"
    assert status(server.exchange(post("/sink", body, "Transfer-Encoding: chunked"))) == 400
    body = b"1\r\nx\r\n" * 500 + b"0\r\n\r\n"
    assert status(server.exchange(post("/sink", body, "Transfer-Encoding: chunked"))) == 200


def test_pipelined_bytes_are_held_up_to_the_size_of_a_head() -> None:
    connection = StrictConnection(EdgeSettings(max_uri_bytes=100, max_header_bytes=100))
    connection.receive_data(get("/"))
    assert isinstance(connection.next_event(), h11.Request)
    assert isinstance(connection.next_event(), h11.EndOfMessage)
    connection.receive_data(b"x" * 200)
    assert connection.next_event() is h11.NEED_DATA
    connection.receive_data(b"x")
    with pytest.raises(h11.RemoteProtocolError, match="answered"):
        connection.next_event()


PIECES = st.sampled_from(
    [
        *(b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.0\r\n", HOST, CHUNKED, b"Connection: close\r\n"),
        *(b"Content-Length: 3\r\n", b"\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n"),
        *(b" ", b"\n", b"\0", b": "),
    ]
)


@given(st.lists(PIECES | st.binary(min_size=1, max_size=20), max_size=20))
def test_no_bytes_make_the_parser_fail_in_another_way(pieces: list[bytes]) -> None:
    connection = StrictConnection(EdgeSettings())
    for piece in pieces:
        connection.receive_data(piece)
        try:
            while connection.next_event() is not h11.NEED_DATA:
                pass
        except h11.RemoteProtocolError:
            assert connection.refusal.status in (400, 414, 431)
            return
