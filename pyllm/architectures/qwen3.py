"""Qwen3 (dense): llama with an RMS norm on every head of q and k and half-split rotation."""

from __future__ import annotations

from pyllm.architectures import llama
from pyllm.config import ModelConfig
from pyllm.graph.graph import Graph, Value
from pyllm.graph.weights import Weights

ARCHITECTURES = ("qwen3",)


def build(g: Graph, c: ModelConfig, w: Weights) -> None:
    llama.build(g, c, w, project, llama.dense, rope_mode="neox")


def project(g: Graph, c: ModelConfig, b: Weights, x: Value) -> tuple[Value, Value, Value]:
    q, k, v = llama.project(g, c, b, x)
    q = g.rms_norm(q, b["attn_q_norm.weight"], c.rms_eps, group=c.head_dim)
    k = g.rms_norm(k, b["attn_k_norm.weight"], c.rms_eps, group=c.head_dim)
    return q, k, v
