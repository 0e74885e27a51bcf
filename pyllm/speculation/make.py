"""From a configuration to what guesses; loads the draft model when there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllm.loader import load_model
from pyllm.speculation.config import SpeculativeConfig
from pyllm.speculation.draft_model import DraftModel, check_vocabulary
from pyllm.speculation.prompt_lookup import PromptLookup
from pyllm.speculation.proposer import Proposer

if TYPE_CHECKING:
    from pyllm.engine.model import EngineModel

__all__ = ["make_proposer"]


def make_proposer(
    config: SpeculativeConfig | None,
    model: EngineModel,
    *,
    num_threads: int | None = None,
    num_threads_batch: int | None = None,
    max_num_seqs: int = 16,
    max_num_batched_tokens: int = 512,
    packed_cache: bool = False,
) -> Proposer | None:
    """The proposer for `model`; the options are those the draft model is loaded with.

    Raises RequestError when the draft model has another vocabulary, and what load_model raises.
    """
    if config is None:
        return None
    if config.model is None:
        return PromptLookup(config)
    draft = load_model(
        config.model,
        num_threads=num_threads,
        num_threads_batch=num_threads_batch,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        keep_whole_texts=True,  # it forgets whole sequences, not parts of them
        packed_cache=packed_cache,
    )
    try:
        check_vocabulary(draft.tokenizer, model.tokenizer, config.model)
    except BaseException:
        draft.close()
        raise
    return DraftModel(draft, config, model.tokenizer.n_vocab)
