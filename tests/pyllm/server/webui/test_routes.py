"""The routes of the page: whole, typed, cached as they may be, under a strict policy."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pyllm.server import webui

MAX_TRANSFERRED = 150_000  # bytes, compressed: a slow link loads the page within seconds


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=webui.routes())) as client:
        yield client


def assets(client: TestClient) -> list[str]:
    return re.findall(r'(?:src|href)="\./([^"]+)"', client.get("/").text)


def raw(client: TestClient, path: str, encoding: str) -> tuple[httpx.Response, bytes]:
    with client.stream("GET", path, headers={"Accept-Encoding": encoding}) as response:
        return response, b"".join(response.iter_raw())


def test_the_page_and_its_files(client: TestClient) -> None:
    index = client.get("/")
    assert index.status_code == 200
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert index.headers["cache-control"] == "no-cache"
    kinds = {client.get(path).headers["content-type"].partition(";")[0] for path in assets(client)}
    assert kinds == {"text/javascript", "text/css", "image/svg+xml"}
    for path in assets(client):
        assert client.get(path).headers["cache-control"] == "public, max-age=31536000, immutable"


def test_headers_of_everything(client: TestClient) -> None:
    for path in ["/", *assets(client)]:
        headers = client.get(path).headers
        policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


def test_nothing_inline_and_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", page)
    assert not re.search(r'(?:src|href)="(?!\./assets/)', page)
    assert "trusted-types 'none'" in page
    for path in assets(client):
        text = client.get(path).text
        assert not re.search(r"\beval\(|new Function\b|document\.write\b", text)
        assert not re.search(r"url\((?!data:)|@import", text) or not path.endswith(".css")


def test_compressed_only_for_those_who_ask(client: TestClient) -> None:
    total = 0
    for path in ["/", *assets(client)]:
        plain, content = raw(client, path, "identity")
        assert "content-encoding" not in plain.headers
        packed, compressed = raw(client, path, "br, gzip")
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept-Encoding"
        assert gzip.decompress(compressed) == content
        total += len(compressed)
    assert total < MAX_TRANSFERRED


def test_unchanged_files_are_not_sent_again(client: TestClient) -> None:
    etag = client.get("/").headers["etag"]
    again = client.get("/", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-security-policy" in again.headers
    assert client.get("/", headers={"If-None-Match": '"other"'}).status_code == 200


def test_head(client: TestClient) -> None:
    response = client.head("/")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/assets/none.js",
        "/assets/..%2f..%2f__init__.py",
        "/assets/%2e%2e/index.html",
        "/assets/../../../../etc/passwd",
        "/sources.sha256",
        "/index.html",
        "/src/main.tsx",
    ],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent_to_it(client: TestClient, method: str) -> None:
    assert client.request(method, "/").status_code == 405
