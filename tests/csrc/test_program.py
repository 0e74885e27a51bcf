"""Programs: every op against NumPy, fused against unfused, invariance, and what is refused."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import numpy as np
import pytest

from pyllm import _core
from tests.support.attention_model import AttentionModel
from tests.support.core_program import Floats, ProgramBuilder, PyValue, pack_f32, run_rows
from tests.support.weight_bytes import BLOCKS, random_weight

TYPES = list(BLOCKS)
LINEAR = {"eps": 0.0, "combine": "none"}


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


def run(builder: ProgramBuilder, values: list[PyValue], n: int, threads: int = 1) -> list[Floats]:
    program = builder.build(threads=threads)
    run_rows(program, np.arange(n))
    return [program.read(value, n) for value in values]


def rows_of(weight: _core.PackedTensor) -> Floats:
    """The weight's values, through the embed op."""
    builder = ProgramBuilder(max_tokens=weight.rows)
    (value,) = builder.op("embed", [], [weight.cols], [weight], scale=1.0)
    return run(builder, [value], weight.rows)[0]


def random_rows(n: int, width: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


# ---- small ops ----


def test_embed_scales_rows(isa: str) -> None:
    table = random_rows(40, 33)
    builder = ProgramBuilder(max_tokens=40)
    (value,) = builder.op("embed", [], [33], [pack_f32(table)], scale=2.5)
    np.testing.assert_array_equal(run(builder, [value], 40)[0], table * np.float32(2.5))


@pytest.mark.parametrize("width", [1, 15, 16, 100])
def test_add_and_silu_mul(isa: str, width: int) -> None:
    a, b = 10 * random_rows(5, width), random_rows(5, width, seed=2)
    a[0, 0], a[1, 0] = 500.0, -500.0
    builder = ProgramBuilder(max_tokens=5)
    inputs = [builder.rows(a), builder.rows(b)]
    (total,) = builder.op("add", inputs, [width])
    (gated,) = builder.op("silu_mul", inputs, [width])
    total_rows, gated_rows = run(builder, [total, gated], 5, threads=2)
    np.testing.assert_array_equal(total_rows, a + b)
    exact = a.astype(np.float64) / (1 + np.exp(-a.astype(np.float64))) * b
    np.testing.assert_allclose(gated_rows, exact, rtol=1e-6, atol=1e-35)


def test_take_rows_picks_and_repeats() -> None:
    table = random_rows(6, 5)
    builder = ProgramBuilder(max_tokens=6, max_rows=4)
    x = builder.rows(table)
    (taken,) = builder.op("take_rows", [x], [5], rows="R")
    program = builder.build()
    program.columns["logit_rows"][:] = 5, 0, 5, 2
    run_rows(program, np.arange(6), n_rows=4)
    np.testing.assert_array_equal(program.read(taken, 4), table[[5, 0, 5, 2]])


# ---- linear ----


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("rows", [1, 16, 37, 200])
def test_linear_equals_numpy(isa: str, name: str, rows: int) -> None:
    weight = random_weight(name, rows, 256)
    x = random_rows(9, 256)
    builder = ProgramBuilder(max_tokens=9)
    (y,) = builder.op("linear", [builder.rows(x)], [rows], [None, weight, None], **LINEAR)
    exact = x.astype(np.float64) @ rows_of(weight).astype(np.float64).T
    tolerance = 0.02 if name.startswith("Q") else 1e-5  # int8 activations
    scale = np.abs(exact).max() + 1e-3
    np.testing.assert_allclose(run(builder, [y], 9, threads=2)[0], exact, atol=tolerance * scale)


@pytest.mark.parametrize("name", ["F32", "Q8_0", "Q4_K"])
def test_linear_has_the_same_bits_everywhere(restore_isa: None, name: str) -> None:
    """Whatever the instruction set, thread count or number of tokens in the step."""
    weight, other = random_weight(name, 200, 512), random_weight("Q6_K", 70, 512, seed=4)
    x = random_rows(300, 512)

    def outputs(tokens: np.ndarray, threads: int) -> list[Floats]:
        builder = ProgramBuilder(max_tokens=300)
        weights = [np.ones(512, np.float32), weight, None, other, None]
        values = builder.op(
            "linear", [builder.rows(x)], [200, 70], weights, eps=1e-5, combine="none"
        )
        program = builder.build(threads=threads)
        run_rows(program, tokens)
        return [program.read(value, len(tokens)) for value in values]

    whole = outputs(np.arange(300), 1)
    assert not np.isnan(whole[0]).any()
    for isa_name in _core.isas():
        _core.set_isa(isa_name)
        for tokens in (np.arange(300), np.arange(1), np.arange(50, 52), np.arange(7, 40)):
            for threads in (1, 3):
                for part, result in zip(outputs(tokens, threads), whole, strict=True):
                    assert_same_bits(part, result[tokens])


def test_fused_linear_equals_its_parts(isa: str) -> None:
    """norm -> two products with biases -> silu_mul, and product + bias + residual: bit for bit."""
    n, width, hidden = 21, 64, 40
    x, norm = random_rows(n, width), random_rows(1, width, seed=2)[0]
    gate, up = pack_f32(random_rows(hidden, width, 3)), random_weight("Q8_0", hidden, width, 4)
    down = pack_f32(random_rows(width, hidden, 5))
    gate_bias, up_bias = random_rows(2, hidden, 6)
    down_bias = random_rows(1, width, 7)[0]
    fused, parts = ProgramBuilder(max_tokens=n), ProgramBuilder(max_tokens=n)

    value = fused.rows(x)
    weights = [norm, gate, gate_bias, up, up_bias]
    (h,) = fused.op("linear", [value], [hidden], weights, eps=1e-5, combine="silu_mul")
    fused.op("linear", [h, value], [width], [None, down, down_bias], **LINEAR)
    fused.ops[-1]["outputs"] = [value]  # in place of the residual

    value = parts.rows(x)
    (normed,) = parts.op("rms_norm", [value], [width], [norm], eps=1e-5, group=0)
    (g,) = parts.op("linear", [normed], [hidden], [None, gate, gate_bias], **LINEAR)
    (u,) = parts.op("linear", [normed], [hidden], [None, up, up_bias], **LINEAR)
    (h2,) = parts.op("silu_mul", [g, u], [hidden])
    (d,) = parts.op("linear", [h2], [width], [None, down, down_bias], **LINEAR)
    (y2,) = parts.op("add", [d, value], [width])

    fused_value = fused.ops[-1]["outputs"][0]
    fused_rows = run(fused, [h, fused_value], n, threads=2)
    part_rows = run(parts, [h2, y2], n)
    assert_same_bits(fused_rows[0], part_rows[0])
    assert_same_bits(fused_rows[1], part_rows[1])


# ---- packed weights ----


@pytest.mark.parametrize("name", TYPES)
def test_packing_gives_the_bytes_back(isa: str, name: str) -> None:
    weight = random_weight(name, 37, 512)
    type_id, elements, block_bytes, _ = BLOCKS[name]
    raw = weight.unpack()
    assert raw.nbytes == 37 * 512 // elements * block_bytes
    again = _core.PackedTensor.pack(type_id, 37, 512, raw, 3)
    np.testing.assert_array_equal(again.unpack(), raw)
    assert (again.type, again.rows, again.cols) == (type_id, 37, 512)
    assert again.nbytes >= raw.nbytes


@pytest.mark.parametrize(
    ("type_id", "rows", "cols", "n_bytes", "message"),
    [(99, 1, 32, 32, "unknown weight type 99"), (8, 1, 31, 34, "multiple of 32"),
     (8, 0, 32, 0, "positive"), (8, -1, 32, 34, "positive"),
     (8, 2, 32, 67, "needs 68 bytes, got 67"),
     (8, 1 << 60, 32, 34, "too large"), (0, 1, 1 << 61, 4, "multiple|large")],
)  # fmt: skip
def test_packing_checks_shapes(
    type_id: int, rows: int, cols: int, n_bytes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _core.PackedTensor.pack(type_id, rows, cols, bytes(n_bytes), 1)


# ---- what is refused when a program is built ----


def small_program() -> ProgramBuilder:
    builder = ProgramBuilder(max_tokens=4, max_rows=2)
    x = builder.rows(random_rows(4, 8))
    (h,) = builder.op("linear", [x], [6], [None, pack_f32(random_rows(6, 8)), None], **LINEAR)
    builder.op("take_rows", [h], [6], rows="R")
    return builder


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((1, "op"), "matmul", r"op 1 \(matmul\): unknown op"),
        ((1, "outputs"), [(-16, 6, "T")], r"outputs\[0\] does not lie in the arena"),
        ((1, "outputs"), [(1 << 40, 6, "T")], r"outputs\[0\] does not lie in the arena"),
        ((1, "outputs"), [(64, 1 << 62, "T")], r"outputs\[0\] does not lie in the arena"),
        ((1, "outputs"), [(64, 6, "X")], "row class is 'X'"),
        ((1, "outputs"), [(32, 6, "R")], "row class"),
        ((1, "outputs"), [(32, 7, "T")], "as wide as its matrix has rows"),
        ((1, "outputs"), [(4, 6, "T")], r"outputs\[0\] overlaps inputs\[0\]"),
        ((1, "outputs"), [], "outputs"),
        ((1, "inputs"), [(0, 7, "T")], "not what an earlier op wrote"),
        ((1, "inputs"), [(32, 6, "T")], "not what an earlier op wrote"),
        ((1, "inputs"), [], "inputs"),
        ((1, "weights"), [None, None, None], "must be a PackedTensor|weights"),
        ((1, "weights"), [np.ones(7, np.float32), "matrix", None], r"weights\[0\] must have 8"),
        ((1, "weights"), [np.full(8, np.nan, np.float32), "matrix", None], "not finite"),
        ((1, "weights"), [None, "matrix", np.ones(5, np.float32)], r"weights\[2\] must have 6"),
        ((1, "weights"), [None, "matrix", None, None, None], "weights"),
        ((1, "attrs"), {"eps": 0.0}, "attribute combine is missing"),
        ((1, "attrs"), {"eps": 0.0, "combine": "gelu"}, "'gelu', allowed none, silu_mul"),
        ((1, "attrs"), {"eps": 0.0, "combine": "silu_mul"}, "two matrices"),
        ((1, "attrs"), {"eps": "x", "combine": "none"}, "eps must be a number"),
        ((1, "attrs"), {"eps": float("nan"), "combine": "none"}, "eps is nan"),
        ((1, "attrs"), {"eps": 0.0, "combine": "none", "colour": 1}, "unknown attribute colour"),
        ((2, "outputs"), [(56, 6, "T")], "class"),
    ],
)
def test_bad_ops_are_refused(path: tuple[int, str], value: Any, message: str) -> None:
    builder = small_program()
    matrix = builder.ops[1]["weights"][1]
    if path[1] == "weights":
        value = [matrix if isinstance(item, str) else item for item in value]
    builder.ops[path[0]][path[1]] = value
    with pytest.raises(ValueError, match=message):
        builder.build()


