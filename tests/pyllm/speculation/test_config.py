"""The configuration: vLLM's names, one readable line for what cannot be."""

import pytest

from pyllm.errors import RequestError
from pyllm.speculation.config import SpeculativeConfig, draft_rows, read_speculative_config


def test_the_default_is_prompt_lookup():
    assert read_speculative_config(None) == read_speculative_config(True) == SpeculativeConfig()
    assert read_speculative_config({}) == SpeculativeConfig(method="ngram")
    assert read_speculative_config(False) is None


def test_a_model_means_a_draft_model():
    config = read_speculative_config({"model": "small.gguf", "num_speculative_tokens": 5})
    assert config == SpeculativeConfig("draft_model", "small.gguf", 5)


def test_one_bound_of_the_lookup_may_be_given_alone():
    def bounds(**given):
        config = read_speculative_config({"method": "ngram", **given})
        return config.prompt_lookup_min, config.prompt_lookup_max

    assert bounds(prompt_lookup_max=4) == (2, 4)
    assert bounds(prompt_lookup_max=1) == (1, 1)
    assert bounds(prompt_lookup_min=3) == (3, 8)
    assert bounds(prompt_lookup_min=10) == (10, 10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ngram", "speculative_config: 'ngram': must be a dictionary or False"),
        ({"methode": 1}, r"speculative_config\.methode: 1: is not known; allowed: method, min_d"),
        ({"method": "eagle"}, r"\.method: 'eagle': must be one of ngram, draft_model"),
        ({"method": "draft_model"}, r"\.model: None: a draft model needs the path"),
        ({"method": "ngram", "model": "x"}, r"\.model: 'x': needs method \"draft_model\""),
        ({"num_speculative_tokens": 0}, r"\.num_speculative_tokens: 0"),
        ({"num_speculative_tokens": 65}, r"\.num_speculative_tokens: 65"),
        ({"num_speculative_tokens": "5"}, r"\.num_speculative_tokens: '5'"),
        ({"min_draft_tokens": 17}, r"\.min_draft_tokens: 17"),
        ({"prompt_lookup_min": 9, "prompt_lookup_max": 8}, r"\.prompt_lookup_min: 9"),
        ({"prompt_lookup_max": "4"}, r"\.prompt_lookup_max: '4'"),
    ],
)
def test_what_cannot_be_honoured_is_refused(given, message):
    with pytest.raises(RequestError, match=message):
        read_speculative_config(given)


def test_rows_of_logits_are_bounded():
    config = SpeculativeConfig(num_speculative_tokens=16)
    assert draft_rows(None, 16, 32_000) == 0
    assert draft_rows(config, 1, 128_256) == 16
    assert draft_rows(config, 4, 1_000) == 64
    assert draft_rows(config, 64, 128_256) * 128_256 * 4 <= 32 << 20
    assert draft_rows(config, 16, 10_000_000) == 16
