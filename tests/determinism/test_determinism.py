"""The gate: a request's logits and tokens are the same bits in any company, chunk, thread count,
instruction set, and after any preemption.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyllm import kernels
from pyllm.llm import LLM
from pyllm.sampling.params import SamplingParams
from tests.determinism.fingerprint import Setting, fingerprints
from tests.determinism.random_model import POISONED, write_random_model
from tests.support.child_process import environment

REPOSITORY = Path(__file__).parents[2]
MATERIAL = Path(os.environ.get("PYLLM_TEST_MATERIAL", REPOSITORY.parent / "shared" / "material"))
STORIES = MATERIAL / "weights" / "stories260K" / "stories260K.gguf"

SETTINGS = [
    *(Setting(batch=batch, threads=threads) for batch in (1, 2, 8, 33) for threads in (1, 2)),
    *(Setting(chunk=chunk, threads=threads) for chunk in (1, 7, 64) for threads in (1, 2)),
    *(Setting(batch=batch, chunk=64, threads=2) for batch in (8, 33)),
    *(Setting(batch=8, chunk=64, threads=n, threads_batch=3 - n) for n in (1, 2)),
]


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")


@pytest.fixture(scope="module")
def random_experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "experts.gguf", experts=True)


@pytest.fixture(scope="module", params=["random", "experts", "stories260K"])
def path(request: pytest.FixtureRequest, random_model: Path, random_experts: Path) -> Path:
    if request.param == "random":
        return random_model
    if request.param == "experts":
        return random_experts
    if not STORIES.exists():
        pytest.skip(f"{STORIES} is not there (optional test material)")
    return STORIES


@functools.cache
def alone(path: Path, kv_type: str = "f16") -> dict[str, list[str]]:
    return fingerprints(path, Setting(kv_type=kv_type))


@pytest.mark.isa
@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_company_chunks_and_threads_change_nothing(path: Path, setting: Setting) -> None:
    assert fingerprints(path, setting) == alone(path)


@pytest.mark.isa
@pytest.mark.slow
@pytest.mark.parametrize("kv_type", ["bf16", "q8_0", "q4_0"])
def test_nor_do_they_with_a_smaller_cache(path: Path, kv_type: str) -> None:
    assert alone(path, kv_type) != alone(path)
    for batch, chunk, threads in ((8, 64, 2), (1, 7, 2), (33, 512, 1)):
        setting = Setting(batch=batch, chunk=chunk, threads=threads, kv_type=kv_type)
        assert fingerprints(path, setting) == alone(path, kv_type)


@pytest.mark.isa
def test_preemption_changes_nothing(path: Path) -> None:
    # 19 blocks of 32 tokens: the long target alone takes 18, so its company must give way.
    setting = Setting(batch=8, chunk=64, num_kv_blocks=19)
    assert fingerprints(path, setting) == alone(path)


@pytest.mark.isa
@pytest.mark.parametrize("setting", [Setting(cached=True), Setting(batch=8, chunk=7, cached=True)])
def test_cached_prefixes_change_nothing(path: Path, setting: Setting) -> None:
    assert fingerprints(path, setting) == alone(path)


@pytest.mark.isa
def test_prefixes_from_disk_change_nothing(random_model: Path, tmp_path: Path) -> None:
    params = SamplingParams(max_tokens=20, seed=1, logprobs=3, ignore_eos=True)
    prompt = {"prompt_token_ids": [5 + number % 90 for number in range(300)]}
    options = {"num_threads": 1, "max_model_len": 512, "prefix_cache_dir": tmp_path / "cache"}
    results = []
    for _ in range(2):
        with LLM(random_model, **options) as llm:
            results += llm.generate(prompt, params)
    cold, warm = results
    assert (cold.num_cached_tokens, warm.num_cached_tokens) == (0, 288)
    assert warm.outputs == cold.outputs


@pytest.mark.parametrize(
    ("isa", "kv_type"), list(itertools.product(kernels.isas(), ["f16", "q4_0"]))
)
def test_instruction_sets_change_nothing(path: Path, isa: str, kv_type: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.determinism.fingerprint", os.fspath(path), kv_type],
        env=environment(PYLLM_ISA=isa),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == alone(path, kv_type)


def test_the_targets_say_something(path: Path) -> None:
    """Equal results prove nothing if they are all the same token, or all the same logits."""
    for lines in alone(path).values():
        assert len(set(lines)) > 15


@pytest.mark.parametrize("experts", [False, True], ids=["dense", "experts"])
def test_nonfinite_weights_end_only_the_request_that_meets_them(
    tmp_path: Path, experts: bool
) -> None:
    """Neighbours, and later owners of the same KV blocks, are unchanged bit for bit."""
    params = SamplingParams(max_tokens=20, seed=1, logprobs=3, ignore_eos=True)
    good = [{"prompt_token_ids": [5 + number] * 40} for number in range(3)]
    bad = {"prompt_token_ids": [9] * 30 + [POISONED] + [9] * 40}
    path = write_random_model(tmp_path / "poisoned.gguf", poisoned=True, experts=experts)
    with LLM(path, max_num_seqs=4, max_model_len=128) as llm:
        expected = [output.outputs for output in llm.generate(good, params)]
        first, error, *rest = llm.generate([good[0], bad, *good[1:]], params)
        assert [error.outputs[0].finish_reason, error.outputs[0].stop_reason] == [
            "error",
            "nonfinite_logits",
        ]
        assert error.outputs[0].token_ids == []
        assert [output.outputs for output in (first, *rest)] == expected
        assert [output.outputs for output in llm.generate(good, params)] == expected
