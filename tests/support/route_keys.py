"""Proves on a whole application that no route was forgotten by the key check (row 22)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from pyllm.server.edge.asgi import App
from tests.support.asgi_calls import call, make_scope

_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
_ACCEPTS = ("application/json", "text/html")


def assert_every_route_needs_a_key(app: App, routes: Iterable[BaseRoute], key: str) -> None:
    """Every path of `routes` answers 401, by every method, without `key` and with wrong ones.

    app     behind the edge
    routes  of the framework (FastAPI's `app.routes`), mounts and routers included
    key     the server's only key
    """
    paths = {*route_paths(routes), "/", "/no/such/route", "/health/", "//health", "/health/x"}
    # The same length, one character off; a prefix; longer; another case; nothing.
    wrong = [key[:-1] + ("a" if key[-1] != "a" else "b"), key[:-1], f"{key}x", key.swapcase(), ""]
    credentials = [{}] + [
        headers
        for guess in wrong
        if guess != key
        for headers in (
            {"authorization": f"Bearer {guess}"},
            {"x-api-key": guess},
            {"authorization": guess},
            {"cookie": f"pyllm_session_8000={guess}"},
        )
    ]
    for path in sorted(paths):
        for method in _METHODS:
            if path == "/health" and method in ("GET", "HEAD"):
                continue
            for headers in credentials:
                _assert_refused(app, method, path, headers)
        for accept in _ACCEPTS:
            _assert_refused(app, "GET", path, {"accept": accept}, open_path=path == "/health")


def _assert_refused(
    app: App, method: str, path: str, headers: dict[str, str], *, open_path: bool = False
) -> None:
    answer = call(app, make_scope(method, path, headers))
    assert answer.status == (200 if open_path else 401), f"{method} {path} {headers}"


def route_paths(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """One path for each route, with its parameters filled in; those of routers and mounts too.

    A route without a path fails: what cannot be listed cannot be proved.
    """
    for context in iter_route_contexts(list(routes)):
        path = str(context.path)
        assert path.startswith("/") or isinstance(context.original_route, Mount), context
        filled = re.sub(r"\{[^}]*\}", "x", path)
        yield filled or "/"
        if isinstance(context.original_route, Mount):
            yield f"{filled}/x"
            yield from (filled + below for below in route_paths(context.original_route.routes))
