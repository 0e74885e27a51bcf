"""`pyllm explain-cache MODEL PROMPT_A PROMPT_B`: where B leaves A, and what the cache saves."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.terminal import escape_controls
from pyllm.errors import printable
from pyllm.gguf import GGUFFile
from pyllm.tokenizer import Tokenizer

__all__ = ["Divergence", "Sharing", "compare", "explain_cache"]

_TOKENS_BEFORE, _TOKENS_AFTER = 16, 8  # of the text shown around the place


@dataclass(frozen=True)
class Divergence:
    """The first token that differs; a token of None: that prompt ends here."""

    token: int  # index, from 0
    before: str  # the common text that leads to it
    a_token: int | None
    a_text: str
    b_token: int | None
    b_text: str


@dataclass(frozen=True)
class Sharing:
    """What two prompts have in common; `cached_tokens` is what B finds after A was computed."""

    a_tokens: int
    b_tokens: int
    shared_tokens: int
    block_size: int
    shared_blocks: int
    cached_tokens: int
    divergence: Divergence | None  # None for equal prompts


def explain_cache(
    model: str | os.PathLike[str],
    prompts: Sequence[str],
    *,
    as_json: bool = False,
    block_size: int = 32,
    parse_special: bool = False,
) -> None:
    """Prints the comparison of two prompts; "@path" reads one from a file. Loads no weights.

    parse_special  "<|im_end|>" in a prompt is that token, as in text that a template wrote

    Raises CommandLineError, ModelFileError, TokenizerError and OSError.
    """
    if len(prompts) != 2:
        raise CommandLineError(f"two prompts are compared, {len(prompts)} given; quote each")
    a_text, b_text = map(_text_of, prompts)
    with GGUFFile.open(model) as file:
        tokenizer = Tokenizer.from_gguf(file)
    a, b = (tokenizer.encode(text, parse_special=parse_special) for text in (a_text, b_text))
    sharing = compare(a, b, tokenizer, block_size)
    print(json.dumps(asdict(sharing)) if as_json else "\n".join(_lines(sharing)))


def compare(
    a: Sequence[int], b: Sequence[int], tokenizer: Tokenizer, block_size: int = 32
) -> Sharing:
    """The comparison of two prompts given as token ids."""
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    shared = min(len(a), len(b)) if same is None else same
    blocks = shared // block_size
    # The last token of a prompt is always computed: the answer begins with its logits.
    reusable = min(blocks, max(0, len(b) - 1) // block_size)
    divergence = None
    if shared < max(len(a), len(b)):

        def text(ids: Sequence[int], first: int, end: int) -> str:
            pieces = map(tokenizer.token_bytes, ids[first:end])
            return b"".join(pieces).decode("utf-8", "replace")

        divergence = Divergence(
            shared,
            text(a, max(0, shared - _TOKENS_BEFORE), shared),
            a[shared] if shared < len(a) else None,
            text(a, shared, shared + _TOKENS_AFTER),
            b[shared] if shared < len(b) else None,
            text(b, shared, shared + _TOKENS_AFTER),
        )
    return Sharing(len(a), len(b), shared, block_size, blocks, reusable * block_size, divergence)


def _lines(sharing: Sharing) -> list[str]:
    computed = sharing.b_tokens - sharing.cached_tokens
    lines = [
        f"prompt A  {sharing.a_tokens} tokens",
        f"prompt B  {sharing.b_tokens} tokens",
        f"in common {sharing.shared_tokens} tokens (whole blocks of {sharing.block_size}: "
        f"{sharing.shared_blocks})",
        f"after A, B finds {sharing.cached_tokens} tokens in the cache and computes {computed}",
    ]
    place = sharing.divergence
    if place is None:
        return [*lines, "the prompts are equal; the last token is always computed"]
    lines.append(f"they diverge at token {place.token} (counted from 0), after")
    before = escape_controls(repr(place.before)) if place.before else "the very beginning"
    lines.append(f"     {before}")
    for name, token, text in (
        ("A", place.a_token, place.a_text),
        ("B", place.b_token, place.b_text),
    ):
        goes_on = "ends here" if token is None else f"token {token}: {escape_controls(repr(text))}"
        lines.append(f"  {name}  {goes_on}")
    return lines


def _text_of(prompt: str) -> str:
    if not prompt.startswith("@"):
        return prompt
    data = Path(prompt[1:]).expanduser().read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandLineError(
            f"{printable(prompt[1:])} is not UTF-8 text (byte {error.start})"
        ) from None
