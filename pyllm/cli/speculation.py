"""What the flags about guessing ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.model_path import resolve_model
from pyllm.speculation.config import SpeculativeConfig

__all__ = ["SPECULATION_FIELDS", "llm_options", "speculation"]

SPECULATION_FIELDS = ("spec_type", "model_draft", "draft_max", "draft_min")


def llm_options(engine: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of the engine as options of `LLM`."""
    options: dict[str, Any] = {
        name: v for name, v in engine.items() if name not in SPECULATION_FIELDS
    }
    return {**options, "speculative_config": speculation(engine) or False}


def speculation(engine: Mapping[str, Any]) -> SpeculativeConfig | None:
    """The configuration, None for none. Raises CommandLineError when the flags disagree."""
    kind, draft, most, fewest = (engine[name] for name in SPECULATION_FIELDS)
    if kind == "draft" and draft is None:
        raise CommandLineError("--spec-type draft needs a model: -md MODEL")
    if kind == "ngram" and draft is not None:
        raise CommandLineError("--spec-type ngram uses no model; leave -md out")
    fewest = fewest or 1
    if fewest > most:
        raise CommandLineError(f"--draft-min {fewest} is more than --draft-max {most}")
    if kind == "none":
        return None
    return SpeculativeConfig(
        method="ngram" if draft is None else "draft_model",
        model=None if draft is None else os.fspath(resolve_model(draft)),
        num_speculative_tokens=most,
        min_draft_tokens=fewest,
    )
