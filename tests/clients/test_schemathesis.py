"""Random requests, right and wrong ones, against the server's own document: both must agree.

Schemathesis reads the document and invents requests for every route. No answer may be a failure of
the server, have a status or a type the document does not name, or a body it does not describe.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from pyllm.demo import demo_model
from pyllm.server.app import create_app
from pyllm.server.dialects import edge_refusal
from pyllm.server.edge import Draining, EdgeSettings, wrap
from pyllm.server.settings import ModelSource, ServerSettings
from tests.support.live_server import serving

schemathesis: Any = pytest.importorskip("schemathesis")
checks: Any = pytest.importorskip("schemathesis.specs.openapi.checks")

_CONTEXT = 64  # tokens: the answer to any request ends soon
_MOST_ANSWERS = 2  # 128 say no more, and take seconds
_NOT_IMPLEMENTED, _TIMEOUT = 501, 504
_PATIENCE_S = 60

_TALK = [{"role": "user", "content": "What is 3 + 4?"}]
_ANSWERED: dict[str, dict[str, Any]] = {  # a body for each route that generates
    "/v1/chat/completions": {"messages": _TALK},
    "/v1/completions": {"prompt": "3 + 4"},
    "/v1/responses": {"model": "demo", "input": "3 + 4"},
    "/v1/messages": {"model": "demo", "messages": _TALK, "max_tokens": 9},
    "/api/chat": {"model": "demo", "messages": _TALK},
    "/api/generate": {"model": "demo", "prompt": "3 + 4"},
    "/completion": {"prompt": "3 + 4"},
}

_few = hypothesis.settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def _settings() -> ServerSettings:
    path = demo_model()
    assert path is not None
    return ServerSettings(
        models=(ModelSource("demo", path),),
        engine={"num_threads": 1, "max_num_seqs": 4, "max_model_len": _CONTEXT},
        request_templates=True,
    )


_app = create_app(_settings())
_document = schemathesis.openapi.from_dict(_app.openapi())
_document.config.generation.update(modes=list(schemathesis.GenerationMode))
_generating = _document.include(path=list(_ANSWERED))


def no_failure(_context: Any, response: Any, case: Any) -> None:
    """A request for what is not done, or for an answer at once, fails as its sender wished."""
    wished = [_NOT_IMPLEMENTED]
    if isinstance(case.body, dict) and case.body.get("timeout") is not None:
        wished.append(_TIMEOUT)
    assert response.status_code < 500 or response.status_code in wished, response.text


_AS_DESCRIBED = [
    no_failure,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of the application behind its edge."""
    with serving(wrap(_app, EdgeSettings(), Draining(1.0), edge_refusal)) as url:
        yield url


@_document.parametrize()
@_few
def test_any_request(case: Any, url: str) -> None:
    """Each field at its bounds, in each wrong type, left out; then at random."""
    more = [checks.negative_data_rejection, checks.unsupported_method]
    case.call_and_validate(base_url=url, timeout=_PATIENCE_S, checks=[*_AS_DESCRIBED, *more])


@_generating.given(choice=strategies.integers(0, 255))
@_generating.parametrize()
@_few
def test_one_field_of_a_good_request(case: Any, choice: int, url: str) -> None:
    """A wholly random body is hardly ever good: sixty fields must be right at once."""
    if isinstance(case.body, dict) and case.body:
        name = list(case.body)[choice % len(case.body)]
        value = case.body[name]
        if name in ("n", "best_of") and isinstance(value, int):
            value = min(value, _MOST_ANSWERS)
        case.body = {**_ANSWERED[case.path], name: value}
    case.call_and_validate(base_url=url, timeout=_PATIENCE_S, checks=_AS_DESCRIBED)
