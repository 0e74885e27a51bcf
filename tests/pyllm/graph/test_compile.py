"""The C++ program computes what the reference computes, and the same bits however it is run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pyllm import kernels
from pyllm.engine.interrupt import StepInterrupted
from pyllm.graph import reference
from pyllm.graph.compile import CompiledProgram
from pyllm.graph.fuse import fuse
from pyllm.graph.graph import Graph
from pyllm.graph.plan import plan
from pyllm.graph.prompt_ops import prompt_ops
from pyllm.graph.reference import Interpreter
from pyllm.graph.weights import Weights
from tests.support.blocks import random_blocks
from tests.support.thread_count import thread_count
from tests.support.toy_file import ToyFile
from tests.support.toy_models import record, toy_arrays, toy_config, toy_experts
from tests.support.toy_program import batch_of, compile_prompts, compile_toy, run, spread

MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (toy_config("llama"), {}),
    "llama-biases": (toy_config("llama"), {"biases": True}),
    "llama-partial-rope": (toy_config("llama", rope_dim=6), {"tied": True}),
    "llama-v-dim": (toy_config("llama", v_dim=7), {}),
    "llama-window": (toy_config("llama", window=3), {}),
    "llama-wide": (
        toy_config("llama", n_embd=130, n_ff=301, head_dim=34, v_dim=34, rope_dim=34),
        {},
    ),
    "qwen2": (toy_config("qwen2", n_kv_heads=1), {}),
    "qwen3": (toy_config("qwen3"), {"tied": True}),
    "llama-experts": (toy_experts("llama"), {}),
    "qwen2moe": (toy_experts("qwen2moe"), {}),
    "qwen3moe": (toy_experts("qwen3moe", n_experts=5, n_experts_used=5), {"tied": True}),
}
TOKENS = [int(t) for t in np.random.default_rng(5).integers(0, 43, 100)]
FORMATS = {fmt.name: fmt.id for fmt in kernels.formats()}
KINDS = ("F32", "BF16", "Q8_0", "Q4_K", "Q6_K", "IQ4_NL")
WIDE_HEADS = {"n_heads": 4, "n_kv_heads": 2, "head_dim": 64, "v_dim": 64, "rope_dim": 64}
WIDE_SIZES = {"n_layers": 1, "n_embd": 256, "n_ff": 512, **WIDE_HEADS}
WIDE_EXPERTS = {"n_experts": 10, "n_experts_used": 3, "n_expert_ff": 256}
WIDE = {
    "dense": toy_config("qwen3", **WIDE_SIZES),
    "experts": toy_experts("qwen3moe", **WIDE_SIZES, **WIDE_EXPERTS),
}
# 530 tokens: three chunks of attention, two of a prefill.
LONG = [int(t) for t in np.random.default_rng(6).integers(0, 43, 530)]
# Two sequences of different lengths, then more of both.
STEPS = (
    batch_of([(0, 0, TOKENS[:23]), (1, 0, TOKENS[40:49])]),
    batch_of([(1, 9, TOKENS[49:50]), (0, 23, TOKENS[23:40])]),
)
# A key that lies between two f16 may round differently in the core and in the reference.
ONE_F16_STEP = 3e-4


@pytest.fixture
def f16_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the reference store keys and values as the core does."""
    extend = reference._extend

    def extend_f16(c: Any, seq: int, k: Any, v: Any, rows: slice) -> Any:
        return extend(c, seq, *(x.astype(np.float16).astype(x.dtype) for x in (k, v)), rows)

    monkeypatch.setattr(reference, "_extend", extend_f16)


def toy_program(name: str, *, fused: bool = True, threads: int = 1) -> CompiledProgram:
    config, options = MODELS[name]
    ops, _ = record(config, toy_arrays(config, **options))
    return compile_toy(plan(fuse(ops) if fused else ops, 64, 64), config, threads)


@pytest.mark.isa
@pytest.mark.usefixtures("f16_cache")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("fused", [False, True], ids=["recorded", "fused"])
def test_every_value_is_close_to_the_reference(name: str, fused: bool) -> None:
    config, options = MODELS[name]
    ops, file = record(config, toy_arrays(config, **options))
    ops = fuse(ops) if fused else ops
    program = compile_toy(spread(ops, 64, 64), config)
    interpreter = Interpreter(ops, file.values)
    for batch in STEPS:
        run(program, batch)
        for value, expected in interpreter.step(batch).items():
            found = program.read(value, len(expected))
            writer = next(op.name for op in ops if value in op.outputs)
            np.testing.assert_allclose(
                found, expected, atol=ONE_F16_STEP, rtol=ONE_F16_STEP, err_msg=f"{writer} {value}"
            )


@pytest.mark.isa
@pytest.mark.parametrize("name", MODELS)
def test_ops_before_the_first_cache_read_are_close_to_float32_rounding(name: str) -> None:
    config, options = MODELS[name]
    ops, file = record(config, toy_arrays(config, **options))
    first = next(i for i, op in enumerate(ops) if op.name == "attention")
    values = {v for op in ops[:first] for v in op.outputs}
    assert len(values) >= 7
    program = compile_toy(spread(ops, 64, 64), config)
    run(program, STEPS[0])
    for value, expected in Interpreter(ops, file.values).step(STEPS[0]).items():
        if value in values:
            found = program.read(value, len(expected))
            np.testing.assert_allclose(found, expected, atol=3e-6, rtol=3e-6)


