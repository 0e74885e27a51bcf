"""The grammar compiler, made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllm.structured.compiler import GrammarCompiler
    from pyllm.tokenizer import Tokenizer


def late_compiler(tokenizer: Tokenizer) -> Callable[[], GrammarCompiler]:
    """Gives the same compiler each time, and makes it the first time."""

    @cache
    def compiler() -> GrammarCompiler:
        # Imported late: llguidance takes 60 ms, and only requests with a grammar need it.
        from pyllm.structured.compiler import GrammarCompiler

        return GrammarCompiler(tokenizer)

    return compiler
