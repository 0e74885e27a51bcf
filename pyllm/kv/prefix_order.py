"""In which order the requests of one call are handed over: those that share prefixes together."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from pyllm.request import Request


def sharers_together(requests: Iterable[Request]) -> list[Request]:
    """Requests sorted by their prompts; equal prompts keep their order.

    What one of them left in the cache the next one needs, before it can be evicted. Results do
    not depend on it: seeds and ids were given out before, and priorities outrank the order.
    """
    return sorted(requests, key=_prompt_bytes)


def _prompt_bytes(request: Request) -> bytes:
    # Bytes are compared at memory speed; lists of integers take 20 ns a token, and a shared
    # prefix is compared again and again. The order of the bytes is as good as any other.
    return array("i", request.prompt_token_ids).tobytes()
