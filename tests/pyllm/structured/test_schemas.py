"""JSON schemas in use: valid instances are accepted, invalid ones not, the rest refused by name.

The optional test material has a sample of MaskBench and the JSON Schema Test Suite; the corpus
below always runs.
"""

import json
import os
import re
from pathlib import Path

import pytest

from pyllm import RequestError
from tests.pyllm.structured.support import accepts, state_of

ROOT = Path(__file__).resolve().parents[3]
MATERIAL = Path(os.environ.get("PYLLM_TEST_MATERIAL", ROOT.parent / "shared" / "material"))
MASKBENCH = MATERIAL / "grammar" / "maskbench_sample.shared.jsonl"
SUITE = MATERIAL / "grammar" / "JSON-Schema-Test-Suite" / "tests" / "draft2020-12"

CORPUS = [
    ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "éü", "a\n\""], ["a", "abcd", 5]),
    ({"type": "string", "pattern": "^[a-z]+[0-9]$"}, ["ab1"], ["ab", "1", "aB1"]),
    ({"type": "string", "format": "date"}, ["2024-02-29"], ["2024-13-01", "today"]),
    ({"type": "string", "format": "uuid"}, ["0b9f4b3e-7d4c-4b5e-9d3a-1f2e3d4c5b6a"], ["0b9f"]),
    ({"type": "integer", "minimum": -5, "exclusiveMaximum": 100}, [-5, 0, 99], [-6, 100, 1.5]),
    ({"type": "number", "minimum": 0.5, "maximum": 1.25}, [0.5, 1, 1.25], [0.4, 1.26]),
    ({"type": "integer", "multipleOf": 12}, [0, 24, -36], [5, 13]),
    ({"enum": ["a", 1, None, {"b": [2]}]}, ["a", 1, None, {"b": [2]}], ["b", 2, {"b": [3]}]),
    ({"const": {"k": "v"}}, [{"k": "v"}], [{"k": "w"}, {}]),
    ({"type": ["integer", "null"]}, [1, None], ["1", True]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
     [[1], [1, 2, 3]], [[], [1, 2, 3, 4], ["1"]]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
     [[1, "a"], [1]], [["a"], [1, "a", 2]]),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
      "required": ["b"], "additionalProperties": False},
     [{"b": "x"}, {"a": 1, "b": "x"}], [{}, {"a": 1}, {"b": "x", "c": 1}]),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, [{}, {"x": 1}], [{"x": "1"}]),
    ({"type": "object", "patternProperties": {"^n_": {"type": "integer"}},
      "additionalProperties": False}, [{"n_a": 1}], [{"n_a": "1"}, {"m": 1}]),
    ({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "boolean"}}]},
     [5, [True]], ["5", [1]]),
    ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]}, [3, 5], [2, 6]),
    ({"$defs": {"tree": {"type": "object", "properties": {
        "value": {"type": "integer"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
        "required": ["value"], "additionalProperties": False}}, "$ref": "#/$defs/tree"},
     [{"value": 1}, {"value": 1, "children": [{"value": 2, "children": []}]}],
     [{"value": 1, "children": [{}]}, {"children": []}]),
]  # fmt: skip


def written(instance, indent=None):
    return json.dumps(instance, ensure_ascii=False, indent=indent)


@pytest.mark.parametrize(("schema", "valid", "invalid"), CORPUS)
def test_the_corpus(schema, valid, invalid):
    state = state_of(json=schema)
    for indent in (None, 2):
        assert [x for x in valid if not accepts(state, written(x, indent))] == []
        assert [x for x in invalid if accepts(state, written(x, indent))] == []


@pytest.mark.skipif(not MASKBENCH.exists(), reason=f"{MASKBENCH} is not there (optional material)")
def test_maskbench():
    """878 schemas in use: every instance as its label says, whatever is refused says why."""
    supported, refused, wrong = 0, [], []
    for line in MASKBENCH.read_text("utf-8").splitlines():
        entry = json.loads(line)
        try:
            state = state_of(json=entry["schema"])
        except RequestError as error:
            refused.append(str(error))
            continue
        supported += 1
        wrong += [
            (entry["description"], test["valid"], written(test["data"])[:100])
            for test in entry["tests"]
            if accepts(state, written(test["data"])) is not test["valid"]
        ]
    assert wrong == []
    assert (supported, len(refused)) == (805, 73)
    reason = re.compile(
        r"structured_outputs\.json(: .*: is not possible: \w|\.multipleOf: [0-9.]+: )"
    )
    assert [text for text in refused if not reason.match(text)] == []


@pytest.mark.skipif(not SUITE.exists(), reason=f"{SUITE} is not there (optional material)")
def test_json_schema_test_suite():
    """No invalid instance passes. Valid ones may not: 1.0 as an integer, properties in disorder."""
    supported = refused = accepted = 0
    wrong = []
    for path in sorted(SUITE.glob("*.json")):
        for group in json.loads(path.read_text("utf-8")):
            try:
                state = state_of(json=group["schema"])
            except RequestError:
                refused += 1
                continue
            supported += 1
            for test in group["tests"]:
                if accepts(state, written(test["data"])):
                    accepted += test["valid"]
                    if not test["valid"]:
                        wrong.append((path.name, group["description"], test["description"]))
    assert wrong == []
    assert supported > 150
    assert accepted > 300
