"""A window bounds memory and nothing else: long texts in a pool for a window say what they say in
one that keeps everything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pyllm.engine.engine import Engine
from pyllm.kv.window import KVWindow
from pyllm.loader import Model, load_model
from pyllm.outputs import CompletionOutput, RequestOutput
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.determinism.random_model import write_random_model

WINDOW, BLOCK_SIZE, CHUNK = 48, 16, 32
LENGTH = 8 * WINDOW
BLOCKS_OF_ONE = 3 + 2 + 1  # the window's, a chunk's, and one that both share


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "window.gguf", window=WINDOW)


def load(path: Path, *, keep_whole_texts: bool = False) -> Model:
    return load_model(
        path, num_threads=2, max_model_len=LENGTH + 60, max_num_seqs=6, block_size=BLOCK_SIZE,
        max_num_batched_tokens=CHUNK, keep_whole_texts=keep_whole_texts,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(path: Path) -> Iterator[Model]:
    model = load(path)
    yield model
    model.close()


@pytest.fixture(scope="module")
def whole(path: Path) -> Iterator[Model]:
    """Nothing is ever given back, and nothing found again."""
    model = load(path, keep_whole_texts=True)
    yield model
    model.close()


def prompt(seed: int, length: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(3, 300) for _ in range(length)]


def params(max_tokens: int) -> SamplingParams:
    return SamplingParams(
        max_tokens=max_tokens, seed=4, logprobs=2, ignore_eos=True,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip


def answers(engine: Engine, *wishes: tuple[list[int], int]) -> list[RequestOutput]:
    """Of requests (prompt, tokens to write) that come together."""
    requests = [engine.make_request(None, ids, params(count)) for ids, count in wishes]
    for request in requests:
        engine.add(request)
    outputs = {}
    while engine.has_unfinished():
        outputs |= {output.request_id: output for output in engine.step()}
        engine.scheduler.check()
    return [outputs[request.request_id] for request in requests]


def alone(whole: Model, ids: list[int], count: int) -> list[CompletionOutput]:
    return answers(Engine(whole, enable_prefix_caching=False), (ids, count))[0].outputs


def engine_of(model: Model, num_kv_blocks: int, *, caching: bool = True) -> Engine:
    return Engine(replace(model, num_kv_blocks=num_kv_blocks), enable_prefix_caching=caching)


def test_the_sizes(model: Model, whole: Model) -> None:
    assert (model.kv_window, whole.kv_window) == (WINDOW, 0)
    assert KVWindow(WINDOW, BLOCK_SIZE).most_blocks(LENGTH, CHUNK) == BLOCKS_OF_ONE
    assert model.num_kv_blocks == 6 * BLOCKS_OF_ONE
    assert whole.num_kv_blocks == 6 * -(-(LENGTH + 60) // BLOCK_SIZE)


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("num_prompt_tokens", [1, 150, LENGTH - 1])
def test_a_pool_for_a_window_holds_a_text_of_eight(
    model: Model, whole: Model, caching: bool, num_prompt_tokens: int
) -> None:
    ids, count = prompt(1, num_prompt_tokens), LENGTH - num_prompt_tokens
    (output,) = answers(engine_of(model, BLOCKS_OF_ONE, caching=caching), (ids, count))
    assert output.outputs == alone(whole, ids, count)
    assert output.metrics is not None
    assert output.metrics.num_preemptions == 0


def test_others_write_into_what_one_gives_back(model: Model, whole: Model) -> None:
    """Five texts of 24 blocks each in 26 blocks, and none of them is ever preempted."""
    wishes = [(prompt(seed, 20 + 30 * seed), LENGTH - 20 - 30 * seed) for seed in range(5)]
    engine = engine_of(model, 4 * BLOCKS_OF_ONE + 2)
    for output, (ids, count) in zip(answers(engine, *wishes), wishes, strict=True):
        assert output.outputs == alone(whole, ids, count)
        assert output.metrics is not None
        assert output.metrics.num_preemptions == 0


def test_the_next_turn_of_a_long_conversation_starts_after_the_last(
    model: Model, whole: Model
) -> None:
    engine = engine_of(model, BLOCKS_OF_ONE + 2)
    ids = prompt(2, LENGTH - 40)
    (first,) = answers(engine, (ids, 40))
    ids = [*ids, *first.outputs[0].token_ids, *prompt(3, 20)]
    (second,) = answers(engine, (ids, 20))
    assert second.num_cached_tokens == (LENGTH - 1) // BLOCK_SIZE * BLOCK_SIZE
    assert second.outputs == alone(whole, ids, 20)


def test_only_the_last_window_of_a_prefix_is_read_from_disk(
    path: Path, whole: Model, tmp_path: Path
) -> None:
    ids = prompt(5, LENGTH)
    for turn in range(2):
        model = load_model(
            path, num_threads=2, max_model_len=LENGTH + 60, max_num_seqs=6, block_size=BLOCK_SIZE,
            max_num_batched_tokens=CHUNK, prefix_cache_dir=tmp_path,
        )  # fmt: skip
        engine = Engine(model, prefix_store=model.prefix_store)
        (output,) = answers(engine, (ids, 30))
        assert output.outputs == alone(whole, ids, 30)
        cached = engine.scheduler.kv_cache.num_cached_blocks
        model.close()
        assert output.num_cached_tokens == (LENGTH - BLOCK_SIZE) * turn
    assert cached <= WINDOW // BLOCK_SIZE + 1 + 30 // BLOCK_SIZE + 1
