"""Guesses through the real core: equal bits, and a distribution that a test can tell apart."""

from collections import Counter

import numpy as np
import pytest

from pyllm.engine.engine import Engine
from pyllm.errors import RequestError
from pyllm.llm import LLM
from pyllm.loader import load_model
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from pyllm.speculation.config import SpeculativeConfig
from pyllm.speculation.make import make_proposer
from pyllm.speculation.prompt_lookup import PromptLookup
from tests.determinism.random_model import write_random_model
from tests.pyllm.speculation.guessers import Guesser, at_random, make_eager

FINAL = RequestOutputKind.FINAL_ONLY
SIZES = {"max_model_len": 256, "max_num_seqs": 4, "max_num_batched_tokens": 64, "num_threads": 2}
PARAMS = [
    {"temperature": 0, "logprobs": 2},
    {"temperature": 1.0, "top_p": 0.95, "logprobs": 5},
    {"temperature": 0.8, "top_k": 4, "repetition_penalty": 1.1, "presence_penalty": 0.3},
    {"temperature": 0.7, "top_k": 2, "logit_bias": {40: 1.5}, "min_tokens": 30, "logprobs": 0},
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")


@pytest.fixture(scope="module")
def model(path):
    model = load_model(path, **SIZES, speculation=SpeculativeConfig())
    yield model
    model.close()


def todo():
    rng = np.random.default_rng(1)
    for number, params in enumerate(PARAMS * 2):
        length = int(rng.integers(1, 90))
        prompt = rng.integers(3, 40, length).tolist()
        yield (
            prompt + prompt[: length // 2],
            SamplingParams(
                max_tokens=60, ignore_eos=True, seed=number, output_kind=FINAL, **params
            ),
        )


def run(engine, requests):
    for number, (prompt, params) in enumerate(requests):
        engine.add(engine.make_request(None, prompt, params, str(number)))
    outputs = {}
    while engine.has_unfinished():
        outputs |= {output.request_id: output for output in engine.step()}
        engine.scheduler.check()
    return [outputs[key].outputs for key in sorted(outputs, key=int)]


def eager(model, proposer):
    return make_eager(Engine(model, proposer=proposer))


@pytest.fixture(scope="module")
def expected(model):
    return [run(Engine(model), [request])[0] for request in todo()]


@pytest.mark.parametrize("guessing", ["random", "lookup"])
def test_guesses_change_no_bit(model, expected, guessing):
    proposer = {
        "random": Guesser(at_random, most=16),
        "lookup": PromptLookup(SpeculativeConfig(prompt_lookup_min=1)),
    }[guessing]
    engine = eager(model, proposer)
    assert run(engine, todo()) == expected
    assert engine.counters.num_draft_tokens > 300


def test_the_same_model_guesses_nearly_always_right(path, model, expected):
    proposer = make_proposer(SpeculativeConfig("draft_model", str(path)), model, num_threads=2)
    engine = eager(model, proposer)
    assert run(engine, todo()) == expected
    engine = eager(model, proposer)
    run(engine, [request for request in todo() if not request[1].has_penalties])
    totals = engine.counters
    assert totals.num_accepted_tokens == totals.num_draft_tokens > 100
    proposer.close()


def test_a_draft_model_with_a_window_guesses_on_behind_it(tmp_path):
    """Guesses that were wrong are taken back from texts longer than the window, too."""
    path = write_random_model(tmp_path / "window.gguf", window=24)
    model = load_model(path, **SIZES, block_size=16, speculation=SpeculativeConfig())
    expected = [run(Engine(model), [request])[0] for request in todo()]
    other = write_random_model(tmp_path / "experts.gguf", experts=True, window=24)
    for draft, is_right in ((path, True), (other, False)):
        config = SpeculativeConfig("draft_model", str(draft))
        proposer = make_proposer(config, model, num_threads=2)
        engine = eager(model, proposer)
        assert run(engine, todo()) == expected
        totals = engine.counters
        assert totals.num_draft_tokens > 300
        assert (totals.num_accepted_tokens > 0.5 * totals.num_draft_tokens) is is_right
        proposer.close()
    model.close()


def test_a_model_of_another_mind_changes_no_bit(tmp_path, model, expected):
    other = write_random_model(tmp_path / "experts.gguf", experts=True)
    config = SpeculativeConfig("draft_model", str(other), num_speculative_tokens=5)
    proposer = make_proposer(config, model, num_threads=2, max_num_seqs=3)
    engine = eager(model, proposer)
    assert run(engine, todo()) == expected
    totals = engine.counters
    assert totals.num_accepted_tokens < 0.5 * totals.num_draft_tokens
    proposer.close()


def test_llm_speculates_unless_told_not_to(path):
    prompt = {"prompt_token_ids": [5, 6, 7, 8] * 10}
    params = SamplingParams(temperature=0, max_tokens=100, ignore_eos=True)
    answers = []
    for config in (None, False, {"model": path.as_posix()}, {"prompt_lookup_max": 3}):
        with LLM(path, **SIZES, speculative_config=config) as llm:
            (output,) = llm.generate(prompt, params)
            assert (llm.engine.speculator is None) == (config is False)
            answers.append(output.outputs)
    assert answers == answers[:1] * 4


def test_llm_refuses_a_draft_model_with_other_words(path, tmp_path):
    data = path.read_bytes()
    other = tmp_path / "other.gguf"
    other.write_bytes(data.replace("▁w3".encode(), "▁q3".encode(), 1))
    with pytest.raises(RequestError, match=r"speculative_config.model: .*calls token 262 b' q3'"):
        LLM(path, **SIZES, speculative_config={"model": other.as_posix()})


def test_sampled_text_has_the_same_distribution(model):
    """Equal bits for equal seeds say more; this would hold even if draws knew no positions.

    Three tokens of 2 x 1,500 requests with other seeds, with and without guesses: two samples, at
    most 27 different triples. The chi-square of two samples of one distribution is below 54.1 in
    999 of 1,000 such pairs; the seeds are fixed, so the test always says the same.
    """

    def triples(engine, seeds):
        requests = [
            ([1, 5, 6], SamplingParams(
                max_tokens=3, top_k=3, temperature=1.5, seed=seed, ignore_eos=True,
                output_kind=FINAL,
            ))
            for seed in seeds
        ]  # fmt: skip
        return Counter(tuple(output[0].token_ids) for output in run(engine, requests))

    plain = triples(Engine(model), range(1500))

    def guess(sequence, count):
        likely = [triple for triple in plain if triple[0] == sequence.tokens[3]]
        return [*likely[sequence.seed % len(likely)][1:]][:count]

    engine = eager(model, Guesser(guess))
    guessed = triples(engine, range(1500, 3000))
    assert engine.counters.num_accepted_tokens > 100
    assert 10 < len(plain | guessed) <= 27
    chi_square = sum(
        (plain[t] - guessed[t]) ** 2 / (plain[t] + guessed[t]) for t in plain | guessed
    )
    assert chi_square < 54.1
