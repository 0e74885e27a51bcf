"""The vocabulary in a GGUF file, checked: every later step may rely on what this module read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from pyllm.gguf import StringArray

if TYPE_CHECKING:
    from pyllm.gguf import GGUFFile

__all__ = [
    "TOKENS",
    "TokenType",
    "Vocabulary",
    "check_count",
    "read_scores",
    "read_strings",
    "read_vocabulary",
]

MAX_TOKENS: Final = 1 << 22
MAX_TOKEN_CHARS: Final = 2048  # the longest in use are runs of some 256 spaces or signs

TOKENS = "tokenizer.ggml.tokens"
_TYPES = "tokenizer.ggml.token_type"
_SCORES = "tokenizer.ggml.scores"
_NONE_ID = 2**32 - 1  # -1 as the uint32 that some converters write for "no such token"
_CONVERT_AGAIN = "convert the model again or download a good copy"


class TokenType(IntEnum):
    """GGUF's token types; the numbers are sentencepiece's."""

    UNDEFINED = 0
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


# Texts that end a turn or a text in one model family or another, whatever the file calls them.
_END_TEXTS: Final = frozenset(
    {
        "</s>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|calls|>",
        "<|flush|>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "<EOT>",
        "_<EOT>",
        "<|EOT|>",
        "<｜end▁of▁sentence｜>",
    }
)
_MARKER = re.compile(r"<[|｜].*[|｜]>|<(?:s|bos|eos|unk|pad)>", re.DOTALL)
# gpt-oss: <|end|> closes one of several messages of a turn when these two exist.
_ENDS_OF_CHANNELS: Final = frozenset({"<|return|>", "<|call|>"})


@dataclass(frozen=True)
class Vocabulary:
    """Token texts and types by id, the ids with a role, and the file's switches."""

    path: object
    model: str  # tokenizer.ggml.model: "llama", "gpt2"
    pre: str | None  # tokenizer.ggml.pre
    tokens: list[str]  # non-empty ones are distinct
    types: npt.NDArray[np.int8]  # TokenType by id
    bos_id: int | None
    eos_id: int | None
    unk_id: int | None
    eog_ids: frozenset[int]  # end of generation: eos, end of turn, …
    add_bos: bool | None  # None: the file does not say
    add_eos: bool
    add_space_prefix: bool | None
    chat_template: str | None
    swallow_space_after: frozenset[int]  # special tokens that drop the white space behind them

    def ids_of(self, *types: TokenType) -> list[int]:
        """Ids of the tokens of these types whose text is not empty, ascending."""
        chosen = np.flatnonzero(np.isin(self.types, types)).tolist()
        return [token for token in chosen if self.tokens[token]]


def read_vocabulary(file: GGUFFile) -> Vocabulary:
    """Raises ModelFileError naming the key that is missing, malformed or out of range."""
    tokens = read_strings(file, TOKENS, MAX_TOKENS)
    _check_texts(file, tokens)
    types = _read_types(file, len(tokens))
    roles = {role: _read_id(file, role, len(tokens)) for role in ("bos", "eos", "eot", "eom")}
    for role in ("padding", "seperator", "cls", "mask"):  # "seperator" is how GGUF spells it
        _read_id(file, role, len(tokens), may_be_none=True)
    ends = {token for role, token in roles.items() if token is not None and role != "bos"}
    ends |= _ends_by_text(tokens, types)
    _protect_markers(tokens, types, roles.values())
    return Vocabulary(
        path=file.path,
        model=file.get("tokenizer.ggml.model", str),
        pre=file.get("tokenizer.ggml.pre", str, None),
        tokens=tokens,
        types=types,
        bos_id=roles["bos"],
        eos_id=roles["eos"],
        unk_id=_read_id(file, "unknown", len(tokens)),
        eog_ids=frozenset(ends),
        add_bos=file.get("tokenizer.ggml.add_bos_token", bool, None),
        add_eos=file.get("tokenizer.ggml.add_eos_token", bool, False),
        add_space_prefix=file.get("tokenizer.ggml.add_space_prefix", bool, None),
        chat_template=file.get("tokenizer.chat_template", str, None),
        swallow_space_after=_space_swallowers(file, tokens, types),
    )


def read_strings(file: GGUFFile, key: str, most: int) -> list[str]:
    """A key that must hold an array of at most `most` strings. Raises ModelFileError."""
    array = file.get(key, StringArray)
    check_count(file, key, array, most)
    return array.tolist()


def check_count(file: GGUFFile, key: str, array: StringArray, most: int) -> None:
    """Raises ModelFileError before too many strings are read: 10 million take a gigabyte."""
    if len(array) > most:
        raise file.error(key, f"{len(array)} strings", f"at most {most}", _CONVERT_AGAIN)


def read_scores(file: GGUFFile, n_tokens: int) -> npt.NDArray[np.float64]:
    """One score per token. Raises ModelFileError when one is missing or not a number."""
    scores = _numbers(file, _SCORES, n_tokens)
    if scores.dtype.kind != "f":
        raise file.error(_SCORES, str(scores.dtype), "an array of floats", _CONVERT_AGAIN)
    if np.isnan(scores).any():
        at = int(np.flatnonzero(np.isnan(scores))[0])
        raise file.error(f"{_SCORES}[{at}]", "NaN", "a number", _CONVERT_AGAIN)
    return scores.astype(np.float64)


