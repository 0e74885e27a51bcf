"""Log-probabilities as OpenAI writes them: one way for chats, another for completions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pyllm.outputs import Logprob
from pyllm.server.events import TokenLogprobs
from pyllm.tokenizer import Tokenizer

# JSON has no infinity; OpenAI's service writes this for what cannot happen.
_NEVER = -9999.0


def chat_logprobs(
    tokenizer: Tokenizer,
    token_ids: Sequence[int],
    logprobs: TokenLogprobs,
    top: int,
    *,
    with_ids: bool = False,
) -> list[dict[str, Any]]:
    """One entry for each token, with the `top` most probable beside it.

    with_ids  as llama-server writes them: each token's id is in its entry
    """
    return list(each_logprob(tokenizer, token_ids, logprobs, top, with_ids=with_ids))


def each_logprob(
    tokenizer: Tokenizer,
    token_ids: Sequence[int],
    logprobs: TokenLogprobs,
    top: int,
    *,
    with_ids: bool = False,
) -> Iterator[dict[str, Any]]:
    """The same, one by one: for answers that are written and not kept."""

    def entry(token: int, logprob: Logprob) -> dict[str, Any]:
        raw = tokenizer.token_bytes(token)
        found = {"token": raw.decode("utf-8", "replace"), "logprob": _finite(logprob.logprob)}
        return {**({"id": token} if with_ids else {}), **found, "bytes": list(raw)}

    for token, found in zip(token_ids, logprobs, strict=True):
        if found:  # always: only a prompt has tokens that nothing predicts
            best = [entry(*ranked) for ranked in _ranked(found, top)]
            yield {**entry(token, found[token]), "top_logprobs": best}


def _ranked(found: dict[int, Logprob], top: int) -> list[tuple[int, Logprob]]:
    return sorted(found.items(), key=lambda item: -item[1].logprob)[:top]


class CompletionLogprobs:
    """The four lists of /v1/completions; `offset` counts characters of the answer so far."""

    def __init__(self, tokenizer: Tokenizer, top: int) -> None:
        self._tokenizer = tokenizer
        self._top = top
        self._offset = 0

    def lists(
        self, token_ids: Iterable[int], logprobs: Iterable[dict[int, Logprob] | None]
    ) -> dict[str, Any]:
        """Of these tokens; none for one that nothing predicts, the first of an echoed prompt."""
        tokens, values, tops, offsets = [], [], [], []
        for token, found in zip(token_ids, logprobs, strict=True):
            text = self._text(token)
            tokens.append(text)
            offsets.append(self._offset)
            self._offset += len(text)
            values.append(_finite(found[token].logprob) if found else None)
            tops.append(self._tops(token, found) if found else None)
        return {
            "tokens": tokens,
            "token_logprobs": values,
            "top_logprobs": tops,
            "text_offset": offsets,
        }

    def _tops(self, token: int, found: dict[int, Logprob]) -> dict[str, float]:
        ranked = _ranked(found, self._top)
        if token not in dict(ranked):
            ranked.append((token, found[token]))
        return {self._text(token): _finite(logprob.logprob) for token, logprob in ranked}

    def _text(self, token: int) -> str:
        return self._tokenizer.token_bytes(token).decode("utf-8", "replace")


def prompt_logprobs(
    logprobs: Iterable[dict[int, Logprob] | None],
) -> list[dict[str, dict[str, Any]] | None]:
    """One entry for each token of a prompt, as vLLM writes them: ids, and what is known of each."""
    return [
        {str(token): _known(entry) for token, entry in found.items()} if found else None
        for found in logprobs  # nothing is known of the first
    ]


def _known(entry: Logprob) -> dict[str, Any]:
    return {
        "logprob": _finite(entry.logprob),
        "rank": entry.rank,
        "decoded_token": entry.decoded_token,
    }


def _finite(value: float) -> float:
    return value if math.isfinite(value) else _NEVER
