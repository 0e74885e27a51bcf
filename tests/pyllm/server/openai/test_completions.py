from __future__ import annotations

from typing import Any

import httpx

from tests.pyllm.server.sse import events


def complete(http: httpx.Client, **body: Any) -> dict[str, Any]:
    whole = {"model": "demo", "temperature": 0, "max_tokens": 8, **body}
    response = http.post("/v1/completions", json=whole)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_a_text_goes_on(http: httpx.Client) -> None:
    body = complete(http, prompt="One two three")
    assert body["object"] == "text_completion"
    assert body["choices"][0]["text"]
    assert body["usage"]["completion_tokens"] <= 8


def test_many_prompts_and_several_answers_each_keep_their_order(http: httpx.Client) -> None:
    body = complete(http, prompt=["One two", "Red green"], n=2, temperature=1.2, seed=3)
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    alone = complete(http, prompt="Red green", n=2, temperature=1.2, seed=3)
    assert [c["text"] for c in body["choices"][2:]] == [c["text"] for c in alone["choices"]]


def test_echo_with_the_log_probabilities_of_the_prompt(http: httpx.Client) -> None:
    choice = complete(http, prompt="One two three", echo=True, logprobs=2)["choices"][0]
    lists = choice["logprobs"]
    assert choice["text"].startswith("One two three")
    assert lists["token_logprobs"][0] is None
    assert all(value <= 0 for value in lists["token_logprobs"][1:])
    assert len({len(values) for values in lists.values()}) == 1
    assert lists["text_offset"] == sorted(lists["text_offset"])


def test_a_stream_says_the_same(http: httpx.Client) -> None:
    whole = complete(http, prompt=["One two", "Red green"])
    body = {"model": "demo", "temperature": 0, "max_tokens": 8, "prompt": ["One two", "Red green"]}
    with http.stream("POST", "/v1/completions", json={**body, "stream": True}) as response:
        found = events(response)
    assert found.pop() == "[DONE]"
    texts = ["", ""]
    for chunk in found:
        texts[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert texts == [choice["text"] for choice in whole["choices"]]


def test_token_ids_are_prompts_too(http: httpx.Client) -> None:
    ids = http.post("/tokenize", json={"prompt": "One two three"}).json()["tokens"]
    assert (
        complete(http, prompt=ids)["choices"] == complete(http, prompt="One two three")["choices"]
    )


def test_a_stream_has_the_same_token_ids(http: httpx.Client) -> None:
    fields = {"model": "demo", "temperature": 0, "max_tokens": 8, "return_token_ids": True}
    body = {**fields, "prompt": ["One two", "Red green"]}
    whole = http.post("/v1/completions", json=body).json()["choices"]
    with http.stream("POST", "/v1/completions", json={**body, "stream": True}) as response:
        chunks = [chunk["choices"][0] for chunk in events(response)[:-1]]
    for index in range(2):
        mine = [chunk for chunk in chunks if chunk["index"] == index]
        assert [t for chunk in mine for t in chunk["token_ids"]] == whole[index]["token_ids"]
        assert mine[0]["prompt_token_ids"] == whole[index]["prompt_token_ids"]
        assert not any("prompt_token_ids" in chunk for chunk in mine[1:])


def test_an_echo_in_a_stream_brings_the_ids_of_the_prompt(http: httpx.Client) -> None:
    body = {"model": "demo", "max_tokens": 2, "prompt": "One two", "echo": True, "logprobs": 1}
    more = {"stream": True, "return_token_ids": True}
    with http.stream("POST", "/v1/completions", json={**body, **more}) as response:
        first = events(response)[0]["choices"][0]
    assert first["text"] == "One two"
    assert first["token_ids"] == []
    assert len(first["logprobs"]["tokens"]) == len(first["prompt_token_ids"])


def test_an_echo_of_a_long_prompt_streams_for_every_choice(http: httpx.Client) -> None:
    """Only the first choice scores the prompt, over several steps; the others read it at once."""
    prompt = [1, *range(300, 500)]
    fields = {"model": "demo", "max_tokens": 3, "prompt": prompt, "n": 3, "seed": 1}
    body = {**fields, "echo": True, "logprobs": 1}
    whole = http.post("/v1/completions", json=body).json()["choices"]
    with http.stream("POST", "/v1/completions", json={**body, "stream": True}) as response:
        chunks = [chunk["choices"][0] for chunk in events(response)[:-1]]
    for index in range(3):
        mine = [chunk for chunk in chunks if chunk["index"] == index]
        assert "".join(chunk["text"] for chunk in mine) == whole[index]["text"]
        found = [value for c in mine if c["logprobs"] for value in c["logprobs"]["token_logprobs"]]
        assert found == whole[index]["logprobs"]["token_logprobs"]
        assert len(found) > len(prompt)


def test_log_probabilities_of_the_prompt_are_as_vllm_writes_them(http: httpx.Client) -> None:
    body = complete(http, prompt="One two three", prompt_logprobs=2, return_token_ids=True)
    choice = body["choices"][0]
    first, *rest = choice["prompt_logprobs"]
    assert first is None
    for token, found in zip(choice["prompt_token_ids"][1:], rest, strict=True):
        assert len(found) in (2, 3)
        assert found[str(token)]["logprob"] <= 0
        assert sorted(entry["rank"] for entry in found.values())[:2] == [1, 2]
        assert all(isinstance(entry["decoded_token"], str) for entry in found.values())


def test_a_stream_has_no_log_probabilities_of_the_prompt(http: httpx.Client) -> None:
    body = {"prompt": "One two", "prompt_logprobs": 2, "stream": True}
    response = http.post("/v1/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "prompt_logprobs"


def test_a_model_that_cannot_fill_in_says_so(http: httpx.Client) -> None:
    response = http.post("/v1/completions", json={"prompt": "a", "suffix": "b"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "suffix"
