"""A state follows its tokens: forced tokens, the end, and what is free before it."""

import json
import random

import numpy as np
import pytest

from pyllm.sampling.token_mask import UnwrittenMask
from pyllm.structured import StructuredOutputsParams
from pyllm.structured.compiler import GrammarCompiler
from pyllm.text.detokenizer import Detokenizer
from pyllm.tokenizer import Tokenizer
from tests.pyllm.fake_program import EOS, EOT
from tests.pyllm.structured.support import demo_compiler, demo_tokenizer, state_of
from tests.pyllm.tokenizer.files import spm_file

PERSON = {
    "type": "object",
    "properties": {
        "first_name": {"type": "string", "maxLength": 8},
        "age_in_years": {"type": "integer", "minimum": 0, "maximum": 120},
        "favourite_colour": {"enum": ["red", "green", "blue"]},
    },
    "required": ["first_name", "age_in_years", "favourite_colour"],
    "additionalProperties": False,
}


def allowed_by(state):
    """Token ids that may follow."""
    mask = state.next_mask()
    if isinstance(mask, UnwrittenMask):
        mask = np.frombuffer(mask.matcher().compute_bitmask(), np.uint32)
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return np.flatnonzero(bits).tolist()


def test_forced_tokens_are_written_at_once():
    state = state_of(regex="(a|b)cde[fg]", jump=True)
    assert allowed_by(state) == [ord("a"), ord("b")]
    assert state.take_forced() == []
    assert state.accept(ord("a"))
    assert state.take_forced() == list(b"cde")
    assert allowed_by(state) == [ord("f"), ord("g")]
    assert state.accept(ord("g"))
    assert state.take_forced() == [EOS]
    assert state.ended
    assert state.take_forced() == []


def test_a_flood_of_forced_tokens_is_an_error_of_its_state():
    state = state_of(regex="[ab]c{200000}", jump=True)
    assert state.accept(ord("a"))
    assert 1000 < len(state.take_forced()) < 200_000
    assert not state.ended
    assert not state.accept(ord("c"))
    assert "too many states" in state.error


def test_forced_tokens_can_be_sampled_one_by_one():
    state = state_of(regex="(a|b)cde[fg]")
    assert state.accept(ord("a"))
    assert state.take_forced() == []
    for token in b"cde":
        assert allowed_by(state) == [token]
        assert state.accept(token)
        assert state.take_forced() == []
    assert state.accept(ord("g"))
    assert state.take_forced() == []
    assert allowed_by(state) == [EOS]
    assert not state.ended
    assert state.accept(EOS)
    assert state.ended


def test_the_end_is_allowed_only_where_the_answer_is_complete():
    state = state_of(regex="az*")
    assert allowed_by(state) == [ord("a")]
    assert state.accept(ord("a"))
    assert {EOS, EOT} < set(allowed_by(state))
    assert state.accept(EOT)
    assert state.ended
    assert state.take_forced() == []


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "fields",
    [{"json": PERSON}, {"json": PERSON, "disable_any_whitespace": True},
     {"regex": "The (quick|slow) brown fox jumps over [0-9]{1,3} lazy dogs\\."},
     {"choice": ["the first choice", "the second choice", "another choice"]}],
    ids=["json", "compact", "regex", "choice"],
)  # fmt: skip
def test_jumping_changes_no_token(fields, seed):
    """The model's own way to write the forced text, whether it is sampled or not."""
    answers = []
    for jump in (True, False):
        state = demo_compiler().compile(StructuredOutputsParams(**fields), jump=jump)
        # Only what is chosen draws: a forced token is the only one that is allowed.
        chosen = random.Random(seed)
        tokens = []
        while not state.ended:
            allowed = allowed_by(state)
            token = allowed[0] if len(allowed) == 1 else chosen.choice(allowed)
            assert state.accept(token)
            tokens += [token, *state.take_forced()]
            assert len(tokens) < 500
        answers.append(tokens)
    assert answers[0] == answers[1]
    text = demo_tokenizer().decode(answers[0])
    if "json" in fields:
        assert list(json.loads(text)) == list(PERSON["properties"])


