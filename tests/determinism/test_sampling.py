"""The gate for sampling: every sampler gives a request the same tokens and bits in any company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyllm.llm import LLM
from pyllm.outputs import RequestOutput
from pyllm.sampling.beam_search import BeamSearchParams
from pyllm.sampling.params import SamplingParams
from tests.determinism.random_model import write_random_model


def flatten(prompt: Any, output: Any, logits: np.ndarray) -> np.ndarray:
    """A processor whose result depends on all that it sees."""
    return logits * np.float32(0.5 + 0.01 * (len(prompt) + len(output)))


WISHES: list[dict[str, Any]] = [
    {"typical_p": 0.8}, {"top_n_sigma": 1.5}, {"xtc_probability": 0.5, "xtc_threshold": 0.01},
    {"mirostat": 1, "mirostat_tau": 3.0}, {"mirostat": 2, "mirostat_tau": 4.0},
    {"dry_multiplier": 0.8, "dry_allowed_length": 1, "dry_penalty_last_n": -1},
    {"dynatemp_range": 0.4, "temperature": 0.7}, {"repetition_penalty": 1.3, "repeat_last_n": 8},
    {"samplers": "top_k;min_p;temperature;penalties", "presence_penalty": 0.5, "top_k": 50},
    {"prompt_logprobs": 3, "logprobs": 2}, {"prompt_logprobs": -1, "max_tokens": 3},
    {"logits_processors": [flatten]}, {"allowed_token_ids": list(range(3, 200)), "min_p": 0.01},
    {"bad_words": ["a", "the"], "logit_bias": {7: 2.0}}, {"n": 2, "top_p": 0.9},
]  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")


def params_of(number: int) -> SamplingParams:
    return SamplingParams(
        **{"max_tokens": 12, "seed": number, "logprobs": 1, "ignore_eos": True, **WISHES[number]}
    )


def prompt_of(number: int) -> list[int]:
    return [1, *np.random.default_rng(number).integers(3, 250, 20 + 3 * number).tolist()]


def answers(path: Path, numbers: list[int], **options: Any) -> dict[int, RequestOutput]:
    with LLM(path, max_model_len=128, max_logprobs=-1, **options) as llm:
        prompts = [prompt_of(number) for number in numbers]
        outputs = llm.generate(prompts, [params_of(number) for number in numbers], use_tqdm=False)
    return dict(zip(numbers, outputs, strict=True))


def test_requests_are_the_same_alone_and_together(path: Path) -> None:
    numbers = list(range(len(WISHES)))
    with LLM(path, max_model_len=128, max_logprobs=-1, num_threads=1) as llm:
        alone = {
            number: llm.generate([prompt_of(number)], params_of(number), use_tqdm=False)[0]
            for number in numbers
        }
    for options in (
        {"num_threads": 2},
        {"num_threads": 1, "max_num_batched_tokens": 24, "max_num_seqs": 5},
    ):
        together = answers(path, numbers[::-1], **options)
        for number in numbers:
            assert together[number].outputs == alone[number].outputs, WISHES[number]
            assert together[number].prompt_logprobs == alone[number].prompt_logprobs


def test_prompt_logprobs_are_what_generating_the_prompt_would_report(path: Path) -> None:
    """The bits of a token's log-probability do not depend on whether it was given or sampled."""
    with LLM(path, max_model_len=128) as llm:
        written = llm.generate([[1, 5, 9]], params_of(0), use_tqdm=False)[0]
        tokens = [1, 5, 9, *written.outputs[0].token_ids]
        params = SamplingParams(max_tokens=1, prompt_logprobs=1)
        scored = llm.generate([tokens], params, use_tqdm=False)[0]
    assert scored.prompt_logprobs is not None
    assert written.outputs[0].logprobs is not None
    for position in range(3, len(tokens)):
        expected = written.outputs[0].logprobs[position - 3]
        entry = scored.prompt_logprobs[position]
        assert entry is not None
        assert {t: v.logprob for t, v in entry.items()} == {
            t: v.logprob for t, v in expected.items()
        }


def test_beams_of_width_one_are_greedy(path: Path) -> None:
    with LLM(path, max_model_len=128) as llm:
        greedy = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True)
        expected = llm.generate([[1, 7]], greedy, use_tqdm=False)[0].outputs[0].token_ids
        beams = llm.beam_search([[1, 7]], BeamSearchParams(1, 6, ignore_eos=True))
        wide = llm.beam_search([[1, 7]], BeamSearchParams(12, 6, ignore_eos=True))
    assert beams[0].sequences[0].tokens == [1, 7, *expected]
    assert wide[0].sequences[0].cum_logprob >= beams[0].sequences[0].cum_logprob


@pytest.mark.parametrize("prompt", ["Once upon a ti", "the quick br", "wor"])
def test_healed_prompts_keep_their_bytes(path: Path, prompt: str) -> None:
    """What was taken back is written again, byte for byte, before anything else."""
    with LLM(path, max_model_len=128) as llm:
        tokenizer = llm.get_tokenizer()
        params = SamplingParams(temperature=0, max_tokens=12, ignore_eos=True)
        output = llm.generate([prompt], params, token_healing=True, use_tqdm=False)[0]
    answer = output.outputs[0]
    kept = output.prompt_token_ids
    whole = tokenizer.decode([*kept, *answer.token_ids])
    assert whole == tokenizer.decode(tokenizer.encode(prompt)) + answer.text
