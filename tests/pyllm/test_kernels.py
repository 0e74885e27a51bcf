"""pyllm.kernels: its interface, its errors, and matmul for every type on every instruction set."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest

from pyllm import _core, kernels
from pyllm.errors import DeviceError
from pyllm.kernels import Format
from tests.support.blocks import int8_rounded, random_blocks
from tests.support.child_process import environment

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FORMATS = kernels.formats()
ISAS = kernels.isas()
ROWS = (1, 15, 16, 17, 33)
COLS = (32, 64, 96, 128, 256, 288, 512, 768)
TOKENS = (1, 2, 5, 6, 7, 13, 14, 16, 33, 45)


@pytest.fixture(autouse=True)
def _same_ways_after() -> Iterator[None]:
    isa, panels = kernels.isa(), _core.panels_pay()
    yield
    kernels.set_isa(isa)
    _core.set_panels_pay(panels)


def name_of(fmt: Format) -> str:
    return fmt.name


def cols_of(fmt: Format) -> list[int]:
    return [c for c in COLS if c % fmt.block_elems == 0]


def activations(tokens: int, cols: int) -> Floats:
    """[tokens, cols]; the magnitudes differ by 100 along a row, as a real layer's do."""
    rng = np.random.default_rng(tokens * 1000 + cols)
    scale = 10.0 ** rng.uniform(-1, 1, cols)
    return (rng.standard_normal((tokens, cols)) * scale).astype(np.float32)


# ---- instruction sets ----


def test_isa_can_be_switched() -> None:
    assert ISAS[-1] == "scalar"
    assert kernels.isa() in ISAS
    for name in ISAS:
        kernels.set_isa(name)
        assert kernels.isa() == name


@pytest.mark.parametrize("name", ["", "avx9000", "AVX2"])
def test_unknown_isa_is_a_device_error(name: str) -> None:
    before = kernels.isa()
    with pytest.raises(DeviceError):
        kernels.set_isa(name)
    assert kernels.isa() == before