@pytest.mark.isa
@pytest.mark.parametrize("name", MODELS)
def test_fused_and_planned_gives_the_bits_of_recorded(name: str) -> None:
    recorded, fused = toy_program(name, fused=False), toy_program(name, fused=True)
    for batch in STEPS:
        np.testing.assert_array_equal(run(fused, batch), run(recorded, batch))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", WIDE)
class TestSameBits:
    """Logits of a request do not depend on what runs beside it, nor on how it is cut."""

    def program(self, model: str, kind: str, threads: int = 1) -> CompiledProgram:
        config = WIDE[model]
        ops, _ = record(config, toy_arrays(config), FORMATS[kind])
        return compile_toy(plan(fuse(ops), 512, 512), config, threads)

    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_chunks_and_threads(self, model: str, kind: str, threads: int) -> None:
        expected = np.concatenate(self.in_chunks(self.program(model, kind), 512))
        program = self.program(model, kind, threads)
        for chunk in (1, 7, 64, 512):
            found = np.concatenate(self.in_chunks(program, chunk))
            np.testing.assert_array_equal(found, expected, err_msg=f"chunk {chunk}")

    def in_chunks(self, program: CompiledProgram, chunk: int) -> list[Any]:
        starts = range(0, len(LONG), chunk)
        return [run(program, batch_of([(0, at, LONG[at : at + chunk])])) for at in starts]

    @pytest.mark.parametrize("n_seqs", [2, 8, 33])
    def test_alone_and_in_a_batch(self, model: str, kind: str, n_seqs: int) -> None:
        """Prompts of different lengths at once, then one token of each sequence per step."""
        together, alone = self.program(model, kind, threads=2), self.program(model, kind)
        parts = [(s, 0, LONG[s : s + 1 + 5 * s % 29]) for s in range(n_seqs)]
        for step in range(4):
            expected = [run(alone, batch_of([part])) for part in parts]
            np.testing.assert_array_equal(run(together, batch_of(parts)), np.concatenate(expected))
            parts = [(s, at + len(old), [LONG[7 * s + step]]) for s, at, old in parts]

    def test_instruction_sets(self, model: str, kind: str) -> None:
        active, results = kernels.isa(), {}
        try:
            for isa in kernels.isas():
                kernels.set_isa(isa)
                program = self.program(model, kind)
                results[isa] = [
                    *self.in_chunks(program, 512),
                    run(program, batch_of([(1, 0, LONG[:3])])),  # few tokens: other kernels
                ]
        finally:
            kernels.set_isa(active)
        assert "scalar" in results
        for isa, found in results.items():
            for mine, scalar in zip(found, results["scalar"], strict=True):
                np.testing.assert_array_equal(mine, scalar, err_msg=isa)


@pytest.mark.isa
@pytest.mark.parametrize("fmt", kernels.formats(), ids=lambda fmt: fmt.name)
def test_every_weight_type_embeds_and_multiplies_as_the_kernels_do(fmt: kernels.Format) -> None:
    """One matrix of the type as embedding table and as head."""
    cols, rows, tokens = 256, 43, [0, 7, 42, 16, 15]
    raw = random_blocks(fmt, rows, cols, np.random.default_rng(fmt.id))
    file = ToyFile({"m": raw}, {"m": fmt.id}, shapes={"m": (rows, cols)})
    graph, w = Graph(), Weights(file)
    x = graph.take_rows(graph.embed(w["m"], rows, cols))
    graph.linear(x, w["m"], rows)
    program = compile_toy(plan(graph.ops, 8, 8), toy_config(), threads=2)
    logits = run(program, batch_of([(0, 0, tokens)]))
    embedded = kernels.dequantize(raw, fmt.id, (rows, cols))[tokens]
    np.testing.assert_array_equal(program.read(x, len(tokens)), embedded)
    np.testing.assert_array_equal(logits, kernels.matmul(embedded, raw, fmt.id, (rows, cols)))


def test_profile_names_every_op() -> None:
    config, _ = MODELS["llama"]
    ops = fuse(record(config, toy_arrays(config))[0])
    program = compile_toy(plan(ops, 64, 64), config)
    program.columns["tokens"][0] = 1
    program.columns["seq_starts"][:2] = (0, 1)
    program.step(1, 1, 1, profile=True)
    profile = program.profile()
    assert [name for _, name, *_ in profile] == [*(op.name for op in ops), "sample"]
    macs = sum(row[4] for row in profile if row[1] == "linear")
    matrices = {
        w for op in ops if op.name == "linear" for w in op.weights if w and len(w.shape) == 2
    }
    assert macs == sum(w.shape[0] * w.shape[1] for w in matrices)


