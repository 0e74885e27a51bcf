"""Writes a GGUF of a real model's shape with random weights, for timing and for tests.

python bench/make_model.py llama1b Q4_K_M bench/models/llama1b-Q4_K_M.gguf
python bench/make_model.py tiny F16 /tmp/tiny.gguf --seed 7
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGUFWriter
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

from blocks import STD, Bytes, random_rows
from shapes import MIXES, SHAPES, Shape, TensorSpec, tensor_type, tensors
from vocabulary import make_vocabulary


def write_model(path: Path, shape: Shape, mix: str, *, seed: int = 0, encode: bool = False) -> None:
    """Writes the model; `encode` quantises real normal numbers instead of drawing random blocks."""
    rng = np.random.default_rng(seed)
    writer = GGUFWriter(path, shape.architecture)
    _add_hyper_parameters(writer, shape, mix)
    _add_vocabulary(writer, shape)
    specs = [(t, tensor_type(mix, shape, t)) for t in tensors(shape)]
    for t, qtype in specs:
        dims = tuple(size for size in (t.experts, t.rows, t.cols) if size)
        elems, nbytes = GGML_QUANT_SIZES[qtype]
        size = math.prod(dims) // elems * nbytes
        writer.add_tensor_info(t.name, _stored_dims(dims, qtype), _dtype(qtype), size, qtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for t, qtype in specs:
        writer.write_tensor_data(_tensor(rng, shape, t, qtype, encode=encode))
    writer.close()


def _tensor(
    rng: np.random.Generator, shape: Shape, t: TensorSpec, qtype: Type, *, encode: bool
) -> NDArray[np.generic]:
    if t.kind in ("matrix", "router"):
        if encode:
            return _encoded(rng, qtype, t)
        return random_rows(rng, qtype, max(t.experts, 1) * t.rows, t.cols)
    if t.kind == "rope_factors":
        return _rope_factors(shape)
    centre = 1.0 if t.kind == "norm" else 0.0
    return (centre + 0.1 * rng.standard_normal(t.cols)).astype(np.float32)


def _encoded(rng: np.random.Generator, qtype: Type, t: TensorSpec) -> Bytes:
    """Normal numbers encoded as a converter would."""
    from pyllm import kernels

    rows = max(t.experts, 1) * t.rows
    x = rng.standard_normal((rows, t.cols), np.float32) * np.float32(STD)
    return np.asarray(kernels.quantize(x, int(qtype)), np.uint8).reshape(rows, -1)


def _rope_factors(shape: Shape) -> NDArray[np.float32]:
    """Llama 3.1's frequency divisors: 1 for short waves, 8 for long ones, a ramp between."""
    dims = np.arange(0, shape.head_dim, 2) / shape.head_dim
    wavelength = 2 * np.pi * shape.rope_base**dims
    smooth = np.clip((8192 / wavelength - 1) / (4 - 1), 0, 1)
    return (1 / ((1 - smooth) / 8 + smooth)).astype(np.float32)


def _stored_dims(dims: tuple[int, ...], qtype: Type) -> tuple[int, ...]:
    """The writer wants the shape of the bytes for types that NumPy lacks, else of the elements."""
    elems, nbytes = GGML_QUANT_SIZES[qtype]
    plain = _dtype(qtype) != np.uint8
    return dims if plain else (*dims[:-1], dims[-1] // elems * nbytes)


def _dtype(qtype: Type) -> np.dtype[np.generic]:
    plain = {Type.F32: np.float32, Type.F16: np.float16}
    return np.dtype(plain.get(qtype, np.uint8))


def _add_hyper_parameters(writer: GGUFWriter, s: Shape, mix: str) -> None:
    writer.add_name(f"random {s.architecture} {mix}")
    writer.add_vocab_size(s.n_vocab)
    writer.add_context_length(s.context_length)
    writer.add_embedding_length(s.n_embd)
    writer.add_block_count(s.n_layers)
    writer.add_feed_forward_length(s.n_ff)
    writer.add_head_count(s.n_heads)
    writer.add_head_count_kv(s.n_kv_heads)
    writer.add_key_length(s.head_dim)
    writer.add_value_length(s.head_dim)
    writer.add_rope_dimension_count(s.head_dim)
    writer.add_rope_freq_base(s.rope_base)
    writer.add_layer_norm_rms_eps(s.rms_eps)
    if s.n_experts:
        writer.add_expert_count(s.n_experts)
        writer.add_expert_used_count(s.n_experts_used)
        writer.add_expert_feed_forward_length(s.n_expert_ff)


def _add_vocabulary(writer: GGUFWriter, s: Shape) -> None:
    v = make_vocabulary(s.n_vocab, qwen=s.architecture.startswith("qwen"))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(v.pre)
    writer.add_token_list(v.tokens)
    writer.add_token_types(v.types)
    writer.add_token_merges(v.merges)
    if v.bos_id is not None:
        writer.add_bos_token_id(v.bos_id)
    writer.add_eos_token_id(v.eos_id)
    writer.add_add_bos_token(v.bos_id is not None)
    writer.add_chat_template(v.template)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shape", choices=sorted(SHAPES))
    parser.add_argument("mix", choices=sorted(MIXES))
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, help="another number of them than the shape has")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encode", action="store_true", help="quantise real numbers (slow)")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    shape = SHAPES[args.shape]
    if args.layers:
        shape = replace(shape, n_layers=args.layers)
    write_model(args.out, shape, args.mix, seed=args.seed, encode=args.encode)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
