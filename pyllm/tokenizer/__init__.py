"""Tokenizers and chat templates, rebuilt from what a GGUF file says about them."""

from pyllm.tokenizer.pretokenizers import UnknownPreTokenizerWarning
from pyllm.tokenizer.tokenizer import Tokenizer

__all__ = ["Tokenizer", "UnknownPreTokenizerWarning"]
