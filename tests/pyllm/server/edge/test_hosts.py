"""Row 24: the Host header, on a loopback and on a public address."""

from __future__ import annotations

import socket

import pytest

from pyllm.errors import RequestError
from pyllm.server.dialects import edge_refusal
from pyllm.server.edge.hosts import HostCheck, is_loopback, is_wildcard, split_authority
from pyllm.server.edge.settings import EdgeSettings
from tests.support.asgi_calls import call, make_scope, ok_app
from tests.support.edge_server import RunningServer, get, running_server, status

LOOPBACK = [
    "localhost", "LOCALHOST", "localhost.", "localhost:8000", "localhost:1", "127.0.0.1",
    "127.0.0.1:9999", "127.8.8.8", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]:80",
]  # fmt: skip
FOREIGN = [
    "", "evil.com", "evil.com:8000", "127.0.0.1.evil.com", "localhost.evil.com", "evil.localhost",
    "127.0.0.1@evil.com", "evil.com#127.0.0.1", "127.0.0.1:80:80", "127.0.0.1:x", "127.0.0.1:99999",
    "127.0.0.1/x", "127.0.0.1, evil.com", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0.0.0.0",
    "[::]", "[::ffff:8.8.8.8]", "[::2]", "[::1", "::1", "[::1]evil.com", "[::1%lo]", "8.8.8.8",
    "10.0.0.1", "169.254.169.254", "локалхост", "local host", "..", "a" * 300,
]  # fmt: skip


def host_status(settings: EdgeSettings, host: str, arrived_at: str = "127.0.0.1") -> int:
    app = HostCheck(ok_app, settings, edge_refusal)
    return call(app, make_scope(headers={"host": host}, server=(arrived_at, 8000))).status


BOTH_BINDS = pytest.mark.parametrize(
    ("bind", "arrived_at"), [("127.0.0.1", "127.0.0.1"), ("192.0.2.7", "192.0.2.7")]
)


@BOTH_BINDS
@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_forms_pass(host: str, bind: str, arrived_at: str) -> None:
    assert host_status(EdgeSettings(host=bind), host, arrived_at) == 200


@BOTH_BINDS
@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_hosts_are_refused(host: str, bind: str, arrived_at: str) -> None:
    assert host_status(EdgeSettings(host=bind), host, arrived_at) == 403


@pytest.mark.parametrize("host", [host for host in FOREIGN if host not in ("0.0.0.0", "[::]")])
def test_listening_on_all_addresses_does_not_let_all_names_in(host: str) -> None:
    assert host_status(EdgeSettings(host="0.0.0.0"), host, "192.0.2.7") == 403


def test_the_bound_host_and_the_address_of_arrival_pass() -> None:
    assert host_status(EdgeSettings(host="box.lan"), "BOX.lan:8000", "192.0.2.7") == 200
    assert host_status(EdgeSettings(host="0.0.0.0"), "192.0.2.7:8000", "192.0.2.7") == 200
    assert host_status(EdgeSettings(host="0.0.0.0"), "192.0.2.8:8000", "192.0.2.7") == 403
    assert host_status(EdgeSettings(host="::"), "[2001:DB8::7]:80", "2001:db8:0::7") == 200


def test_the_machines_own_name_passes_when_it_listens_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Box.example.net")
    for host in ("box", "box.local", "box.example.net:8000", "host.docker.internal:8000"):
        assert host_status(EdgeSettings(host="0.0.0.0"), host, "192.0.2.7") == 200
        assert host_status(EdgeSettings(host="127.0.0.1"), host) == 403


def test_allowed_hosts_pass() -> None:
    settings = EdgeSettings(allowed_hosts=("chat.example.com", "[2001:db8::1]"))
    assert host_status(settings, "Chat.Example.com:443") == 200
    assert host_status(settings, "[2001:db8:0:0::1]") == 200
    assert host_status(settings, "x.chat.example.com") == 403


@pytest.mark.parametrize("name", ["*", "*.example.com", "https://a.b", "a.b:443", "", "a b"])
def test_a_setting_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="allowed_hosts"):
        host_status(EdgeSettings(allowed_hosts=(name,)), "localhost")


def test_two_or_no_host_headers_are_refused() -> None:
    app = HostCheck(ok_app, EdgeSettings(), edge_refusal)
    scope = make_scope()
    scope["headers"] = []
    assert call(app, scope).status == 403
    scope["headers"] = [(b"host", b"localhost"), (b"host", b"localhost")]
    assert call(app, scope).status == 403


def test_a_unix_socket_takes_localhost_only() -> None:
    settings = EdgeSettings(uds="/run/pyllm.sock", host="box.lan")
    assert host_status(settings, "localhost", "/run/pyllm.sock") == 200
    assert host_status(settings, "box.lan", "/run/pyllm.sock") == 403


def test_parts_of_an_authority() -> None:
    assert split_authority(b"LOCALHOST.:80") == ("localhost", 80)
    assert split_authority(b"[::0:1]") == ("::1", None)
    assert split_authority(b"a b") == ("", None)
    assert is_loopback("127.0.0.2")
    assert not is_loopback("localhost.evil.com")
    assert is_wildcard("0.0.0.0")
    assert is_wildcard("::")
    assert is_wildcard("")
    assert not is_wildcard("127.0.0.1")


@pytest.fixture(scope="module")
def server():
    with running_server(EdgeSettings(port=0)) as running:
        yield running


def test_over_a_socket_of_all_addresses() -> None:
    settings = EdgeSettings(host="0.0.0.0", port=0, api_keys=("secret",))
    with running_server(settings) as server:
        for host in ("localhost", "127.0.0.1", "[::1]"):
            assert status(server.exchange(get("/health", host=host))) == 200
        for host in ("evil.com", "127.0.0.1.evil.com", "[::ffff:8.8.8.8]", "192.0.2.7"):
            assert status(server.exchange(get("/health", host=host))) == 403


def test_over_a_socket(server: RunningServer) -> None:
    for host in ("localhost", f"127.0.0.1:{server.port}", "[::1]", "[::ffff:127.0.0.1]"):
        assert status(server.exchange(get("/health", host=host))) == 200
    for host in ("evil.com", "127.0.0.1.evil.com", "[::ffff:8.8.8.8]"):
        assert status(server.exchange(get("/health", host=host))) == 403
    for missing in (b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.0\r\n\r\n"):
        assert status(server.exchange(missing)) in (400, 403)  # HTTP/1.1 itself demands 400
    twice = b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    assert status(server.exchange(twice)) == 400
    absolute = b"GET http://evil.com/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert status(server.exchange(absolute)) == 400
