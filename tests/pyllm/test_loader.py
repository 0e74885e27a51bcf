"""Loading: a good file becomes a model, a bad one an error that names what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from pyllm import loader
from pyllm.errors import (
    MemoryBudgetError,
    ModelFileError,
    PyLLMError,
    RequestError,
    UnsupportedModelError,
)
from pyllm.gguf import GGUFFile
from pyllm.graph.graph import Op
from pyllm.loader import SCORED_ROWS, load_model, widest_window
from tests.support.child_process import environment
from tests.support.reference_models import NAMES, model_path, write_copy
from tests.support.toy_models import toy_arrays, toy_config

N_VOCAB, N_EMBD = 283, 64


def load(path: Path, **options: Any) -> loader.Model:
    return load_model(path, **{"num_threads": 1, **options})


@pytest.mark.parametrize("name", NAMES)
def test_loads(name: str) -> None:
    model = load(model_path(name))
    assert model.max_model_len == model.config.context_length == 256
    assert model.num_kv_blocks == 16 * 256 // 32
    assert model.kv_cache_bytes == model.program.kv_pool.nbytes
    assert model.tokenizer.n_vocab == model.config.n_vocab == N_VOCAB
    assert len(model.program.columns["tokens"]) == 512
    assert len(model.program.columns["logit_rows"]) == 16 + SCORED_ROWS
    model.close()
    model.close()  # a second time does nothing
    with pytest.raises(RuntimeError, match="closed"):
        model.program.step(1, 1, 1)


def test_limits_reach_the_columns() -> None:
    model = load(
        model_path("llama"), max_num_seqs=3, max_num_batched_tokens=17, max_model_len=100,
        block_size=16,
    )  # fmt: skip
    columns = model.program.columns
    assert len(columns["tokens"]) == 17
    assert columns["block_tables"].shape == (3, 7)
    assert model.max_model_len == 100
    assert model.num_kv_blocks == 3 * 7


def test_a_windowed_model_keeps_its_window_only() -> None:
    """2 blocks of a window of 20, 1 of a chunk of 16, and one that it begins in."""
    sizes = {"block_size": 16, "max_num_seqs": 1, "max_num_batched_tokens": 16}
    model = load(model_path("mistral-window"), **sizes)
    assert (model.config.window, model.kv_window) == (20, 20)
    assert (model.max_model_len, model.num_kv_blocks) == (256, 4)
    model.close()
    model = load(model_path("mistral-window"), keep_whole_texts=True, **sizes)
    assert (model.kv_window, model.num_kv_blocks) == (0, 16)
    model.close()


def test_a_model_is_windowed_when_all_its_layers_are() -> None:
    def layers(*windows: int) -> list[Op]:
        return [Op("attention", (), (), attrs={"window": window}) for window in windows]

    assert widest_window(layers(24, 24)) == 24
    assert widest_window(layers(24, 50)) == 50
    assert widest_window(layers(24, 0)) == 0
    assert widest_window([]) == 0


def test_shared_weights_are_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = []
    make = loader.from_file
    monkeypatch.setattr(
        loader, "from_file", lambda w, *rest: packed.append(w.name) or make(w, *rest)
    )
    load(model_path("qwen2")).close()
    assert packed.count("token_embd.weight") == 1
    assert len(packed) == len(set(packed)) == 1 + 2 * 7


class TestBadTensors:
    """Every tensor must be there, must fit and must be used."""

    def refused(self, path: Path, *names: str) -> None:
        with pytest.raises(ModelFileError) as e:
            load(path)
        assert all(name in str(e.value) for name in names), str(e.value)
        assert str(path) in str(e.value)
        assert "\n" not in str(e.value)

    @pytest.mark.parametrize(
        "tensor",
        ["token_embd.weight", "output_norm.weight", "blk.1.attn_k.weight", "blk.0.ffn_norm.weight"],
    )
    def test_missing(self, tensor: str, tmp_path: Path) -> None:
        self.refused(write_copy("llama", tmp_path / "m.gguf", drop=[tensor]), tensor, "missing")

    def test_missing_bias_of_qwen2(self, tmp_path: Path) -> None:
        path = write_copy("qwen2", tmp_path / "m.gguf", drop=["blk.1.attn_v.bias"])
        self.refused(path, "blk.1.attn_v.bias", "missing")

    def test_missing_head_norm_of_qwen3(self, tmp_path: Path) -> None:
        path = write_copy("qwen3", tmp_path / "m.gguf", drop=["blk.0.attn_q_norm.weight"])
        self.refused(path, "blk.0.attn_q_norm.weight", "missing")

    def test_leftover(self, tmp_path: Path) -> None:
        extra = {"blk.0.attn_gate.weight": np.zeros((64, 64), np.float32)}
        path = write_copy("llama", tmp_path / "m.gguf", extra=extra)
        self.refused(path, "blk.0.attn_gate.weight", "no op reads it")

    def test_transposed(self, tmp_path: Path) -> None:
        extra = {"blk.0.ffn_down.weight": np.zeros((96, 64), np.float32)}
        path = write_copy("llama", tmp_path / "m.gguf", extra=extra)
        self.refused(path, "blk.0.ffn_down.weight", "96x64", "64x96")

    def test_norm_of_the_wrong_length(self, tmp_path: Path) -> None:
        extra = {"blk.0.attn_norm.weight": np.zeros(63, np.float32)}
        path = write_copy("llama", tmp_path / "m.gguf", extra=extra)
        self.refused(path, "blk.0.attn_norm.weight", "63", "64")

    def test_norm_of_the_wrong_type(self, tmp_path: Path) -> None:
        extra = {"output_norm.weight": np.zeros(64, np.int32)}
        path = write_copy("llama", tmp_path / "m.gguf", extra=extra)
        self.refused(path, "output_norm.weight", "I32")

    def test_output_beside_tied_embeddings_of_another_size(self, tmp_path: Path) -> None:
        extra = {"output.weight": np.zeros((N_VOCAB + 1, N_EMBD), np.float32)}
        path = write_copy("qwen2", tmp_path / "m.gguf", extra=extra)
        self.refused(path, "output.weight", "284x64", "283x64")

    @pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
    def test_rope_factors_that_are_no_divisors(self, bad: float, tmp_path: Path) -> None:
        factors = np.ones(8, np.float32)
        factors[3] = bad
        extra = {"rope_freqs.weight": factors}
        path = write_copy("llama", tmp_path / "m.gguf", extra=extra)
        self.refused(path, "rope_freqs.weight", "divisors" if np.isfinite(bad) else "finite")

    def test_norm_that_is_not_finite(self, tmp_path: Path) -> None:
        broken = np.ones(64, np.float32)
        broken[5] = np.nan
        path = write_copy("llama", tmp_path / "m.gguf", extra={"blk.1.ffn_norm.weight": broken})
        self.refused(path, "blk.1.ffn_norm.weight", "value 5", "nan")

    def test_type_without_kernels(self, tmp_path: Path) -> None:
        extra = {"blk.0.attn_q.weight": np.zeros((64, 64), np.int8)}
        path = write_copy("llama", tmp_path / "m.gguf", extra=extra)
        with pytest.raises(UnsupportedModelError, match=r"attn_q.*I8.*Q4_K"):
            load(path)


def test_norms_may_be_f16(tmp_path: Path) -> None:
    """The reference weights are exact in float16, so nothing changes."""
    extra = {"output_norm.weight": norm_of("llama", "output_norm.weight").astype(np.float16)}
    model = load(write_copy("llama", tmp_path / "m.gguf", extra=extra))
    same = load(model_path("llama"))
    assert one_step(model) == one_step(same)


def norm_of(name: str, tensor: str) -> np.ndarray:
    tensors = gguf.GGUFReader(model_path(name)).tensors
    return np.array(next(t.data for t in tensors if t.name == tensor))


def one_step(model: loader.Model) -> bytes:
    """Logits after token 7 at position 0."""
    columns = model.program.columns
    columns["tokens"][0], columns["positions"][0], columns["logit_rows"][0] = 7, 0, 0
    columns["seq_starts"][:2] = (0, 1)
    columns["block_tables"][0, 0] = 0
    model.program.step(1, 1, 1)
    return bytes(columns["logits"][0].tobytes())


def test_unknown_architecture_names_the_known_ones(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(UnsupportedModelError, match=r"mamba.*llama, qwen2, .*qwen3"):
        load(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    "option",
    [
        "num_threads", "num_threads_batch", "max_model_len", "max_num_seqs",
        "max_num_batched_tokens", "kv_cache_bytes",
    ],
)  # fmt: skip
def test_sizes_below_one_are_refused(option: str) -> None:
    with pytest.raises(RequestError, match=option):
        load(model_path("llama"), **{option: 0})


@pytest.mark.parametrize(("n_batch", "expected"), [(None, 2), (3, 3), (1, 1)])
def test_prompts_may_have_threads_of_their_own(n_batch: int | None, expected: int) -> None:
    with closing(load(model_path("llama"), num_threads=2, num_threads_batch=n_batch)) as model:
        assert (model.program.threads, model.program.threads_batch) == (2, expected)


def test_block_size_must_be_whole_vectors() -> None:
    with pytest.raises(RequestError, match=r"block_size.*24.*16"):
        load(model_path("llama"), block_size=24)


def test_context_beyond_the_models_is_refused() -> None:
    with pytest.raises(RequestError, match=r"max_model_len.*257.*256"):
        load(model_path("llama"), max_model_len=257)


def test_weights_that_do_not_fit_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "available_memory", lambda: 100_000)
    monkeypatch.setattr(loader, "from_file", None)  # must not be reached
    with pytest.raises(MemoryBudgetError, match="for weights and activations"):
        load(model_path("llama"))


def test_errors_leave_no_file_open(tmp_path: Path) -> None:
    path = write_copy("llama", tmp_path / "m.gguf", drop=["output_norm.weight"])
    with pytest.raises(PyLLMError):
        load(path)
    fds = Path("/proc/self/fd")
    if not fds.is_dir():
        pytest.skip("open files are listed in /proc on Linux only")
    assert path not in [fd.readlink() for fd in fds.iterdir() if fd.is_symlink()]
    assert str(path) not in Path("/proc/self/maps").read_text()


MEASURE = """
import re, sys
from pathlib import Path
from pyllm.loader import load_model

