"""Pooling: what is kept of the states, in which order they are added, how vectors are finished."""

import numpy as np
import pytest

from pyllm.errors import RequestError
from pyllm.pooling.pooling import POOLING_TYPES, Pooler, PoolingParams, finished

STATES = np.random.default_rng(1).standard_normal((40, 6)).astype(np.float32) * 100


def pooled(kind, chunks):
    pooler = Pooler(kind, len(STATES))
    rows = STATES[-1:] if kind == "last" else STATES
    for start, end in zip([0, *chunks], [*chunks, len(rows)], strict=True):
        assert not pooler.is_complete
        pooler.add(rows[start:end])
        if pooler.is_complete:
            break
    assert pooler.is_complete
    return pooler.result()


def test_each_type_keeps_its_states():
    np.testing.assert_array_equal(pooled("last", []), STATES[-1])
    np.testing.assert_array_equal(pooled("cls", []), STATES[0])
    np.testing.assert_array_equal(pooled("none", []), STATES)
    np.testing.assert_allclose(pooled("mean", []), STATES.astype(np.float64).mean(0), rtol=1e-12)


@pytest.mark.parametrize("kind", ["cls", "mean", "none"])
@pytest.mark.parametrize("chunks", [[1], [7, 8, 30], list(range(1, 40))])
def test_chunks_change_no_bit(kind, chunks):
    assert pooled(kind, chunks).tobytes() == pooled(kind, []).tobytes()


@pytest.mark.parametrize("kind", POOLING_TYPES)
def test_what_was_added_may_change_later(kind):
    pooler = Pooler(kind, 1)
    states = STATES[:1].copy()
    pooler.add(states)
    states[:] = 0
    assert pooler.result().any()


def test_only_the_last_token_can_do_without_the_others():
    assert [kind for kind in POOLING_TYPES if not Pooler(kind, 3).wants_all] == ["last"]


def test_vectors_are_cut_first_and_then_scaled():
    found = finished(np.array([3.0, 4.0, 100.0]), PoolingParams(dimensions=2))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0.6, 0.8], rtol=1e-7)
    raw = finished(np.array([3.0, 4.0, 100.0]), PoolingParams(dimensions=2, normalize=False))
    assert raw.tolist() == [3.0, 4.0]


def test_each_token_has_a_length_of_its_own():
    found = finished(STATES, PoolingParams(dimensions=3))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.ones(40), rtol=1e-6)


def test_zeros_remain_zeros():
    assert finished(np.zeros(4), PoolingParams()).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dimensions": 0}, "dimensions: 0: must be at least 1 and at most 6"),
        ({"dimensions": 7}, "dimensions: 7: must be at least 1 and at most 6"),
        ({"dimensions": 2.0}, "dimensions: 2.0: must be an integer"),
        ({"normalize": 1}, "normalize: 1: must be True or False"),
        ({"pooling_type": "rank"}, "pooling_type: 'rank': must be one of none, mean, cls, last"),
    ],
)
def test_impossible_wishes_are_refused(fields, message):
    with pytest.raises(RequestError) as caught:
        PoolingParams(**fields).validate(6)
    assert str(caught.value) == message
