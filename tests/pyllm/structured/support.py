"""Compilers over small vocabularies, and what a grammar says of a whole text."""

from __future__ import annotations

from functools import cache
from typing import Any

from pyllm.demo import demo_model
from pyllm.gguf import GGUFFile
from pyllm.structured import StructuredOutputsParams
from pyllm.structured.compiler import GrammarCompiler
from pyllm.structured.grammar_state import GrammarState
from pyllm.tokenizer import Tokenizer
from tests.pyllm.fake_program import FakeTokenizer


@cache
def byte_compiler() -> GrammarCompiler:
    return GrammarCompiler(FakeTokenizer())


@cache
def demo_tokenizer() -> Tokenizer:
    with GGUFFile.open(demo_model()) as file:
        return Tokenizer.from_gguf(file)


@cache
def demo_compiler() -> GrammarCompiler:
    return GrammarCompiler(demo_tokenizer())


def state_of(*, jump: bool = False, **params: Any) -> GrammarState:
    return byte_compiler().compile(StructuredOutputsParams(**params), jump=jump)


def accepts(state: GrammarState, text: str) -> bool:
    """Whether `text`, token by token, is a whole answer."""
    state = state.copy()
    return all(state.accept(token) for token in [*text.encode(), min(FakeTokenizer.eog_ids)])
