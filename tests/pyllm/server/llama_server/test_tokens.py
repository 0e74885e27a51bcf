from __future__ import annotations

import httpx


def test_there_and_back_in_both_shapes(http: httpx.Client) -> None:
    tokens = http.post("/tokenize", json={"content": "One two three"}).json()["tokens"]
    assert http.post("/detokenize", json={"tokens": tokens}).json()["content"] == "One two three"
    vllm = http.post(
        "/tokenize", json={"prompt": "One two three", "return_token_strs": True}
    ).json()
    assert vllm["count"] == len(vllm["tokens"]) == len(vllm["token_strs"])
    assert vllm["tokens"][-len(tokens) :] == tokens
    pieces = http.post("/tokenize", json={"content": "One two", "with_pieces": True}).json()
    assert all(set(token) == {"id", "piece"} for token in pieces["tokens"])


def test_conversations_as_text_and_as_tokens(http: httpx.Client) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    prompt = http.post("/apply-template", json={"messages": messages}).json()["prompt"]
    assert "Hello" in prompt
    tokens = http.post("/tokenize", json={"messages": messages}).json()["tokens"]
    parsed = http.post("/tokenize", json={"content": prompt, "parse_special": True}).json()
    assert tokens[-len(parsed["tokens"]) :] == parsed["tokens"]


def test_wrong_ids_are_refused(http: httpx.Client) -> None:
    for tokens in ([-1], [10**9], ["x"], [True]):
        response = http.post("/detokenize", json={"tokens": tokens})
        assert response.status_code == 400
        assert response.json()["error"]["param"].startswith("tokens")
    assert http.post("/detokenize", json={"tokens": []}).json()["content"] == ""


def test_the_pieces_of_a_very_long_text_are_not_given(http: httpx.Client) -> None:
    text = "a b " * 70_000
    tokens = http.post("/tokenize", json={"content": text}).json()["tokens"]
    assert len(tokens) > 2**17
    for body in (
        {"content": text, "with_pieces": True},
        {"prompt": text, "return_token_strs": True},
    ):
        answer = http.post("/tokenize", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] in body