@pytest.mark.parametrize(
    ("limit", "value"),
    [("max_tokens", 0), ("max_tokens", 1 << 40), ("max_rows", -1), ("max_seqs", 0),
     ("max_blocks", -1),
     ("arena_floats", -1), ("arena_floats", 1 << 60), ("n_vocab", -1)],
)  # fmt: skip
def test_bad_limits_are_refused(limit: str, value: int) -> None:
    builder = small_program()
    with pytest.raises(ValueError, match=f"limits: {limit} is"):
        _core.Program(builder.ops, None, {**builder.limits, limit: value}, 1)
    sizes = dict(builder.limits)
    del sizes[limit]
    with pytest.raises(ValueError, match=f"limits: {limit} is missing"):
        _core.Program(builder.ops, None, sizes, 1)


def test_an_empty_program_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one op"):
        ProgramBuilder(max_tokens=1).build()


def test_attention_needs_a_pool() -> None:
    builder = ProgramBuilder(max_tokens=1)
    x = builder.rows(np.ones((1, 8)))
    builder.op(
        "attention", [x, x, x], [8], [None, None, None], layer=0, window=0, n_heads=1,
        n_kv_heads=1, head_dim=8, v_dim=8, scale=1.0, eps=0.0, rope_dim=0, mode="neox",
    )  # fmt: skip
    with pytest.raises(ValueError, match="needs a KVPool"):
        builder.build()


