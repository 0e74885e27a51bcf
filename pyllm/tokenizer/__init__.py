"""Tokenizers and chat templates, rebuilt from what a GGUF file says about them."""

from pyllm.tokenizer.chat_template import ChatTemplate
from pyllm.tokenizer.pretokenizers import UnknownPreTokenizerWarning
from pyllm.tokenizer.tokenizer import Tokenizer

__all__ = ["ChatTemplate", "Tokenizer", "UnknownPreTokenizerWarning"]
