"""Compiling: what is possible, what is refused by name, and what is too much."""

import json
import threading

import pytest

from pyllm import RequestError
from pyllm.structured import StructuredOutputsParams, compiler
from pyllm.structured.compiler import GrammarCompiler
from tests.pyllm.fake_program import FakeTokenizer
from tests.pyllm.structured.support import accepts, byte_compiler, state_of


def deep(depth):
    return '{"type":"array","items":' * depth + "{}" + "}" * depth


CASES = [
    ({"regex": r"\d{3}-[a-z]+"}, ["123-ab"], ["12-ab", "123-", ""]),
    ({"regex": "a/b\n[^/]"}, ["a/b\nc"], ["a/b\n/"]),
    ({"regex": ""}, [""], ["a"]),
    ({"choice": ["yes", "no", "not"]}, ["yes", "no", "not"], ["y", "yesno", ""]),
    ({"choice": ['a/b"\\', "\n\0x", "é✓"]}, ['a/b"\\', "\n\0x", "é✓"], ["a"]),
    ({"grammar": 'start: "a" B\nB: /[0-9]+/'}, ["a1"], ["a", "1"]),
    ({"json_object": True}, ["{}", '{"a": [1, null]}', '{\n  "a": 1\n}'], ["[]", "1", "{", " {}"]),
    ({"json": {"type": "integer"}}, ["1", "-20"], ["1.5", '"a"']),
    ({"json": '{"type": "integer"}'}, ["1"], ["1.5"]),
    ({"json": True}, ["1", "[]", '"a"'], ["x"]),
    ({"json": {"type": "array"}, "disable_any_whitespace": True}, ["[1,2]"], ["[1, 2]"]),
    ({"json": {"type": "array"}, "whitespace_pattern": "_"}, ["[1,_2]"], ["[1, 2]", "[1,__2]"]),
    ({"json": {"type": "array"}}, ["[1,\n\n    2]", "[ 1 ]"], ["[1,\n\n\n2]", "[1,    2]"]),
    ({"json": {"type": "array", "x-guidance": {"whitespace_flexible": False}}}, ["[1]"], []),
    (
        {"json": {"properties": {"a": {"type": "integer"}}, "type": "object"}},
        ["{}", '{"a": 1}', '{"b": 1}'], ['{"a": "x"}'],
    ),
    (
        {"json": {"properties": {"a": {}}}, "disable_additional_properties": True},
        ["{}", '{"a": 1}'], ['{"b": 1}'],
    ),
    ({"json": json.loads(deep(50))}, ["[" * 50 + "]" * 50], ["[" * 50]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "accepted", "refused"), CASES)
def test_texts_are_accepted_and_refused(fields, accepted, refused):
    state = state_of(**fields)
    assert [text for text in accepted if not accepts(state, text)] == []
    assert [text for text in refused if accepts(state, text)] == []


TAG = {
    "structures": [
        {"begin": "<f=a>", "schema": {"type": "integer"}, "end": "</f>"},
        {"begin": "<f=b>", "schema": {"type": "string"}, "end": "</f>"},
    ],
    "triggers": ["<f="],
}


@pytest.mark.parametrize("tag", [TAG, json.dumps(TAG)])
def test_structural_tags(tag):
    state = state_of(structural_tag=tag)
    for text in ("free text", "", 'x <f=a>5</f> y <f=b>"z"</f>', "<f>", "a < b"):
        assert accepts(state, text), text
    for text in ('<f=a>"5"</f>', "<f=c>5</f>", "<f=a>5", "x <f="):
        assert not accepts(state, text), text


def test_a_trigger_may_be_a_special_token():
    """The fake tokenizer's 259 is a control token: its text alone is text like any other."""
    structure = {"begin": "<259>", "schema": {"type": "integer"}, "end": "<258>"}
    state = state_of(structural_tag={"structures": [structure], "triggers": ["<259>"]})
    assert accepts(state, "<259>no call")
    called = state.copy()
    assert all(called.accept(token) for token in [*b"x", 259, *b"5", 258])
    answered = state.copy()
    assert all(answered.accept(token) for token in [*b"x", 259])
    assert not answered.accept(ord("a"))


