from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pyllm.demo import demo_model
from pyllm.server.app import create_app
from pyllm.server.dialects import edge_refusal
from pyllm.server.edge import Draining, EdgeSettings, wrap
from pyllm.server.settings import ModelSource, ServerSettings
from tests.support.live_server import serving
from tests.support.route_keys import assert_every_route_needs_a_key

KEY = "a-key-of-the-tests"


def settings() -> ServerSettings:
    path = demo_model()
    assert path is not None
    return ServerSettings((ModelSource("demo", path),), {"num_threads": 1}, preload=False)


def test_every_route_but_health_needs_a_key() -> None:
    app = create_app(settings())
    edge = EdgeSettings(api_keys=(KEY,))
    wrapped = wrap(app, edge, Draining(1.0), edge_refusal)
    assert_every_route_needs_a_key(wrapped, app.routes, KEY)


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    edge = EdgeSettings(api_keys=(KEY, "another-key"))
    with serving(wrap(create_app(settings()), edge, Draining(1.0), edge_refusal)) as url:
        yield url


def ask(url: str, path: str, key: str, body: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{url}{path}", headers=headers, json=body, timeout=60)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v1/models", ("error", "message")),
        ("/api/tags", ("error",)),
        ("/v1/messages", ("error", "message")),
    ],
)  # fmt: skip
def test_refusals_of_the_edge_are_in_the_dialect_of_the_path(
    guarded: str, path: str, place: tuple[str, ...]
) -> None:
    found = httpx.get(guarded + path, headers={"accept": "application/json"})
    assert found.status_code == 401
    text = found.json()
    for name in place:
        text = text[name]
    assert isinstance(text, str)


def test_callers_with_different_keys_share_no_cached_prefixes(guarded: str) -> None:
    body = {
        "messages": [{"role": "user", "content": "Remember: " + "stone river cloud " * 40}],
        "max_tokens": 1,
    }

    def cached(key: str) -> int:
        usage = ask(guarded, "/v1/chat/completions", key, body).json()["usage"]
        return int(usage["prompt_tokens_details"]["cached_tokens"])

    assert cached(KEY) == 0
    assert cached(KEY) > 0
    assert cached("another-key") == 0


def test_unknown_routes_and_methods_are_errors_of_the_dialect(guarded: str) -> None:
    assert ask(guarded, "/v1/nothing", KEY, {}).json()["error"]["code"] is None
    response = httpx.get(
        f"{guarded}/v1/chat/completions", headers={"authorization": f"Bearer {KEY}"}
    )
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
