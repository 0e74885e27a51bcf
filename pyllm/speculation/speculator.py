"""Decides in every step what is guessed, learns what it was worth, and stops when it loses."""

from __future__ import annotations

from pyllm.engine.sequence import Sequence
from pyllm.errors import PyLLMError
from pyllm.kv.cache import KVCache
from pyllm.speculation.acceptance import ENGINE_WINDOW, REQUEST_WINDOW, Acceptance
from pyllm.speculation.choice import OFF_MARGIN, ON_MARGIN, best_counts
from pyllm.speculation.outlook import FIRST_CREDIT, Outlook
from pyllm.speculation.proposer import Proposer
from pyllm.speculation.step_times import StepTimes

# When guesses do not pay a single one is tried as soon as this many could be paid for.
PROBE_RESERVE = 2


class Speculator:
    """Fills `Sequence.draft` before a step; the engine reports back what became of it.

    Exactness does not depend on anything here: any guesses give the same output.
    """

    def __init__(self, proposer: Proposer, kv_cache: KVCache, *, max_rows: int) -> None:
        self.proposer = proposer
        self.times = StepTimes()
        self._kv_cache = kv_cache
        self._max_rows = max_rows  # rows of logits for guesses of all sequences together
        self._learned = Acceptance(proposer.num_kinds, ENGINE_WINDOW)
        self._is_on = False
        self._share_s = 0.0  # of this step's time without guesses, for each sequence that decodes
        self._passed_s = 0.0  # such shares of all steps, added up

    def draft(self, decodes: list[Sequence], budget: int) -> int:
        """Give the sequences that decode their drafts; returns how many tokens those are.

        Prompts keep half of the `budget` of tokens, and nobody loses a block to a guess.
        """
        base = len(decodes)
        if not base or not self.times.is_trusted(base):
            return 0
        self._share_s = self.times.estimate(base) / base
        self._passed_s += self._share_s
        room = min(self._max_rows, budget // 2)
        if not self._could_pay(base, room):
            return 0
        offers = self._offers(decodes)
        if not offers:
            return 0
        counts = self._counts(offers, base, room)
        fewest = self.proposer.min_draft_tokens
        chosen = [
            (sequence, count)
            for (sequence, _), count in zip(offers, counts, strict=True)
            if count >= fewest and self._has_blocks(sequence, count, base)
        ]
        return self._propose(chosen, base) if chosen else 0

    def record_step(self, n_tokens: int, n_rows: int, seconds: float) -> None:
        """A step took `seconds`, without proposing."""
        if n_tokens == n_rows:  # no prompt is in it
            self.times.record(n_tokens, seconds)

    def record_draft(self, sequence: Sequence, num_accepted: int, *, failed: bool) -> None:
        """What the step made of a sequence's draft; `failed`: the guess after those was wrong."""
        outlook = _outlook(sequence)
        outlook.acceptance.record(outlook.kind, num_accepted, failed=failed)
        outlook.credit_s += num_accepted * self._share_s
        sequence.num_accepted_tokens += num_accepted

    def forget(self, sequence: Sequence) -> None:
        """A sequence ended, wherever it was."""
        self.proposer.forget(sequence)

    def _could_pay(self, base: int, room: int) -> bool:
        """Whether guesses that are all right would be worth their time, few or as many as can be.

        In a large batch the machine computes all the time, and a token more costs as much as any.
        """
        return room > 0 and any(
            (base + number) * self._share_s > self.times.estimate_more(base, number)
            for number in (1, room)
        )

    def _offers(self, decodes: list[Sequence]) -> list[tuple[Sequence, int]]:
        """Sequences that could guess, with how many guesses they offer."""
        offers = []
        for sequence in decodes:
            if not sequence.can_speculate:
                continue
            kind, most = self.proposer.offer(sequence)
            # The step samples one token more than it guesses, and none may be too many.
            limit = sequence.max_length - len(sequence.tokens) - 1
            if most and limit > 0:
                self._prepare_outlook(sequence, kind)
                offers.append((sequence, min(most, limit)))
        return offers

    def _prepare_outlook(self, sequence: Sequence, kind: int) -> None:
        outlook = sequence.outlook
        if outlook is None:
            acceptance = Acceptance(self.proposer.num_kinds, REQUEST_WINDOW, self._learned)
            outlook = Outlook(acceptance, FIRST_CREDIT * self._share_s, self._passed_s)
            sequence.outlook = outlook
        outlook.kind = kind
        outlook.earn(self._passed_s, self._share_s)

    def _counts(self, offers: list[tuple[Sequence, int]], base: int, room: int) -> list[int]:
        """Guesses of each offer: as many as pay and its credit allows, which is charged."""
        plain = self.times.estimate(base)

        def seconds(number: int) -> float:
            if not number:
                return plain
            proposing = self.proposer.seconds_for(-(-number // len(offers)))
            return self.times.estimate_more(base, number) + proposing

        outlooks = [_outlook(sequence) for sequence, _ in offers]
        counts = best_counts(
            [outlook.acceptance.rate(outlook.kind) for outlook in outlooks],
            [limit for _, limit in offers],
            base=base,
            room=room,
            seconds=seconds,
            margin=ON_MARGIN if self._is_on else OFF_MARGIN,
        )
        total = sum(counts)
        self._is_on = total > 0
        one_s = (seconds(total or 1) - plain) / (total or 1)
        if not total:
            return self._probe(outlooks, one_s)
        for place, outlook in enumerate(outlooks):
            affordable = max(0, int(outlook.credit_s / one_s))
            # Where others guess well, one that does not may have had bad luck.
            wanted = counts[place] or int(affordable >= PROBE_RESERVE)
            counts[place] = min(wanted, affordable, room)
            room -= counts[place]
            outlook.credit_s -= counts[place] * one_s
        return counts

    def _probe(self, outlooks: list[Outlook], one_s: float) -> list[int]:
        """A single guess when all together can afford it: all of them learn from it."""
        counts = [0] * len(outlooks)
        if sum(outlook.credit_s for outlook in outlooks) >= PROBE_RESERVE * one_s:
            richest = max(range(len(outlooks)), key=lambda place: outlooks[place].credit_s)
            counts[richest] = 1
            for outlook in outlooks:
                outlook.credit_s -= one_s / len(outlooks)
        return counts

    def _has_blocks(self, sequence: Sequence, count: int, num_running: int) -> bool:
        """Blocks for the guesses, if one stays free for each sequence that runs."""
        needed = len(sequence.tokens) + count
        missing = self._kv_cache.blocks_for(needed) - len(sequence.block_table)
        return missing <= 0 or missing + num_running <= self._kv_cache.num_free_blocks

    def _propose(self, chosen: list[tuple[Sequence, int]], num_running: int) -> int:
        sequences = [sequence for sequence, _ in chosen]
        try:
            drafts = self.proposer.propose(sequences, [count for _, count in chosen])
        except PyLLMError as error:  # callers need not hear of it: they do without guesses
            raise RuntimeError("guessing failed") from error
        total = 0
        for sequence, draft in zip(sequences, drafts, strict=True):
            if not draft or not self._has_blocks(sequence, len(draft), num_running):
                continue
            self._kv_cache.grow(sequence, len(sequence.tokens) + len(draft))
            sequence.draft = draft
            sequence.num_scheduled_tokens = 1 + len(draft)
            sequence.num_draft_tokens += len(draft)
            total += len(draft)
        return total


def _outlook(sequence: Sequence) -> Outlook:
    assert sequence.outlook is not None
    return sequence.outlook
