"""The draft model's own bookkeeping: what it read, what it must read again, where it keeps it."""

from types import SimpleNamespace

import pytest

from pyllm.engine.sequence import Sequence
from pyllm.errors import RequestError
from pyllm.sampling.params import SamplingParams
from pyllm.speculation.config import SpeculativeConfig
from pyllm.speculation.draft_model import MAX_PADDING, DraftModel, check_vocabulary
from tests.pyllm.fake_program import N_VOCAB, FakeModel, FakeTokenizer, hashed_logits


def sequence_of(tokens):
    params = SamplingParams(temperature=0)
    return Sequence("r", params, 0, len(tokens), frozenset(), None, None, list(tokens))


def draft_model_of(*, n_vocab=N_VOCAB, **model):
    config = SpeculativeConfig("draft_model", "x", num_speculative_tokens=8)
    return DraftModel(FakeModel(**model), config, n_vocab)


def written(tokens, count):
    """What the fake model says after `tokens`."""
    tokens = list(tokens)
    for _ in range(count):
        tokens.append(int(hashed_logits(tokens).argmax()))
    return tokens[len(tokens) - count :]


def test_guesses_are_what_the_model_says():
    draft = draft_model_of()
    sequences = [sequence_of([1, 2, 3]), sequence_of([9] * 20)]
    guesses = draft.propose(sequences, [4, 2])
    assert guesses == [written([1, 2, 3], 4), written([9] * 20, 2)]


@pytest.mark.parametrize("num_right", [0, 2, 4])
def test_wrong_guesses_are_cut_off_and_right_ones_kept(num_right):
    """The fake program asserts that every cell it reads holds the right position."""
    draft = draft_model_of()
    sequence = sequence_of([1, 2, 3])
    for _ in range(6):
        (guesses,) = draft.propose([sequence], [4])
        assert guesses == written(sequence.tokens, 4)
        program = draft._model.program
        before = program.computed_tokens
        sequence.tokens += [*guesses[:num_right], 200]
        (guesses,) = draft.propose([sequence], [1])
        assert guesses == written(sequence.tokens, 1)
        # Only what is new: the last token, and the last guess when it was right.
        assert program.computed_tokens - before == 1 + (num_right == 4)


def test_a_guess_the_large_model_never_saw_is_no_harm():
    """It may step without the draft, and say the same as the draft's first guess."""
    draft = draft_model_of()
    sequence = sequence_of([1, 2, 3])
    (guesses,) = draft.propose([sequence], [4])
    sequence.tokens.append(guesses[0])
    assert draft.propose([sequence], [3]) == [written(sequence.tokens, 3)]


def test_a_long_text_is_read_in_chunks_before_anything_is_guessed():
    draft = draft_model_of(max_num_batched_tokens=16)
    sequence = sequence_of([5] * 40)
    assert draft.propose([sequence], [4]) == [[]]
    assert draft.propose([sequence], [4]) == [[]]
    assert draft.propose([sequence], [4]) == [written([5] * 40, 4)]


def test_mirrors_that_nobody_asks_for_give_way():
    draft = draft_model_of(num_kv_blocks=3, max_model_len=48)
    one, two = sequence_of([1] * 20), sequence_of([2] * 20)
    assert draft.propose([one], [2]) == [written([1] * 20, 2)]
    assert draft.propose([two], [2]) == [written([2] * 20, 2)]
    assert draft.propose([one], [2]) == [written([1] * 20, 2)]
    # Both at once do not fit: the second has no guesses.
    assert draft.propose([one, two], [2, 2]) == [written([1] * 20, 2), []]
    draft.forget(one)
    draft.forget(two)
    assert draft.kv_cache.num_free_blocks == 3


def test_its_context_is_the_limit():
    draft = draft_model_of(max_model_len=32)
    assert draft.offer(sequence_of([1] * 20)) == (0, 8)
    assert draft.offer(sequence_of([1] * 29)) == (0, 3)
    assert draft.offer(sequence_of([1] * 40)) == (0, 0)
    (guesses,) = draft.propose([sequence_of([1] * 29)], [3])
    assert len(guesses) == 3


def test_guesses_beyond_the_vocabulary_are_no_guesses():
    guesses = written([1, 2, 3], 6)
    limit = max(guesses)
    draft = draft_model_of(n_vocab=limit)
    assert draft.propose([sequence_of([1, 2, 3])], [6]) == [guesses[: guesses.index(limit)]]


def test_tokens_it_does_not_know_end_its_guessing():
    draft = draft_model_of(n_vocab=N_VOCAB + 10)
    assert draft.propose([sequence_of([1, N_VOCAB + 3])], [4]) == [[]]
    assert draft.propose([sequence_of([1, 2])], [1]) == [written([1, 2], 1)]


def test_reset_forgets_everything():
    draft = draft_model_of()
    draft.propose([sequence_of([1] * 20)], [2])
    draft.reset()
    assert draft.kv_cache.num_free_blocks == 64


def test_vocabularies_may_differ_in_padding_only():
    def tokenizer(n_vocab, change=None):
        known = FakeTokenizer()
        texts = [known.token_bytes(t) if t != change else b"?" for t in range(n_vocab)]
        return SimpleNamespace(n_vocab=n_vocab, token_bytes=texts.__getitem__)

    model = tokenizer(200)
    check_vocabulary(tokenizer(200), model, "d")
    check_vocabulary(tokenizer(200 + MAX_PADDING), model, "d")
    check_vocabulary(tokenizer(150), model, "d")
    with pytest.raises(RequestError, match=r"speculative_config.model: 'd': has 329 tokens"):
        check_vocabulary(tokenizer(201 + MAX_PADDING), model, "d")
    with pytest.raises(RequestError, match=r"calls token 97 b'\?', the model b'a'"):
        check_vocabulary(tokenizer(200, change=97), model, "d")