REFUSED = [
    ({"json": "{"}, "structured_outputs.json: '{': is not JSON"),
    ({"json": {"type": "frob"}}, "Invalid type: frob"),
    ({"json": {"not": {"type": "string"}}}, 'Unimplemented keys: ["not"]'),
    ({"json": {"type": "string", "format": "frob"}}, "Unknown format: frob"),
    ({"json": {"uniqueItems": True, "type": "array"}}, 'Unimplemented keys: ["uniqueItems"]'),
    ({"json": {"type": "integer", "minimum": 5, "maximum": 3}}, "minimum (5) is greater"),
    ({"json": False}, "schema is false"),
    ({"json": {"$ref": "#"}}, "is not possible"),
    ({"json": {"a": {1, 2}}}, "is not JSON"),
    ({"json": {"a": float("nan")}}, "is not JSON"),
    ({"regex": "(a"}, "unclosed group"),
    ({"regex": "(?=a)b"}, "look-around"),
    ({"regex": r"[^\s\S]"}, "is not possible"),
    ({"grammar": "start: start"}, "is not possible"),
    ({"grammar": "start: unknown"}, "unknown"),
    ({"grammar": "\x00\xff!!!"}, "lexer error"),
    ({"grammar": 'start: %json {"type": '}, "must be followed by a JSON schema"),
    ({"structural_tag": {"triggers": ["<"]}}, "must be {\"structures\""),
    ({"structural_tag": {"structures": [{"begin": "x"}], "triggers": ["<"]}}, "begin with one"),
    ({"structural_tag": {"structures": [5], "triggers": ["<"]}}, "must be {\"structures\""),
    ({"structural_tag": {"structures": [{"begin": "<"}], "triggers": [""]}}, "non-empty strings"),
    ({"structural_tag": {"structures": [{"begin": 5}], "triggers": ["<"]}}, "must be strings"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_what_is_impossible_or_unsupported_is_named(fields, message):
    with pytest.raises(RequestError) as caught:
        state_of(**fields)
    assert message in str(caught.value)
    assert str(caught.value).startswith("structured_outputs.")
    assert "\n" not in str(caught.value)


HOSTILE = {
    "deep schema": {"json": deep(100_000)[:200_000]},
    "deep object": {"json": deep(900)},
    "deep regex": {"regex": "(" * 100_000 + "a" + ")" * 100_000},
    "deep Lark": {"grammar": "start: " + "(" * 100_000 + '"a"' + ")" * 100_000},
    "deep GBNF": {"grammar": "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000},
    "big multiple": {"json": {"type": "integer", "multipleOf": 10**9 + 7}},
    "multiples of many": {"json": {"allOf": [{"multipleOf": 9973}, {"multipleOf": 9967}]}},
    "multiple in Lark": {"grammar": 'start: %json {"type": "integer", "multipleOf": 1000003}'},
    "many patterns": {
        "json": {"type": "object", "patternProperties": {f"^a{i}$": {} for i in range(400)}}
    },
    "many objects": {
        "json": {
            "allOf": [
                {"anyOf": [{"properties": {f"p{i}_{j}": {}}} for j in range(10)]} for i in range(12)
            ]
        }
    },
    "many properties": {
        "json": {"properties": {f"p{i}": {"pattern": f"^[a-z]{{1,{i}}}$"} for i in range(3000)}}
    },
    "doubling terminals": {
        "grammar": "start: A0\n" + "\n".join(f"A{i}: A{i + 1} A{i + 1}" for i in range(60))
        + '\nA60: "x"'
    },
    "intersections": {
        "json": {"allOf": [{"type": "string", "pattern": f"a.{{{k}}}b"} for k in range(10, 30)]}
    },
    "huge range": {"json": {"type": "number", "minimum": -1e300, "maximum": 1e300}},
    "references in a circle": {
        "json": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
                 "$ref": "#/$defs/a"}
    },
    "remote reference": {"json": {"$ref": "http://localhost/x.json"}},
    "digits": {"json": '{"multipleOf": ' + "9" * 5000 + "}"},
    "a list in itself": {"json": {"enum": (loop := [])}},
    "surrogates": {"choice": ["\ud800"]},
    "huge text": {"grammar": "start: " + '"a" ' * 100_000},
}  # fmt: skip
loop.append(loop)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_grammars_are_refused(name):
    with pytest.raises(RequestError) as caught:
        state_of(**HOSTILE[name])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_grammar_that_takes_too_long_is_left_behind(monkeypatch):
    """Its thread goes on; as long as there are few of these, others compile beside it."""
    monkeypatch.setattr(compiler, "BUDGET_S", 0.2)
    compile_now = compiler._compiled
    release = threading.Event()

    def compiled(tokenizer, grammar):
        if "slow" in grammar:
            release.wait(30)
        return compile_now(tokenizer, grammar)

    monkeypatch.setattr(compiler, "_compiled", compiled)
    grammars = GrammarCompiler(FakeTokenizer())
    slow, quick = (StructuredOutputsParams(choice=[text]) for text in ("slow", "quick"))
    for _ in range(3):
        with pytest.raises(RequestError, match=r"takes longer than 0\.2 s to compile"):
            grammars.compile(slow, jump=True)
    assert accepts(grammars.compile(quick, jump=True), "quick")
    with pytest.raises(RequestError, match="takes longer"):
        grammars.compile(slow, jump=True)
    other = StructuredOutputsParams(choice=["other"])
    with pytest.raises(RequestError, match="is busy with 4 other grammars; try again later"):
        grammars.compile(other, jump=True)
    release.set()
    for _ in range(100):
        try:
            assert accepts(grammars.compile(other, jump=True), "other")
        except RequestError:
            continue
        break
    else:
        pytest.fail("no place became free again")


def test_a_thread_that_cannot_start_leaves_its_place_to_others(monkeypatch):
    class Unstartable(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread")

    grammars = GrammarCompiler(FakeTokenizer())
    params = StructuredOutputsParams(choice=["a"])
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", Unstartable)
        for _ in range(compiler._MOST_AT_ONCE + 1):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                grammars.compile(params, jump=True)
    assert accepts(grammars.compile(params, jump=True), "a")


def test_a_grammar_known_to_be_quick_is_compiled_when_its_first_mask_is_written(monkeypatch):
    compiled = []
    compile_now = compiler._compiled
    monkeypatch.setattr(
        compiler, "_compiled", lambda *args: compiled.append(args) or compile_now(*args)
    )
    monkeypatch.setattr(compiler, "_QUICK_S", 60)
    grammars = GrammarCompiler(FakeTokenizer())
    params = StructuredOutputsParams(choice=["one", "two"])
    grammars.compile(params, jump=True)
    assert len(compiled) == 1
    states = [grammars.compile(params, jump=True) for _ in range(10)]
    assert len(compiled) == 1
    for state in states[:3]:
        twin = state.copy()
        assert [accepts(s, "two") for s in (state, twin)] == [True, True]
    assert len(compiled) == 4
    free_first = StructuredOutputsParams(choice=["one", "two"], after="x")
    grammars.compile(free_first, jump=True)  # its first mask may be wanted by the engine itself
    assert len(compiled) == 5


def test_only_so_many_grammars_are_known(monkeypatch):
    monkeypatch.setattr(compiler, "_MOST_KNOWN", 2)
    monkeypatch.setattr(compiler, "_QUICK_S", 60)
    grammars = GrammarCompiler(FakeTokenizer())
    for text in ("one", "two", "three"):
        grammars.compile(StructuredOutputsParams(choice=[text]), jump=True)
    assert len(grammars._quick) == 2


def test_a_vocabulary_without_an_end_is_refused():
    class Endless(FakeTokenizer):
        eog_ids = frozenset()

    with pytest.raises(RequestError, match="end-of-generation token"):
        GrammarCompiler(Endless()).compile(StructuredOutputsParams(choice=["a"]), jump=True)


def test_the_vocabulary_is_made_once():
    grammars = byte_compiler()
    params = StructuredOutputsParams(choice=["a"])
    assert grammars._get_vocabulary(params) is grammars._get_vocabulary(params)
