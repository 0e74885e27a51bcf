"""Where one sequence stands in its grammar: what may follow, and what must."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from llguidance import LLMatcher, LLTokenizer

from pyllm.sampling.token_mask import UnwrittenMask, Words, num_words, words_of


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What grammar states know of their model."""

    tokenizer: LLTokenizer
    n_vocab: int
    token_bytes: Callable[[int], bytes]
    eog_ids: Collection[int]
    end_token: int  # the one of them that is written when nothing else may follow


class GrammarState:
    """A function of the sequence's tokens, kept step by step.

    Forced tokens are what the model's own tokenizer makes of text that the grammar leaves no
    choice about. With `jump` they are written at once, otherwise they are sampled one by one,
    with a mask that allows only them: the tokens are the same, but each has its log-probability.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        pristine: Callable[[], LLMatcher],
        *,
        after: str | None,
        jump: bool,
    ) -> None:
        """`pristine` gives the matcher of all copies, which itself never takes a token."""
        self._vocabulary = vocabulary
        self._pristine = pristine
        self._own: LLMatcher | None = None
        self._jump = jump
        self._after = after.encode() if after else b""
        self._tail = b""  # the end of the free text, as long as it could begin `after`
        self._free = bool(after)
        self._forced: list[int] = []
        self.ended = False  # complete, with a token that ends it: nothing may follow
        self.error = ""

    def copy(self) -> GrammarState:
        """The state of another sequence that has no tokens yet."""
        after = self._after.decode() or None
        return GrammarState(self._vocabulary, self._pristine, after=after, jump=self._jump)

    @property
    def _matcher(self) -> LLMatcher:
        return self._get_matcher()

    def _get_matcher(self) -> LLMatcher:
        if self._own is None:
            self._own = self._pristine().deep_copy()
        return self._own

    def next_mask(self) -> Words | UnwrittenMask | None:
        """The mask of the next token, or who will write it; None allows everything."""
        if self._free:
            return None
        if self._forced:
            return words_of(self._forced[:1], self._vocabulary.n_vocab)
        return UnwrittenMask(self._get_matcher, num_words(self._vocabulary.n_vocab))

    def accept(self, token: int) -> bool:
        """Take a token that was sampled; False says that `error` ends the sequence.

        The matcher may have failed while it wrote the mask: its limits count work per token.
        """
        if self._free:
            return self._pass_by(token)
        if self._forced:
            del self._forced[0]
        if self._matcher.is_error() or not self._matcher.consume_token(token):
            return self._fail(self._matcher.get_error())
        self.ended = token in self._vocabulary.eog_ids
        return True

    def take_forced(self) -> list[int]:
        """Tokens to write behind the accepted one without sampling them."""
        written: list[int] = []
        while not self._free and not self._forced and (forced := self._next_forced()):
            if self._jump:
                written += forced
                self.ended = forced[-1] in self._vocabulary.eog_ids
                if not self.ended:
                    self._matcher.consume_tokens(forced)
            else:
                self._forced = forced
        return written

    def _next_forced(self) -> list[int]:
        matcher = self._matcher
        if self.ended or matcher.is_error():
            return []
        return [self._vocabulary.end_token] if matcher.is_stopped() else matcher.compute_ff_tokens()

    def _pass_by(self, token: int) -> bool:
        """A token of the free text, which ends with `after`."""
        text = self._tail + self._vocabulary.token_bytes(token)
        free, found, rest = text.partition(self._after)
        if not found:
            self._tail = free[-(len(self._after) - 1) :] if len(self._after) > 1 else b""
            return True
        self._free = False
        # White space that shares a token with `after` belongs to it.
        if not rest.strip():
            return True
        tokens = self._vocabulary.tokenizer.tokenize_bytes(rest)
        if self._matcher.consume_tokens(tokens):
            return True
        return self._fail("the text right behind `after` does not fit")

    def _fail(self, reason: str) -> bool:
        first_line = reason.partition("\n")[0]
        self.error = f"structured_outputs: {first_line[:200]}"
        return False
