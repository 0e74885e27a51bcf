"""Qwen2 and Qwen2.5: llama with biases on q, k and v and half-split rotation."""

from __future__ import annotations

from pyllm.architectures import llama
from pyllm.config import ModelConfig
from pyllm.graph.graph import Graph, Value
from pyllm.graph.weights import Weights

ARCHITECTURES = ("qwen2",)


def build(g: Graph, c: ModelConfig, w: Weights) -> None:
    llama.build(g, c, w, project, llama.dense, rope_mode="neox")


def project(g: Graph, c: ModelConfig, b: Weights, x: Value) -> tuple[Value, Value, Value]:
    q = g.linear(x, b["attn_q.weight"], c.n_heads * c.head_dim, b["attn_q.bias"])
    k = g.linear(x, b["attn_k.weight"], c.n_kv_heads * c.head_dim, b["attn_k.bias"])
    v = g.linear(x, b["attn_v.weight"], c.n_kv_heads * c.v_dim, b["attn_v.bias"])
    return q, k, v
