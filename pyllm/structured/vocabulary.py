"""A model's vocabulary as llguidance reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llguidance import LLTokenizer

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer


class _Vocabulary:
    """The attributes and the call that LLTokenizer asks of a tokenizer."""

    is_tokenizer_wrapper = True

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = min(tokenizer.eog_ids)
        self.bos_token_id = tokenizer.bos_id
        self.tokens = [tokenizer.token_bytes(token) for token in range(tokenizer.n_vocab)]
        self.special_token_ids = special_ids(tokenizer)

    def __call__(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special=False, add_prefix=False)


def special_ids(tokenizer: Tokenizer) -> list[int]:
    return [token for token in range(tokenizer.n_vocab) if tokenizer.is_special(token)]


def make_vocabulary(tokenizer: Tokenizer) -> LLTokenizer:
    """About half a second for 128,000 tokens; the tokenizer must have an end-of-generation id."""
    wrapper = _Vocabulary(tokenizer)
    return LLTokenizer(wrapper, eos_token=sorted(tokenizer.eog_ids))  # type: ignore[arg-type]
