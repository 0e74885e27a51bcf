"""Lists that are read page by page, as OpenAI's clients do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyllm.errors import RequestError
from pyllm.server.errors import as_api_error


def page(items: Sequence[dict[str, Any]], after: str | None, limit: int) -> dict[str, Any]:
    """The first `limit` items, of those behind the one with the id `after`. ApiError."""
    start = 0
    if after is not None:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise as_api_error(RequestError("after", after, "must be the id of one in the list"))
        start = ids.index(after) + 1
    found = list(items[start : start + limit])
    return {
        "object": "list",
        "data": found,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
        "has_more": start + limit < len(items),
    }
