"""The head of a model that ranks: read from any weight type, a probability of its first label."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pyllm import kernels
from pyllm.errors import ModelFileError
from pyllm.gguf import GGUFFile
from pyllm.graph.weights import Weights
from pyllm.loader import load_model
from pyllm.pooling.classifier import Classifier, read_classifier
from tests.support.reference_models import write_copy

RNG = np.random.default_rng(3)
STATE = RNG.standard_normal(64)
WEIGHT = RNG.standard_normal((2, 64)).astype(np.float32)
RANK = {"qwen3.pooling_type": 4}


def test_two_labels_share_the_probability():
    logits = WEIGHT @ STATE
    yes, no = (Classifier(w, np.zeros(2, np.float32)).score(STATE) for w in (WEIGHT, WEIGHT[::-1]))
    assert yes == pytest.approx(1 / (1 + np.exp(logits[1] - logits[0])), rel=1e-6)
    assert yes + no == pytest.approx(1)


def test_one_label_is_a_logistic_function():
    head = Classifier(WEIGHT[:1], np.array([0.5], np.float32))
    assert head.score(STATE) == pytest.approx(1 / (1 + np.exp(-(WEIGHT[0] @ STATE + 0.5))))


@pytest.mark.parametrize(("scale", "score"), [(1e6, 1.0), (-1e6, 0.0)])
def test_large_logits_overflow_nothing(scale, score):
    weight = np.ones((1, 64), np.float32)
    found = Classifier(weight, np.zeros(1, np.float32)).score(np.full(64, scale))
    assert found == pytest.approx(score, abs=1e-300)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0"])
def test_a_file_with_a_head_loads(tmp_path: Path, kind):
    extra = {"cls.output.weight": WEIGHT, "cls.output.bias": np.array([1, 2], np.float32)}
    if kind != "F32":
        extra["cls.output.weight"] = kernels.quantize(WEIGHT, kind)
    if kind == "F16":
        extra["cls.output.weight"] = WEIGHT.astype(np.float16)
    raw_types = {"cls.output.weight": 8} if kind == "Q8_0" else {}
    path = write_copy("qwen3", tmp_path / "rank.gguf", extra=extra, added=RANK, raw_types=raw_types)
    model = load_model(path, num_threads=1)
    head = model.pooling.classifier
    model.close()
    assert model.pooling.type == "rank"
    assert head is not None
    np.testing.assert_allclose(head.weight, WEIGHT, atol=0.02)
    assert head.bias.tolist() == [1, 2]


def test_a_file_that_ranks_without_a_head_is_refused(tmp_path: Path):
    path = write_copy("qwen3", tmp_path / "rank.gguf", added=RANK)
    with pytest.raises(ModelFileError, match=r"cls\.output\.weight.*missing"):
        load_model(path, num_threads=1)


def test_a_head_that_nobody_asks_is_refused(tmp_path: Path):
    path = write_copy("qwen3", tmp_path / "x.gguf", extra={"cls.output.weight": WEIGHT})
    with pytest.raises(ModelFileError, match=r"cls\.output\.weight.*no op reads it"):
        load_model(path, num_threads=1)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"cls.output.weight": np.ones((2, 63), np.float32)}, "shape"),
        ({"cls.output.weight": np.ones(63, np.float32)}, "shape"),
        ({"cls.output.weight": np.ones((1025, 64), np.float32)}, "at most 1024 labels"),
        ({"cls.output.weight": WEIGHT, "cls.output.bias": np.ones(3, np.float32)}, "shape"),
    ],
)
def test_impossible_heads_are_refused(tmp_path: Path, extra, message):
    path = write_copy("qwen3", tmp_path / "rank.gguf", extra=extra, added=RANK)
    with pytest.raises(ModelFileError, match=message):
        load_model(path, num_threads=1)


def test_one_label_may_be_a_vector(tmp_path: Path):
    extra = {"cls.output.weight": WEIGHT[0]}
    with GGUFFile.open(write_copy("qwen3", tmp_path / "r.gguf", extra=extra, added=RANK)) as file:
        head = read_classifier(Weights(file), SimpleNamespace(n_embd=64))
    np.testing.assert_array_equal(head.weight, WEIGHT[:1])
