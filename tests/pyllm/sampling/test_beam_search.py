"""Beam search against the search of all sequences."""

from itertools import product

import numpy as np
import pytest

from pyllm.errors import ContextLengthError, RequestError
from pyllm.llm import LLM
from pyllm.sampling.beam_search import BeamSearchParams
from tests.pyllm.fake_program import BOS, EOS, N_VOCAB, FakeModel

LETTERS = [ord("a"), ord("b"), ord("c"), EOS]


def few_logits(tokens):
    """Only three letters and the end can follow."""
    logits = np.full(N_VOCAB, -60.0, np.float32)
    seed = hash(tuple(tokens)) & 0xFFFF
    logits[LETTERS] = np.random.default_rng(seed).normal(size=4)
    return logits


def logprob(tokens, start):
    total = 0.0
    for i in range(start, len(tokens)):
        logits = few_logits(tokens[:i]).astype(np.float64)
        total += logits[tokens[i]] - np.log(np.exp(logits).sum())
    return total


def best_of_all(prompt, length, penalty, *, ignore_eos):
    found = []
    for tail in product(LETTERS, repeat=length):
        tokens = list(tail)
        if not ignore_eos and EOS in tokens:
            tokens = tokens[: tokens.index(EOS) + 1]
        tokens = [*prompt, *tokens]
        ended = not ignore_eos and tokens[-1] == EOS
        score = logprob(tokens, len(prompt)) / (len(tokens) - ended) ** penalty
        found.append((score, tokens))
    return max(found)[1]


@pytest.mark.parametrize("ignore_eos", [False, True])
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
def test_a_wide_search_finds_the_best_sequence(ignore_eos, penalty):
    prompts = [[BOS, 1], [BOS, 2, 3]]
    params = BeamSearchParams(64, 3, ignore_eos=ignore_eos, length_penalty=penalty)
    with LLM.from_model(FakeModel(logits_of=few_logits)) as llm:
        outputs = llm.beam_search(prompts, params)
    for prompt, output in zip(prompts, outputs, strict=True):
        best = output.sequences[0]
        assert best.tokens == best_of_all(prompt, 3, penalty, ignore_eos=ignore_eos)
        assert best.cum_logprob == pytest.approx(logprob(best.tokens, len(prompt)), abs=1e-4)
        assert len(best.logprobs) == len(best.tokens) - len(prompt)
        assert best.finish_reason == ("stop" if EOS in best.tokens[2:] and not ignore_eos
                                      else "length")  # fmt: skip
        scores = [s.cum_logprob for s in output.sequences]
        assert len(scores) == 64
        assert penalty or scores == sorted(scores, reverse=True)


def test_one_beam_is_greedy_and_text_includes_the_prompt():
    with LLM.from_model(FakeModel(logits_of=few_logits)) as llm:
        output = llm.beam_search("ab", BeamSearchParams(1, 4, ignore_eos=True))[0]
    tokens = [BOS, *b"ab"]
    for _ in range(4):
        tokens.append(int(few_logits(tokens).argmax()))
    assert output.sequences[0].tokens == tokens
    assert output.sequences[0].text.startswith("ab")


def test_the_context_ends_a_search():
    with LLM.from_model(FakeModel(logits_of=few_logits, max_model_len=6)) as llm:
        output = llm.beam_search([[BOS, 1, 2]], BeamSearchParams(2, 50, ignore_eos=True))[0]
    assert [len(s.tokens) for s in output.sequences] == [6, 6]


@pytest.mark.parametrize(
    "fields",
    [{"beam_width": 0}, {"beam_width": 257}, {"max_tokens": 0}, {"temperature": -1.0},
     {"length_penalty": float("nan")}, {"length_penalty": 11.0}, {"temperature": "x"}],
)  # fmt: skip
def test_impossible_parameters_are_refused(fields):
    with pytest.raises(RequestError, match=next(iter(fields))):
        BeamSearchParams(**{"beam_width": 2, "max_tokens": 3, **fields})


def test_what_generate_refuses_is_refused_here_too():
    with LLM.from_model(FakeModel()) as llm:
        with pytest.raises(RequestError, match="params"):
            llm.beam_search("ab", {"beam_width": 2, "max_tokens": 2})
        with pytest.raises(ContextLengthError):
            llm.beam_search([[BOS] * llm.model.max_model_len], BeamSearchParams(2, 2))


def test_beams_share_what_is_cached_with_their_salt_only():
    asked = []

    class Watched(LLM):
        def _run(self, encoded, params, priorities, salts, **options):
            asked.append((priorities, salts))
            return super()._run(encoded, params, priorities, salts, **options)

    with Watched.from_model(FakeModel(logits_of=few_logits)) as llm:
        prompts = [{"prompt_token_ids": [BOS, 1], "cache_salt": "mine"}, [BOS, 2]]
        llm.beam_search(prompts, BeamSearchParams(2, 2, ignore_eos=True), priority=[5, 6])
    assert asked == [([5, 6], ["mine", None]), ([5, 5, 6, 6], ["mine", "mine", None, None])]


def test_a_search_whose_beams_all_fail_says_why():
    def broken(tokens):
        return few_logits(tokens) if len(tokens) < 4 else np.full(N_VOCAB, np.nan, np.float32)

    llm = LLM.from_model(FakeModel(logits_of=broken))
    prompt = {"prompt_token_ids": [BOS, 1, 2]}
    params = BeamSearchParams(beam_width=2, max_tokens=5, ignore_eos=True)
    (output,) = llm.beam_search([prompt], params)
    assert [s.finish_reason for s in output.sequences] == ["error"] * 2
    assert {s.stop_reason for s in output.sequences} == {"nonfinite_logits"}
    assert all(len(s.tokens) == 4 for s in output.sequences)
