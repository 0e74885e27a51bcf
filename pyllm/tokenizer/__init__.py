"""Tokenizers and chat templates, rebuilt from what a GGUF file says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyllm.tokenizer.pretokenizers import UnknownPreTokenizerWarning
from pyllm.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from pyllm.tokenizer.chat_template import ChatTemplate

__all__ = ["ChatTemplate", "Tokenizer", "UnknownPreTokenizerWarning"]


def __getattr__(name: str) -> Any:
    # Jinja takes 40 ms to import, and a model may never chat.
    if name == "ChatTemplate":
        from pyllm.tokenizer.chat_template import ChatTemplate

        return ChatTemplate
    raise AttributeError(f"module 'pyllm.tokenizer' has no attribute {name!r}")
