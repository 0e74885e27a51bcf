"""Responses that clients may come back to, in memory: the longest unused are forgotten first."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pyllm.server.errors import ApiError
from pyllm.server.streams import to_json

MAX_RESPONSES = 1000
MAX_BYTES = 64 << 20  # of JSON, of all of them together

_Key: TypeAlias = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """`response` and `items`, those of its request, are JSON: a tenth of the objects' memory."""

    response: bytes
    items: bytes
    previous_id: str | None

    @property
    def size(self) -> int:
        return len(self.response) + len(self.items)

    def input_items(self) -> list[dict[str, Any]]:
        """Those of its request."""
        items: list[dict[str, Any]] = json.loads(self.items)
        return items

    def all_items(self) -> list[dict[str, Any]]:
        """Those of its request, and the answer's."""
        return [*self.input_items(), *json.loads(self.response)["output"]]


class ResponseStore:
    """Each tenant sees its own responses only."""

    def __init__(self, max_responses: int = MAX_RESPONSES, max_bytes: int = MAX_BYTES) -> None:
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._stored: OrderedDict[_Key, StoredResponse] = OrderedDict()
        self._bytes = 0

    def put(
        self,
        tenant: str | None,
        response: Mapping[str, Any],
        items: Sequence[Mapping[str, Any]],
    ) -> None:
        """A response that is larger than all there is room for is not kept."""
        previous = response["previous_response_id"]
        stored = StoredResponse(to_json(response), to_json(list(items)), previous)
        if stored.size > self._max_bytes:
            return
        self._stored[tenant, response["id"]] = stored
        self._bytes += stored.size
        while len(self._stored) > self._max_responses or self._bytes > self._max_bytes:
            self._forget(next(iter(self._stored)))

    def get(self, tenant: str | None, response_id: str) -> StoredResponse:
        """ApiError for one that is not there."""
        stored = self._stored.get((tenant, response_id))
        if stored is None:
            raise _not_found(response_id, "response_not_found", None)
        self._stored.move_to_end((tenant, response_id))
        return stored

    def delete(self, tenant: str | None, response_id: str) -> None:
        """ApiError (404) when there is none, or it is another key's."""
        self.get(tenant, response_id)
        self._forget((tenant, response_id))

    def conversation(self, tenant: str | None, response_id: str | None) -> list[dict[str, Any]]:
        """All items up to the end of this response, those of the responses before it first.

        ApiError when one of them is not there. None: there is no response yet.
        """
        rounds: list[list[dict[str, Any]]] = []
        while response_id is not None:
            try:
                stored = self.get(tenant, response_id)
            except ApiError:
                code = "previous_response_not_found"
                raise _not_found(response_id, code, "previous_response_id") from None
            rounds.append(stored.all_items())
            response_id = stored.previous_id
        return [item for items in reversed(rounds) for item in items]

    def _forget(self, key: _Key) -> None:
        self._bytes -= self._stored.pop(key).size


def _not_found(response_id: str, code: str, param: str | None) -> ApiError:
    message = (
        f"the response {response_id[:128]!r} is not here: it never was, was deleted, "
        "or had to make room for later ones"
    )
    return ApiError(404, message, code, param=param)
