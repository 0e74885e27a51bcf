"""What the rows of a step say, handed to the continuations they belong to."""

from __future__ import annotations

import logging

from pyllm.continuation import Continuation
from pyllm.engine.batch import Columns, Scored
from pyllm.engine.counters import EngineCounters
from pyllm.errors import printable
from pyllm.pooling.request import Pooling
from pyllm.sampling.logprobs import RowLogprobs

__all__ = ["RowResults", "fail"]

_log = logging.getLogger(__name__)

# What `status` says of a row that has no token: why its continuation ends.
_FAILURES = {1: "nonfinite_logits", 2: "no_token_allowed"}


class RowResults:
    """Reads the columns that steps fill. A defect in one continuation's code ends it alone."""

    def __init__(self, columns: Columns, counters: EngineCounters) -> None:
        self._columns = columns
        self._counters = counters
        self._logprobs = RowLogprobs(columns)

    def begin(self, num_rows: int) -> None:
        """A step has filled so many rows, or some of them anew."""
        self._logprobs.begin(num_rows)

    def take(self, continuation: Continuation, row: int, token: int, status: int) -> None:
        """Let a continuation have the token that was sampled in `row`."""
        sequence = continuation.sequence
        grammar = sequence.grammar
        if status != 0:
            continuation.fail(_FAILURES[status])
            return
        try:
            if grammar is not None and not grammar.accept(token):
                continuation.fail(grammar.error)
                return
            if continuation.has_logprobs:
                self._add_logprobs(continuation, row)
            if sequence.params.mirostat:
                sequence.mirostat_mu = float(self._columns["mirostat_next"][row])
            continuation.append(token)
            self._counters.num_generated_tokens += 1
            if grammar is not None:
                known = len(sequence.tokens)
                continuation.append_forced(grammar)
                self._counters.num_generated_tokens += len(sequence.tokens) - known
        except BaseException as error:  # in code that runs for this request only; Rust panics so
            fail(continuation, error)

    def take_scores(self, continuation: Continuation, part: Scored) -> None:
        """Let it have the log-probabilities of prompt tokens."""
        width = part.sequence.params.prompt_logprobs or 0
        try:
            for row in range(part.first_row, part.first_row + part.count):
                status = int(self._columns["status"][row])
                if status != 0:
                    continuation.fail(_FAILURES[status])
                    return
                continuation.add_prompt_logprobs(*self._logprobs.read(row, width))
        except BaseException as error:  # in code that runs for this request only
            fail(continuation, error)

    def take_states(self, pooling: Pooling, part: Scored) -> None:
        """Let it have the states of tokens of its text."""
        rows = slice(part.first_row, part.first_row + part.count)
        try:
            pooling.add_states(self._columns["hidden"][rows])
        except BaseException as error:  # in code that runs for this request only
            fail(pooling, error)

    def _add_logprobs(self, continuation: Continuation, row: int) -> None:
        params = continuation.sequence.params
        count, only = params.logprobs or 0, params.logprob_token_ids
        continuation.add_logprobs(*self._logprobs.read(row, count, only))


def fail(continuation: Continuation, error: BaseException, what: str = "") -> None:
    """End a continuation alone: in one line for the caller, in full in the log."""
    request_id = continuation.request.request_id
    _log.error("request %s failed", printable(request_id), exc_info=error)
    continuation.fail(what + _one_line(error))


def _one_line(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text.removesuffix(":")[:200]
