"""A tiny llama with random weights whose tokens are bytes: it reads and writes any text."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

EMBEDDING, HEADS, LAYERS, FEED_FORWARD, CONTEXT = 32, 4, 1, 48, 64
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]

# Ends every message with a token the user cannot type.
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def write_tiny_model(
    path: Path,
    *,
    template: str | None = None,
    arch: str = "llama",
    context: int = CONTEXT,
    says: str | None = None,
) -> Path:
    """Writes the model to `path` and returns it.

    says  a character whose byte is the likeliest next token after any text
    """
    file = gguf.GGUFWriter(path, arch)
    file.add_context_length(context)
    file.add_embedding_length(EMBEDDING)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(FEED_FORWARD)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(EMBEDDING // HEADS)
    file.add_tokenizer_model("llama")
    file.add_token_list(TOKENS)
    file.add_token_scores([0.0] * len(TOKENS))
    kinds = gguf.TokenType
    byte_types = [kinds.BYTE] * 256
    file.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *byte_types, kinds.NORMAL])
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    if template is not None:
        file.add_chat_template(template)
    rng = np.random.default_rng(0)
    for name, shape in _shapes().items():
        values = np.ones(shape) if len(shape) == 1 else rng.standard_normal(shape) * 0.2
        if says is not None:
            # All tokens look alike and the layers add next to nothing, so the same token wins.
            values = np.ones(shape) if name == "token_embd.weight" else values * 0.1
        file.add_tensor(name, values.astype(np.float32))
    if says is not None:
        output = np.zeros((len(TOKENS), EMBEDDING), np.float32)
        output[3 + ord(says)] = 1
        file.add_tensor("output.weight", output)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(TOKENS), EMBEDDING),
        "output_norm.weight": (EMBEDDING,),
    }
    square, wide = (EMBEDDING, EMBEDDING), (FEED_FORWARD, EMBEDDING)
    for layer in range(LAYERS):
        block = {
            "attn_norm": (EMBEDDING,),
            "attn_q": square,
            "attn_k": square,
            "attn_v": square,
            "attn_output": square,
            "ffn_norm": (EMBEDDING,),
            "ffn_gate": wide,
            "ffn_up": wide,
            "ffn_down": (EMBEDDING, FEED_FORWARD),
        }
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in block.items()}
    return shapes
