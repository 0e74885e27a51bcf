"""Which requests are handed over next to each other."""

from pyllm.kv.prefix_order import sharers_together
from pyllm.request import Request
from pyllm.sampling.params import SamplingParams
from tests.pyllm.fake_program import FakeTokenizer


def request(name: str, ids: list[int]) -> Request:
    return Request(
        name, None, ids, SamplingParams(), tokenizer=FakeTokenizer(), max_model_len=99,
        default_seed=1, grammars=no_grammars,
    )  # fmt: skip


def no_grammars():
    raise AssertionError("no request here has one")


def test_those_that_share_a_prefix_stand_together():
    first, second = [260, 1, 2, 3], [7, 256, 9]
    prompts = {"a": [*first, 4], "b": [*second, 5], "c": first, "d": second, "e": [*first, 4, 8]}
    names = [r.request_id for r in sharers_together(request(n, ids) for n, ids in prompts.items())]
    assert sorted(names) == sorted(prompts)
    assert "cae" in "".join(names), "the shorter prompt is computed first"
    assert "db" in "".join(names)


def test_equal_prompts_keep_their_order():
    requests = [request(name, [1, 2]) for name in "zyx"]
    assert sharers_together(requests) == requests


def test_nothing_is_lost_when_there_is_nothing():
    assert sharers_together([]) == []
