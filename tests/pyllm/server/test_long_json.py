from __future__ import annotations

from typing import Any

import pytest

from pyllm.server import long_json as module
from pyllm.server.long_json import long_json
from pyllm.server.streams import to_json

ENTRY = {"token": "ä\u2028", "logprob": -1.5, "bytes": [1, 2, 3]}
SCORED = [{**ENTRY, "top_logprobs": [ENTRY] * 20} for _ in range(300)]
VALUES: dict[str, Any] = {
    "nothing": None,
    "text": 'a "quoted"\n\u2028 text',
    "half of a pair": "\ud800",
    "empty": {"list": [], "object": {}, "text": ""},
    "numbers": list(range(100_000)),
    "one long list": [[1.5] * 5000],
    "many objects": [{"index": index} for index in range(10_000)],
    "an answer": {"choices": [{"index": 0, "logprobs": {"content": SCORED}}], "usage": None},
    "many answers": [{"content": SCORED, "more": [True, None]}] * 70,
    "many fields": {str(number): [number] for number in range(5000)},
}


@pytest.mark.parametrize("name", VALUES)
def test_it_is_the_json_of_all_others(name: str) -> None:
    assert long_json(VALUES[name]) == to_json(VALUES[name])


@pytest.mark.parametrize("count", [0, 1, 64, 300])
def test_the_items_of_an_iterator_are_a_list(count: int) -> None:
    items = SCORED[:count]
    assert long_json({"content": iter(items)}) == to_json({"content": items})
    assert to_json({"content": iter(items)}) == to_json({"content": items})
    with pytest.raises(TypeError):
        to_json({1, 2})


@pytest.mark.parametrize("name", ["numbers", "one long list", "an answer", "many answers"])
def test_it_is_written_in_short_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def step(value: Any) -> bytes:
        written = to_json(value)
        steps.append(len(written))
        return written

    monkeypatch.setattr(module, "to_json", step)
    assert sum(steps) <= len(long_json(VALUES[name])) + 2 * len(steps)
    assert max(steps) < 64 * 1024
