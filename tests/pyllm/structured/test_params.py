"""What is refused before anything is compiled, and how it is named."""

import pytest

from pyllm import RequestError, SamplingParams, StructuredOutputsParams


def test_a_dict_of_the_fields_will_do():
    params = SamplingParams(structured_outputs={"choice": ["a", "b"]})
    assert params.structured_outputs == StructuredOutputsParams(choice=["a", "b"])
    assert params.structured_outputs.kind == "choice"


def test_json_object_false_asks_for_nothing():
    assert StructuredOutputsParams(json_object=False, regex="a").kind == "regex"


@pytest.mark.parametrize(
    ("fields", "message"),
    [({}, "exactly one of json, regex"),
     ({"regex": "a", "choice": ["a"]}, "exactly one of"),
     ({"json": 5}, "structured_outputs.json: 5: must be a JSON schema"),
     ({"regex": 5}, "structured_outputs.regex: 5: must be a string"),
     ({"grammar": ""}, "structured_outputs.grammar: '': must not be empty"),
     ({"grammar": "x" * 300_000}, "at most 262144 characters"),
     ({"regex": "\ud800"}, "lone surrogates"),
     ({"choice": "yes"}, "must be a list of at least one string"),
     ({"choice": []}, "must be a list of at least one string"),
     ({"choice": ["a", 5]}, "structured_outputs.choice: 5: every choice must be a string"),
     ({"choice": ["x" * 300_000]}, "at most 262144 characters in all"),
     ({"json_object": "yes"}, "structured_outputs.json_object: 'yes': must be True or False"),
     ({"regex": "a", "disable_any_whitespace": 1}, "disable_any_whitespace: 1: must be True"),
     ({"regex": "a", "after": ""}, "structured_outputs.after: '': must not be empty"),
     ({"structural_tag": 5}, "must be JSON text or a dict"),
     ({"frob": 1}, "structured_outputs: 'frob': is no field")],
)  # fmt: skip
def test_impossible_fields_are_named(fields, message):
    with pytest.raises(RequestError) as caught:
        SamplingParams(structured_outputs=fields)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [5, "json", object(), ["json"]])
def test_other_things_are_refused(value):
    with pytest.raises(RequestError, match=r"structured_outputs: .*dict of its fields"):
        SamplingParams(structured_outputs=value)


def test_fields_changed_later_are_checked_with_the_request():
    params = SamplingParams(structured_outputs={"regex": "a"})
    params.structured_outputs.regex = 5
    with pytest.raises(RequestError, match=r"structured_outputs\.regex"):
        params.validate()
