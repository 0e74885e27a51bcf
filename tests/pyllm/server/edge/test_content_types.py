"""Row 25, second line: bodies that a web page could send without asking."""

from __future__ import annotations

import pytest

from pyllm.server.edge.content_types import check_content_type
from pyllm.server.edge.refusal import Refusal
from tests.support.asgi_calls import make_scope

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def check(headers: dict[str, str], *, upload: bool = False, length: str = "2") -> None:
    check_content_type(
        make_scope("POST", headers={"content-length": length, **headers}), upload=upload
    )


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"],
)
def test_json_is_taken(kind: str) -> None:
    check({"content-type": kind, "origin": "http://127.0.0.1:8000"})


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "text/plain; application/json", "multipart/form-data; boundary=x",
     "application/octet-stream", "application/jsonx", "text/html", "json"],
)  # fmt: skip
def test_other_types_are_refused(kind: str) -> None:
    with pytest.raises(Refusal) as refused:
        check({"content-type": kind})
    assert refused.value.status == 415


def test_curl_may_leave_the_type_out_but_a_browser_may_not() -> None:
    check(FORM)
    check({})
    for sign in ("origin", "sec-fetch-site", "referer"):
        for headers in (FORM, {}):
            with pytest.raises(Refusal):
                check({**headers, sign: "http://127.0.0.1:8000"})


def test_an_upload_may_be_a_form_with_files() -> None:
    check({"content-type": "multipart/form-data; boundary=x"}, upload=True)
    with pytest.raises(Refusal, match="multipart/form-data"):
        check({"content-type": "text/plain"}, upload=True)


def test_a_request_without_a_body_needs_no_type() -> None:
    check({"content-type": "text/plain"}, length="0")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "identity, gzip", "x"])
def test_compressed_bodies_are_refused(encoding: str) -> None:
    with pytest.raises(Refusal) as refused:
        check({**JSON, "content-encoding": encoding})
    assert (refused.value.status, refused.value.code) == (415, "unsupported_content_encoding")


def test_identity_is_no_encoding() -> None:
    check({**JSON, "content-encoding": "Identity"})
