"""The rows about hyper-parameters (B-01 … B-14): a good container with one number changed."""

from __future__ import annotations

import math

from tests.corpus.builder import BOOL, F32, F64, I32, U32, U64, Entry, Gguf, Tensor, array, key
from tests.corpus.case import Case, write
from tests.corpus.tiny_model import floats, tiny_model

__all__ = ["cases"]


def cases() -> list[Case]:
    return [
        *_architecture(), *_heads(), *_sizes(), *_rope(), *_context(), *_numbers(), *_experts(),
        *_required(), *_tensors(), *_scaling(), *_others(),
    ]  # fmt: skip


def _changed(row: str, name: str, entry: Entry, message: str, **more: str) -> Case:
    """The tiny model with one key replaced or added."""
    return Case(row, name, write(tiny_model().set(entry)), message, "record", **more)


def _architecture() -> list[Case]:
    name = "general.architecture"
    error = "UnsupportedModelError"
    mamba = write(tiny_model(architecture="mamba9"))
    unknown = Case("B-01", "unknown", mamba, "'mamba9', allowed: .*llama", "record", error)
    return [
        Case("B-01", "missing", write(tiny_model().drop(name)), "the key is missing", "record"),
        _changed("B-01", "int", key(name, 7), "a value of type str"),
        _changed(
            "B-01",
            "empty",
            key(name, ""),
            "1 to 64 characters",
        ),
        _changed("B-01", "1-mb", key(name, "x" * 1_000_000), "1 to 64|one of"),
        _changed("B-01", "escape", key(name, "\x1b[2J"), r"\\x1b", error=error),
        unknown,
        *(
            Case("B-01", f"{good}-is-fine", write(tiny_model(architecture=good)), None, "config")
            for good in ("llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe")
        ),
    ]


def _heads() -> list[Case]:
    heads, kv = "llama.attention.head_count", "llama.attention.head_count_kv"
    found = [
        _changed("B-02", "heads-0", key(heads, 0), "head_count: read 0"),
        _changed("B-02", "heads-2^31", key(heads, 1 << 31), "head_count: read 2147483648"),
        _changed("B-02", "heads-not-dividing", key(heads, 6), "a divisor of 32"),
        _changed("B-02", "heads-array-short", array(heads, U32, [4]), "one for each layer"),
        _changed("B-02", "heads-array-of-floats", array(heads, F32, [4.0, 4.0]), "integer"),
        _changed("B-02", "heads-array-of-0", array(heads, U32, [0, 0]), "read 0, allowed: 1 to"),
        _changed("B-02", "heads-differ", array(heads, U32, [4, 2]), "same number",
                 error="UnsupportedModelError"),
        _changed("B-05", "kv-0", key(kv, 0), "head_count_kv: read 0"),
        _changed("B-05", "kv-too-many", key(kv, 8), "head_count_kv: read 8, allowed: 1 to 4"),
        _changed("B-05", "kv-not-dividing", key(kv, 3), "a divisor of 4 heads"),
    ]  # fmt: skip
    equal = write(tiny_model().set(array(heads, U32, [4, 4])))
    return [*found, Case("B-02", "heads-array-is-fine", equal, None, "record")]


def _sizes() -> list[Case]:
    blocks, width, ff = (
        f"llama.{name}" for name in ("block_count", "embedding_length", "feed_forward_length")
    )
    return [
        _changed("B-03", "blocks-0", key(blocks, 0), "block_count: read 0"),
        _changed("B-03", "blocks-2^31", key(blocks, 1 << 31), "block_count: read 2147483648"),
        _changed("B-03", "blocks-string", key(blocks, "2"), "type int"),
        _changed("B-03", "blocks-array", array(blocks, U32, [2, 2]), "type int"),
        _changed("B-03", "one-block-missing", key(blocks, 3), r"blk\.2\.\* are missing"),
        _changed("B-03", "one-block-not-counted", key(blocks, 1), r"blk\.1\.\* are not counted"),
        _changed("B-04", "width-0", key(width, 0), "embedding_length: read 0"),
        _changed("B-04", "width-minus-1", key(width, -1, I32), "embedding_length: read -1"),
        _changed("B-04", "width-2^40", key(width, 1 << 40, U64), "read 1099511627776"),
        _changed("B-04", "width-not-token-embd", key(width, 64), r"token_embd.*rows of 64"),
        _changed("B-09", "ff-0", key(ff, 0), "feed_forward_length: read 0"),
        _changed("B-09", "ff-mismatch", key(ff, 64), "ffn_(gate|up|down).*shape"),
        _changed("B-09", "ff-array-long", array(ff, U32, [48] * 3), "one for each layer"),
    ]


