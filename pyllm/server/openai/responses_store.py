"""Responses that clients may come back to, in memory: the longest unused are forgotten first."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from pyllm.server.errors import ApiError
from pyllm.server.long_json import long_json

MAX_RESPONSES = 1000
MAX_BYTES = 64 << 20  # of JSON, of all of them together

_Key: TypeAlias = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """`response`, and the items of its request and of its answer, are JSON: a tenth of the
    objects' memory. Items of an answer go without log-probabilities, which may be most of it."""

    id: str
    response: bytes
    items: bytes
    output: bytes
    previous_id: str | None

    @classmethod
    def of(cls, response: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> Self:
        """Takes as long as they are."""
        return cls(
            response["id"],
            long_json(response),
            long_json(list(items)),
            long_json([_without_logprobs(item) for item in response["output"]]),
            response["previous_response_id"],
        )

    @property
    def size(self) -> int:
        return len(self.response) + len(self.items) + len(self.output)

    def input_items(self) -> list[dict[str, Any]]:
        """Those of its request."""
        return _read(self.items)

    def all_items(self) -> list[dict[str, Any]]:
        """Those of its request, and the answer's."""
        return [*_read(self.items), *_read(self.output)]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Responses that follow each other, the first first."""

    rounds: tuple[StoredResponse, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that `items` reads."""
        return sum(len(stored.items) + len(stored.output) for stored in self.rounds)

    def items(self) -> list[dict[str, Any]]:
        """All that was said in them."""
        return [item for stored in self.rounds for item in stored.all_items()]


class ResponseStore:
    """Each tenant sees its own responses only."""

    def __init__(self, max_responses: int = MAX_RESPONSES, max_bytes: int = MAX_BYTES) -> None:
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._stored: OrderedDict[_Key, StoredResponse] = OrderedDict()
        self._bytes = 0

    def put(self, tenant: str | None, stored: StoredResponse) -> None:
        """A response that is larger than all there is room for is not kept."""
        if stored.size > self._max_bytes:
            return
        self._stored[tenant, stored.id] = stored
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

    def conversation(self, tenant: str | None, response_id: str | None) -> Conversation:
        """All up to the end of this response.

        ApiError when one of them is not there. None: there is no response yet.
        """
        rounds: list[StoredResponse] = []
        while response_id is not None:
            try:
                stored = self.get(tenant, response_id)
            except ApiError:
                code = "previous_response_not_found"
                raise _not_found(response_id, code, "previous_response_id") from None
            rounds.append(stored)
            response_id = stored.previous_id
        return Conversation(tuple(reversed(rounds)))

    def _forget(self, key: _Key) -> None:
        self._bytes -= self._stored.pop(key).size


def _read(items: bytes) -> list[dict[str, Any]]:
    # With a function of Python's for every object other threads get their turn while it is read.
    found: list[dict[str, Any]] = json.loads(items, object_hook=lambda fields: fields)
    return found


def _without_logprobs(item: Mapping[str, Any]) -> dict[str, Any]:
    if item["type"] != "message":
        return dict(item)
    parts = [{**part, "logprobs": []} for part in item["content"]]
    return {**item, "content": parts}


def _not_found(response_id: str, code: str, param: str | None) -> ApiError:
    message = (
        f"the response {response_id[:128]!r} is not here: it never was, was deleted, "
        "or had to make room for later ones"
    )
    return ApiError(404, message, code, param=param)
