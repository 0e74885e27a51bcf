"""Prompt lookup: the longest match, the most recent of equals, at a bounded price."""

from hypothesis import given
from hypothesis import strategies as st

from pyllm.engine.sequence import Sequence
from pyllm.sampling.params import SamplingParams
from pyllm.speculation.prompt_lookup import MAX_CANDIDATES, NgramIndex, continued
from tests.pyllm.speculation.guessers import lookup


def sequence_of(tokens):
    return Sequence("r", SamplingParams(), 0, len(tokens), frozenset(), None, None, list(tokens))


def brute_force(tokens, shortest, longest):
    """Among the last few places where the last n-gram stood before."""
    size = len(tokens)
    suffix = tokens[size - shortest :]
    places = [p for p in range(shortest, size) if tokens[p - shortest : p] == suffix]
    best = (0, 0)
    for place in places[::-1][:MAX_CANDIDATES] if size >= shortest else []:
        length = shortest
        while length < min(longest, place) and tokens[place - length - 1] == tokens[-length - 1]:
            length += 1
        if length > best[1]:
            best = place, length
    return best


@given(
    tokens=st.lists(st.integers(0, 2), max_size=60),
    cuts=st.lists(st.integers(1, 7), max_size=40),
    shortest=st.integers(1, 3),
    more=st.integers(0, 4),
)
def test_an_index_that_grew_finds_what_a_search_finds(tokens, cuts, shortest, more):
    index = NgramIndex(shortest, shortest + more)
    end = 0
    for cut in cuts:
        end = min(end + cut, len(tokens))
        seen = tokens[:end]
        assert index.match(seen) == brute_force(seen, shortest, shortest + more)
        assert index.match(seen) == brute_force(seen, shortest, shortest + more)


def test_the_longest_match_wins_and_of_equals_the_most_recent():
    index = NgramIndex(1, 4)
    assert index.match([1, 2, 3, 7, 9, 3, 8, 1, 2, 3]) == (3, 3)
    assert NgramIndex(1, 4).match([3, 7, 3, 8, 3]) == (3, 1)


def test_a_guess_goes_on_as_the_text_did():
    proposer = lookup(num_speculative_tokens=3)
    sequence = sequence_of([1, 2, 3, 4, 5, 1, 2])
    assert proposer.offer(sequence) == (0, 3)
    assert proposer.propose([sequence], [3]) == [[3, 4, 5]]
    sequence.tokens += [3, 4]
    assert proposer.offer(sequence) == (2, 3)
    assert proposer.propose([sequence], [2]) == [[5, 1]]
    sequence.tokens += [9]
    assert proposer.offer(sequence) == (0, 0)
    proposer.forget(sequence)
    proposer.forget(sequence)


def test_past_the_end_the_text_repeats_itself():
    assert continued([1, 2, 3, 2, 3], 3, 5) == [2, 3, 2, 3, 2]
    assert continued([7, 7], 1, 3) == [7, 7, 7]
    assert continued([1, 2, 3, 4], 1, 2) == [2, 3]


def test_a_long_prompt_is_read_once():
    class Counted(list):
        reads = 0

        def __getitem__(self, key):
            Counted.reads += 1
            return super().__getitem__(key)

    tokens = Counted(range(5000))
    index = NgramIndex(2, 8)
    index.match(tokens)
    assert Counted.reads < 5010
    for _ in range(100):
        tokens.append(7)
        index.match(tokens)
    assert Counted.reads < 5010 + 100 * (1 + MAX_CANDIDATES * 2 * 8)