def _rope() -> list[Case]:
    dims, base = "llama.rope.dimension_count", "llama.rope.freq_base"
    bases = {"0": 0.0, "minus-1": -1.0, "nan": math.nan, "inf": math.inf, "denormal": 1e-40}
    return [
        _changed("B-06", "dims-odd", key(dims, 7), "an even number"),
        _changed("B-06", "dims-over-head-dim", key(dims, 10), "dimension_count: read 10"),
        _changed("B-06", "dims-0", key(dims, 0), "dimension_count: read 0"),
        *(
            _changed("B-06", f"base-{name}", key(base, value), "freq_base: read")
            for name, value in bases.items()
        ),
    ]


def _context() -> list[Case]:
    name = "llama.context_length"
    return [
        _changed("B-07", "context-0", key(name, 0), "context_length: read 0"),
        _changed("B-07", "context-2^31", key(name, 1 << 31), "1 to 2147483647"),
        _changed("B-07", "context-2^63", key(name, 1 << 63, U64), "1 to 2147483647"),
        _changed("B-07", "context-minus-1", key(name, -1, I32), "read -1"),
    ]


def _numbers() -> list[Case]:
    name, text = "llama.attention.layer_norm_rms_epsilon", "epsilon: read"
    odd = {"nan": math.nan, "inf": math.inf, "denormal": 1e-40}
    values = {"0": 0.0, "minus-1": -1.0, "1e30": 1e30, **odd}
    return [
        *(_changed("B-08", f"eps-{kind}", key(name, x), text) for kind, x in values.items()),
        *(_changed("A-31", f"eps-{kind}-f64", key(name, x, F64), text) for kind, x in odd.items()),
    ]


def _experts() -> list[Case]:
    def with_experts(count: int, used: int | None) -> Gguf:
        file = tiny_model().set(key("llama.expert_count", count))
        return file if used is None else file.set(key("llama.expert_used_count", used))

    rows = {
        "B-10 used-0": (8, 0, "expert_used_count: read 0, allowed: 1 to 8"),
        "B-10 used-more-than-there-are": (8, 9, "expert_used_count: read 9, allowed: 1 to 8"),
        "B-10 used-not-given": (8, None, "expert_used_count: .*missing"),
        "B-11 count-10^6": (1_000_000, 2, "expert_count: read 1000000, allowed: 0 to 1024"),
        "B-11 count-2^31": (1 << 31, 2, "expert_count: read 2147483648"),
        "B-11 count-1": (1, 1, r"ffn_gate_inp\.weight': missing"),
    }
    found = []
    for row_name, (count, used, message) in rows.items():
        row, name = row_name.split(" ")
        found.append(Case(row, name, write(with_experts(count, used)), message, "record"))
    width = key("llama.expert_feed_forward_length", 0)
    found.append(_changed("B-09", "expert-ff-0", width, "expert_feed_forward_length: read 0"))
    groups = key("llama.expert_group_count", 4)
    message, error = "expert_group_count: read 4", "UnsupportedModelError"
    found.append(_changed("B-10", "groups", groups, message, error=error))
    gating = key("llama.expert_gating_func", 2)
    found.append(_changed("B-10", "sigmoid-router", gating, "expert_gating_func", error=error))
    zeros = write(tiny_model().set(array("llama.expert_count", U32, [0, 0])))
    return [
        *found, *_stacks(),
        Case("B-10", "zeros-for-each-layer-are-fine", zeros, None, "record"),
        Case("B-11", "no-experts", write(with_experts(0, 0)), None, "record"),
    ]  # fmt: skip


def _stacks() -> list[Case]:
    """A router and stacks in place of the feed-forward tensors, and ones that do not fit."""

    def file(n_experts: int = 3, n_ff: int = 20, *, down_experts: int = 3) -> Gguf:
        changed = tiny_model(n_layers=1).set(
            key("llama.expert_count", 3), key("llama.expert_used_count", 2),
            key("llama.expert_feed_forward_length", 20),
        )  # fmt: skip
        changed.tensors = [t for t in changed.tensors if b"ffn_" not in t.name] + [
            floats("blk.0.ffn_norm.weight", 32),
            floats("blk.0.ffn_gate_inp.weight", 32, n_experts),
            floats("blk.0.ffn_gate_exps.weight", 32, n_ff, n_experts),
            floats("blk.0.ffn_up_exps.weight", 32, n_ff, n_experts),
            floats("blk.0.ffn_down_exps.weight", n_ff, 32, down_experts),
        ]
        return changed

    return [
        Case("B-10", "stacks-are-fine", write(file()), None, "record"),
        Case("B-10", "experts-differ", write(file(4)), "ffn_gate_inp.weight': shape", "record"),
        Case("B-10", "expert-width", write(file(n_ff=21)), "_exps.weight': shape", "record"),
        Case("B-10", "short-stack", write(file(down_experts=2)),
             "ffn_down_exps.*shape: read '2x32x20', allowed: 3x32x20", "record"),
    ]  # fmt: skip


