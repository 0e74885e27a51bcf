"""Embeddings: what transformers computes, vLLM's shapes, one parameter for all or for each."""

from pathlib import Path

import numpy as np
import pytest

from pyllm import LLM, PoolingParams
from pyllm.errors import PyLLMError, RequestError
from pyllm.gguf import GGUFFile
from pyllm.graph.weights import Weights
from pyllm.outputs import CompletionOutput, RequestOutput
from pyllm.pooling.embedding import as_embedding, embedding_jobs, pooled_by
from pyllm.pooling.pooling import POOLING_TYPES
from pyllm.pooling.request import PooledOutput
from tests.pyllm.fake_program import FakeTokenizer
from tests.support import reference_models
from tests.support.reference_models import expected, model_path, values, write_copy

# f16 keys and values; logits have a standard deviation of about 0.16.
TOLERANCE = 1e-3
OUTPUT = PooledOutput("7", "x", [1, 2], [CompletionOutput(0, "", [], None, None)], True)


def head_of(name):
    with GGUFFile.open(model_path(name)) as file:
        weights = Weights(file)
        return values(weights.get("output.weight") or weights["token_embd.weight"])


@pytest.mark.parametrize("name", reference_models.NAMES)
def test_states_are_those_of_transformers(name):
    """Multiplied by the head they are the logits that transformers computed."""
    reference = expected(name)
    prompt = {"prompt_token_ids": reference.tokens}
    with LLM(model_path(name), num_threads=2) as llm:
        raw = {"normalize": False}
        wishes = [PoolingParams(pooling_type=kind, **raw) for kind in POOLING_TYPES]
        outputs = llm.embed([prompt] * len(wishes), wishes)
    found = dict(zip(POOLING_TYPES, (np.array(o.outputs.embedding) for o in outputs), strict=True))
    head = head_of(name)
    np.testing.assert_allclose(found["none"] @ head.T, reference.logits, atol=TOLERANCE, rtol=0)
    mean = reference.logits.mean(0)
    np.testing.assert_allclose(found["mean"] @ head.T, mean, atol=TOLERANCE, rtol=0)
    np.testing.assert_array_equal(found["last"], found["none"][-1])
    np.testing.assert_array_equal(found["cls"], found["none"][0])


@pytest.mark.parametrize(("number", "kind"), list(enumerate(POOLING_TYPES)))
def test_the_file_says_how_to_pool(tmp_path: Path, number, kind):
    path = write_copy("qwen3", tmp_path / "model.gguf", added={"qwen3.pooling_type": number})
    with LLM(path, num_threads=1) as llm:
        said, named = (
            llm.embed("hello", p)[0].outputs for p in (None, PoolingParams(pooling_type=kind))
        )
    assert said == named


def test_a_file_that_does_not_say_is_pooled_by_its_last_token():
    with LLM(model_path("qwen3"), num_threads=1) as llm:
        (output,) = llm.embed("hello")
        (last,) = llm.embed("hello", PoolingParams(pooling_type="last"))
    assert output.outputs == last.outputs
    assert output.outputs.hidden_size == 64
    assert np.linalg.norm(output.outputs.embedding) == pytest.approx(1, abs=1e-6)


def test_numbers_are_those_of_float32():
    output = OUTPUT
    output.pooled = np.array([0.1, 3.0, -7.0])
    embedding = as_embedding(output, PoolingParams()).outputs.embedding
    assert embedding == np.array(embedding, np.float32).tolist()


def test_a_vector_for_each_token_has_the_width_of_one():
    output = OUTPUT
    output.pooled = np.ones((3, 5), np.float32)
    assert as_embedding(output, PoolingParams(dimensions=4)).outputs.hidden_size == 4


def test_a_request_without_a_vector_is_an_error_that_says_why():
    part = CompletionOutput(0, "", [], None, None, "error", "nonfinite_hidden_states")
    message = "request '7' gave no vector: nonfinite_hidden_states"
    with pytest.raises(PyLLMError, match=message):
        pooled_by(PooledOutput("7", None, [1], [part], True))
    part = CompletionOutput(0, "", [], None, None, "abort")
    with pytest.raises(PyLLMError, match="request '7' gave no vector: abort"):
        pooled_by(RequestOutput("7", None, [1], [part], True))


def jobs(prompts, params=None):
    return embedding_jobs(prompts, params, FakeTokenizer(), parse_special=False)


def test_parameters_are_for_all_or_for_each():
    assert [job.params.dimensions for job in jobs(["a", "b"], PoolingParams(3))] == [3, 3]
    each = [PoolingParams(3), PoolingParams(4)]
    assert [job.params.dimensions for job in jobs(["a", "b"], each)] == [3, 4]
    with pytest.raises(RequestError, match="one for each of the 2 prompts"):
        jobs(["a", "b"], [PoolingParams()])
    with pytest.raises(RequestError, match="must be PoolingParams"):
        jobs(["a", "b"], {"dimensions": 3})


def test_parameters_may_change_after_the_call():
    params = PoolingParams(3)
    (job,) = jobs("a", params)
    params.dimensions = 4
    assert job.params.dimensions == 3


def test_prompts_come_in_every_form():
    given = ["a", {"prompt": "a", "cache_salt": "s"}, {"prompt_token_ids": [256, 97]}, [256, 97]]
    assert [job.encode()[1] for job in jobs(given)] == [[256, 97]] * 4
    assert [job.salt for job in jobs(given)] == [None, "s", None, None]
