"""Llama 1-3, Mistral, Mixtral, TinyLlama, SmolLM2: pre-norm blocks, grouped queries, RoPE, SwiGLU.

GGUF stores q and k of this family with their rows reordered for interleaved rotation.
"""

from __future__ import annotations

from collections.abc import Callable

from pyllm.config import ModelConfig
from pyllm.graph.graph import Graph, RopeMode, Value
from pyllm.graph.rope import rope_frequencies
from pyllm.graph.weights import Weight, Weights, constant

ARCHITECTURES = ("llama",)
SMALLEST_FACTOR = 1e-3  # real ones are 1 to 32; a tiny one would overflow its frequency

# (graph, config, block, x) -> q, k, v before rotation
Project = Callable[[Graph, ModelConfig, Weights, Value], tuple[Value, Value, Value]]
# (graph, config, block, x) -> what the feed-forward part adds to the hidden state
Mlp = Callable[[Graph, ModelConfig, Weights, Value], Value]


def project(g: Graph, c: ModelConfig, b: Weights, x: Value) -> tuple[Value, Value, Value]:
    q = g.linear(x, b["attn_q.weight"], c.n_heads * c.head_dim, b.get("attn_q.bias"))
    k = g.linear(x, b["attn_k.weight"], c.n_kv_heads * c.head_dim, b.get("attn_k.bias"))
    v = g.linear(x, b["attn_v.weight"], c.n_kv_heads * c.v_dim, b.get("attn_v.bias"))
    return q, k, v


def dense(g: Graph, c: ModelConfig, b: Weights, x: Value) -> Value:
    gate = g.linear(x, b["ffn_gate.weight"], c.n_ff, b.get("ffn_gate.bias"))
    up = g.linear(x, b["ffn_up.weight"], c.n_ff, b.get("ffn_up.bias"))
    return g.linear(g.silu_mul(gate, up), b["ffn_down.weight"], c.n_embd, b.get("ffn_down.bias"))


def experts(g: Graph, c: ModelConfig, b: Weights, x: Value, *, renormalise: bool = True) -> Value:
    return g.moe(
        x, b["ffn_gate_inp.weight"], b["ffn_gate_exps.weight"], b["ffn_up_exps.weight"],
        b["ffn_down_exps.weight"], n_experts=c.n_experts, n_used=c.n_experts_used,
        n_ff=c.n_expert_ff, renormalise=renormalise,
    )  # fmt: skip


def mlp(g: Graph, c: ModelConfig, b: Weights, x: Value) -> Value:
    return experts(g, c, b, x) if c.n_experts else dense(g, c, b, x)


def build(
    g: Graph, c: ModelConfig, w: Weights, project: Project = project, mlp: Mlp = mlp,
    rope_mode: RopeMode = "interleaved",
) -> None:  # fmt: skip
    inv_freq = frequencies(c, w)
    x = g.embed(w["token_embd.weight"], c.n_vocab, c.n_embd)
    for layer in range(c.n_layers):
        b = w.block(layer)
        q, k, v = project(g, c, b, g.rms_norm(x, b["attn_norm.weight"], c.rms_eps))
        q, k = (g.rope(heads, inv_freq, c.head_dim, rope_mode) for heads in (q, k))
        h = attention(g, c, q, k, v, layer)
        x = g.add(x, g.linear(h, b["attn_output.weight"], c.n_embd, b.get("attn_output.bias")))
        x = g.add(x, mlp(g, c, b, g.rms_norm(x, b["ffn_norm.weight"], c.rms_eps)))
    x = g.rms_norm(g.take_rows(x), w["output_norm.weight"], c.rms_eps)
    g.linear(x, w.get("output.weight") or w["token_embd.weight"], c.n_vocab)  # tied when absent


def attention(g: Graph, c: ModelConfig, q: Value, k: Value, v: Value, layer: int) -> Value:
    scale = c.head_dim**-0.5
    return g.attention(
        q, k, v, layer=layer, n_heads=c.n_heads, n_kv_heads=c.n_kv_heads, scale=scale,
        window=c.window,
    )  # fmt: skip


def frequencies(c: ModelConfig, w: Weights) -> Weight:
    factors = None
    stored = w.get("rope_freqs.weight")  # Llama 3.1: one divisor per pair of dimensions
    if stored is not None:
        factors = stored.require_vector(c.rope_dim // 2).vector()
        if factors.min() < SMALLEST_FACTOR:
            limit = f"divisors of at least {SMALLEST_FACTOR}"
            raise stored.error("values", float(factors.min()), limit, "convert the model again")
    values = rope_frequencies(c.rope_dim, c.rope_base, c.rope_scale_factor, factors)
    return constant("inv_freq", values)
