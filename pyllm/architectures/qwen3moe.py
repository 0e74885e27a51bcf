"""Qwen3-MoE (30B-A3B, 235B-A22B): qwen3 with experts in every layer; their weights sum to 1."""

from __future__ import annotations

from pyllm.architectures import llama, qwen3
from pyllm.config import ModelConfig
from pyllm.graph.graph import Graph
from pyllm.graph.weights import Weights

ARCHITECTURES = ("qwen3moe",)


def build(g: Graph, c: ModelConfig, w: Weights) -> None:
    llama.build(g, c, w, qwen3.project, llama.experts, rope_mode="neox")