def test_forced_text_is_tokenized_as_the_model_does():
    state = demo_compiler().compile(
        StructuredOutputsParams(json=PERSON, disable_any_whitespace=True), jump=True
    )
    tokenizer = demo_tokenizer()
    first = tokenizer.encode('{"first_name":"', add_special=False)
    assert state.accept(first[0])
    forced = state.take_forced()
    assert len(forced) > 1
    assert first[: 1 + len(forced)] == [first[0], *forced]


def test_copies_go_their_own_ways():
    state = state_of(regex="(azc|xyz)!", jump=True)
    left, right = state.copy(), state.copy()
    assert left.accept(ord("a"))
    assert right.accept(ord("x"))
    assert left.take_forced() == [*b"zc!", EOS]
    assert right.take_forced() == [*b"yz!", EOS]
    assert allowed_by(state) == [ord("a"), ord("x")]


def test_a_token_that_does_not_fit_is_an_error():
    state = state_of(regex="[ab]+")
    assert not state.accept(ord("c"))
    assert state.error.startswith("structured_outputs: ")


# ---- after ------------------------------------------------------------------------------------


def feed(state, text):
    return all(state.accept(token) for token in text.encode())


def test_text_before_the_marker_is_free():
    state = state_of(regex="[0-9]+", after="</think>", jump=True)
    assert state.next_mask() is None
    assert feed(state, "so < or </thin, well </</think")
    assert state.next_mask() is None
    assert not state.ended
    assert feed(state, ">")
    assert set(allowed_by(state)) == set(b"0123456789")


def test_an_answer_may_end_before_the_marker():
    state = state_of(regex="[0-9]+", after="</think>")
    assert state.accept(EOS)
    assert state.next_mask() is None


@pytest.mark.parametrize(
    ("marker", "tokens", "fits"),
    [("st", [260], True), ("o", [261], False), ("s", [262], False), ("t", [ord("t")], True),
     (" t", [263], False), ("<259>", [259], True)],
)  # fmt: skip
def test_a_token_may_reach_beyond_the_marker(marker, tokens, fits):
    """260 "st", 261 "op", 262 "stop", 263 " the": what is left over must fit."""
    state = state_of(regex="[0-9]+", after=marker)
    assert all(state.accept(token) for token in tokens) is fits
    if not fits:
        assert "right behind `after`" in state.error


def test_what_reaches_beyond_the_marker_counts():
    state = state_of(regex="op[0-9]", after="st")
    assert state.accept(262)  # "stop"
    assert set(allowed_by(state)) == set(b"0123456789")


# ---- vocabularies with a leading space ----------------------------------------------------------


def spm_compiler():
    """A token for each byte b at 3 + b, then "▁", "▁a" and "a"."""
    file = spm_file({"▁": -2.0, "▁a": -1.0, "a": -1.5})
    return GrammarCompiler(Tokenizer.from_gguf(file))


def test_every_token_with_the_same_bytes_is_allowed():
    state = spm_compiler().compile(StructuredOutputsParams(regex="[ab]"), jump=False)
    assert allowed_by(state) == [3 + ord("a"), 3 + ord("b"), 261]


def test_forced_text_gets_no_space_that_encode_would_add():
    state = spm_compiler().compile(StructuredOutputsParams(regex="[bc]axa[bc]"), jump=True)
    assert state.accept(3 + ord("b"))
    assert state.take_forced() == [261, 3 + ord("x"), 261]


def test_a_space_that_the_grammar_has_seen_is_kept():
    tokenizer = Tokenizer.from_gguf(spm_file({"▁": -2.0, "▁a": -1.0, "a": -1.5}))
    prompt = [tokenizer.bos_id]
    assert Detokenizer(tokenizer, after=prompt).add(260) == "a"
    assert Detokenizer(tokenizer, after=prompt, keep_first_space=True).add(260) == " a"