def _numbers(file: GGUFFile, key: str, n_tokens: int) -> npt.NDArray[np.generic]:
    values = file.get(key, np.ndarray)
    if len(values) != n_tokens:
        limit = f"{n_tokens} elements, one per token"
        raise file.error(key, f"{len(values)} elements", limit, _CONVERT_AGAIN)
    return values


def _read_types(file: GGUFFile, n_tokens: int) -> npt.NDArray[np.int8]:
    if _TYPES not in file.metadata:
        return np.full(n_tokens, TokenType.NORMAL, np.int8)
    values = _numbers(file, _TYPES, n_tokens)
    if values.dtype.kind not in "iu":
        raise file.error(_TYPES, str(values.dtype), "an array of integers", _CONVERT_AGAIN)
    numbers = values.astype(np.int64)
    bad = np.flatnonzero((numbers < 0) | (numbers > max(TokenType)))
    if len(bad):
        at = int(bad[0])
        raise file.error(f"{_TYPES}[{at}]", int(numbers[at]), "0 to 6", _CONVERT_AGAIN)
    return numbers.astype(np.int8)


def _check_texts(file: GGUFFile, tokens: list[str]) -> None:
    if not tokens:
        raise file.error(TOKENS, "0 tokens", "at least 1", _CONVERT_AGAIN)
    most = max(map(len, tokens))
    if most > MAX_TOKEN_CHARS:
        longest = next(token for token, text in enumerate(tokens) if len(text) == most)
        size = f"{len(tokens[longest])} characters"
        limit = f"at most {MAX_TOKEN_CHARS} characters"
        raise file.error(f"{TOKENS}[{longest}]", size, limit, _CONVERT_AGAIN)
    _check_characters(file, tokens)
    if len(set(tokens)) != len(tokens):
        _check_distinct(file, tokens)


def _check_characters(file: GGUFFile, tokens: list[str]) -> None:
    # The joined text is searched in C; which token is at fault is looked up only when one is.
    joined = "".join(tokens)
    try:
        joined.encode("utf-8")
    except UnicodeEncodeError:
        at = next(i for i, token in enumerate(tokens) if not _is_utf8(token))
        raw = tokens[at].encode("utf-8", "surrogateescape")
        raise file.error(f"{TOKENS}[{at}]", raw, "UTF-8 text", _CONVERT_AGAIN) from None
    if "\0" in joined:
        at = next(i for i, token in enumerate(tokens) if "\0" in token)
        raise file.error(f"{TOKENS}[{at}]", tokens[at], "text without NUL", _CONVERT_AGAIN)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check_distinct(file: GGUFFile, tokens: list[str]) -> None:
    seen: dict[str, int] = {}
    for at, token in enumerate(tokens):
        if token and token in seen:
            limit = f"distinct tokens (the same text is token {seen[token]})"
            raise file.error(f"{TOKENS}[{at}]", token, limit, _CONVERT_AGAIN)
        seen[token] = at


def _read_id(file: GGUFFile, role: str, n_tokens: int, *, may_be_none: bool = False) -> int | None:
    key = f"tokenizer.ggml.{role}_token_id"
    token = file.get(key, int, None)
    if token is None or (may_be_none and token == _NONE_ID):
        return None
    if not 0 <= token < n_tokens:
        raise file.error(key, token, f"0 to {n_tokens - 1}, a token id", _CONVERT_AGAIN)
    return token


def _ends_by_text(tokens: list[str], types: npt.NDArray[np.int8]) -> set[int]:
    ends = {tokens.index(text) for text in _END_TEXTS.intersection(tokens)}
    texts = {tokens[token] for token in ends}
    if texts >= _ENDS_OF_CHANNELS:
        ends = {token for token in ends if tokens[token] != "<|end|>"}
    # A text so spelled is never prose, even where a converter forgot to mark it.
    types[sorted(ends)] = TokenType.CONTROL
    return ends


def _protect_markers(
    tokens: list[str], types: npt.NDArray[np.int8], roles: Iterable[int | None]
) -> None:
    """Markers that the file calls user-defined become control tokens.

    User-defined tokens are found in plain text; a user who writes a marker must not forge a turn.
    """
    with_role = set(roles)
    for token in np.flatnonzero(types == TokenType.USER_DEFINED).tolist():
        if token in with_role or _MARKER.fullmatch(tokens[token]):
            types[token] = TokenType.CONTROL


def _space_swallowers(
    file: GGUFFile, tokens: list[str], types: npt.NDArray[np.int8]
) -> frozenset[int]:
    """Phi-3's special tokens drop the white space behind them; GGUF has no key that says so."""
    name = file.get("general.name", str, "").lower()
    if "phi-3" not in name and "phi3" not in name:
        return frozenset()
    special = np.flatnonzero(
        np.isin(types, (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN))
    ).tolist()
    keeps = {"<unk>", "<s>", "<|endoftext|>"}
    return frozenset(token for token in special if tokens[token] not in keeps) | frozenset(
        token for token, text in enumerate(tokens) if text == "</s>"
    )
