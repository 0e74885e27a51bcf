"""Perplexity and divergence: the figures against NumPy, the rows against single steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pyllm.errors import RequestError
from pyllm.evaluation import (
    compare,
    log_softmax,
    negative_log_likelihoods,
    predictions,
    stretches,
)
from pyllm.kv.types import KVTypes
from pyllm.loader import Model, load_model
from tests.determinism.random_model import write_random_model

RUNS = [[1, *range(40, 79)], [1, *range(90, 121)]]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")


def load(path: Path, rows: int = 16, types: KVTypes | None = None) -> Model:
    return load_model(
        path, num_threads=1, max_model_len=64, max_num_seqs=rows, max_num_batched_tokens=rows,
        kv_types=types or KVTypes(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(path: Path) -> Iterator[Model]:
    loaded = load(path)
    yield loaded
    loaded.close()


def test_a_text_is_cut_into_stretches() -> None:
    assert stretches(range(10, 21), 4, 9, None) == [[10, 11, 12, 13], [14, 15, 16, 17]]
    assert stretches(range(10, 21), 4, 1, 1) == [[1, 11, 12, 13]]
    with pytest.raises(RequestError, match=r"text.*11 tokens.*at least 12 tokens"):
        stretches(range(11), 12, 1, None)


@pytest.mark.parametrize("first", [1, 7, 20, 39])
@pytest.mark.parametrize("rows", [1, 5, 64])
def test_predictions_do_not_depend_on_the_step(
    path: Path, model: Model, rows: int, first: int
) -> None:
    other = load(path, rows)
    found = np.stack(list(predictions(other, RUNS[0], first)))
    other.close()
    expected = np.stack(list(predictions(model, RUNS[0], 1)))[first - 1 :]
    np.testing.assert_array_equal(found, expected)


def test_a_window_is_read_in_the_blocks_there_are(tmp_path: Path) -> None:
    windowed = write_random_model(tmp_path / "window.gguf", window=20)
    found = []
    for keep_whole_texts in (True, False):
        model = load_model(
            windowed, num_threads=1, max_model_len=128, max_num_seqs=1, block_size=16,
            max_num_batched_tokens=16, keep_whole_texts=keep_whole_texts,
        )  # fmt: skip
        assert model.num_kv_blocks == (8 if keep_whole_texts else 4)
        found.append(np.stack(list(predictions(model, [1, *range(40, 167)], 1))))
        model.close()
    np.testing.assert_array_equal(found[0], found[1])


def test_likelihoods_are_of_the_second_halves(model: Model) -> None:
    nll = negative_log_likelihoods(model, RUNS)
    assert len(nll) == 20 + 16
    logits = list(predictions(model, RUNS[1], 16))
    assert nll[20 + 3] == -log_softmax(logits[3])[RUNS[1][16 + 3]]


def test_a_model_does_not_differ_from_itself(model: Model) -> None:
    found = compare(model, model, RUNS)
    assert found.kld.max() == 0.0
    assert found.same_top.all()
    np.testing.assert_array_equal(found.base_nll, negative_log_likelihoods(model, RUNS))


def test_divergence_grows_as_types_shrink(path: Path, model: Model) -> None:
    means = []
    for kind in ("q8_0", "q4_0"):
        other = load(path, types=KVTypes(kind, kind))
        found = compare(model, other, RUNS)
        means.append(found.kld.mean())
        p, q = (log_softmax(list(predictions(m, RUNS[0], 20))[5]) for m in (model, other))
        assert found.kld[5] == pytest.approx((np.exp(p) * (p - q)).sum(), rel=1e-6)
        other.close()
    assert 0 < 10 * means[0] < means[1] < 0.1
