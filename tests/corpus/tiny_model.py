"""A small valid llama in GGUF bytes: what every malformed file starts from."""

from __future__ import annotations

import struct

from tests.corpus.builder import F32, I32, STRING, Gguf, Tensor, array, key

__all__ = ["floats", "loadable_model", "tiny_model"]

N_VOCAB = 32


def tiny_model(
    *, architecture: str = "llama", n_layers: int = 2, n_embd: int = 32, n_ff: int = 48
) -> Gguf:
    """A complete F32 model with 4 heads (2 for k and v) and 32 tokens."""
    file = Gguf()
    a = architecture
    file.set(
        key("general.architecture", a),
        key("general.name", "tiny"),
        key("general.alignment", 32),
        key(f"{a}.context_length", 64),
        key(f"{a}.embedding_length", n_embd),
        key(f"{a}.block_count", n_layers),
        key(f"{a}.feed_forward_length", n_ff),
        key(f"{a}.attention.head_count", 4),
        key(f"{a}.attention.head_count_kv", 2),
        key(f"{a}.attention.layer_norm_rms_epsilon", 1e-5),
        key(f"{a}.rope.dimension_count", n_embd // 4),
        key(f"{a}.rope.freq_base", 10000.0),
        key("tokenizer.ggml.model", "llama"),
        array("tokenizer.ggml.tokens", STRING, [f"t{i:02d}" for i in range(N_VOCAB)]),
        array("tokenizer.ggml.scores", F32, [-float(i) for i in range(N_VOCAB)]),
        array("tokenizer.ggml.token_type", I32, [1] * N_VOCAB),
        key("tokenizer.ggml.bos_token_id", 1),
        key("tokenizer.ggml.eos_token_id", 2),
        key("tokenizer.ggml.add_bos_token", True),
    )
    file.tensors = _tensors(n_layers, n_embd, n_ff)
    return file


def loadable_model() -> Gguf:
    """The same with one layer and a vocabulary a tokenizer can be built from: 272 tokens."""
    file = tiny_model(n_layers=1)
    words = ["a", "b", "ab", "▁", "▁a", *(f"t{i}" for i in range(8))]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    file.set(
        array("tokenizer.ggml.tokens", STRING, tokens),
        array("tokenizer.ggml.scores", F32, [-float(i) for i in range(len(tokens))]),
        array("tokenizer.ggml.token_type", I32, [2, 3, 3] + [6] * 256 + [1] * len(words)),
    )
    file.tensors[0] = floats("token_embd.weight", 32, len(tokens))
    return file


def _tensors(n_layers: int, n_embd: int, n_ff: int) -> list[Tensor]:
    kv = n_embd // 2
    tensors = [floats("token_embd.weight", n_embd, N_VOCAB), floats("output_norm.weight", n_embd)]
    for layer in range(n_layers):
        block = f"blk.{layer}."
        tensors += [
            floats(block + "attn_norm.weight", n_embd),
            floats(block + "attn_q.weight", n_embd, n_embd),
            floats(block + "attn_k.weight", n_embd, kv),
            floats(block + "attn_v.weight", n_embd, kv),
            floats(block + "attn_output.weight", n_embd, n_embd),
            floats(block + "ffn_norm.weight", n_embd),
            floats(block + "ffn_gate.weight", n_embd, n_ff),
            floats(block + "ffn_up.weight", n_embd, n_ff),
            floats(block + "ffn_down.weight", n_ff, n_embd),
        ]
    return tensors


def floats(name: str, *dims: int) -> Tensor:
    """A tensor of float32; the first dimension is GGUF's, a row's length."""
    count = 1
    for dim in dims:
        count *= dim
    # A fixed pattern in [-1, 1): no random numbers, so the same bytes everywhere.
    values = [((i * 37) % 128 - 64) / 64 for i in range(128)] * (count // 128 + 1)
    return Tensor(name.encode(), list(dims), 0, struct.pack(f"<{count}f", *values[:count]))