# ---- what is refused before a step ----


@pytest.mark.parametrize(
    ("column", "index", "value", "message"),
    [
        ("tokens", 3, 95, r"tokens\[3\] is 95"),
        ("tokens", 0, -1, r"tokens\[0\] is -1"),
        ("positions", 0, -1, r"positions\[0\] is -1"),
        ("positions", 5, 7, r"positions\[5\] is 7, allowed: one more"),
        ("positions", 9, 1 << 30, r"positions\[9\] is"),
        ("seq_starts", 0, 1, r"seq_starts\[0\] is 1"),
        ("seq_starts", 1, 0, r"seq_starts\[1\] is 0"),
        ("seq_starts", 1, 10, r"seq_starts\[2\] is 10"),
        ("seq_starts", 2, 9, r"seq_starts\[2\] is 9"),
        ("seq_starts", 2, 11, r"seq_starts\[2\] is 11"),
        ("block_tables", (0, 0), -1, r"block_tables\[0\] is -1"),
        ("block_tables", (1, 0), 11, r"block_tables\[5\] is 11"),
        ("block_tables", (1, 0), "same", "a block nothing else writes"),
    ],
)
def test_bad_columns_change_nothing(column: str, index: Any, value: Any, message: str) -> None:
    model = AttentionModel((75, 20))
    program, kv, out = model.program(threads=2)
    c = program.columns
    c["tokens"][:10] = np.arange(10)
    c["positions"][:10] = [*range(6), *range(4)]
    c["seq_starts"][:3] = 0, 6, 10
    c["block_tables"][0], c["block_tables"][1] = model.block_table(0), model.block_table(1)
    program.step(10, 2, 0)
    before = program.read(out, 10), kv.keys(0, int(c["block_tables"][0, 0]), 0)
    c["tokens"][:10] = np.arange(10, 20)
    c[column][index] = c["block_tables"][0, 0] if value == "same" else value
    with pytest.raises(ValueError, match=message):
        program.step(10, 2, 0)
    assert_same_bits(program.read(out, 10), before[0])
    blocks = model.block_table(0)
    np.testing.assert_array_equal(kv.keys(0, int(blocks[0]), 0), before[1])


