"""A prompt on its way: checked once, then `n` continuations and the reports about them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from typing import TYPE_CHECKING

from pyllm.continuation import Continuation
from pyllm.engine.sequence import Sequence
from pyllm.errors import ContextLengthError, RequestError
from pyllm.outputs import CompletionOutput, Logprob, RequestMetrics, RequestOutput
from pyllm.sampling.bad_words import BadWords
from pyllm.sampling.dry import DryHistory, breakers_of
from pyllm.sampling.history import TokenHistory, WindowHistory
from pyllm.sampling.logprobs import Entry, FlatLogprobs
from pyllm.sampling.params import MAX_LOGPROBS, RequestOutputKind, SamplingParams
from pyllm.sampling.processor_forms import with_three_arguments
from pyllm.sampling.thinking_budget import ThinkingBudget
from pyllm.sampling.token_bias import TokenBias
from pyllm.sampling.token_healing import HealingMask, tokens_to_take_back
from pyllm.sampling.token_mask import AllOf, AllowedTokens, TokenFollower, TokenMask
from pyllm.structured.params import as_structured_outputs
from pyllm.text.stop_strings import StopMatcher
from pyllm.text.text_stream import TextStream

if TYPE_CHECKING:
    from pyllm.structured.compiler import GrammarCompiler
    from pyllm.structured.grammar_state import GrammarState
    from pyllm.tokenizer import Tokenizer

_MASK64 = 2**64 - 1
MAX_SALT_CHARS = 256
# Named once: looking up a member of an enumeration takes 0.1 us, here for every row of a step.
_DELTA, _FINAL_ONLY = RequestOutputKind.DELTA, RequestOutputKind.FINAL_ONLY


class Request:
    """Raises RequestError and ContextLengthError on construction, never later.

    `token_healing` takes back tokens at the end of the prompt that a longer token could have been;
    `prompt_token_ids` lacks them, the answer begins with their text, its `text` shows what follows.
    `default_seed` serves when the parameters give none. Continuation 0 uses the seed itself, so
    n=2 begins with the answer of n=1. `max_logprobs` limits those of a token; -1: any number.
    """

    def __init__(
        self,
        request_id: str,
        prompt: str | None,
        prompt_token_ids: SequenceOf[int],
        params: SamplingParams,
        *,
        tokenizer: Tokenizer,
        max_model_len: int,
        default_seed: int,
        grammars: Callable[[], GrammarCompiler],
        cache_salt: str | None = None,
        priority: int = 0,
        token_healing: bool = False,
        max_logprobs: int = MAX_LOGPROBS,
    ) -> None:
        params.validate(tokenizer.n_vocab)
        params.check_logprobs(max_logprobs, tokenizer.n_vocab)
        if cache_salt is not None:
            _check_salt(cache_salt)
        if token_healing and params.structured_outputs is not None:
            limit = "does not go with structured_outputs, which see the answer from its first byte"
            raise RequestError("token_healing", True, limit)
        prompt_token_ids = truncated(prompt_token_ids, params, max_model_len)
        back = tokens_to_take_back(tokenizer, prompt_token_ids) if token_healing else 0
        kept = len(prompt_token_ids) - back
        self._taken_back = list(prompt_token_ids[kept:])
        prompt_token_ids = prompt_token_ids[:kept]
        num_prompt_tokens = len(prompt_token_ids)
        self.prompt = prompt
        self._check_length(num_prompt_tokens, max_model_len)
        self.request_id = request_id
        self.prompt_token_ids = list(prompt_token_ids)
        self.params = replace(params)  # the caller may go on changing theirs
        self.cache_salt = cache_salt
        self.priority = priority  # lower goes first
        self.eog_ids = tokenizer.eog_ids
        self._tokenizer = tokenizer
        self._metrics = RequestMetrics(arrival_time=time.perf_counter())
        room = max_model_len - num_prompt_tokens
        max_length = num_prompt_tokens + min(room, params.max_tokens or room)
        matcher = StopMatcher(params.stop_strings) if params.stop_strings else None
        self._bad_words = BadWords(params.bad_words, tokenizer) if params.bad_words else None
        self.prompt_logprobs: list[dict[int, Logprob] | None] | FlatLogprobs | None = None
        seed = default_seed if params.seed in (None, -1) else params.seed
        assert seed is not None
        grammar = None
        if (structured := as_structured_outputs(params.structured_outputs)) is not None:
            grammar = grammars().compile(structured, jump=_may_jump(params))
        dry = self._dry_of_prompt()
        seeds = [continuation_seed(seed, index) for index in range(params.n)]
        self.continuations = [
            self._continuation(index, seed, max_length, matcher, grammar, dry)
            for index, seed in enumerate(seeds)
        ]
        if params.prompt_logprobs is not None:
            self.prompt_logprobs = FlatLogprobs() if params.flat_logprobs else []
            self.prompt_logprobs.append(None)  # nothing predicts the first token
            if num_prompt_tokens > 1:
                self.continuations[0].sequence.next_scored = 1

    def _check_length(self, num_tokens: int, max_model_len: int) -> None:
        if num_tokens == 0:
            raise RequestError("prompt", self.prompt, "has no tokens; there is nothing to continue")
        # One place must remain: a prompt that fills the context leaves no room for an answer.
        if num_tokens >= max_model_len:
            raise ContextLengthError(num_tokens, max_model_len)

    def _continuation(
        self,
        index: int,
        seed: int,
        max_length: int,
        matcher: StopMatcher | None,
        grammar: GrammarState | None,
        dry: DryHistory | None,
    ) -> Continuation:
        params = self.params
        # A grammar allows the end only where the answer is complete, and nothing can follow it.
        ignore_eos = params.ignore_eos and grammar is None
        stop_ids = frozenset[int]() if ignore_eos else self.eog_ids
        if params.stop_token_ids is not None:
            stop_ids |= frozenset(map(int, params.stop_token_ids))
        followers = self._followers()
        bias = None
        if params.logit_bias or params.min_tokens or self._bad_words:
            bias = TokenBias(params.logit_bias or {}, stop_ids, self._bad_words)
        sequence = Sequence(
            request_id=self.request_id,
            params=params,
            seed=seed,
            num_prompt_tokens=len(self.prompt_token_ids),
            stop_ids=stop_ids,
            history=self._history(),
            bias=bias,
            tokens=list(self.prompt_token_ids),
            cache_salt=self.cache_salt,
            priority=self.priority,
            grammar=None if grammar is None else grammar.copy(),
            max_length=max_length,
            arrival_time=self._metrics.arrival_time,
            mask=self._mask(followers),
            followers=followers,
            sampler_order=params.sampler_order,
            dry=None if dry is None else dry.copy(),
            processors=tuple(map(with_three_arguments, params.logits_processors or ())),
            mirostat_mu=2.0 * params.mirostat_tau,
        )
        text_stream = None
        if params.detokenize:
            text_stream = TextStream(
                self._tokenizer,
                self.prompt_token_ids,
                skip_special=params.skip_special_tokens,
                stops=matcher,
                include_stop=params.include_stop_str_in_output,
                keep_first_space=grammar is not None,  # the grammar has seen it
                skip_written=self._taken_back,
            )
        return Continuation(self, index, sequence, max_length, text_stream)

    def _followers(self) -> tuple[TokenFollower, ...]:
        tokenizer, budget = self._tokenizer, self.params.thinking_token_budget
        followers: list[TokenFollower] = []
        if self._taken_back:
            text = b"".join(map(tokenizer.token_bytes, self._taken_back))
            followers.append(HealingMask(tokenizer, text))
        if budget is not None and budget >= 0:
            followers.append(ThinkingBudget(tokenizer, self.prompt_token_ids, budget))
        return tuple(followers)

    def _mask(self, followers: tuple[TokenFollower, ...]) -> TokenMask | None:
        masks: list[TokenMask] = list(followers)
        if self.params.allowed_token_ids is not None:
            masks.append(AllowedTokens(self.params.allowed_token_ids, self._tokenizer.n_vocab))
        return AllOf(masks) if len(masks) > 1 else next(iter(masks), None)

    def _history(self) -> TokenHistory | None:
        params = self.params
        if not params.has_penalties:
            return None
        if params.repeat_last_n is None:
            return TokenHistory(self.prompt_token_ids)
        return WindowHistory(self.prompt_token_ids, params.repeat_last_n)

    def _dry_of_prompt(self) -> DryHistory | None:
        params = self.params
        if not params.has_dry:
            return None
        breakers = breakers_of(self._tokenizer, params.dry_sequence_breakers)
        return DryHistory(self.prompt_token_ids, params, breakers)

    @property
    def finished(self) -> bool:
        # A loop, not all(): half the time, and asked for every request of every step.
        for continuation in self.continuations:  # noqa: SIM110
            if continuation.finish_reason is None:
                return False
        return True

    @property
    def num_read_tokens(self) -> int:
        """Prompt tokens that are computed; safe to ask from any thread."""
        first = self.continuations[0].sequence
        # A prompt that was read stays so when its keys and values are given up for others.
        if first.num_output_tokens:
            return first.num_prompt_tokens
        return min(first.num_computed_tokens, first.num_prompt_tokens)

    @property
    def num_cached_tokens(self) -> int:
        """Prompt tokens that were found in the prefix cache; safe to ask from any thread."""
        return self.continuations[0].sequence.num_cached_tokens or 0

    @property
    def num_written_tokens(self) -> int:
        """Tokens of all continuations; safe to ask from any thread."""
        return sum(c.sequence.num_output_tokens for c in self.continuations)

    def token_text(self, token: int) -> str:
        """One token's text by itself; bytes that are no whole character become U+FFFD."""
        return self._tokenizer.token_bytes(token).decode("utf-8", "replace")

    def as_logprobs(self, own: Entry, entries: Iterable[Entry]) -> dict[int, Logprob]:
        """Those of `entries` in their order; `own` in its place among them, or behind them."""
        token_bytes = self._tokenizer.token_bytes  # and no call of token_text for each
        found = {
            token: Logprob(value, rank, token_bytes(token).decode("utf-8", "replace"))
            for token, value, rank in entries
            if token >= 0
        }
        token, value, rank = own
        if (among := found.get(token)) is None:
            found[token] = Logprob(value, rank, self.token_text(token))
        else:
            among.logprob, among.rank = value, rank
        return found

    def report(self, changed: list[Continuation], now: float) -> RequestOutput | None:
        """What `output_kind` wants to hear after a step at time `now` that changed `changed`."""
        metrics = self._metrics
        metrics.last_token_time = now
        if metrics.first_token_time is None:
            metrics.first_token_time = now
            metrics.first_scheduled_time = changed[0].sequence.first_scheduled_time
        # Where one goes on, nobody need ask the others.
        finished = changed[0].finish_reason is not None and self.finished
        if finished:
            metrics.finished_time = now
            sequences = [continuation.sequence for continuation in self.continuations]
            metrics.num_preemptions = sum(s.num_preemptions for s in sequences)
            metrics.num_draft_tokens = sum(s.num_draft_tokens for s in sequences)
            metrics.num_accepted_tokens = sum(s.num_accepted_tokens for s in sequences)
            metrics.num_output_tokens = self.num_written_tokens
        elif self.params.output_kind is _FINAL_ONLY:
            return None
        if self.prompt_logprobs is not None:
            if self._is_prompt_unscored():
                return None
            changed = self._with_news()
        return self._output(changed, finished)

    def _is_prompt_unscored(self) -> bool:
        """The others may write before continuation 0 has scored the prompt, and wait with it."""
        first = self.continuations[0]
        return first.finish_reason is None and first.sequence.is_scored

    def _with_news(self) -> list[Continuation]:
        return [continuation for continuation in self.continuations if continuation.has_news]

    def report_abort(self, now: float) -> RequestOutput:
        """The last report of a request that was given up at time `now`."""
        self._metrics.finished_time = now
        self._metrics.num_output_tokens = self.num_written_tokens
        return self._output(self._with_news(), finished=True)

    def report_failure(self, now: float) -> RequestOutput:
        """The last report, at time `now`, of a request that could not be reported on.

        Its continuations have failed; it has no text when that cannot be had now, either.
        """
        try:
            return self.report_abort(now)
        except BaseException:  # told with the first one
            outputs = [
                CompletionOutput(c.index, "", [], None, None, c.finish_reason, c.stop_reason)
                for c in self.continuations
            ]
            ids, metrics = self.prompt_token_ids, self._metrics
            return RequestOutput(self.request_id, self.prompt, ids, outputs, True, metrics)

    def _output(self, changed: list[Continuation], finished: bool) -> RequestOutput:
        if self.params.output_kind is _DELTA:
            outputs = [changed[0].take_delta()]  # nearly always all: a loop takes 0.1 us more
            if len(changed) > 1:
                outputs += [continuation.take_delta() for continuation in changed[1:]]
        else:
            outputs = [continuation.snapshot() for continuation in self.continuations]
        # Positions, not names: for every stream of every step, and 0.2 us sooner.
        return RequestOutput(
            self.request_id,
            self.prompt,
            self.prompt_token_ids,
            outputs,
            finished,
            self._metrics,
            self.prompt_logprobs,
            self.continuations[0].sequence.num_cached_tokens or 0,
        )


