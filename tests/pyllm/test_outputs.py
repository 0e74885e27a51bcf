"""Outputs: shapes a vLLM user expects."""

from pyllm.outputs import CompletionOutput, Delta, RequestOutput


def test_finished_follows_the_finish_reason():
    assert not CompletionOutput(0, "", [], None, None).finished()
    assert CompletionOutput(0, "", [], None, None, "stop").finished()


def test_request_output_takes_vllm_positional_order():
    output = RequestOutput("7", "hi", [1, 2], [], True)
    assert (output.request_id, output.prompt, output.prompt_token_ids) == ("7", "hi", [1, 2])
    assert output.prompt_logprobs is None
    assert output.num_cached_tokens == 0


def test_deltas_do_not_share_default_lists():
    assert Delta(0, "", []).prompt_token_ids is not Delta(0, "", []).prompt_token_ids


def test_a_delta_prints_as_its_text():
    assert f"{Delta(0, 'once', [4])}" == "once"
