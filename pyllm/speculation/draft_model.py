"""A smaller model with the same vocabulary writes ahead; the large one only checks it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pyllm.engine.batch import Batch
from pyllm.engine.sequence import Sequence
from pyllm.errors import RequestError
from pyllm.kv.cache import KVCache
from pyllm.speculation.config import SpeculativeConfig

if TYPE_CHECKING:
    from pyllm.engine.model import EngineModel
    from pyllm.tokenizer import Tokenizer

__all__ = ["DraftModel", "check_vocabulary"]

MAX_PADDING = 128  # of a table of tokens, which some families round up for the larger models
_WEIGHT = 0.2  # of the newest step in the mean


class DraftModel:
    """Runs its own program over its own KV cache, all sequences that guess in one batch.

    Each sequence has a mirror: the same text as far as the draft model knows it, and where its
    keys and values lie. Guesses that were wrong are cut off when the mirror is used next; a mirror
    that lost its blocks to others, or that waited for long, reads the text again in chunks.
    A guess is sampled as the large model would, with the random numbers of its position, so that
    two models of one mind also agree on what chance decides. Penalties are left out.
    """

    num_kinds = 1

    def __init__(self, model: EngineModel, config: SpeculativeConfig, n_vocab: int) -> None:
        """`n_vocab` of the large model: token ids from there on are no guesses."""
        self._model = model
        self._most = config.num_speculative_tokens
        self.min_draft_tokens = config.min_draft_tokens
        self._n_vocab = n_vocab
        self._known_tokens = model.tokenizer.n_vocab
        columns = model.program.columns
        self._sampled, self._status = columns["sampled"], columns["status"]
        self._max_tokens = len(columns["tokens"])
        self._max_seqs = min(len(columns["seq_starts"]) - 1, len(columns["logit_rows"]))
        self._step_s = 0.0  # of a step that writes one token of each sequence
        self.reset()

    def reset(self) -> None:
        self._batch = Batch(self._model.program.columns)
        self.kv_cache = KVCache(self._model.num_kv_blocks, self._model.block_size)
        self._mirrors: dict[Sequence, Sequence] = {}  # the one used last at the end
        self._agreed: dict[Sequence, int] = {}  # tokens that are no guesses, in each mirror

    def close(self) -> None:
        self._model.close()

    def offer(self, sequence: Sequence) -> tuple[int, int]:
        room = self._model.max_model_len - len(sequence.tokens)
        return 0, max(0, min(self._most, room))

    def seconds_for(self, longest: int) -> float:
        return longest * self._step_s

    def forget(self, sequence: Sequence) -> None:
        self._agreed.pop(sequence, None)
        mirror = self._mirrors.pop(sequence, None)
        if mirror is not None:
            self.kv_cache.release(mirror)

    def propose(self, sequences: list[Sequence], counts: list[int]) -> list[list[int]]:
        mirrors = [self._mirror(sequence) for sequence in sequences]
        lengths = [len(sequence.tokens) for sequence in sequences]
        goals = [length + count for length, count in zip(lengths, counts, strict=True)]
        ready = [
            (mirror, goal)
            for sequence, mirror, goal in zip(sequences, mirrors, goals, strict=True)
            if self._can_read(mirror) and self._grow(sequence, mirror, goal, keep=sequences)
        ]
        ready = self._write(ready[: self._max_seqs])  # the first step also reads what is new
        while ready:
            start = time.perf_counter()
            ready = self._write(ready)
            self._step_s += (time.perf_counter() - start - self._step_s) * _WEIGHT
        return [
            self._valid(mirror.tokens[length:])
            for mirror, length in zip(mirrors, lengths, strict=True)
        ]

    def _mirror(self, sequence: Sequence) -> Sequence:
        """The sequence's mirror, with exactly the tokens of the sequence."""
        mirror = self._mirrors.pop(sequence, None)
        if mirror is None:
            mirror = Sequence(
                request_id=sequence.request_id,
                params=sequence.params,
                seed=sequence.seed,
                num_prompt_tokens=sequence.num_prompt_tokens,
                stop_ids=sequence.stop_ids,
                history=None,
                bias=sequence.bias if self._known_tokens == self._n_vocab else None,
                tokens=[],
                sampler_order=sequence.sampler_order,
            )
        self._mirrors[sequence] = mirror
        tokens, theirs = mirror.tokens, sequence.tokens
        agreed = self._agreed.get(sequence, 0)
        while agreed < min(len(tokens), len(theirs)) and tokens[agreed] == theirs[agreed]:
            agreed += 1
        tokens[agreed:] = theirs[agreed:]
        self._agreed[sequence] = len(tokens)
        mirror.num_computed_tokens = min(mirror.num_computed_tokens, agreed, len(tokens) - 1)
        return mirror

    def _can_read(self, mirror: Sequence) -> bool:
        """Whether the draft model has all the tokens: tables of one family differ in padding."""
        if self._known_tokens >= self._n_vocab:
            return True
        return max(mirror.tokens[mirror.num_computed_tokens :]) < self._known_tokens

    def _grow(
        self, sequence: Sequence, mirror: Sequence, size: int, *, keep: list[Sequence]
    ) -> bool:
        """Blocks for `size` tokens; mirrors that nobody asked for give theirs, oldest first."""
        while not self.kv_cache.grow(mirror, size):
            victim = next((s for s in self._mirrors if s not in keep), None)
            if victim is None:
                self.forget(sequence)
                return False
            self.forget(victim)
        return True

    def _write(self, ready: list[tuple[Sequence, int]]) -> list[tuple[Sequence, int]]:
        """One step; returns the mirrors that are still shorter than their goal and can go on."""
        budget = self._max_tokens
        scheduled = []
        for mirror, _ in ready:
            mirror.num_scheduled_tokens = min(mirror.num_pending_tokens, budget)
            budget -= mirror.num_scheduled_tokens
            if mirror.num_scheduled_tokens:
                scheduled.append(mirror)
        if not scheduled:
            return []
        step = self._batch.fill(scheduled)
        self._model.program.step(step.n_tokens, step.n_seqs, len(step.rows), None, step.bias)
        for mirror in scheduled:
            mirror.num_computed_tokens += mirror.num_scheduled_tokens
        count = len(step.rows)
        sampled = self._sampled[:count].tolist()
        finite = [status == 0 for status in self._status[:count].tolist()]
        for mirror, token in zip(step.rows, sampled, strict=True):
            mirror.tokens.append(token)
        able = {id(m) for m, good in zip(step.rows, finite, strict=True) if good}
        return [(m, goal) for m, goal in ready if id(m) in able and len(m.tokens) < goal]

    def _valid(self, draft: list[int]) -> list[int]:
        """Guesses up to the first that the large model does not have."""
        wrong = (place for place, token in enumerate(draft) if not 0 <= token < self._n_vocab)
        return draft[: next(wrong, len(draft))]


def check_vocabulary(draft: Tokenizer, model: Tokenizer, path: str) -> None:
    """Raise RequestError unless both number the same tokens; padding at the end may differ."""
    common = min(draft.n_vocab, model.n_vocab)
    if max(draft.n_vocab, model.n_vocab) - common > MAX_PADDING:
        limit = f"has {draft.n_vocab} tokens, the model {model.n_vocab}; use one of its family"
        raise RequestError("speculative_config.model", path, limit)
    for token in range(common):
        if draft.token_bytes(token) != model.token_bytes(token):
            limit = (
                f"calls token {token} {draft.token_bytes(token)!r}, "
                f"the model {model.token_bytes(token)!r}; use one with the same vocabulary"
            )
            raise RequestError("speculative_config.model", path, limit)
