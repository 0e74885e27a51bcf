from __future__ import annotations

import httpx


def test_every_route_is_on_the_page_which_needs_no_script(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    page = http.get("/docs").text
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert http.get("/docs/style.css").headers["content-type"].startswith("text/css")
