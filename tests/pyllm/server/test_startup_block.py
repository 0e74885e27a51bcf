"""What is printed when the server answers."""

from __future__ import annotations

import socket

from pyllm.server.edge.settings import EdgeSettings
from pyllm.server.startup_block import ServerFacts, startup_block


class FakeSocket(socket.socket):
    def __init__(self, *name: object) -> None:
        super().__init__()
        self.close()
        self._name = name

    def getsockname(self) -> object:
        return self._name


FACTS = ServerFacts(models=("qwen", "tiny"), num_threads=2)


def test_the_block_says_everything_once() -> None:
    block = startup_block(EdgeSettings(), [FakeSocket("127.0.0.1", 8000)], FACTS)
    assert block.splitlines() == [
        "pyllm serves qwen, tiny",
        "  page and APIs  http://127.0.0.1:8000",
        "  documentation  http://127.0.0.1:8000/docs",
        "  threads        2",
        "  API key        not needed on this machine",
    ]


def test_it_says_whether_a_key_is_needed_and_never_which() -> None:
    block = startup_block(EdgeSettings(api_keys=("secret",)), [FakeSocket("::1", 1, 0, 0)], FACTS)
    assert "needed: 'Authorization: Bearer KEY'" in block
    assert "secret" not in block
    assert "http://[::1]:1\n" in block
    open_to_all = EdgeSettings(host="0.0.0.0", allow_unauthenticated=True)
    block = startup_block(open_to_all, [FakeSocket("0.0.0.0", 8000)], FACTS)
    assert "--allow-unauthenticated" in block
    assert f"http://{socket.gethostname()}:8000" in block


def test_a_unix_socket_and_no_model_yet() -> None:
    facts = ServerFacts(models=(), num_threads=1)
    block = startup_block(EdgeSettings(uds="/run/pyllm.sock"), [], facts)
    assert "http+unix:///run/pyllm.sock" in block
    assert "no model yet" in block
