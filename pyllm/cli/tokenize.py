"""`pyllm tokenize MODEL TEXT`: the tokens of a text, one per line or as JSON."""

from __future__ import annotations

import json
import os
import sys

from pyllm.cli.terminal import escape_controls
from pyllm.gguf import GGUFFile
from pyllm.tokenizer import Tokenizer

__all__ = ["tokenize"]


def tokenize(
    model: str | os.PathLike[str],
    text: str | None = None,
    *,
    as_json: bool = False,
    add_special: bool = True,
    parse_special: bool = False,
) -> None:
    """Prints the tokens of `text`, or of standard input when it is None; loads no weights.

    add_special    with BOS and EOS as the model wants them
    parse_special  "<|im_end|>" in the text is that token, not plain text

    Raises ModelFileError, TokenizerError and OSError.
    """
    with GGUFFile.open(model) as file:
        tokenizer = Tokenizer.from_gguf(file)
    if text is None:
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    ids = tokenizer.encode(text, add_special=add_special, parse_special=parse_special)
    pieces = [tokenizer.token_bytes(token) for token in ids]
    if as_json:
        rows = [
            {"id": token, "text": _text(piece), "bytes": list(piece)}
            for token, piece in zip(ids, pieces, strict=True)
        ]
        print(json.dumps({"tokenizer": tokenizer.name, "tokens": rows}))
        return
    for token, piece in zip(ids, pieces, strict=True):
        print(f"{token:>7}  {_shown(piece)}")
    print(f"{len(ids)} tokens ({tokenizer.name})")


def _text(piece: bytes) -> str | None:
    """The piece as text; None for bytes that are only a part of a character."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _shown(piece: bytes) -> str:
    text = _text(piece)
    return repr(piece) if text is None else escape_controls(repr(text))
