"""Beam search: the most probable continuations of a prompt, kept side by side (vLLM's shape).

Every round asks the engine for one token after each beam. The beams of a prompt share their
beginning, which a prefix cache computes once.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyllm.checks import check_integer
from pyllm.errors import ContextLengthError, RequestError
from pyllm.outputs import FinishReason, Logprob, RequestOutput
from pyllm.sampling.params import OwnLogprobs, SamplingParams

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

MAX_BEAM_WIDTH = 256

# (token ids of each beam, the prompt it belongs to, params) -> outputs in the same order
Generate = Callable[[list[list[int]], list[int], SamplingParams], list[RequestOutput]]


@dataclass(slots=True)
class BeamSearchParams:
    """beam_width sequences of at most max_tokens tokens, the best ones by
    log-probability / length ** length_penalty (length counts the prompt, as in vLLM).

    ignore_eos   an end-of-generation token is a token like any other
    temperature  as in vLLM, of no effect: beams are ranked by the model's own log-probabilities
    include_stop_str_in_output  the text of an end-of-generation token too
    """

    beam_width: int
    max_tokens: int
    ignore_eos: bool = False
    temperature: float = 0.0
    length_penalty: float = 1.0
    include_stop_str_in_output: bool = False

    def __post_init__(self) -> None:
        check_integer("beam_width", self.beam_width, 1, MAX_BEAM_WIDTH)
        check_integer("max_tokens", self.max_tokens, 1, 2**31 - 1)
        _check_real("temperature", self.temperature, 0.0, 1e6)
        # A length of 100,000 tokens to the power of 10 is still a float.
        _check_real("length_penalty", self.length_penalty, -10.0, 10.0)


def _check_real(field_name: str, value: object, low: float, high: float) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Real)
        or not low <= float(value) <= high
    ):
        raise RequestError(field_name, value, f"must be a number from {low:g} to {high:g}")


@dataclass(slots=True)
class BeamSearchSequence:
    """tokens and text include the prompt; logprobs has one entry for each generated token."""

    tokens: list[int]
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    cum_logprob: float = 0.0
    text: str | None = None
    finish_reason: FinishReason | None = None
    stop_reason: int | str | None = None


@dataclass(slots=True)
class BeamSearchOutput:
    """`beam_width` sequences, best first; those that failed only when no other is left."""

    sequences: list[BeamSearchSequence]

    def write_texts(self, tokenizer: Tokenizer, params: BeamSearchParams) -> None:
        for sequence in self.sequences:
            ids = sequence.tokens
            if sequence.finish_reason == "stop" and not params.include_stop_str_in_output:
                ids = ids[:-1]
            sequence.text = tokenizer.decode(ids)


class Beams:
    """The beams of one prompt."""

    def __init__(
        self, prompt: Sequence[int], params: BeamSearchParams, eog_ids: Collection[int]
    ) -> None:
        self._params = params
        self._ends: Collection[int] = () if params.ignore_eos else eog_ids
        self.active = [BeamSearchSequence(list(prompt))]
        self._completed: list[BeamSearchSequence] = []
        self._failed: list[BeamSearchSequence] = []

    def advance(self, outputs: Sequence[RequestOutput]) -> None:
        """Every beam by every token that was reported behind it; the best ones stay."""
        grown = []
        for beam, output in zip(self.active, outputs, strict=True):
            answer = output.outputs[0]
            logprobs = answer.logprobs
            if not logprobs:  # it failed: the others go on
                beam.finish_reason, beam.stop_reason = answer.finish_reason, answer.stop_reason
                self._failed.append(beam)
                continue
            for token, logprob in logprobs[0].items():
                new = BeamSearchSequence(
                    [*beam.tokens, token],
                    [*beam.logprobs, logprobs[0]],
                    beam.cum_logprob + logprob.logprob,
                )
                if token in self._ends:
                    new.finish_reason, new.stop_reason = "stop", token
                    self._completed.append(new)
                else:
                    grown.append(new)
        self.active = self._best(grown)

    def finish(self) -> list[BeamSearchSequence]:
        """The best of those that ended and those that did not."""
        for beam in self.active:
            beam.finish_reason = "length"
        return self._best(self._completed + self.active or self._failed)

    def _best(self, beams: list[BeamSearchSequence]) -> list[BeamSearchSequence]:
        return sorted(beams, key=self._score, reverse=True)[: self._params.beam_width]

    def _score(self, beam: BeamSearchSequence) -> float:
        length = len(beam.tokens) - (beam.tokens[-1] in self._ends)
        score: float = beam.cum_logprob / float(length) ** self._params.length_penalty
        return score


def search(
    prompts: Sequence[Sequence[int]],
    params: BeamSearchParams,
    *,
    generate: Generate,
    eog_ids: Collection[int],
    max_model_len: int,
) -> list[BeamSearchOutput]:
    """The best continuations of each prompt; `generate` sees the beams of all of them at once.

    Raises RequestError and ContextLengthError before any work is done.
    """
    if not isinstance(params, BeamSearchParams):
        raise RequestError("params", params, "must be BeamSearchParams")
    for prompt in prompts:
        if len(prompt) >= max_model_len:
            raise ContextLengthError(len(prompt), max_model_len)
    # The end of generation must not end the request before its log-probability is seen: one token.
    one_token = SamplingParams(
        max_tokens=1,
        temperature=0.0,
        logprobs=OwnLogprobs(2 * params.beam_width),
        detokenize=False,
    )
    searches = [Beams(prompt, params, eog_ids) for prompt in prompts]
    for _ in range(params.max_tokens):
        going = [
            (origin, s)
            for origin, s in enumerate(searches)
            if s.active and len(s.active[0].tokens) < max_model_len
        ]
        if not going:
            break
        beams = [beam.tokens for _, s in going for beam in s.active]
        origins = [origin for origin, s in going for _ in s.active]
        outputs = iter(generate(beams, origins, one_token))
        for _, s in going:
            s.advance([next(outputs) for _ in s.active])
    return [BeamSearchOutput(beams.finish()) for beams in searches]
