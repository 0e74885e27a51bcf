from __future__ import annotations

import json
from typing import Any

from pyllm.cli.batch_bytes import Counts, reproducible


def changed(answer: dict[str, Any]) -> tuple[Any, Counts]:
    body, counts = reproducible(json.dumps(answer).encode(), "f00d")
    return json.loads(body), counts


def test_what_differs_from_run_to_run_is_left_out() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached": 1}}
    chat = {"id": "chatcmpl-1", "created": 1764187200, "timings": {"cache_n": 1}, "usage": usage}
    found, counts = changed(chat)
    kept = {"prompt_tokens": 5, "completion_tokens": 3}
    assert found == {"id": "chatcmpl-1", "created": 0, "usage": kept}
    assert counts == Counts(5, 3)


def test_ids_of_a_response_come_from_its_line() -> None:
    usage = {"input_tokens": 2, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 2}}
    response = {
        "id": "resp_a1b2",
        "object": "response",
        "created_at": 5,
        "completed_at": 6,
        "output": [{"id": "msg_a1b2_0"}],
        "usage": usage,
    }
    found, counts = changed(response)
    assert (found["id"], found["output"][0]["id"]) == ("resp_f00d", "msg_f00d_0")
    assert (found["created_at"], found["completed_at"]) == (0, 0)
    assert found["usage"]["input_tokens_details"] == {"cached_tokens": 0}
    assert counts == Counts(2, 1)


def test_errors_stay_as_they_are() -> None:
    error = {"error": {"message": "no", "param": None}}
    assert changed(error) == (error, Counts())
