"""Row 36: signals, on a real process under load; row 23 on the way in."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from pyllm.server import runner
from pyllm.server.edge.settings import EdgeSettings
from tests.support.child_process import environment
from tests.support.edge_server import get, read_answer, status

PROGRAM = """
import sys
from pyllm.errors import RequestError
from pyllm.server.dialects import edge_refusal
from pyllm.server.edge import Draining, EdgeSettings, wrap
from pyllm.server.runner import serve
from pyllm.server.startup_block import ServerFacts
from tests.support.edge_server import SmallApp

settings = EdgeSettings(**eval_settings)
app = SmallApp()
app.draining = Draining(settings.shutdown_timeout_s)
facts = lambda: ServerFacts(("tiny",), 2)
try:
    sys.exit(serve(wrap(app, settings, app.draining, edge_refusal), settings, app.draining,
                   edge_refusal, facts, lambda text: print(text, flush=True)))
except RequestError as error:
    sys.exit(f"pyllm: {error}")
"""


class ErrorLines:
    """What a child writes to stderr, while it writes."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: list[str] = []
        self.thread = threading.Thread(target=self._read, args=(stream,))
        self.thread.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.append(line)

    def text(self) -> str:
        return "".join(self._lines)


@dataclass
class Child:
    process: subprocess.Popen[str]
    port: int
    errors: ErrorLines

    def ask(self, path: str) -> int:
        with self.connect(path) as connection:
            return status(read_answer(connection))

    def connect(self, path: str) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(get(path))
        return connection

    def wait(self) -> int:
        code = self.process.wait(timeout=30)
        self.errors.thread.join()
        return code


def start(**settings: object) -> subprocess.Popen[str]:
    program = PROGRAM.replace("**eval_settings", f"**{settings!r}")
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


@contextmanager
def serving(**settings: object) -> Iterator[Child]:
    process = start(port=0, **settings)
    assert process.stdout is not None
    assert process.stderr is not None
    errors = ErrorLines(process.stderr)
    try:
        block = "".join(process.stdout.readline() for _ in range(5))
        port = re.search(r"http://[^ ]+:(\d+)\n", block)
        assert port is not None, errors.text()
        yield Child(process, int(port[1]), errors)
    finally:
        process.kill()
        process.wait()
        errors.thread.join()
        process.stdout.close()
        process.stderr.close()


def first_event(connection: socket.socket) -> bytes:
    data = b""
    while b"data: token" not in data:
        data += connection.recv(65536)
    return data


def rest_of(connection: socket.socket) -> bytes:
    data = b""
    while part := connection.recv(65536):
        data += part
    return data


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once_with_code_0(sig: signal.Signals) -> None:
    with serving() as child:
        assert child.ask("/health") == 200
        started = time.monotonic()
        child.process.send_signal(sig)
        assert child.wait() == 0
        assert time.monotonic() - started < 10


def test_streams_end_with_an_error_event_when_the_time_is_over() -> None:
    with serving(shutdown_timeout_s=1.0) as child:
        streams = [child.connect("/stream") for _ in range(8)]
        for stream in streams:
            first_event(stream)
        slow = child.connect("/slow")
        child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while child.ask("/ready") != 503:
            assert time.monotonic() < deadline
        assert child.ask("/v1/models") == 503
        assert child.ask("/health") == 200
        for stream in streams:
            text = rest_of(stream)
            assert b"event: error" in text
            assert text.endswith(b"0\r\n\r\n"), "complete, not cut"
            stream.close()
        assert status(read_answer(slow)) == 503
        slow.close()
        assert child.wait() == 0
        assert "requests have 1 s to finish" in child.errors.text()


def test_an_answer_that_finishes_in_time_is_whole() -> None:
    with serving() as child:
        with child.connect("/pause") as connection, child.connect("/stream") as other:
            first_event(other)  # so both are in work
            child.process.send_signal(signal.SIGINT)
            assert status(read_answer(connection)) == 200
            while "2 requests have 30 s" not in child.errors.text():
                time.sleep(0.01)
            assert "Ctrl-C again" in child.errors.text()
            assert child.process.poll() is None, "a stream is still in work"
            child.process.send_signal(signal.SIGINT)
        child.wait()
    with serving() as child, child.connect("/pause") as connection:
        while child.ask("/state") != 200:
            time.sleep(0.01)
        child.process.send_signal(signal.SIGTERM)
        assert status(read_answer(connection)) == 200
        assert child.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_now(second: signal.Signals) -> None:
    with serving() as child, child.connect("/stream") as stream:
        first_event(stream)
        child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while child.ask("/ready") != 503:
            assert time.monotonic() < deadline
        started = time.monotonic()
        child.process.send_signal(second)
        assert child.wait() == 128 + second
        assert time.monotonic() - started < 5


def failed(**settings: object) -> str:
    process = start(**settings)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    return errors


def test_a_public_address_without_a_key_refuses_to_start() -> None:
    assert "--allow-unauthenticated" in failed(host="0.0.0.0", port=0)


def test_a_port_in_use_is_one_readable_line() -> None:
    with serving() as child:
        assert "another program listens there" in failed(port=child.port)


def test_a_public_address_with_a_key_starts() -> None:
    with serving(allow_unauthenticated=True) as child:
        assert child.ask("/v1/models") == 200
    with serving(api_keys=("secret",)) as child:
        assert child.ask("/v1/models") == 401


def test_a_unix_socket_is_served_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "pyllm.sock"
    process = start(uds=str(path))
    try:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.fspath(path))
            connection.sendall(get("/health", host="localhost"))
            assert status(read_answer(connection)) == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
        assert not path.exists()
    finally:
        process.kill()
        process.communicate()


def test_connections_leave_file_descriptors_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def largest(soft: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
        return runner._max_connections(EdgeSettings(max_connections=1000))

    assert largest(1024) == 896
    assert largest(20_000) == 1000
    assert largest(64) == 16
    assert largest(resource.RLIM_INFINITY) == 1000
