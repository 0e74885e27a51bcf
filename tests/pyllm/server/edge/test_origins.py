"""Row 25: pages of other origins, and CORS for those that were let in."""

from __future__ import annotations

import pytest

from pyllm.errors import RequestError
from pyllm.server.dialects import edge_refusal
from pyllm.server.edge.draining import Draining
from pyllm.server.edge.settings import EdgeSettings
from pyllm.server.edge.wrap import wrap
from tests.support.asgi_calls import Answer, call, make_scope, ok_app
from tests.support.edge_server import answer_header, get, post, running_server, status

HOME = "http://127.0.0.1:8000"
FRIEND = "https://chat.example.com"
CORS = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
]


def ask(headers: dict[str, str], method: str = "POST", scheme: str = "http", **settings) -> Answer:
    app = wrap(ok_app, EdgeSettings(**settings), Draining(1.0), edge_refusal)
    return call(app, make_scope(method, "/v1/models", headers, scheme=scheme))


FOREIGN = [
    "https://evil.example", "http://evil.example:8000", "null", "", "http://127.0.0.1",
    "http://127.0.0.1:8001", "http://localhost:8000", "http://127.0.0.1:8000.evil.example",
    "http://127.0.0.1:8000@evil.example", "http://127.0.0.1:8000/", "http://127.0.0.1:8000 ",
    "file://", "ftp://127.0.0.1:8000", "127.0.0.1:8000", "//127.0.0.1:8000", "*",
    "http://127.0.0.1:8000, http://evil.example",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_foreign_origins_are_refused(origin: str, method: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    for settings in ({}, {"allowed_origins": (FRIEND,)}):
        answer = ask(asked, method, **settings)
        assert answer.status == 403
        assert not set(CORS) & set(answer.headers)


def test_the_servers_own_pages_pass_without_cors_headers() -> None:
    for headers in (
        {"origin": HOME},
        {"origin": "http://localhost", "host": "localhost:80"},
        {"origin": "http://[::1]:8000", "host": "[0::1]:8000"},
        {},
    ):
        answer = ask(headers)
        assert answer.status == 200
        assert not set(CORS) & set(answer.headers)


def test_a_proxy_may_end_tls_but_not_add_plain_text() -> None:
    allowed = {"allowed_hosts": ("chat.example.com",)}
    headers = {"origin": "https://chat.example.com", "host": "chat.example.com"}
    assert ask(headers, **allowed).status == 200
    headers["origin"] = "http://chat.example.com:443"
    assert ask({**headers, "host": "chat.example.com:443"}, scheme="https", **allowed).status == 403


def test_an_allowed_origin_gets_exactly_itself() -> None:
    answer = ask({"origin": FRIEND}, allowed_origins=(FRIEND, "app://obsidian.md"))
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers
    assert ask({"origin": FRIEND.upper()}, allowed_origins=(FRIEND,)).status == 403
    assert ask({"origin": f"{FRIEND}:8443"}, allowed_origins=(FRIEND,)).status == 403


def test_answers_vary_by_origin_once_one_is_allowed() -> None:
    assert ask({}, allowed_origins=(FRIEND,)).headers["vary"] == "origin"
    assert ask({"origin": "https://evil.example"}, allowed_origins=(FRIEND,)).headers["vary"]


def test_a_preflight_of_an_allowed_origin_needs_no_key() -> None:
    asked = {
        "origin": FRIEND,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type, x-stainless-os",
    }
    answer = ask(asked, "OPTIONS", allowed_origins=(FRIEND,), api_keys=("secret",))
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert answer.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    del asked["access-control-request-method"]
    assert ask(asked, "OPTIONS", allowed_origins=(FRIEND,), api_keys=("secret",)).status == 401


def test_a_preflight_echoes_header_names_only() -> None:
    asked = {
        "origin": FRIEND,
        "access-control-request-method": "POST",
        "access-control-request-headers": "a: b; c=<script>",
    }
    answer = ask(asked, "OPTIONS", allowed_origins=(FRIEND,))
    assert "access-control-allow-headers" not in answer.headers


def test_a_refusal_can_be_read_by_an_allowed_page() -> None:
    answer = ask({"origin": FRIEND}, allowed_origins=(FRIEND,), api_keys=("secret",))
    assert answer.status == 401
    assert answer.headers["access-control-allow-origin"] == FRIEND


def test_a_write_from_another_site_without_origin_is_refused() -> None:
    assert ask({"sec-fetch-site": "cross-site"}).status == 403
    assert ask({"sec-fetch-site": "same-site"}).status == 403
    assert ask({"sec-fetch-site": "same-origin"}).status == 200
    assert ask({"sec-fetch-site": "cross-site"}, "GET").status == 200, "a link to the page"


@pytest.mark.parametrize("origin", ["*", "null", "chat.example.com", "https://", "https://a/b", ""])
def test_a_setting_that_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(RequestError, match="allowed_origins"):
        ask({}, allowed_origins=(origin,))


def test_over_a_socket() -> None:
    with running_server(EdgeSettings(port=0)) as server:
        for origin in ("https://evil.example", "null"):
            answers = [
                server.exchange(get("/v1/models", f"Origin: {origin}")),
                server.exchange(post("/json", b"{}", f"Origin: {origin}")),
                server.exchange(
                    post("/json", b"{}", f"Origin: {origin}", "Content-Type: text/plain")
                ),
            ]
            assert [status(answer) for answer in answers] == [403] * 3
            assert not any(answer_header(answer, name) for answer in answers for name in CORS)
        own = f"Origin: http://127.0.0.1:{server.port}"
        request = post("/json", b"{}", own, host=f"127.0.0.1:{server.port}")
        assert status(server.exchange(request)) == 200