def test_a_step_without_rows_only_fills_the_cache() -> None:
    whole, split = toy_program("llama"), toy_program("llama")
    expected = run(whole, batch_of([(0, 0, TOKENS[:20])]))[-1:]
    first = batch_of([(0, 0, TOKENS[:19])])
    run(split, type(first)(first.tokens, first.positions, first.seq_starts, first.seq_ids, []))
    np.testing.assert_array_equal(run(split, batch_of([(0, 19, TOKENS[19:20])])), expected)


def prompt_columns(program: Any, tokens: list[int], first: int = 0) -> None:
    """The next tokens of sequence 0."""
    columns, n = program.columns, len(tokens)
    columns["tokens"][:n] = tokens
    columns["positions"][:n] = range(first, first + n)
    columns["seq_starts"][:2] = 0, n
    columns["block_tables"][0] = range(len(columns["block_tables"][0]))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seconds", [0.0, 1e9, math.inf, math.nan])
def test_a_prompt_may_be_read_op_by_op_beside_other_steps(name: str, seconds: float) -> None:
    config, options = MODELS[name]
    ops = fuse(record(config, toy_arrays(config, **options))[0])
    whole, split = (compile_toy(plan(ops, 64, 64), config, threads=2) for _ in range(2))
    expected = run(whole, batch_of([(0, 0, TOKENS[:20])]))[-1:]
    other = run(whole, batch_of([(1, 0, TOKENS[30:33])]))
    prompts = compile_prompts(plan(prompt_ops(ops), 16, 0), split)
    for first in (0, 16):
        prompt_columns(prompts, TOKENS[first : min(first + 16, 19)], first)
        n_tokens, op, calls = min(16, 19 - first), 0, 0
        while op < prompts.n_ops:
            before, op = op, prompts.advance(n_tokens, op, seconds)
            calls += 1
            np.testing.assert_array_equal(run(split, batch_of([(1, 0, TOKENS[30:33])])), other)
            assert op == before + 1 or seconds != 0.0 or before == 0
        assert calls == 1 if seconds > 1 else calls >= prompts.n_ops // 2
    assert prompts.longest_op > 0
    np.testing.assert_array_equal(run(split, batch_of([(0, 19, TOKENS[19:20])])), expected)


def test_reading_may_begin_again_after_any_op() -> None:
    config, _ = MODELS["llama"]
    ops = fuse(record(config, toy_arrays(config))[0])
    whole, split = (compile_toy(plan(ops, 64, 64), config) for _ in range(2))
    expected = run(whole, batch_of([(0, 0, TOKENS[:10])]))[-1:]
    prompts = compile_prompts(plan(prompt_ops(ops), 16, 0), split)
    for last in range(prompts.n_ops):
        prompt_columns(prompts, TOKENS[50:64])
        op = 0
        while op < last:
            op = prompts.advance(14, op, 0.0)
    prompt_columns(prompts, TOKENS[:9])
    assert prompts.advance(9, 0, 1e9) == prompts.n_ops
    np.testing.assert_array_equal(run(split, batch_of([(0, 9, TOKENS[9:10])])), expected)


def test_a_program_for_prompts_shares_the_threads_and_refuses_what_steps_refuse() -> None:
    config, _ = MODELS["llama"]
    ops = fuse(record(config, toy_arrays(config))[0])
    program = compile_toy(plan(ops, 64, 64), config, threads=3)
    before = thread_count()
    prompts = compile_prompts(plan(prompt_ops(ops), 16, 0), program)
    assert thread_count() == before
    prompt_columns(prompts, TOKENS[:9])
    for first_op in (-1, prompts.n_ops):
        with pytest.raises(ValueError, match=f"first_op is {first_op}"):
            prompts.advance(9, first_op, 1.0)
    with pytest.raises(ValueError, match="n_tokens"):
        prompts.advance(17, 0, 1.0)
    prompts.columns["tokens"][3] = 43
    with pytest.raises(ValueError, match=r"tokens\[3\] is 43"):
        prompts.advance(9, 0, 1.0)
    prompts.close()
    prompts.close()
    with pytest.raises(RuntimeError, match="closed"):
        prompts.advance(9, 0, 1.0)


def test_threads_can_change_between_steps() -> None:
    program = toy_program("llama", threads=1)
    expected = run(program, STEPS[0])
    program.set_threads(2)
    assert (program.threads, program.threads_batch) == (2, 2)
    np.testing.assert_array_equal(run(program, STEPS[0]), expected)
    program.set_threads(1, 3)
    assert (program.threads, program.threads_batch) == (1, 3)
    np.testing.assert_array_equal(run(program, STEPS[0]), expected)


def test_an_interrupted_step_says_so_and_may_be_repeated() -> None:
    program = toy_program("llama")
    expected = run(program, STEPS[0])
    program.interrupt()
    with pytest.raises(StepInterrupted):
        run(program, STEPS[0])
    np.testing.assert_array_equal(run(program, STEPS[0]), expected)


def test_closed_program_refuses_to_run() -> None:
    program = toy_program("llama")
    program.close()
    program.interrupt()
    with pytest.raises(RuntimeError, match="closed"):
        program.step(1, 1, 1)