def peak_rss():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

load_model(sys.argv[1], num_threads=2).close()  # imports and pools are in place now
Path("/proc/self/clear_refs").write_text("5")   # forget the peak so far
before = peak_rss()
model = load_model(sys.argv[2], num_threads=2, max_num_batched_tokens=64, max_num_seqs=2)
columns = model.program.columns
columns["tokens"][:2], columns["positions"][:2], columns["seq_starts"][:2] = [1, 2], [0, 1], [0, 2]
for _ in range(2):  # the second keeps every weight
    model.program.step(2, 1, 1)
print(peak_rss() - before)
"""


@pytest.mark.skipif("PYLLM_SANITIZED" in os.environ, reason="sanitizers take memory of their own")
@pytest.mark.parametrize("kind", [gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.Q8_0])
def test_peak_memory_stays_near_the_file(kind: gguf.GGMLQuantizationType, tmp_path: Path) -> None:
    """The file's pages and the packed copy must never be resident together."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peak memory is measured through /proc, which only Linux has")
    config = toy_config(n_layers=8, n_embd=512, n_ff=4096, n_heads=8, n_kv_heads=8, head_dim=64,
                        v_dim=64, rope_dim=64, n_vocab=N_VOCAB)  # fmt: skip
    sizes = {
        "block_count": 8, "embedding_length": 512, "feed_forward_length": 4096,
        "attention.head_count": 8, "attention.head_count_kv": 8, "attention.key_length": 64,
        "attention.value_length": 64, "rope.dimension_count": 64,
    }  # fmt: skip
    with GGUFFile.open(model_path("llama")) as file:
        stored = list(file.tensors)
    path = write_copy(
        "llama", tmp_path / "big.gguf", matrices=kind, drop=stored, extra=toy_arrays(config),
        fields={f"llama.{key}": value for key, value in sizes.items()},
    )  # fmt: skip
    command = [sys.executable, "-c", MEASURE, str(model_path("llama")), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, env=environment())
    peak = int(done.stdout)
    beside = 16 << 20  # keys and values, activations, what workers keep
    assert peak <= 1.05 * path.stat().st_size + beside
    assert peak >= 0.5 * path.stat().st_size, "the measurement missed the weights"


def test_a_model_must_be_a_path() -> None:
    with pytest.raises(RequestError, match="must be the path of a GGUF file"):
        load_model(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("directory", ["", 5, b"x"])
def test_a_prefix_cache_must_have_a_directory(directory: Any) -> None:
    with pytest.raises(RequestError, match="prefix_cache_dir"):
        load_model(model_path(NAMES[0]), prefix_cache_dir=directory)


def test_blocks_on_disk_belong_to_one_model_and_layout(tmp_path: Path) -> None:
    roots = set()
    for name, block_size in [(NAMES[0], 32), (NAMES[0], 32), (NAMES[0], 16), (NAMES[1], 32)]:
        model = load_model(model_path(name), prefix_cache_dir=tmp_path, block_size=block_size)
        assert model.prefix_store is not None
        roots.add(model.prefix_store.root)
        model.close()
        model.close()
    assert len(roots) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(r.hex() for r in roots)
