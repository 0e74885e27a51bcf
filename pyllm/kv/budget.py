"""How long a context and how many KV blocks fit into memory; Python integers, nothing can wrap."""

from __future__ import annotations

from dataclasses import dataclass

from pyllm.byte_size import byte_size
from pyllm.config import ModelConfig
from pyllm.errors import MemoryBudgetError, RequestError
from pyllm.kv.types import PANEL_TOKENS, KVTypes
from pyllm.kv.window import KVWindow

__all__ = ["KVSize", "block_bytes", "choose_kv_size"]

DEFAULT_SHARE = 4  # without a wish, the cache takes at most a quarter of the available memory


@dataclass(frozen=True, slots=True)
class KVSize:
    max_model_len: int  # tokens of one sequence, prompt and answer together
    num_blocks: int
    nbytes: int
    num_sequence_blocks: int  # that a sequence of max_model_len tokens holds at most
    window: int = 0  # tokens that any layer still reads; 0: all of them

    def describe(self, block_size: int) -> str:
        """One line for people."""
        one = self.nbytes / self.num_blocks * self.num_sequence_blocks
        kept = f", the last {self.window} of them kept" if self.window else ""
        return (
            f"KV cache: {byte_size(self.nbytes)}, {self.num_blocks * block_size} tokens "
            f"in blocks of {block_size}; up to {self.max_model_len} tokens a request{kept}: "
            f"{byte_size(one)}"
        )


def block_bytes(config: ModelConfig, block_size: int, types: KVTypes) -> int:
    """Bytes of one block: keys and values of `block_size` tokens in every layer."""
    panels = config.n_layers * config.n_kv_heads * block_size // PANEL_TOKENS
    return panels * types.panel_bytes(config.head_dim, config.v_dim)


def choose_kv_size(
    config: ModelConfig,
    *,
    block_size: int,
    types: KVTypes,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    window: int,
    max_model_len: int | None,
    kv_cache_bytes: int | None,
    available: int | None,
) -> KVSize:
    """Enough blocks for `max_num_seqs` full sequences if they fit the budget, for one at least.

    window          tokens that any layer still reads: a sequence keeps no more, and what a step
                    of max_num_batched_tokens adds; 0: all of them
    max_model_len   None: the model's context, shortened to what fits
    kv_cache_bytes  None: a quarter of `available`, more only for a max_model_len that asks for it
    available       bytes left beside the weights, None when unknown
    Raises RequestError for a length beyond the model's, MemoryBudgetError when it does not fit.
    """
    if max_model_len is not None and max_model_len > config.context_length:
        limit = f"at most {config.context_length}, the context this model was made for"
        raise RequestError("max_model_len", max_model_len, limit)
    per_block = block_bytes(config, block_size, types)
    kept = KVWindow(window, block_size)
    sequence = kept.most_blocks(max_model_len or config.context_length, max_num_batched_tokens)
    budget = kv_cache_bytes
    if budget is None:
        everything = sequence * max_num_seqs * per_block
        budget = everything if available is None else available // DEFAULT_SHARE
        if max_model_len is not None and available is not None:
            budget = max(budget, min(available, sequence * per_block))
    if max_model_len is None:
        max_model_len = config.context_length
        if sequence > budget // per_block:
            sequence = max(1, budget // per_block)
            max_model_len = min(max_model_len, sequence * block_size)
    if sequence * per_block > budget:
        option = "lower max_model_len" if kv_cache_bytes is None else "raise kv_cache_bytes"
        message = f"for the keys and values of {max_model_len} tokens; {option}"
        raise MemoryBudgetError(sequence * per_block, budget, message)
    num_blocks = min(sequence * max_num_seqs, budget // per_block)
    return KVSize(max_model_len, num_blocks, num_blocks * per_block, sequence, window)
