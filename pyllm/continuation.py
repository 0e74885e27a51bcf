"""One continuation as its caller will see it: text, log-probabilities, and why it ended."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from pyllm.engine.sequence import NOTHING_TO_SCORE
from pyllm.outputs import CompletionOutput, FinishReason, Logprob
from pyllm.sampling.logprobs import Entry, FlatLogprobs
from pyllm.sampling.repetition import RepetitionDetector
from pyllm.text.text_stream import TextStream

if TYPE_CHECKING:
    from pyllm.engine.sequence import Sequence
    from pyllm.request import Request
    from pyllm.structured.grammar_state import GrammarState


class Continuation:
    """Follows one sequence of a request token by token."""

    def __init__(
        self,
        request: Request,
        index: int,
        sequence: Sequence,
        max_length: int,
        text_stream: TextStream | None,
    ) -> None:
        self.request = request
        self.index = index
        self.sequence = sequence
        self.finish_reason: FinishReason | None = None
        self.stop_reason: int | str | None = None
        self._max_length = max_length  # tokens, prompt and output together
        self._text_stream = text_stream  # None with detokenize=False
        self._text: list[str] = []  # that was not reported as a delta
        self._logprobs: list[dict[int, Logprob]] | FlatLogprobs | None = None
        self._cumulative_logprob: float | None = None
        params = sequence.params
        self.has_logprobs = params.logprobs is not None or params.logprob_token_ids is not None
        if self.has_logprobs:
            self._logprobs = FlatLogprobs() if params.flat_logprobs else []
            self._cumulative_logprob = 0.0
        detection = params.repetition_detection
        self._repetition = None if detection is None else RepetitionDetector(detection)
        self._num_reported_tokens = sequence.num_prompt_tokens
        self._is_end_reported = False  # as a delta

    def append(self, token: int) -> None:
        """Take a sampled token; may set `finish_reason`."""
        sequence = self.sequence
        # Hardly anybody asks for min_tokens: no call for those who do not.
        may_stop = not sequence.params.min_tokens or not sequence.must_not_stop
        sequence.tokens.append(token)
        if sequence.history is not None:
            sequence.history.add(token)
        if sequence.dry is not None:
            sequence.dry.add(token)
        for follower in sequence.followers:
            follower.add(token)
        repeats = self._repetition is not None and self._repetition.add(token)
        if may_stop and token in sequence.stop_ids:
            self._end_by_token(token)
        elif stop := self._push_text(token, may_stop):
            self.finish_reason, self.stop_reason = "stop", stop
        elif len(sequence.tokens) >= self._max_length:
            self.finish_reason = "length"
            self._flush_text()
        elif repeats and may_stop:
            self.finish_reason, self.stop_reason = "repetition", "repetition_detected"
            self._flush_text()

    def append_forced(self, grammar: GrammarState) -> None:
        """Take the tokens that `grammar` writes itself behind the last sampled one."""
        for token in grammar.take_forced():
            if self.finish_reason is not None:
                return
            self.append(token)
        if grammar.ended and self.finish_reason is None:  # min_tokens cannot lengthen it
            self.finish_reason = "stop"
            self._flush_text()

    def add_logprobs(self, own: Entry, entries: Iterable[Entry]) -> None:
        """Record those of the sampled token and of others, ordered, most probable first."""
        assert self._logprobs is not None
        assert self._cumulative_logprob is not None
        self._logprobs.append(self.request.as_logprobs(own, entries))
        self._cumulative_logprob += own[1]

    def add_prompt_logprobs(self, own: Entry, entries: Iterable[Entry]) -> None:
        """Record those of the next prompt token and of others."""
        assert self.request.prompt_logprobs is not None
        self.request.prompt_logprobs.append(self.request.as_logprobs(own, entries))
        sequence = self.sequence
        sequence.next_scored += 1
        if sequence.next_scored == sequence.num_prompt_tokens:
            sequence.next_scored = NOTHING_TO_SCORE

    def fail(self, reason: str) -> None:
        """End alone, keeping what was written so far."""
        self.finish_reason, self.stop_reason = "error", reason
        with suppress(Exception):  # it may be the detokenizer that failed
            self._flush_text()

    def abort(self) -> None:
        """End because nobody wants more."""
        self.finish_reason = "abort"
        with suppress(Exception):
            self._flush_text()

    def _end_by_token(self, token: int) -> None:
        params = self.sequence.params
        self.finish_reason = "stop"
        # As in vLLM: the end of generation is no reason to name, a stop id of the caller's is.
        ignored = params.ignore_eos and self.sequence.grammar is None  # see Request
        is_end = token in self.request.eog_ids and not ignored
        self.stop_reason = None if is_end else token
        if params.include_stop_str_in_output:
            self._push_text(token, False)
        self._flush_text()

    def _push_text(self, token: int, may_match: bool) -> str | None:
        """Add a token's text; returns the stop string it completed."""
        stream = self._text_stream
        if stream is None:
            return None
        text = stream.add(token, may_match)
        if text:
            self._text.append(text)
        return stream.matched

    def _flush_text(self) -> None:
        if self._text_stream is not None:
            self._text.append(self._text_stream.flush())

    @property
    def is_end_unheard(self) -> bool:
        """It has ended, and no delta told so."""
        return self.finish_reason is not None and not self._is_end_reported

    @property
    def has_news(self) -> bool:
        """There is something that no delta told."""
        return self.is_end_unheard or len(self.sequence.tokens) > self._num_reported_tokens

    def snapshot(self) -> CompletionOutput:
        """Everything so far; not to be mixed with deltas."""
        return self._output(self.sequence.num_prompt_tokens)

    def take_delta(self) -> CompletionOutput:
        """What is new since the last call; `cumulative_logprob` covers everything."""
        output = self._output(self._num_reported_tokens)
        self._num_reported_tokens = len(self.sequence.tokens)
        self._is_end_reported = self.finish_reason is not None
        self._text.clear()
        return output

    def _output(self, first: int) -> CompletionOutput:
        """About tokens from position `first` on, with all text there is."""
        sequence, logprobs = self.sequence, self._logprobs
        # Positions, not names: for every stream of every step, and 0.2 us sooner.
        return CompletionOutput(
            self.index,
            "".join(self._text),
            sequence.tokens[first:],
            self._cumulative_logprob,
            None if logprobs is None else logprobs[first - sequence.num_prompt_tokens :],
            self.finish_reason,
            self.stop_reason,
        )
