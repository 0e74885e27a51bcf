"""How long steps take, and how much of a prompt fits into one that others wait for."""

from __future__ import annotations

from collections import deque
from statistics import median

# A slower machine, or a prompt that got longer, is noticed within five to nine steps, and a step
# that was held up (another process, a page fault) is outvoted; while chunks grow it costs a few
# small ones.
_SOLO_SAMPLES, _TOKEN_SAMPLES = 5, 9
# Of a prompt, before its cost is known, and where one token costs more than the limit allows.
_FEWEST_TOKENS = 1
# A token attends to all before it: behind 16,000 others it costs 20 to 40 times what the first do.
_NEAR_TOKENS, _NEAR_SHARE = 512, 0.25
_STEPS_BETWEEN_PROBES = 64  # streams grow and change; measuring them alone costs 1 step in 64
_MARGIN = 0.85  # aim below the limit: that is for the 99th percentile, this for the median
# Where fewer fit into a step, slices of a prompt are read faster (prompt_reader.py): behind many
# tokens, and beside decodes that use the weights as often as they can be read. Few decodes leave
# room for tokens that cost next to nothing.
_FEWEST_AT_ONCE, _FEWEST_FOR_A_DECODE = 3, 2
_LEAST_SLICE = 0.25  # of a step; each chunk reads all weights again, a bit at a time
_SURE_SAMPLES = 3  # one of a step that was held up does not decide that


class PromptPace:
    """Learns seconds = solo(decodes) + per_token * prompt tokens from the steps of this engine.

    A step that also reads a prompt shall take at most `max_decode_slowdown` times as long as one
    that only decodes; None: no limit. The sizes it chooses depend on time, results never do.
    """

    def __init__(self, max_decode_slowdown: float | None) -> None:
        self._max_slowdown = max_decode_slowdown
        self._solo: dict[int, deque[float]] = {}  # decodes: seconds of steps without a prompt
        self._solo_age: dict[int, int] = {}  # decodes: limited steps since such a step
        # (prompt tokens of a step, seconds that each of them took)
        self._per_token: deque[tuple[int, float]] = deque(maxlen=_TOKEN_SAMPLES)
        self._depth = 0  # tokens of the prompt before the next
        self._probing = False

    def add(self, seconds: float, num_decodes: int, num_prompt_tokens: int) -> None:
        """A step of `num_decodes` sequences with one token each and so many prompt tokens."""
        if num_prompt_tokens == 0:
            self._solo.setdefault(num_decodes, deque(maxlen=_SOLO_SAMPLES)).append(seconds)
            self._solo_age[num_decodes] = 0
        elif samples := self._solo.get(num_decodes):
            per_token = (seconds - median(samples)) / num_prompt_tokens
            self._per_token.append((num_prompt_tokens, per_token))
            self._depth += num_prompt_tokens
        self._probing = False

    def chunk_limit(self, num_decodes: int, depth: int) -> int | None:
        """Most prompt tokens beside so many decodes; None: as many as there are.

        depth  tokens of the prompt that are computed

        0 asks for a step of the decodes alone, to measure it; never twice in a row.
        """
        if self._max_slowdown is None or num_decodes == 0:
            return None
        age = self._solo_age.get(num_decodes, _STEPS_BETWEEN_PROBES)
        if age >= _STEPS_BETWEEN_PROBES and not self._probing:
            self._probing = True
            return 0
        self._move_to(depth)
        if num_decodes not in self._solo:
            return _FEWEST_TOKENS
        self._solo_age[num_decodes] = age + 1
        # Doubling at most: the cost of a token among many is not known from that among few.
        most = 2 * max((tokens for tokens, _ in self._per_token), default=0)
        return max(_FEWEST_TOKENS, min(self._fitting(num_decodes), most))

    def is_slow(self, num_decodes: int) -> bool:
        """So few prompt tokens fit into a step of so many decodes that slices are faster."""
        if len(self._costs()) < _SURE_SAMPLES or num_decodes not in self._solo:
            return False
        whole, spare = self.seconds_beside(num_decodes)
        if spare < _LEAST_SLICE * (whole - spare):
            return False
        fewest = max(_FEWEST_AT_ONCE, _FEWEST_FOR_A_DECODE * num_decodes)
        return self._fitting(num_decodes) < fewest

    def seconds_beside(self, num_decodes: int) -> tuple[float, float]:
        """What a step of so many decodes, that were measured alone, may take beside a prompt, and
        what the prompt may take of that.
        """
        assert self._max_slowdown is not None
        solo = median(self._solo[num_decodes])
        whole = self._max_slowdown * _MARGIN * solo
        return whole, whole - solo

    def _move_to(self, depth: int) -> None:
        """What tokens cost far from here says nothing: another prompt, or a cached beginning."""
        if abs(depth - self._depth) > max(_NEAR_TOKENS, _NEAR_SHARE * self._depth):
            self._per_token.clear()
        self._depth = depth

    def _costs(self) -> list[float]:
        """Seconds of a token, of the steps that say what one costs in the next.

        Among few tokens the cost of one drowns in that of the step: the chunks of 1 to 8 with which
        a prompt begins said that 64 fit, and those took seven times as long as a decode.
        """
        if not self._per_token:
            return []
        newest, _ = self._per_token[-1]
        return [seconds for tokens, seconds in self._per_token if 2 * tokens >= newest]

    def _fitting(self, num_decodes: int) -> int:
        costs = self._costs()
        if not costs:
            return _FEWEST_TOKENS
        _, spare = self.seconds_beside(num_decodes)
        return int(min(spare / max(median(costs), 1e-9), 1e9))