@pytest.mark.parametrize(
    ("shape", "message"),
    [((0, 1, 0), "n_tokens is 0"), ((96, 1, 0), "n_tokens is 96"), ((1, 0, 0), "n_seqs is 0"),
     ((10, 3, 0), "n_seqs is 3"), ((10, 2, 1), "n_rows is 1"), ((10, 2, -1), "n_rows is -1"),
     ((-5, 1, 0), "n_tokens is -5")],
)  # fmt: skip
def test_bad_step_shapes_are_refused(shape: tuple[int, int, int], message: str) -> None:
    program, _, _ = AttentionModel((75, 20)).program()
    with pytest.raises(ValueError, match=message):
        program.step(*shape)


def test_reading_outside_the_arena_is_refused() -> None:
    program = small_program().build()
    for value, n in (
        ((0, 8, "T"), 1000),
        ((-1, 8, "T"), 1),
        ((1 << 40, 8, "T"), 1),
        ((0, 0, "T"), 1),
    ):
        with pytest.raises(ValueError, match="does not lie in the arena"):
            program.read(value, n)


# ---- columns and profile ----


def test_columns_outlive_their_program() -> None:
    columns = small_program().build().columns
    columns["tokens"][:] = 3
    assert columns["tokens"].tolist() == [3, 3, 3, 3]


