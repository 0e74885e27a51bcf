"""Row 22: a key on every route but /health, compared in constant time."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route

from pyllm.server.dialects import edge_refusal
from pyllm.server.edge import api_keys
from pyllm.server.edge.api_keys import KeyRing
from pyllm.server.edge.draining import Draining
from pyllm.server.edge.settings import EdgeSettings
from pyllm.server.edge.wrap import wrap
from tests.support.asgi_calls import Answer, acall, call, make_scope, ok_app
from tests.support.route_keys import assert_every_route_needs_a_key, route_paths

KEY = "sk-0123456789abcdef"
OTHER = "sk-another-key"
SETTINGS = EdgeSettings(api_keys=(KEY, OTHER))
FORM = {"content-type": "application/x-www-form-urlencoded", "origin": "http://127.0.0.1:8000"}


def app_with_keys(settings: EdgeSettings = SETTINGS):
    return wrap(ok_app, settings, Draining(1.0), edge_refusal)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"x-api-key": OTHER},
        {"x-api-key": KEY, "authorization": "Bearer wrong"},
    ],
)
def test_a_key_opens(headers: dict[str, str]) -> None:
    assert call(app_with_keys(), make_scope("POST", "/v1/messages", headers)).status == 200


def some_routes() -> FastAPI:
    app, outer, inner = FastAPI(), APIRouter(prefix="/v1"), APIRouter()

    async def endpoint() -> str:
        return "open"

    app.get("/health")(endpoint)
    outer.get("/models/{model:path}")(endpoint)
    inner.post("/deep")(endpoint)
    outer.include_router(inner, prefix="/in")
    app.include_router(outer)
    below = Mount("/below", routes=[Route("/a", PlainTextResponse("a"))])
    app.router.routes.append(below)
    return app


def test_every_route_needs_a_key() -> None:
    app = some_routes()
    paths = {"/health", "/v1/models/x", "/v1/in/deep", "/below/a", "/docs", "/openapi.json"}
    assert paths <= set(route_paths(app.routes))
    edge = wrap(app, EdgeSettings(api_keys=(KEY,)), Draining(1.0), edge_refusal)
    assert_every_route_needs_a_key(edge, app.routes, KEY)


def test_the_helper_finds_an_open_route() -> None:
    with pytest.raises(AssertionError):
        assert_every_route_needs_a_key(ok_app, [], KEY)
    with pytest.raises(AssertionError):
        list(route_paths([Host("localhost", ok_app)]))


def test_health_is_open() -> None:
    assert call(app_with_keys(), make_scope("GET", "/health")).status == 200
    assert call(app_with_keys(), make_scope("HEAD", "/health")).status == 200


def test_without_keys_everything_is_open() -> None:
    answer = call(app_with_keys(EdgeSettings()), make_scope())
    assert answer.status == 200
    assert answer.json()["state"]["tenant"] is None


def test_a_client_is_told_how_to_send_the_key() -> None:
    answer = call(app_with_keys(), make_scope())
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_each_key_has_a_tenant_of_its_own() -> None:
    def tenant(app, key: str) -> str:
        answer = call(app, make_scope(headers={"x-api-key": key}))
        return answer.json()["state"]["tenant"]

    app = app_with_keys()
    assert tenant(app, KEY) == tenant(app, KEY)
    assert tenant(app, KEY) != tenant(app, OTHER)
    assert tenant(app, KEY) != tenant(app_with_keys(), KEY), "another process, another salt"
    assert KEY not in tenant(app, KEY)


# Constant time, by construction: a test that measures would be flaky, and prove less.


def test_every_key_is_compared_whatever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def counting(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    ring = KeyRing(["first", "second", "third"])
    fake = SimpleNamespace(compare_digest=counting, digest=hmac.digest)
    monkeypatch.setattr(api_keys, "hmac", fake)
    for presented in (b"first", b"second", b"third", b"none", b"", b"x" * 10_000):
        compared.clear()
        ring.tenant(presented)
        assert len(compared) == 3
        assert {len(side) for pair in compared for side in pair} == {32}


def test_keys_are_compared_as_keyed_digests_only() -> None:
    """No `==`, no `in` and no dictionary look-up by anything that a client sent."""
    source = inspect.getsource(KeyRing.tenant)
    assert "compare_digest" in source
    assert "==" not in source
    assert " in self" not in source.replace("in self._tenants.items()", "")
    one, two = KeyRing(["k"]), KeyRing(["k"])
    assert one._digest(b"key", b"k") != two._digest(b"key", b"k"), "unpredictable outside"


def test_tenants_of_one_secret_are_the_same_in_the_next_process() -> None:
    one, two = KeyRing(["k", "l"], b"s" * 32), KeyRing(["k"], b"s" * 32)
    assert one.tenant(b"k") == two.tenant(b"k") != one.tenant(b"l")
    assert two.tenant(b"l") is None
    assert KeyRing(["k"]).tenant(b"k") != KeyRing(["k"]).tenant(b"k")


# The query string


@pytest.mark.parametrize(
    "query",
    ["key=x", "api_key=x", "api-key=x", "a=1&API_KEY=x", "a=1;apikey=x", "%61pi_key=x", "token=x"],
)
def test_a_key_in_the_query_string_is_refused(query: str, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    scope = make_scope("GET", "/health", {"x-api-key": KEY}, query.replace("x", KEY))
    answer = call(app_with_keys(), scope)
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "key_in_query"
    assert KEY not in answer.body.decode() + caplog.text


def test_other_query_strings_pass() -> None:
    query = "monkey=1&limit=20&after=batch_1&q=key%3D1"
    assert call(app_with_keys(), make_scope(headers={"x-api-key": KEY}, query=query)).status == 200


def test_settings_do_not_show_keys() -> None:
    assert KEY not in repr(SETTINGS)


# The web page


def log_in(app, key: str, headers: dict[str, str] = FORM) -> Answer:
    body = f"key={quote(key)}".encode()
    scope = make_scope("POST", "/login", {**headers, "content-length": str(len(body))})
    return call(app, scope, body)


def session_cookie(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_browser_without_a_key_gets_a_form() -> None:
    answer = call(app_with_keys(), make_scope("GET", "/", {"accept": "text/html,*/*"}))
    assert answer.status == 401
    assert b'action="/login"' in answer.body
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_logging_in_gives_a_session() -> None:
    app = app_with_keys()
    answer = log_in(app, KEY)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    attributes = answer.headers["set-cookie"].split("; ")[1:]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert KEY not in answer.headers["set-cookie"]
    inside = call(app, make_scope(headers={"cookie": f"a=b; {session_cookie(answer)}"}))
    with_key = call(app, make_scope(headers={"x-api-key": KEY}))
    assert inside.status == 200
    assert inside.json()["state"]["tenant"] == with_key.json()["state"]["tenant"]


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], "é" * 10, "x" * 10_000])
def test_a_wrong_key_gives_the_form_again(key: str) -> None:
    answer = log_in(app_with_keys(), key)
    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    assert b"not valid" in answer.body


def test_a_form_of_another_site_does_not_log_in() -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9000"):
        assert log_in(app_with_keys(), KEY, {**FORM, "origin": origin}).status == 403


def test_logging_out_ends_the_session() -> None:
    app = app_with_keys()
    cookie = session_cookie(log_in(app, KEY))
    answer = call(app, make_scope("POST", "/logout", {"cookie": cookie}))
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert call(app, make_scope(headers={"cookie": cookie})).status == 401


def test_a_session_ends_by_itself_and_is_of_one_process() -> None:
    app = app_with_keys(EdgeSettings(api_keys=(KEY,), session_s=0.0))
    assert call(app, make_scope(headers={"cookie": session_cookie(log_in(app, KEY))})).status == 401
    cookie = session_cookie(log_in(app_with_keys(), KEY))
    assert call(app_with_keys(), make_scope(headers={"cookie": cookie})).status == 401


def test_a_cookie_over_https_is_secure() -> None:
    body = f"key={KEY}".encode()
    headers = {**FORM, "origin": "https://127.0.0.1:8000", "content-length": str(len(body))}
    answer = call(app_with_keys(), make_scope("POST", "/login", headers, scheme="https"), body)
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_many_sessions_stay_few() -> None:
    async def log_in_often() -> int:
        body = f"key={KEY}".encode()
        headers = {**FORM, "content-length": str(len(body))}
        answers = [
            await acall(app, make_scope("POST", "/login", headers), body) for _ in range(300)
        ]
        oldest = make_scope(headers={"cookie": session_cookie(answers[0])})
        return (await acall(app, oldest)).status

    app = app_with_keys()
    assert asyncio.run(log_in_often()) == 401


def test_without_keys_there_is_no_login_page() -> None:
    answer = call(app_with_keys(EdgeSettings()), make_scope("POST", "/logout"))
    assert "state" in answer.json(), "the application answered"