def test_a_wrong_environment_variable_is_a_device_error() -> None:
    script = (
        "import numpy as np\n"
        "from pyllm import errors, kernels\n"
        "one = np.ones(1, dtype=np.float32)\n"
        "for call in (kernels.isa, lambda: kernels.matmul(one, one, 'F32', (1, 1))):\n"
        "    try:\n"
        "        call()\n"
        "    except errors.DeviceError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(PYLLM_ISA="avx9000"),
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first == second
    assert "avx9000" in first


# ---- arguments ----


@pytest.mark.parametrize("unknown", [-1, 4, 5, 31, 1000, "Q4_k", ""])
def test_unknown_types_are_refused(unknown: int | str) -> None:
    x = np.zeros((1, 256), dtype=np.float32)
    for call in (
        lambda: kernels.row_bytes(unknown, 256),
        lambda: kernels.quantize(x, unknown),
        lambda: kernels.dequantize(x, unknown, (1, 256)),
        lambda: kernels.matmul(x, x, unknown, (1, 256)),
        lambda: kernels.prepare(unknown),
    ):
        with pytest.raises(ValueError, match="not a weight type"):
            call()


Q4_K_ROW = np.zeros(144, dtype=np.uint8)
X = np.zeros((1, 256), dtype=np.float32)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("not a multiple of 256", lambda: kernels.quantize(X[:, :255], "Q4_K")),
        ("x is a scalar", lambda: kernels.quantize(1.0, "Q4_K")),
        ("can be read but not written", lambda: kernels.quantize(X, "IQ2_XXS")),
        ("threads is 0", lambda: kernels.quantize(X, "Q4_K", threads=0)),
        ("threads is 99999", lambda: kernels.quantize(X, "Q4_K", threads=99999)),
        ("data has 144 bytes, 288", lambda: kernels.dequantize(Q4_K_ROW, "Q4_K", (2, 256))),
        ("not a multiple of 256", lambda: kernels.dequantize(Q4_K_ROW, "Q4_K", (1, 128))),
        ("shape is empty", lambda: kernels.dequantize(Q4_K_ROW, "Q4_K", ())),
        ("negative", lambda: kernels.dequantize(Q4_K_ROW, "Q4_K", (-1, 256))),
        ("cannot have -1 rows", lambda: kernels.pack(Q4_K_ROW, "Q4_K", (-1, 256))),
        ("cannot have 1 rows of 100", lambda: kernels.pack(Q4_K_ROW, "Q4_K", (1, 100))),
        ("cannot have", lambda: kernels.pack(Q4_K_ROW, "Q4_K", (2**62, 256))),
        ("data has 144 bytes, 288", lambda: kernels.pack(Q4_K_ROW, "Q4_K", (2, 256))),
        ("packed has 5 bytes", lambda: kernels.unpack(Q4_K_ROW[:5], "Q4_K", (1, 256))),
        ("last axis must be 256", lambda: kernels.matmul(X[:, :32], Q4_K_ROW, "Q4_K", (1, 256))),
        ("threads is -1", lambda: kernels.matmul(X, Q4_K_ROW, "Q4_K", (1, 256), threads=-1)),
    ],
)
def test_impossible_arguments_are_value_errors(message: str, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_packed_weights_must_be_aligned() -> None:
    packed = kernels.pack(Q4_K_ROW, "Q4_K", (1, 256))
    shifted = np.empty(packed.size + 1, dtype=np.uint8)
    start = 1 if shifted.ctypes.data % 64 == 0 else 0
    with pytest.raises(ValueError, match="aligned"):
        kernels.unpack(shifted[start : start + packed.size], "Q4_K", (1, 256))


@pytest.mark.parametrize("view", [slice(None, None, -1), slice(None, None, 2)])
def test_packed_weights_must_be_contiguous(view: slice) -> None:
    packed = kernels.pack(Q4_K_ROW, "Q4_K", (1, 256))
    with pytest.raises(ValueError, match="contiguous"):
        kernels.unpack(packed[view], "Q4_K", (1, 256))
    with pytest.raises(ValueError, match="contiguous"):
        kernels.matmul_packed(X, packed[view], "Q4_K", (1, 256))


def test_null_pointers_and_overflow_are_statuses() -> None:
    lib, null = kernels.lib, kernels.ffi.NULL
    assert lib.pyllm_type_info(2, null) == -2
    assert lib.pyllm_type_info(77, null) == -1
    assert lib.pyllm_type_at(-1) == lib.pyllm_type_at(1000) == -1
    assert lib.pyllm_row_bytes(2, -32) == lib.pyllm_row_bytes(2, 33) == -1
    assert lib.pyllm_row_bytes(0, 2**62) == -1
    assert lib.pyllm_quantize(2, null, 1, 32, null, 18, 1) == -2
    assert lib.pyllm_dequantize(2, null, 18, 1, 32, null, 128, 1) == -2
    assert lib.pyllm_dequantize(2, null, 0, 2**40, 2**40, null, 0, 1) == -2
    assert lib.pyllm_set_codebook(16, null, 2048) == -2
    assert lib.pyllm_set_codebook(2, kernels.ffi.new("int8_t[8]"), 8) == -1
    assert lib.pyllm_set_codebook(16, kernels.ffi.new("int8_t[8]"), 8) == -2
    assert lib.pyllm_select_isa(null) == -2
    assert lib.pyllm_isa_supported(-1) == lib.pyllm_isa_supported(1000) == null
    assert lib.pyllm_matmul(2, null, 18, 1, 32, null, 1, null, 1) == -2


def test_shapes_with_nothing_in_them() -> None:
    assert kernels.quantize(np.zeros((0, 256)), "Q4_K").shape == (0, 144)
    assert kernels.dequantize(Q4_K_ROW[:0], "Q4_K", (0, 256)).shape == (0, 256)
    assert kernels.matmul(X[:0], Q4_K_ROW, "Q4_K", (1, 256)).shape == (0, 1)


def test_leading_axes_are_kept() -> None:
    x = activations(6, 256).reshape(2, 3, 256)
    blocks = kernels.quantize(x, "Q4_K")
    assert blocks.shape == (2, 3, 144)
    assert kernels.dequantize(blocks, "Q4_K", (2, 3, 256)).shape == (2, 3, 256)
    assert kernels.matmul(x, blocks, "Q4_K", (6, 256)).shape == (2, 3, 6)


# ---- matmul ----


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
@pytest.mark.parametrize("isa", ISAS)
def test_pack_and_unpack_are_inverse(fmt: Format, isa: str) -> None:
    kernels.set_isa(isa)
    rng = np.random.default_rng(8)
    for rows in ROWS:
        for cols in cols_of(fmt):
            data = rng.integers(0, 256, (rows, kernels.row_bytes(fmt.id, cols)), dtype=np.uint8)
            packed = kernels.pack(data, fmt.id, (rows, cols), threads=2)
            assert np.array_equal(kernels.unpack(packed, fmt.id, (rows, cols)), data)


def largest_in_block(fmt: Format, w: Floats) -> npt.NDArray[np.float64]:
    """Each weight replaced by the largest magnitude of its block: rounding is relative to that."""
    blocks = np.abs(w.astype(np.float64)).reshape(-1, fmt.block_elems)
    return np.broadcast_to(blocks.max(axis=-1, keepdims=True), blocks.shape).reshape(w.shape)


def assert_is_the_product(fmt: Format, y: Floats, x: Floats, w: Floats) -> None:
    """y is x times w up to float32 rounding, for x as given or rounded to int8 per 32 or 128."""
    seen = [x.astype(np.float64)]
    seen += [int8_rounded(x, b) for b in (32, 128) if x.shape[1] % b == 0]
    weights = w.astype(np.float64)
    bounds = largest_in_block(fmt, w)
    errors = [np.max(np.abs(y - s @ weights.T) / (np.abs(s) @ bounds.T)) for s in seen]
    assert min(errors) < 1e-6, f"relative errors {errors}"


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_matmul_is_the_product_of_the_decoded_weights(fmt: Format) -> None:
    rng = np.random.default_rng(9)
    for rows in ROWS:
        for cols in cols_of(fmt):
            data = random_blocks(fmt, rows, cols, rng)
            w = kernels.dequantize(data, fmt.id, (rows, cols))
            x = activations(7, cols)
            assert_is_the_product(fmt, kernels.matmul(x, data, fmt.id, (rows, cols)), x, w)


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_matmul_gives_the_same_bits_on_every_isa(fmt: Format) -> None:
    rng = np.random.default_rng(10)
    for rows in ROWS:
        for cols in cols_of(fmt):
            data = random_blocks(fmt, rows, cols, rng)
            assert_same_bits(fmt, data, activations(35, cols), rows)


def test_more_tokens_than_a_block_of_results_holds() -> None:
    """Tile registers work on 128 tokens at a time, and their last tile overlaps the one before."""
    rng = np.random.default_rng(13)
    for name in ("Q4_K", "Q6_K", "Q8_0"):
        fmt = kernels.find_format(name)
        for tokens in (14, 129, 150):
            assert_same_bits(fmt, random_blocks(fmt, 33, 512, rng), activations(tokens, 512), 33)


# Bytes of a block that make its scales and weights as large as they can be, all of one sign.
LARGEST = {
    "Q5_K": {2: b"\0\0" + b"\xff" * 12, 16: b"\xff" * 32},  # dmin 0, scales; fifth bits
    "Q6_K": {128: b"\xff" * 64, 192: b"\x7f" * 16},  # high bits; scales
    "IQ4_XS": {2: b"\xff" * 6, 8: b"\xff" * 120},  # scales; all weights but 16
}


@pytest.mark.parametrize("name", LARGEST)
def test_sums_too_large_for_a_float_are_rounded_alike(name: str) -> None:
    """Sums of sub-blocks pass 2^24 here, where their order decides how they are rounded."""
    rng = np.random.default_rng(14)
    fmt = kernels.find_format(name)
    blocks = rng.integers(0, 256, (32 * 2, fmt.block_bytes), dtype=np.uint8)
    for at, values in LARGEST[name].items():
        blocks[:, at : at + len(values)] = np.frombuffer(values, np.uint8)
    d = {"Q5_K": 0, "Q6_K": 208, "IQ4_XS": 0}[name]
    blocks[:, d : d + 2] = np.frombuffer(np.float16(1).tobytes(), np.uint8)
    flat = rng.uniform(0.95, 1.0, (45, 512)).astype(np.float32)
    assert_same_bits(fmt, blocks.reshape(32, -1), flat, 32)
    # Tiles of tokens with small sums between those with large ones, and the other way round.
    mixed = np.where(np.arange(512) % 128 == 0, 1, flat / 20).astype(np.float32)
    mixed[16:32, :256], mixed[:16, 256:] = flat[16:32, :256], flat[:16, 256:]
    assert_same_bits(fmt, blocks.reshape(32, -1), mixed, 32)


@pytest.mark.parametrize("scale", [33, 34])
def test_the_last_sums_that_a_float_holds_and_the_first_it_does_not(scale: int) -> None:
    fmt = kernels.find_format("Q6_K")
    block = np.zeros((16, fmt.block_bytes), np.uint8)
    block[:, :192], block[:, 192:208] = 0xFF, scale  # every weight is 31 times its scale
    block[:, 208:] = np.frombuffer(np.float16(1).tobytes(), np.uint8)
    assert_same_bits(fmt, block, np.ones((33, 256), np.float32), 16)


def test_a_zero_has_the_same_sign_everywhere() -> None:
    """An underflow leaves -0; then come zero sums with negative scales."""
    fmt = kernels.find_format("Q6_K")
    block = np.zeros((2, fmt.block_bytes), np.uint8)
    block[:, 128:192] = 0xAA  # all weights 0: 32 - 32
    block[0, 192], block[0, 200] = 1, 1
    block[1, 192:208] = 0xFF
    block[0, 0], block[0, 64] = 1, 15  # weights 0 and 128: 1 and -1
    block[0, 128 + 32] = 0xA9
    block[0, 208:] = np.frombuffer(np.uint16(1).tobytes(), np.uint8)
    block[1, 208:] = np.frombuffer(np.float16(1).tobytes(), np.uint8)
    x = np.zeros((33, 512), np.float32)
    x[:, [0, 128]] = float.fromhex("0x1.47dd36p-100")
    assert_same_bits(fmt, block.reshape(1, -1), x, 1)


def assert_same_bits(fmt: Format, data: Bytes, x: Floats, rows: int) -> None:
    """With every instruction set, its many tokens through unpacked panels and without them."""
    ways = [(isa, panels) for isa in ISAS for panels in (True, False)]
    results = []
    for isa, panels in ways:
        kernels.set_isa(isa)
        _core.set_panels_pay(panels)
        results.append(kernels.matmul(x, data, fmt.id, (rows, x.shape[1])).view(np.uint32))
    for way, result in zip(ways, results, strict=True):
        assert np.array_equal(result, results[-1]), (*way, rows, x.shape)


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
@pytest.mark.parametrize("isa", ISAS)
def test_a_token_does_not_see_the_batch(fmt: Format, isa: str) -> None:
    kernels.set_isa(isa)
    rng = np.random.default_rng(11)
    for rows, cols in [(17, 256), (33, 768)]:
        data = random_blocks(fmt, rows, cols, rng)
        packed = kernels.pack(data, fmt.id, (rows, cols))
        x = activations(max(TOKENS), cols)

        def product(tokens: Floats, threads: int) -> npt.NDArray[np.uint32]:
            y = kernels.matmul_packed(tokens, packed, fmt.id, (rows, cols), threads)  # noqa: B023  called in this round
            return y.view(np.uint32)

        whole = product(x, 1)
        for n in TOKENS:
            assert np.array_equal(product(x[:n], 1), whole[:n]), n
            assert np.array_equal(product(x[-n:], 2), whole[-n:]), n


@pytest.mark.parametrize("name", ["Q8_0", "Q4_K", "F32", "IQ4_XS", "IQ2_XXS", "TQ1_0"])
def test_a_bad_activation_shows_and_stays_in_its_row(name: str) -> None:
    rng = np.random.default_rng(12)
    fmt = next(f for f in FORMATS if f.name == name)
    data = random_blocks(fmt, 17, 256, rng)
    x = activations(33, 256)
    clean = kernels.matmul(x, data, name, (17, 256))
    x[1, 100] = np.nan
    for n in (3, 33):
        y = kernels.matmul(x[:n], data, name, (17, 256))
        assert np.isnan(y[1]).all()
        assert np.array_equal(np.delete(y, 1, 0), np.delete(clean[:n], 1, 0))
