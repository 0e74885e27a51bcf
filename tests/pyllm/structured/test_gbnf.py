"""GBNF grammars mean in Lark what they mean in llama.cpp."""

import json
import os
from pathlib import Path

import pytest

from pyllm import RequestError
from pyllm.structured.gbnf import is_gbnf, lark_of_gbnf
from tests.pyllm.structured.support import accepts, state_of

ROOT = Path(__file__).resolve().parents[3]
MATERIAL = Path(os.environ.get("PYLLM_TEST_MATERIAL", ROOT.parent / "shared" / "material"))
GRAMMARS = MATERIAL / "grammar"

CASES = {
    "escapes": ('root ::= "\\u0041" [^\\u0000-\\u001f] "\\"\\\\"', ['Ab"\\'], ['A\n"\\', "Ab"]),
    "what Lark would read": ('root ::= "a/b" [/&&a~] "{"', ["a/b/{", "a/b&{"], ["a/bb{"]),
    "recursion": ('root ::= "(" root ")" | "x" "y"?', ["((x))", "(xy)"], ["((x)", "x)"]),
    "unicode": ('root ::= [ぁ-ゟ]+ "é"', ["あé", "あいé"], ["é", "aé"]),
    "names": ('root ::= a-b a_b\na-b ::= "x"\na_b ::= "y"', ["xy"], ["x", "yx"]),
    "repetition": (
        'root ::= ("a"{2}){3} "b"{1,} "c"{0,2} "" d\nd ::= | "z" d',
        ["aaaaaab", "aaaaaabbcczz"], ["aaaab", "aaaaaa", "aaaaaabccc"],
    ),
    "repeated repetition": ('root ::= "ab"{2}? "c"', ["c", "ababc"], ["abc"]),
    "no longest match": ('root ::= word "x"\nword ::= [a-z]+', ["abx", "xx"], ["ab", "x"]),
    "comments": ('# hi\nroot ::= "a" | # x\n "b" # y\n\n', ["a", "b"], ["c", ""]),
    "dashes": ("root ::= [a-z-]+ [+-] [\\]]", ["a-b+]"], ["a+"]),
    "any character": ('root ::= . "."', ["a.", "\n.", "é."], ["a", "aa"]),
    "nothing": ('root ::= ""', [""], ["a"]),
    "empty alternative": ('root ::= ("a" | ) "b"', ["ab", "b"], ["a"]),
    "groups over lines": ('root ::= (\n "a"\n | "b"\n)', ["a", "b"], ["ab"]),
    "last definition": ('root ::= x\nx ::= "a"\nx ::= "b"', ["b"], ["a"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_texts_are_accepted_and_refused(name):
    grammar, accepted, refused = CASES[name]
    state = state_of(grammar=grammar)
    assert [text for text in accepted if not accepts(state, text)] == []
    assert [text for text in refused if accepts(state, text)] == []


@pytest.mark.parametrize(
    ("grammar", "message"),
    [('root ::= "a', "line 1: expected a character"),
     ("root ::= x", "'x': is used in line 1, but not defined"),
     ('a ::= "x"', "'root': is not defined"),
     ('root ::= "a"\nb = "x"', "line 2: expected ::="),
     ('root ::= "a"\n  | "b"', "line 2: expected a rule's name"),
     ('root ::= "\\q"', "expected a character or an escape"),
     ("root ::= [^]", "a class of no characters"),
     ("root ::= [\\uD800]", "U+D800 is no character"),
     ('root ::= ("a"', "line 1: expected )"),
     ('root ::= "a" )', "expected the end of the line"),
     ("root ::= " + "(" * 3000 + '"a"' + ")" * 3000, "nested 100 deep")],
)  # fmt: skip
def test_faults_are_named_with_their_line(grammar, message):
    with pytest.raises(RequestError) as caught:
        lark_of_gbnf(grammar)
    assert message in str(caught.value)


def test_lark_is_told_from_gbnf():
    assert is_gbnf('# x\nroot  ::= "a"')
    assert not is_gbnf("start: /::=/")


def vectors():
    path = GRAMMARS / "vectors" / "llamacpp_grammar_accept_reject.shared.json"
    cases = json.loads(path.read_text("utf-8")) if path.exists() else []
    return [case for case in cases if case["kind"] == "grammar"]


@pytest.mark.skipif(not GRAMMARS.exists(), reason=f"no test material in {GRAMMARS}")
def test_grammars_of_llama_cpp():
    """What llama.cpp's own tests accept and refuse, and the examples that come with it."""
    for case in vectors():
        state = state_of(grammar=case["grammar"])
        assert [text for text in case["accept"] if not accepts(state, text)] == [], case["name"]
        assert [text for text in case["reject"] if accepts(state, text)] == [], case["name"]
    examples = sorted((GRAMMARS / "gbnf").glob("*.gbnf"))
    assert len(examples) == 8
    for path in examples:
        state_of(grammar=path.read_text("utf-8"))
