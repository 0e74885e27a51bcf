"""The ways a caller may write a prompt, brought to one: text and checked token ids."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pyllm.errors import RequestError

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

# "text", [ids], {"prompt": "text"} or {"prompt_token_ids": [ids]}, both with "cache_salt" or not
Encoded: TypeAlias = tuple[str | None, list[int]]  # text, None for token ids; ids
Prompt: TypeAlias = str | Sequence[int] | Mapping[str, Any]
Prompts: TypeAlias = Prompt | Sequence[Prompt]


def as_prompt_list(prompts: Prompts) -> list[Prompt]:
    """One prompt or several, as a list; a list of integers is one prompt of token ids."""
    if isinstance(prompts, str | Mapping):
        return [prompts]
    if isinstance(prompts, bytes) or not isinstance(prompts, Sequence):
        raise RequestError("prompts", prompts, "must be text, a prompt dictionary or a list")
    if prompts and all(isinstance(item, numbers.Number) for item in prompts):
        return [prompts]  # type: ignore[list-item]
    return list(prompts)  # type: ignore[arg-type]


def encode_prompt(
    prompt: object, tokenizer: Tokenizer, *, add_special: bool = True, parse_special: bool = False
) -> Encoded:
    """Text (None for token ids) and ids.

    Special tokens written in the text stay plain text unless `parse_special`, which is for text
    that came out of a template; a BOS token written there is the only one.
    """
    if isinstance(prompt, Mapping):
        prompt = _dictionary_value(prompt)
    if isinstance(prompt, str):
        text = checked_text("prompt", prompt)
        ids = tokenizer.encode(text, add_special=add_special, parse_special=parse_special)
        if parse_special and tokenizer.add_bos and ids[:2] == [tokenizer.bos_id] * 2:
            del ids[0]
        return prompt, ids
    if isinstance(prompt, bytes) or not isinstance(prompt, Sequence):
        raise RequestError("prompt", prompt, "must be text or a list of token ids")
    return None, checked_ids("prompt_token_ids", prompt, tokenizer.n_vocab)


def cache_salt(prompt: object) -> str | None:
    """Whose cached prefixes the prompt may share; None unless it is a dictionary that says so."""
    return prompt.get("cache_salt") if isinstance(prompt, Mapping) else None


def _dictionary_value(prompt: Mapping[str, Any]) -> str | Sequence[int]:
    given = [key for key in ("prompt", "prompt_token_ids") if prompt.get(key) is not None]
    known = ("prompt", "prompt_token_ids", "cache_salt")
    unknown = sorted(str(key) for key in prompt if key not in known)
    if unknown:
        raise RequestError(f"prompt[{unknown[0]!r}]", prompt[unknown[0]], "is not a known key")
    if len(given) != 1:
        limit = 'must have either "prompt" or "prompt_token_ids"'
        raise RequestError("prompt", sorted(map(str, prompt)), limit)
    value = prompt[given[0]]
    wanted = str if given[0] == "prompt" else Sequence
    if not isinstance(value, wanted) or isinstance(value, str) != (wanted is str):
        kind = "text" if wanted is str else "a list of token ids"
        raise RequestError(given[0], value, f"must be {kind}")
    return value


def checked_text(field: str, text: str) -> str:
    """Text that has a UTF-8 form; a lone surrogate has none."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        limit = f"character {error.start} is a lone surrogate; give valid Unicode"
        raise RequestError(field, text, limit) from None
    return text


def checked_ids(field: str, ids: Iterable[object], n_vocab: int) -> list[int]:
    """Token ids as plain ints, each in [0, n_vocab); NumPy integers are welcome, bools are not."""
    checked = []
    for index, token in enumerate(ids):
        if isinstance(token, bool) or not isinstance(token, numbers.Integral):
            raise RequestError(f"{field}[{index}]", token, "must be an integer")
        number = int(token)
        if not 0 <= number < n_vocab:
            limit = f"must be at least 0 and less than {n_vocab}, the size of the vocabulary"
            raise RequestError(f"{field}[{index}]", number, limit)
        checked.append(number)
    return checked
