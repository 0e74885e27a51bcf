"""Row 23, and the other ways in which a server may not start."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from pyllm.errors import RequestError
from pyllm.server.edge.settings import EdgeSettings
from pyllm.server.listening import check_exposure, open_sockets, remove_unix_socket

LOOPBACK = ["127.0.0.1", "127.0.0.2", "localhost", "::1"]
PUBLIC = ["0.0.0.0", "::", "", "192.0.2.7", "255.255.255.255"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_needs_no_key(host: str) -> None:
    check_exposure(EdgeSettings(host=host))


@pytest.mark.parametrize("host", PUBLIC)
def test_other_addresses_need_a_key(host: str) -> None:
    with pytest.raises(RequestError, match="--allow-unauthenticated") as refused:
        check_exposure(EdgeSettings(host=host))
    assert "--api-key" in str(refused.value)
    assert "\n" not in str(refused.value)
    check_exposure(EdgeSettings(host=host, api_keys=("secret",)))
    check_exposure(EdgeSettings(host=host, allow_unauthenticated=True))


def test_a_unix_socket_needs_no_key() -> None:
    check_exposure(EdgeSettings(host="0.0.0.0", uds="/run/pyllm.sock"))


def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(RequestError, match="host: 'no such host'"):
        check_exposure(EdgeSettings(host="no such host"))
    with pytest.raises(RequestError, match="not an address of this machine"):
        open_sockets(EdgeSettings(host="192.0.2.7", port=0))


def test_a_port_in_use_is_one_line() -> None:
    (first,) = open_sockets(EdgeSettings(port=0))
    with first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(RequestError, match=f"port: {port}: another program") as refused:
            open_sockets(EdgeSettings(port=port))
        assert "--port 0" in str(refused.value)


def test_small_pieces_of_an_answer_are_sent_at_once() -> None:
    async def run() -> None:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            found.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        (opened,) = open_sockets(EdgeSettings(port=0))
        async with await asyncio.start_server(answer, sock=opened):
            _, writer = await asyncio.open_connection(*opened.getsockname())
            assert await found
            writer.close()

    asyncio.run(run())


def test_all_addresses_of_a_name_get_the_same_port() -> None:
    sockets = open_sockets(EdgeSettings(host="localhost", port=0))
    assert len({opened.getsockname()[1] for opened in sockets}) == 1
    for opened in sockets:
        opened.close()


def test_a_unix_socket_is_for_its_owner(tmp_path: Path) -> None:
    settings = EdgeSettings(uds=str(tmp_path / "s"))
    (opened,) = open_sockets(settings)
    with opened:
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    remove_unix_socket(settings)
    assert not (tmp_path / "s").exists()
    remove_unix_socket(settings)


def test_a_stale_socket_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s"
    settings = EdgeSettings(uds=str(path))
    open_sockets(settings)[0].close()  # a server that was killed
    (opened,) = open_sockets(settings)
    with opened:
        opened.listen()
        with pytest.raises(RequestError, match="another program listens"):
            open_sockets(settings)
    path.unlink()
    path.write_text("precious")
    with pytest.raises(RequestError, match="not a socket"):
        open_sockets(settings)
    assert path.read_text() == "precious"
    with pytest.raises(RequestError, match="uds"):
        open_sockets(EdgeSettings(uds=str(tmp_path / ("x" * 200))))
    with pytest.raises(RequestError, match="No such file"):
        open_sockets(EdgeSettings(uds=str(tmp_path / "none" / "s")))


def test_a_wildcard_of_ipv6_is_not_that_of_ipv4() -> None:
    sockets = open_sockets(EdgeSettings(host="::", port=0, allow_unauthenticated=True))
    for opened in sockets:
        assert opened.family == socket.AF_INET6
        assert opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        opened.close()
