"""Grammars are compiled before their request is admitted, and not for longer than a budget."""

from __future__ import annotations

import queue
import threading
import time
from functools import cache
from typing import TYPE_CHECKING

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from pyllm.errors import RequestError
from pyllm.structured.grammar import grammar_of
from pyllm.structured.grammar_state import GrammarState, Vocabulary
from pyllm.structured.params import StructuredOutputsParams
from pyllm.structured.vocabulary import make_vocabulary, special_ids

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

BUDGET_S = 2.0  # the slowest of a thousand schemas in use takes 0.1 s
_MOST_AT_ONCE = 4  # compilations, those that outlive their budget included
_QUICK_S = 0.02  # less than a step takes that reads a prompt
_MOST_KNOWN = 1024  # quick grammars, by hash
# llguidance follows a chain of rules or of "$ref" by recursion, up to 4 KB a link, and a stack that
# ends is the end of the process. The longest text has some 30,000 links; of a stack only what is
# used takes memory. Other threads have 8 MB or less: only what is short is compiled there.
_STACK_BYTES = 512 << 20
_MOST_ANYWHERE = 16_384  # characters
_starting = threading.Lock()


class GrammarCompiler:
    """Makes the grammar states of requests; any number of threads may call it at once.

    Nothing is shared between requests but the vocabulary, which is made with the first grammar:
    a lexer that many requests share would fill up over time, and fail one for another's states.
    A grammar that is known to compile quickly is compiled again by who writes the first mask, so
    that a thousand requests in a queue hold a thousand times nothing.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._vocabulary: Vocabulary | None = None
        self._special_tokens: dict[str, int] = {}
        self._slots = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._quick: dict[int, None] = {}  # hashes, oldest first

    def compile(self, params: StructuredOutputsParams, *, jump: bool) -> GrammarState:
        """The state of a sequence that has no tokens yet.

        jump  write forced tokens without sampling them
        Raises RequestError for what is impossible, unsupported or too expensive.
        """
        vocabulary = self._get_vocabulary(params)
        grammar = grammar_of(params, self._special_tokens)
        if hash(grammar) in self._quick and params.after is None:
            pristine = cache(lambda: _compiled(vocabulary.tokenizer, grammar))
            return GrammarState(vocabulary, pristine, after=None, jump=jump)
        start = time.perf_counter()
        matcher = self._within_budget(params, vocabulary.tokenizer, grammar)
        if matcher.is_error():
            raise _refusal(params, f"is not possible: {_reason(matcher.get_error())}")
        if len(grammar) <= _MOST_ANYWHERE and time.perf_counter() - start < _QUICK_S:
            self._remember(hash(grammar))
        return GrammarState(vocabulary, lambda: matcher, after=params.after, jump=jump)

    def _remember(self, grammar: int) -> None:
        with self._lock:
            while len(self._quick) >= _MOST_KNOWN:
                del self._quick[next(iter(self._quick))]
            self._quick[grammar] = None

    def _get_vocabulary(self, params: StructuredOutputsParams) -> Vocabulary:
        tokenizer = self._tokenizer
        if not tokenizer.eog_ids:
            limit = "needs a model whose vocabulary has an end-of-generation token"
            raise RequestError("structured_outputs", params.kind, limit)
        with self._lock:
            if self._vocabulary is None:
                self._special_tokens = {
                    tokenizer.token_bytes(token).decode("utf-8", "replace"): token
                    for token in special_ids(tokenizer)
                }
                self._vocabulary = Vocabulary(
                    make_vocabulary(tokenizer),
                    tokenizer.n_vocab,
                    tokenizer.token_bytes,
                    tokenizer.eog_ids,
                    _end_token(tokenizer),
                )
            return self._vocabulary

    def _within_budget(
        self, params: StructuredOutputsParams, tokenizer: LLTokenizer, grammar: str
    ) -> LLMatcher:
        """Compiles on a thread of its own: llguidance cannot be interrupted, but left behind."""
        done: queue.SimpleQueue[LLMatcher] = queue.SimpleQueue()

        def work() -> None:
            try:
                done.put(_compiled(tokenizer, grammar))
            finally:
                self._slots.release()

        if not self._slots.acquire(timeout=BUDGET_S):
            limit = f"the compiler is busy with {_MOST_AT_ONCE} other grammars; try again later"
            raise _refusal(params, limit)
        try:
            _start(threading.Thread(target=work, name="pyllm-grammar", daemon=True))
        except BaseException:  # too many threads: the one that would release it never runs
            self._slots.release()
            raise
        try:
            return done.get(timeout=BUDGET_S)
        except queue.Empty:
            limit = f"takes longer than {BUDGET_S:g} s to compile; make it smaller"
            raise _refusal(params, limit) from None


def _start(thread: threading.Thread) -> None:
    with _starting:
        before = threading.stack_size(_STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(before)


def _compiled(tokenizer: LLTokenizer, grammar: str) -> LLMatcher:
    limits = LLParserLimits(
        initial_lexer_fuel=1_000_000,  # some 20 ms
        step_lexer_fuel=200_000,  # of one mask: some 15 ms
        step_max_items=50_000,  # of one mask: some 3 ms
        max_lexer_states=50_000,  # of one request: some 100 MB
        max_grammar_size=500_000,
        verbose_errors=False,  # a message is for the caller, not a dump of the parser
    )
    matcher = LLMatcher(tokenizer, grammar, log_level=0, limits=limits)
    if not matcher.is_error():
        matcher.compute_bitmask()  # finds out that nothing can begin the answer
    return matcher


def _end_token(tokenizer: Tokenizer) -> int:
    """What a finished answer ends with when nothing else may follow."""
    eos = tokenizer.eos_id
    return eos if eos is not None and eos in tokenizer.eog_ids else min(tokenizer.eog_ids)


def _refusal(params: StructuredOutputsParams, limit: str) -> RequestError:
    kind = params.kind
    return RequestError(f"structured_outputs.{kind}", getattr(params, kind), limit)


def _reason(message: str) -> str:
    """llguidance draws pictures with its messages; the reason is their first or last line."""
    lines = message.splitlines()
    of_regex = [line for line in lines if line.startswith("error: ")]
    return (of_regex or lines)[0].removeprefix("error: ")[:300]
