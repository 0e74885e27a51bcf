from __future__ import annotations

import httpx

from tests.pyllm.server.sse import events


def test_a_prompt_goes_on(http: httpx.Client) -> None:
    body = {"prompt": "One two", "n_predict": 4, "temperature": 0, "n_probs": 2}
    whole = http.post("/completion", json=body).json()
    assert whole["stop"] is True
    assert whole["stop_type"] == "limit"
    assert whole["tokens_predicted"] == len(whole["tokens"]) == 4
    probabilities = whole["completion_probabilities"]
    assert [entry["id"] for entry in probabilities] == whole["tokens"]
    for entry in probabilities:  # greedy: the most probable was taken
        assert entry["top_logprobs"][0]["id"] == entry["id"]
        assert len(entry["top_logprobs"]) == 2
    with http.stream("POST", "/completion", json={**body, "stream": True}) as response:
        found = events(response)
    assert "".join(part["content"] for part in found) == whole["content"]
    assert [part["stop"] for part in found] == [False] * (len(found) - 1) + [True]
    assert [token for part in found for token in part["tokens"]] == whole["tokens"]


def test_a_stop_string_is_named(http: httpx.Client) -> None:
    whole = http.post(
        "/completion", json={"prompt": "One two", "temperature": 0, "n_predict": 8}
    ).json()
    word = whole["content"].split()[1]
    body = {"prompt": "One two", "temperature": 0, "n_predict": 8, "stop": [word]}
    found = http.post("/completion", json=body).json()
    assert (found["stop_type"], found["stopping_word"]) == ("word", word)
    assert word not in found["content"]


def test_a_model_that_cannot_fill_in_says_so(http: httpx.Client) -> None:
    response = http.post("/infill", json={"input_prefix": "def f(", "input_suffix": "return 1"})
    assert response.status_code == 400
    assert "no tokens for filling in" in response.json()["error"]["message"]