def _check_salt(salt: object) -> None:
    if not isinstance(salt, str) or not 0 < len(salt) <= MAX_SALT_CHARS:
        limit = f"must be a text of 1 to {MAX_SALT_CHARS} characters"
        raise RequestError("cache_salt", salt, limit)


def truncated(
    prompt: SequenceOf[int], params: SamplingParams, max_model_len: int
) -> SequenceOf[int]:
    """The end of the prompt that `truncate_prompt_tokens` asks for.

    -1 leaves room for max_tokens, for one token when that is None.
    """
    size = params.truncate_prompt_tokens
    if size is None:
        return prompt
    if size < 0:
        size = max(1, max_model_len - (params.max_tokens or 1))
    return prompt[-size:]


def _may_jump(params: SamplingParams) -> bool:
    """Whether tokens that a grammar forces may be written without being sampled.

    Not where somebody is told of every sampled token, or forbids some of them: the answer must not
    depend on who forced a token.
    """
    return not (
        params.logprobs is not None
        or params.logprob_token_ids is not None
        or params.logits_processors
        or params.mirostat
        or params.allowed_token_ids is not None
        or params.bad_words
        or -math.inf in (params.logit_bias or {}).values()
        or params.thinking_token_budget is not None
    )


def continuation_seed(seed: int, index: int) -> int:
    """The 64-bit seed of continuation `index`; index 0 keeps `seed`."""
    return mixed(seed, index) if index else int(seed) & _MASK64


def mixed(seed: int, counter: int) -> int:
    """Output number `counter` of the SplitMix64 generator that starts at `seed`."""
    z = (int(seed) + counter * 0x9E3779B97F4A7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return z ^ (z >> 31)
