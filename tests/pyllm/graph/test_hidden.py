"""Hidden states: those of the reference, beside logits or alone, the same bits in any company."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pyllm.graph.compile import CompiledProgram
from pyllm.graph.fuse import fuse
from pyllm.graph.hidden import hidden_op
from pyllm.graph.plan import plan
from pyllm.graph.reference import Batch, Interpreter
from tests.support.toy_models import record, toy_arrays, toy_config, toy_experts
from tests.support.toy_program import batch_of, compile_toy, run

CONFIGS = {
    "llama": toy_config("llama"),
    "qwen2": toy_config("qwen2", n_kv_heads=1),
    "qwen3": toy_config("qwen3"),
    "qwen3moe": toy_experts("qwen3moe"),
}
TOKENS = [int(t) for t in np.random.default_rng(5).integers(0, 43, 60)]
# A key that lies between two f16 may round differently in the core and in the reference.
TOLERANCE = 2e-3


def toy(name: str, threads: int = 1) -> tuple[CompiledProgram, list[Any], Any]:
    config = CONFIGS[name]
    ops, file = record(config, toy_arrays(config))
    ops = fuse(ops)
    return compile_toy(plan(ops, 64, 64), config, threads), ops, file


def hidden(program: CompiledProgram, batch: Batch, n_hidden: int) -> npt.NDArray[np.float32]:
    """Of the last `n_hidden` rows."""
    run(program, batch, n_hidden)
    n_rows = len(batch.logit_rows)
    return np.array(program.columns["hidden"][n_rows - n_hidden : n_rows])


@pytest.mark.parametrize("name", CONFIGS)
def test_they_are_what_the_head_multiplies(name: str) -> None:
    program, ops, file = toy(name)
    last = hidden_op(ops)
    assert last is not None
    expected = Interpreter([*ops[:-1], last], file.values).logits(TOKENS)
    found = hidden(program, batch_of([(0, 0, TOKENS)]), len(TOKENS))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_row_has_the_same_bits_in_any_company(name: str) -> None:
    program, _, _ = toy(name, threads=2)
    whole = hidden(program, batch_of([(0, 0, TOKENS)]), len(TOKENS))
    assert np.isfinite(whole).all()
    chunks = [
        hidden(program, batch_of([(1, at, TOKENS[at : at + 7])]), len(TOKENS[at : at + 7]))
        for at in range(0, len(TOKENS), 7)
    ]
    np.testing.assert_array_equal(np.concatenate(chunks).view(np.uint32), whole.view(np.uint32))
    beside = batch_of([(2, 0, TOKENS[3:20]), (3, 0, TOKENS[:30])])
    found = hidden(program, beside, 30)
    np.testing.assert_array_equal(found.view(np.uint32), whole[:30].view(np.uint32))


def test_they_change_no_logits_and_cost_none() -> None:
    program, _, _ = toy("llama")
    alone = run(program, batch_of([(0, 0, TOKENS[:9])]))
    mixed = run(program, batch_of([(1, 0, TOKENS[:9]), (2, 0, TOKENS[20:40])]), n_hidden=20)
    np.testing.assert_array_equal(mixed.view(np.uint32), alone.view(np.uint32))
    program.step(29, 2, 9, n_hidden=20, profile=True)
    *_, head, _ = program.profile()
    assert head[4] == 9 * 43 * 24  # multiply-adds: rows x vocabulary x width


def test_a_step_may_want_no_logits_at_all() -> None:
    program, _, _ = toy("llama")
    program.columns["sampled"][:] = -5
    hidden(program, batch_of([(0, 0, TOKENS)]), len(TOKENS))
    program.step(60, 1, 0, n_hidden=60, profile=True)
    *_, head, _ = program.profile()
    assert head[4] == 0
    assert (program.columns["sampled"] == -5).all()


def test_they_take_no_memory() -> None:
    program, ops, _ = toy("llama")
    last = hidden_op(ops)
    assert last is not None
    assert last.outputs == last.inputs == ops[-1].inputs
    assert program.columns["hidden"].shape == (64, 24)


def test_a_program_whose_head_does_not_normalise_gives_none() -> None:
    config = CONFIGS["llama"]
    ops, _ = record(config, toy_arrays(config))
    assert hidden_op(ops) is None  # recorded, not fused
    program = compile_toy(plan(ops, 64, 64), config)
    assert "hidden" not in program.columns
    with pytest.raises(ValueError, match="n_hidden is 1, allowed: 0"):
        run(program, batch_of([(0, 0, TOKENS[:3])]), n_hidden=1)


@pytest.mark.parametrize("n_hidden", [-1, 65])
def test_impossible_numbers_are_refused(n_hidden: int) -> None:
    program, _, _ = toy("llama")
    with pytest.raises(ValueError, match=r"n_hidden|n_rows"):
        program.step(3, 1, 0, n_hidden=n_hidden)
