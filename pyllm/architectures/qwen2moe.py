"""Qwen1.5-MoE and Qwen2-MoE: qwen2 with experts weighted by their plain softmax.

Beside them every token goes through one shared expert, scaled by a gate of its own.
"""

from __future__ import annotations

from pyllm.architectures import llama, qwen2
from pyllm.config import ModelConfig
from pyllm.graph.graph import Graph, Value
from pyllm.graph.weights import Weights

ARCHITECTURES = ("qwen2moe",)


def build(g: Graph, c: ModelConfig, w: Weights) -> None:
    llama.build(g, c, w, qwen2.project, mlp, rope_mode="neox")


def mlp(g: Graph, c: ModelConfig, b: Weights, x: Value) -> Value:
    return g.add(llama.experts(g, c, b, x, renormalise=False), shared_expert(g, c, b, x))


def shared_expert(g: Graph, c: ModelConfig, b: Weights, x: Value) -> Value:
    gate = g.linear(x, b["ffn_gate_shexp.weight"], c.n_shared_ff)
    up = g.linear(x, b["ffn_up_shexp.weight"], c.n_shared_ff)
    y = g.linear(g.silu_mul(gate, up), b["ffn_down_shexp.weight"], c.n_embd)
    return g.sigmoid_gate(x, y, b["ffn_gate_inp_shexp.weight"])
