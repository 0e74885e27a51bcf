"""read_config: values of good files, and every bad hyper-parameter of the corpus."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from pyllm.config import ModelConfig, read_config
from pyllm.errors import UnsupportedModelError
from pyllm.gguf import GGUFFile
from tests.corpus import hyperparameters
from tests.corpus.builder import U32, Gguf, array, key
from tests.corpus.case import Case
from tests.corpus.check import problems
from tests.corpus.tiny_model import tiny_model

CASES = hyperparameters.cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_row(case: Case, tmp_path: Path) -> None:
    assert problems(case, tmp_path) == []


def test_every_row_about_hyperparameters_is_there() -> None:
    assert {case.row for case in CASES} >= {f"B-{number:02d}" for number in range(1, 17)}
    names = [case.id for case in CASES]
    assert sorted(set(names)) == sorted(names)


def config_of(tmp_path: Path, file: Gguf) -> ModelConfig:
    path = tmp_path / "m.gguf"
    path.write_bytes(file.bytes())
    with GGUFFile.open(path) as opened:
        return read_config(opened)


def test_all_fields(tmp_path: Path) -> None:
    assert config_of(tmp_path, tiny_model()) == ModelConfig(
        architecture="llama",
        name="tiny",
        n_layers=2,
        n_embd=32,
        n_vocab=32,
        n_ff=48,
        n_experts=0,
        n_experts_used=0,
        n_expert_ff=48,
        n_shared_ff=0,
        n_heads=4,
        n_kv_heads=2,
        head_dim=8,
        v_dim=8,
        context_length=64,
        rms_eps=pytest.approx(1e-5),
        rope_dim=8,
        rope_base=10000.0,
        rope_scaling_type="none",
        rope_scale_factor=1.0,
    )


def test_defaults_of_missing_keys(tmp_path: Path) -> None:
    file = tiny_model().drop(
        "llama.attention.head_count_kv", "llama.rope.dimension_count", "llama.rope.freq_base"
    )
    config = config_of(tmp_path, file.drop("general.name"))
    assert config.n_kv_heads == config.n_heads == 4
    assert config.rope_dim == config.head_dim == 8
    assert config.rope_base == 10000.0
    assert config.name == ""


def test_head_size_may_differ_from_width_over_heads(tmp_path: Path) -> None:
    file = tiny_model().set(
        key("llama.attention.head_count", 6),
        key("llama.attention.head_count_kv", 3),
        key("llama.attention.key_length", 16),
        key("llama.attention.value_length", 24),
        key("llama.rope.dimension_count", 16),
    )
    config = config_of(tmp_path, file)
    assert (config.n_heads, config.head_dim, config.v_dim, config.rope_dim) == (6, 16, 24, 16)


def test_experts(tmp_path: Path) -> None:
    file = tiny_model().set(
        key("llama.expert_count", 8),
        key("llama.expert_used_count", 2),
        key("llama.expert_feed_forward_length", 16),
        key("llama.expert_shared_feed_forward_length", 24),
    )
    config = config_of(tmp_path, file)
    assert (config.n_experts, config.n_experts_used) == (8, 2)
    assert (config.n_expert_ff, config.n_shared_ff) == (16, 24)


def test_one_number_for_each_layer(tmp_path: Path) -> None:
    file = tiny_model().set(array("llama.feed_forward_length", U32, [48, 48]))
    assert config_of(tmp_path, file).n_ff == 48


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([key("llama.rope.scaling.factor", 4.0)], ("linear", 4.0)),
        ([key("llama.rope.scale_linear", 2.0)], ("linear", 2.0)),
        (
            [key("llama.rope.scaling.type", "none"), key("llama.rope.scaling.factor", 4.0)],
            ("none", 1.0),
        ),
        ([key("llama.rope.scaling.type", "linear")], ("linear", 1.0)),
    ],
)
def test_rope_scaling(tmp_path: Path, entries: list, expected: tuple[str, float]) -> None:
    config = config_of(tmp_path, tiny_model().set(*entries))
    assert (config.rope_scaling_type, config.rope_scale_factor) == expected


def test_yarn_is_named(tmp_path: Path) -> None:
    file = tiny_model().set(key("llama.rope.scaling.type", "yarn"))
    with pytest.raises(UnsupportedModelError, match=r"rope\.scaling\.type: read 'yarn'"):
        config_of(tmp_path, file)


def test_window_as_long_as_the_context_changes_nothing(tmp_path: Path) -> None:
    file = tiny_model().set(key("llama.attention.sliding_window", 64))
    assert config_of(tmp_path, file) == config_of(tmp_path, tiny_model())


def test_a_shorter_window_is_for_llamas_only(tmp_path: Path) -> None:
    assert config_of(tmp_path, tiny_model()).window == 0
    file = tiny_model().set(key("llama.attention.sliding_window", 8))
    assert config_of(tmp_path, file).window == 8
    file = tiny_model(architecture="qwen2").set(key("qwen2.attention.sliding_window", 8))
    with pytest.raises(UnsupportedModelError, match=r"sliding_window: read 8"):
        config_of(tmp_path, file)


def test_config_cannot_be_changed(tmp_path: Path) -> None:
    config = config_of(tmp_path, tiny_model())
    with pytest.raises(FrozenInstanceError):
        config.n_layers = 1  # type: ignore[misc]
