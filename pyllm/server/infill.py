"""Prompts for models that fill in the middle: the text before a gap, and the text behind it."""

from __future__ import annotations

from pyllm.errors import RequestError
from pyllm.prompts import Prompt, encode_prompt
from pyllm.tokenizer import Tokenizer

# How families write the three marks: prefix, suffix, middle.
_MARKS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
    ("<PRE>", "<SUF>", "<MID>"),  # CodeLlama
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ("[PREFIX]", "[SUFFIX]", "[MIDDLE]"),  # Codestral
)


def infill_marks(tokenizer: Tokenizer) -> tuple[int, int, int] | None:
    """Ids of the marks for prefix, suffix and middle; None for a model that has none."""
    for marks in _MARKS:
        ids = [tokenizer.special_id(mark) for mark in marks]
        if None not in ids:
            return ids[0], ids[1], ids[2]  # type: ignore[return-value]
    return None


def infill_prompt(tokenizer: Tokenizer, before: Prompt, behind: str) -> list[int]:
    """Prefix, suffix, middle: the order all these families were trained with.

    Raises RequestError for a model that cannot.
    """
    marks = infill_marks(tokenizer)
    if marks is None:
        limit = "the model has no tokens for filling in; ask without a suffix"
        raise RequestError("suffix", behind, limit)
    prefix, suffix, middle = marks
    _, ids = encode_prompt(before, tokenizer)
    start = [ids.pop(0)] if tokenizer.add_bos and ids[:1] == [tokenizer.bos_id] else []
    tail = tokenizer.encode(behind, add_special=False)
    return [*start, prefix, *ids, suffix, *tail, middle]
