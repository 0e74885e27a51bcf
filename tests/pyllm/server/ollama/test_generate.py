from __future__ import annotations

import json

import httpx


def test_a_prompt_is_answered_through_the_template(http: httpx.Client) -> None:
    body = {"model": "demo", "prompt": "What is 3 + 4?", "options": {"temperature": 0}}
    whole = http.post("/api/generate", json={**body, "stream": False}).json()
    assert whole["response"] == "3 + 4 = 7."
    with http.stream("POST", "/api/generate", json=body) as response:
        found = [json.loads(line) for line in response.iter_lines() if line]
    assert "".join(line["response"] for line in found) == "3 + 4 = 7."
    assert found[-1]["context"] == whole["context"]


def test_raw_prompts_go_on_as_they_are_and_num_predict_ends_them(http: httpx.Client) -> None:
    body = {"model": "demo", "prompt": "One two", "raw": True, "stream": False}
    found = http.post("/api/generate", json={**body, "options": {"num_predict": 3}}).json()
    assert found["eval_count"] == 3
    assert found["done_reason"] == "length"


def test_the_system_message_is_read_behind_a_context_too(http: httpx.Client) -> None:
    body = {"model": "demo", "prompt": "What is 3 + 4?", "stream": False}
    first = http.post("/api/generate", json=body).json()
    body |= {"context": first["context"]}
    less = http.post("/api/generate", json=body).json()
    more = http.post("/api/generate", json={**body, "system": "Answer in one word."}).json()
    assert more["prompt_eval_count"] > less["prompt_eval_count"]


def test_a_system_message_has_no_place_in_a_raw_prompt(http: httpx.Client) -> None:
    body = {"model": "demo", "prompt": "One two", "raw": True, "system": "Answer in one word."}
    answer = http.post("/api/generate", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("system: ")


def test_the_system_message_is_read(http: httpx.Client) -> None:
    body = {"model": "demo", "prompt": "Hello", "stream": False, "options": {"num_predict": 1}}
    plain = http.post("/api/generate", json=body).json()["prompt_eval_count"]
    more = http.post("/api/generate", json={**body, "system": "Answer in one word."}).json()
    assert more["prompt_eval_count"] > plain
