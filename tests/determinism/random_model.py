"""A small llama with random weights in a mix of block formats, and a vocabulary of bytes.

With experts it is a small Mixtral: each feed-forward layer becomes a router and a stack of them.
With a window it is a small Mistral: a token sees the last `window` tokens only.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from pyllm import kernels

N_EMBD, N_FF, N_HEADS, N_KV_HEADS, N_LAYERS = 256, 512, 8, 4, 2
N_EXPERTS, N_EXPERTS_USED = 7, 3
N_VOCAB = 333  # 333 rows of logits: not whole tiles of 16
POISONED = 300  # an id whose embedding is NaN when asked for

# Each type appears as a matrix that decode and prefill use; rows of 256 suit the K-quants.
_LAYER_TYPES = (
    {"attn_q": "Q4_K", "attn_k": "Q6_K", "attn_v": "F16", "attn_output": "Q8_0",
     "ffn_gate": "Q4_K", "ffn_up": "Q5_K", "ffn_down": "Q6_K"},
    {"attn_q": "Q8_0", "attn_k": "BF16", "attn_v": "Q4_0", "attn_output": "F32",
     "ffn_gate": "Q4_0", "ffn_up": "Q8_0", "ffn_down": "Q4_K"},
)  # fmt: skip
_SHAPES = {
    "attn_q": (N_EMBD, N_EMBD),
    "attn_k": (N_EMBD * N_KV_HEADS // N_HEADS, N_EMBD),
    "attn_v": (N_EMBD * N_KV_HEADS // N_HEADS, N_EMBD),
    "attn_output": (N_EMBD, N_EMBD),
    "ffn_gate": (N_FF, N_EMBD),
    "ffn_up": (N_FF, N_EMBD),
    "ffn_down": (N_EMBD, N_FF),
}


def write_random_model(
    path: Path, *, poisoned: bool = False, experts: bool = False, window: int = 0
) -> Path:
    """Write the model; the same bytes every time."""
    rng = np.random.default_rng(2)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(N_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(N_EMBD // N_HEADS)
    writer.add_rope_freq_base(10000.0)
    if window:
        writer.add_sliding_window(window)
    if experts:
        writer.add_expert_count(N_EXPERTS)
        writer.add_expert_used_count(N_EXPERTS_USED)
    _add_vocabulary(writer)
    embedding = rng.normal(size=(N_VOCAB, N_EMBD)).astype(np.float32)
    if poisoned:
        embedding[POISONED, 7] = np.nan
    _add(writer, "token_embd.weight", embedding, "F16" if poisoned else "Q8_0")
    for layer, types in enumerate(_LAYER_TYPES):
        for name, kind in types.items():
            shape, suffix = _SHAPES[name], ""
            if experts and name.startswith("ffn"):
                shape, suffix = (N_EXPERTS, *shape), "_exps"
            matrix = rng.normal(scale=shape[-1] ** -0.5, size=shape).astype(np.float32)
            _add(writer, f"blk.{layer}.{name}{suffix}.weight", matrix, kind)
        if experts:
            router = rng.normal(scale=N_EMBD**-0.5, size=(N_EXPERTS, N_EMBD)).astype(np.float32)
            _add(writer, f"blk.{layer}.ffn_gate_inp.weight", router, "F32")
        for name in ("attn_norm", "ffn_norm"):
            _add(writer, f"blk.{layer}.{name}.weight", _norm(rng), "F32")
    _add(writer, "output_norm.weight", _norm(rng), "F32")
    # Logits of deviation 3: sampling at temperature 1 has real choices to make.
    output = rng.normal(scale=3 * N_EMBD**-0.5, size=(N_VOCAB, N_EMBD)).astype(np.float32)
    _add(writer, "output.weight", output, "Q6_K")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _norm(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.5, 1.5, N_EMBD).astype(np.float32)


def _add(writer: gguf.GGUFWriter, name: str, values: np.ndarray, kind: str) -> None:
    if kind == "F32":
        writer.add_tensor(name, values)
    else:
        raw_type = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(name, kernels.quantize(values, kind), raw_dtype=raw_type)


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    """An SPM vocabulary: three control tokens, 256 bytes, and words of no merit."""
    words = [f"▁w{number}" for number in range(N_VOCAB - 259)]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    types = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2
    types += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(words)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(number) for number in range(len(words))])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
