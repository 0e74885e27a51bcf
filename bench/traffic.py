"""What a token needs of the machine: bytes read to decode it, multiply-adds to prefill it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyllm.gguf import GGUFFile

_F16 = 2


@dataclass(frozen=True)
class Traffic:
    """Counts of one model; attention's arithmetic, which is no int8, is left out."""

    weight_bytes: int  # read for one decoded token
    kv_bytes: int  # keys and values of one token in the cache
    layer_macs: int  # of one token in all layers
    output_macs: int  # of one row of logits

    def decode_bytes(self, depth: float) -> float:
        """Bytes read to decode one token after `depth` others."""
        return self.weight_bytes + depth * self.kv_bytes

    def prefill_macs(self, tokens: int) -> int:
        """Multiply-adds of a prompt; only its last token has logits."""
        return tokens * self.layer_macs + self.output_macs


def traffic(path: Path) -> Traffic:
    """Reads the header of a file. Of many experts, those that a token uses are counted."""
    with GGUFFile.open(path) as file:
        architecture = file.get("general.architecture", str)

        def number(key: str, default: int) -> int:
            value = file.metadata.get(f"{architecture}.{key}", default)
            return int(value) if isinstance(value, int) else default

        experts = number("expert_count", 1) or 1
        used = number("expert_used_count", 1) or 1
        weight_bytes, layer_macs, output_macs = 0.0, 0.0, 0
        tied = "output.weight" not in file.tensors
        for name, info in file.tensors.items():
            share = used / experts if "_exps" in name else 1.0
            if name == "token_embd.weight" and not tied:
                continue  # one row a token
            weight_bytes += share * info.nbytes
            if name in ("output.weight", "token_embd.weight"):
                output_macs = info.num_elements
            elif len(info.shape) > 1:
                layer_macs += share * info.num_elements
        heads = number("attention.head_count", 1)
        kv_heads = number("attention.head_count_kv", heads)
        head_dim = number("attention.key_length", number("embedding_length", 0) // heads)
        kv_bytes = 2 * number("block_count", 0) * kv_heads * head_dim * _F16
        return Traffic(round(weight_bytes), kv_bytes, round(layer_macs), output_macs)