def test_column_shapes_and_types() -> None:
    builder = small_program()
    builder.limits |= {"max_seqs": 3, "max_blocks": 5}
    columns = builder.build(n_vocab=6).columns
    shapes = {name: (column.shape, column.dtype.name) for name, column in columns.items()}
    assert shapes == {
        "tokens": ((4,), "int32"), "positions": ((4,), "int32"), "seq_starts": ((4,), "int32"),
        "block_tables": ((3, 5), "int32"), "logit_rows": ((2,), "int32"),
        "temperature": ((2,), "float32"), "top_k": ((2,), "int32"), "top_p": ((2,), "float32"),
        "min_p": ((2,), "float32"), "repetition_penalty": ((2,), "float32"),
        "presence_penalty": ((2,), "float32"), "frequency_penalty": ((2,), "float32"),
        "seed": ((2,), "uint64"), "rng_position": ((2,), "int64"), "n_logprobs": ((2,), "int32"),
        "sampled": ((2,), "int32"), "status": ((2,), "int32"), "logprob": ((2,), "float32"),
        "top_ids": ((2, 20), "int32"), "top_logprobs": ((2, 20), "float32"),
        "logits": ((2, 6), "float32"),
        "target": ((2,), "int32"), "deferred": ((2,), "int32"), "min_keep": ((2,), "int32"),
        "sampler_order": ((2,), "uint64"), "rank": ((2,), "int32"), "log_sum": ((2,), "float64"),
    } | dict.fromkeys(
        ("typical_p", "top_n_sigma", "xtc_probability", "xtc_threshold", "dynatemp_range",
         "dynatemp_exponent", "mirostat_tau", "mirostat_eta", "mirostat_mu", "mirostat_next"),
        ((2,), "float32"),
    )  # fmt: skip


def test_profile_counts_what_each_op_does() -> None:
    builder = small_program()
    program = builder.build(threads=2)
    run_rows(program, np.arange(4), n_rows=2)
    assert program.profile() == []
    program.step(4, 1, 2, profile=True)
    profile = program.profile()
    assert [(index, name) for index, name, *_ in profile] == [
        (0, "embed"), (1, "linear"), (2, "take_rows"), (3, "sample"),
    ]  # fmt: skip
    assert all(nanoseconds > 0 for _, _, nanoseconds, _, _ in profile)
    weight = builder.ops[1]["weights"][1]
    assert profile[1][3:] == (weight.nbytes, 4 * 6 * 8)


# ---- interrupts ----


def adding_program(threads: int) -> tuple[_core.Program, PyValue]:
    """Doubles the row of each token ten times: many ops, and a result that shows if one is lost."""
    builder = ProgramBuilder(max_tokens=64)
    value = builder.rows(np.ones((64, 32), np.float32))
    for _ in range(10):
        (value,) = builder.op("add", [value, value], [32])
    return builder.build(threads=threads), value


def prepare_step(program: _core.Program) -> None:
    c = program.columns
    c["tokens"][:64] = c["positions"][:64] = np.arange(64)
    c["seq_starts"][:2] = 0, 64


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_interrupt_ends_one_step_and_the_next_is_whole(threads: int) -> None:
    program, value = adding_program(threads)
    prepare_step(program)
    assert program.step(64, 1, 0)
    program.interrupt()
    program.interrupt()
    assert not program.step(64, 1, 0)
    assert program.step(64, 1, 0)
    assert (program.read(value, 64) == 1024).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_interrupts_at_any_moment_leave_all_workers_together(threads: int) -> None:
    """Workers that disagreed about where to stop would wait for each other for ever."""
    program, value = adding_program(threads)
    prepare_step(program)
    done = threading.Event()

    def interrupt_for_ever() -> None:
        pauses = np.random.default_rng(threads).uniform(0, 1e-3, 1000)
        for pause in itertools.cycle(pauses.tolist()):
            if done.is_set():
                break
            program.interrupt()
            time.sleep(pause)

    interrupter = threading.Thread(target=interrupt_for_ever)
    interrupter.start()
    outcomes = {False: 0, True: 0}
    while min(outcomes.values()) < 200:
        outcomes[program.step(64, 1, 0)] += 1
    done.set()
    interrupter.join()
    while not program.step(64, 1, 0):
        pass
    assert (program.read(value, 64) == 1024).all()