def _required() -> list[Case]:
    required = [
        "context_length", "embedding_length", "block_count", "feed_forward_length",
        "attention.head_count", "attention.layer_norm_rms_epsilon",
    ]  # fmt: skip
    optional = ["attention.head_count_kv", "rope.dimension_count", "rope.freq_base"]
    found = []
    for name in required:
        missing = write(tiny_model().drop(f"llama.{name}"))
        text = f"llama.{name}: the key is missing"
        found.append(Case("B-12", f"{name}-missing", missing, text, "record"))
    for name in required + optional:
        full = f"llama.{name}"
        for kind, entry in {
            "string": key(full, "32"),
            "bool": key(full, 1, BOOL),
            "strings": array(full, 8, ["32"]),
            "number": key(full, 8) if "eps" in name or "base" in name else key(full, 8.0),
        }.items():
            text = f"{full}: .*a value of type"
            found.append(_changed("B-12", f"{name}-is-a-{kind}", entry, text))
    return found


def _tensors() -> list[Case]:
    found = []
    for tensor in tiny_model().tensors:
        name = tensor.name.decode()
        file = tiny_model()
        file.tensors.remove(file.tensor(name))
        found.append(Case("B-13", f"{name}-missing", write(file), f"{name}.*missing", "record"))
    extra, extra_top, transposed, norm, wide = (tiny_model() for _ in range(5))
    extra.tensors.append(Tensor(b"blk.1.surprise.weight", [8], 0, bytes(32)))
    extra_top.tensors.append(Tensor(b"surprise.weight", [8], 0, bytes(32)))
    transposed.tensor("blk.0.ffn_down.weight").dims.reverse()
    norm.tensor("blk.0.attn_norm.weight").type = 8
    norm.tensor("blk.0.attn_norm.weight").data = bytes(34)
    wide.tensor("token_embd.weight").dims = [32, 8, 4]
    return [
        *found,
        Case("B-13", "extra-in-block", write(extra), "surprise", "record"),
        Case("B-13", "extra", write(extra_top), "surprise", "record"),
        Case("B-13", "transposed", write(transposed), "ffn_down.weight.*shape", "record"),
        Case("B-13", "quantised-norm", write(norm), "attn_norm.weight.*F32", "record"),
        Case("B-13", "three-dimensions", write(wide), "token_embd.weight.*dimensions", "record"),
    ]


def _scaling() -> list[Case]:
    kind, factor = "llama.rope.scaling.type", "llama.rope.scaling.factor"
    error = "UnsupportedModelError"
    found = [
        _changed(
            "B-14", f"type-{name}", key(kind, name), f"scaling.type: read '{name}'", error=error
        )
        for name in ("yarn", "longrope", "dynamic", "")
    ]
    for name, value in {"0": 0.0, "minus": -2.0, "nan": math.nan, "inf": math.inf}.items():
        found.append(_changed("B-14", f"factor-{name}", key(factor, value), "factor: read"))
    found.append(_changed("B-14", "type-is-int", key(kind, 1), "type str"))
    attn_factor = key("llama.rope.scaling.attn_factor", 2.0)
    found.append(_changed("B-14", "attn-factor", attn_factor, "attn_factor", error=error))
    linear = tiny_model().set(key(kind, "linear"), key(factor, 4.0))
    none = tiny_model().set(key(kind, "none"))
    found.append(Case("B-14", "linear-is-fine", write(linear), None, "record"))
    found.append(Case("B-14", "none-is-fine", write(none), None, "record"))
    return found


def _others() -> list[Case]:
    window = "llama.attention.sliding_window"
    tokens = array("tokenizer.ggml.tokens", 8, ["a"] * 31)
    return [
        _changed("B-15", "window-0", key(window, 0), "sliding_window: read 0"),
        _changed("B-15", "window-negative", key(window, -1, I32), "sliding_window: read -1"),
        Case("B-15", "window-8", write(tiny_model().set(key(window, 8))), None, "record"),
        _changed(
            "B-16", "key-length-0", key("llama.attention.key_length", 0), "key_length: read 0"
        ),
        _changed(
            "B-16", "key-length-2^20", key("llama.attention.key_length", 1 << 20), "key_length"
        ),
        _changed("B-16", "value-length-0", key("llama.attention.value_length", 0), "value_length"),
        _changed("C-02", "31-tokens", tokens, "tokenizer.ggml.tokens: read 31"),
    ]
