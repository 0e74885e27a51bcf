"""LLM: several threads, streams that are left, interrupts, failures, closing."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import pyllm.llm as llm_module
from pyllm.errors import ContextLengthError, DeviceError, PyLLMError, RequestError
from pyllm.kv.types import KVTypes
from pyllm.llm import LLM
from pyllm.sampling.beam_search import BeamSearchParams
from pyllm.sampling.params import SamplingParams
from pyllm.speculation.config import SpeculativeConfig
from tests.pyllm.fake_program import EOS, FakeModel, hashed_logits, printable_logits, scripted

GREEDY = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True)


def llm_of(**options):
    return LLM.from_model(FakeModel(**options))


def wait_until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def all_blocks_are_free(llm):
    return llm.engine.scheduler.kv_cache.num_free_blocks == llm.model.num_kv_blocks


# A context that takes slow_logits over ten seconds to fill: who frees it earlier was told to.
ENDLESS = {"max_model_len": 8000, "num_kv_blocks": 500}


def slow_logits(tokens):
    time.sleep(0.002)
    return printable_logits(tokens)


# ---- generate --------------------------------------------------------------------------------


def test_generate_keeps_the_order_of_prompts():
    with llm_of(logits_of=printable_logits) as llm:
        prompts = [chr(ord("a") + i) * (20 - i) for i in range(20)]
        params = [SamplingParams(max_tokens=1 + i % 5, temperature=0) for i in range(20)]
        outputs = llm.generate(prompts, params)
        assert [output.prompt for output in outputs] == prompts
        assert [len(o.outputs[0].token_ids) for o in outputs] == [1 + i % 5 for i in range(20)]
        for prompt, p, output in zip(prompts, params, outputs, strict=True):
            assert llm.generate(prompt, p)[0].outputs == output.outputs


def test_thousands_of_prompts_wait_for_their_turn():
    with llm_of(logits_of=printable_logits) as llm:
        params = SamplingParams(max_tokens=2, temperature=0)
        outputs = llm.generate([f"{number}" for number in range(3000)], params)
        assert [output.prompt for output in outputs] == [f"{number}" for number in range(3000)]
        assert all(len(output.outputs[0].token_ids) == 2 for output in outputs)


def test_sharers_of_a_prefix_run_together_and_keep_their_seeds():
    prompts = [f"{'long shared beginning' if i % 2 else 'another beginning'} {i}" for i in range(9)]
    params = SamplingParams(max_tokens=6, temperature=5)
    with llm_of(logits_of=printable_logits, max_num_seqs=1) as llm:
        outputs = llm.generate(prompts, params)
    assert [output.prompt for output in outputs] == prompts
    by_start = sorted(outputs, key=lambda output: output.metrics.first_token_time)
    beginnings = [output.prompt.split()[0] for output in by_start]
    assert beginnings in (["another"] * 5 + ["long"] * 4, ["long"] * 4 + ["another"] * 5)
    with llm_of(logits_of=printable_logits) as llm:
        one_by_one = [llm.generate(prompt, params)[0] for prompt in prompts]
    assert [o.outputs for o in outputs] == [o.outputs for o in one_by_one]


def test_finished_requests_are_let_go_while_others_run(monkeypatch):
    with llm_of(logits_of=printable_logits, max_num_seqs=1) as llm:
        alive = weakref.WeakSet()
        make = llm.engine.make_request

        def make_request(*args, **options):
            request = make(*args, **options)
            alive.add(request)
            return request

        def are_let_go():
            gc.collect()
            return len(alive) <= 22 - len(counts)

        def logits_of(tokens):
            """Count the requests alive, once the reader has had time to take those that ended."""
            wait_until(are_let_go)
            counts.append(len(alive))
            return printable_logits(tokens)

        counts = []
        monkeypatch.setattr(llm.engine, "make_request", make_request)
        llm.model.program.logits_of = logits_of
        llm.generate([f"{number}" for number in range(20)], SamplingParams(max_tokens=1))
        assert counts[0] == 20
        assert counts[-1] <= 3


def test_priority_says_who_goes_first():
    with llm_of(max_num_seqs=1, logits_of=printable_logits) as llm:
        for priority, order in ((0, "abc"), ([3, 1, 2], "bca")):
            outputs = llm.generate(["a", "b", "c"], GREEDY, priority=priority)
            outputs.sort(key=lambda output: output.metrics.first_token_time)
            assert "".join(output.prompt for output in outputs) == order


@pytest.mark.parametrize("priority", ["high", [1, 2], [0.5], None])
def test_a_priority_is_an_integer_for_all_or_for_each(priority):
    with llm_of() as llm, pytest.raises(RequestError, match="priority"):
        llm.generate(["a"], GREEDY, priority=priority)


def test_generate_defaults_to_sixteen_tokens():
    with llm_of(logits_of=printable_logits) as llm:
        assert len(llm.generate("a")[0].outputs[0].token_ids) == 16


@pytest.mark.parametrize("door", ["generate", "stream"])
def test_parse_special_reaches_the_tokenizer(door, monkeypatch):
    with llm_of() as llm:
        asked = []
        encode = llm.get_tokenizer().encode
        monkeypatch.setattr(
            llm.get_tokenizer(),
            "encode",
            lambda text, *, parse_special, **_: asked.append(parse_special) or encode(text),
            raising=True,
        )
        for options in ({}, {"parse_special": True}):
            list(getattr(llm, door)("a", GREEDY, **options))
        assert asked == [False, True]


def test_generate_of_nothing():
    with llm_of() as llm:
        assert llm.generate([]) == []


def test_params_must_match_the_prompts():
    with llm_of() as llm:
        with pytest.raises(RequestError, match=r"sampling_params.*one for each of the 2 prompts"):
            llm.generate(["a", "b"], [SamplingParams()])
        with pytest.raises(RequestError, match="sampling_params"):
            llm.generate("a", {"temperature": 1})


def test_one_bad_prompt_refuses_the_call_before_any_work():
    with llm_of() as llm:
        with pytest.raises(ContextLengthError):
            llm.generate(["fine", "x" * 300])
        assert llm.model.program.num_steps == 0


# ---- chat ------------------------------------------------------------------------------------


HELLO = [{"role": "user", "content": "hello"}]


def test_chat_answers_one_conversation_or_several():
    with llm_of(logits_of=printable_logits) as llm:
        one = llm.chat(HELLO, GREEDY)
        several = llm.chat([HELLO, HELLO], GREEDY)
        assert one[0].prompt == "[user]hello[assistant]"
        assert [output.outputs for output in several] == [one[0].outputs] * 2


def test_chat_runs_to_the_end_of_the_context_unless_told_otherwise():
    with llm_of(logits_of=printable_logits) as llm:
        for params in (None, SamplingParams(temperature=0)):
            output = llm.chat(HELLO, params)[0]
            assert len(output.prompt_token_ids) + len(output.outputs[0].token_ids) == 256
            deltas = list(llm.stream(HELLO, params))
            assert sum(len(delta.token_ids) for delta in deltas) == len(output.outputs[0].token_ids)
        output = llm.chat(HELLO, SamplingParams(max_tokens=16))[0]
        assert len(output.outputs[0].token_ids) == 16


def test_template_options_reach_the_template():
    with llm_of() as llm:
        template = "{{ mood }}"
        options = {"chat_template": template, "chat_template_kwargs": {"mood": "calm"}}
        assert llm.chat(HELLO, GREEDY, **options)[0].prompt == "calm"
        stream = llm.stream(HELLO, GREEDY, **options)
        assert next(stream).prompt_token_ids[1:] == [*b"calm"]
        stream.close()


def test_a_chat_can_go_on_with_an_answer_and_keep_its_cache_to_itself():
    messages = [*HELLO, {"role": "assistant", "content": "x" * 40}]
    with llm_of(logits_of=printable_logits) as llm:

        def cached(salt):
            options = {"continue_final_message": True, "cache_salt": salt}
            output = llm.chat(messages, GREEDY, **options)[0]
            assert output.prompt == "[user]hello[assistant]" + "x" * 40
            first = next(llm.stream(messages, GREEDY, **options))
            assert first.prompt_token_ids == output.prompt_token_ids
            assert first.num_cached_tokens > 0
            return output.num_cached_tokens

        assert [cached(salt) > 0 for salt in ("mine", "mine", "yours", None)] == [
            *(False, True, False, False)
        ]


def test_plain_prompts_refuse_the_salt_of_a_chat():
    with llm_of() as llm, pytest.raises(RequestError, match="cache_salt"):
        llm.stream("a", cache_salt="mine")


def test_plain_prompts_refuse_template_options():
    with llm_of() as llm, pytest.raises(RequestError, match="tools"):
        llm.stream("a", tools=[])


def test_conversations_refuse_the_option_of_plain_prompts():
    with llm_of() as llm, pytest.raises(RequestError, match="parse_special"):
        llm.stream(HELLO, parse_special=True)


@pytest.mark.parametrize("messages", [[], "hi", None, [[]], [{"content": "a"}], [["hi"]]])
def test_malformed_conversations_are_refused(messages):
    with llm_of() as llm, pytest.raises(RequestError, match="messages"):
        llm.chat(messages)


# ---- stream ----------------------------------------------------------------------------------


def test_stream_adds_up_to_generate():
    with llm_of(logits_of=printable_logits) as llm:
        expected = llm.generate("hello", GREEDY)[0].outputs[0]
        deltas = list(llm.stream("hello", GREEDY))
        assert "".join(delta.text for delta in deltas) == expected.text
        assert [token for delta in deltas for token in delta.token_ids] == expected.token_ids
        assert [delta.finished for delta in deltas] == [False] * 7 + [True]
        assert deltas[-1].finish_reason == "length"


def test_stream_checks_at_once_and_starts_when_iterated():
    with llm_of() as llm:
        with pytest.raises(ContextLengthError):
            llm.stream("x" * 300)
        llm.stream("x")
        time.sleep(0.01)
        assert llm.model.program.num_steps == 0


@pytest.mark.parametrize("how", ["close", "drop", "throw"])
def test_leaving_a_stream_frees_its_blocks(how):
    with llm_of(logits_of=slow_logits, **ENDLESS) as llm:
        stream = llm.stream("a" * 100, SamplingParams(max_tokens=None))
        next(stream)
        assert not all_blocks_are_free(llm)
        if how == "close":
            stream.close()
        elif how == "throw":
            with pytest.raises(KeyboardInterrupt):
                stream.throw(KeyboardInterrupt)
        else:
            del stream
            gc.collect()
        wait_until(lambda: all_blocks_are_free(llm))
        assert not llm.engine.has_unfinished()


# ---- threads ---------------------------------------------------------------------------------


def test_threads_share_batches_and_get_their_own_answers():
    barrier = threading.Barrier(6)

    def ask(number):
        barrier.wait()
        prompt = f"thread {number}"
        if number % 2:
            return "".join(d.text for d in llm.stream(prompt, params))
        return llm.generate(prompt, params)[0].outputs[0].text

    params = SamplingParams(max_tokens=60, seed=5, temperature=20)
    with llm_of(logits_of=slow_logits) as llm:
        with ThreadPoolExecutor(6) as pool:
            texts = list(pool.map(ask, range(6)))
        assert llm.model.program.num_steps < 6 * 60 / 2, "they did run together"
        barrier = threading.Barrier(1)
        assert texts == [ask(number) for number in range(6)]
        assert len(set(texts)) == 6


def test_a_failing_step_ends_the_request_that_made_it_fail_and_no_other():
    def logits_of(tokens):
        if tokens[1] == ord("b") and len(tokens) > 12:
            raise ZeroDivisionError("boom")
        return hashed_logits(tokens)

    params = SamplingParams(max_tokens=20, ignore_eos=True, seed=1)
    with llm_of(logits_of=logits_of) as llm:
        expected = [llm.generate(prompt, params)[0].outputs for prompt in "ac"]
        for _ in range(2):
            first, bad, last = llm.generate(["a", "b", "c"], params)
            assert bad.outputs[0].finish_reason == "error"
            assert bad.outputs[0].stop_reason == "ZeroDivisionError: boom"
            assert [first.outputs, last.outputs] == expected
            assert all_blocks_are_free(llm)


def test_a_failure_of_the_machine_is_reported_to_all_and_the_engine_goes_on(monkeypatch):
    with llm_of() as llm:

        def step(*_, **__):
            raise DeviceError("the model file cannot be read any more")

        monkeypatch.setattr(llm.model.program, "step", step)
        with pytest.raises(DeviceError, match="cannot be read"):
            llm.generate(["a", "b"], GREEDY)
        monkeypatch.undo()
        assert all_blocks_are_free(llm)
        assert len(llm.generate("a", GREEDY)[0].outputs[0].token_ids) == 8


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_a_processor_that_asks_its_own_llm_is_told_so():
    with llm_of() as llm:
        params = SamplingParams(logits_processors=[lambda *_: llm.generate("b")])
        answer = llm.generate("a", params)[0].outputs[0]
        assert answer.finish_reason == "error"
        assert "cannot wait for the LLM that runs it" in answer.stop_reason
        assert len(llm.generate("a", GREEDY)[0].outputs[0].token_ids) == 8


def test_ctrl_c_ends_the_call_and_nothing_else():
    with llm_of(logits_of=slow_logits, **ENDLESS) as llm:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            llm.generate(["a", "b"], SamplingParams(max_tokens=None))
        timer.join()
        wait_until(lambda: all_blocks_are_free(llm))
        assert len(llm.generate("a", GREEDY)[0].outputs[0].token_ids) == 8


# ---- the end ---------------------------------------------------------------------------------


def test_close_ends_others_and_may_be_repeated():
    llm = llm_of(logits_of=slow_logits, **ENDLESS)
    stream = llm.stream("a", SamplingParams(max_tokens=None))
    next(stream)
    llm.close()
    llm.close()
    assert llm.model.program.closed
    with pytest.raises(PyLLMError, match="closed before the request was finished"):
        list(stream)
    for call in (lambda: llm.generate("a"), lambda: llm.stream("a")):
        with pytest.raises(PyLLMError, match="closed"):
            call()


def test_a_stream_made_before_close_and_iterated_after_it_says_so():
    llm = llm_of()
    stream = llm.stream("a")
    llm.close()
    with pytest.raises(PyLLMError, match="this LLM is closed"):
        next(stream)


def test_stats_count_what_was_generated():
    with LLM.from_model(FakeModel(logits_of=printable_logits)) as llm:
        outputs = llm.generate([[1, 2], [3]], SamplingParams(max_tokens=4), use_tqdm=False)
    stats = llm.stats()
    assert stats.num_prompt_tokens == 3
    assert stats.num_generated_tokens == sum(len(o.outputs[0].token_ids) for o in outputs)


def test_close_lets_go_of_the_engine():
    """Its views of the columns would keep all of the program's memory."""
    llm = llm_of()
    llm.generate("a", GREEDY)
    engine = weakref.ref(llm.engine)
    llm.close()
    gc.collect()
    assert engine() is None


def test_a_command_that_fails_is_reported_and_the_engine_goes_on(monkeypatch):
    with llm_of() as llm:
        monkeypatch.setattr(llm.engine, "add", lambda request: 1 / 0)
        with pytest.raises(PyLLMError, match="the engine failed: ZeroDivisionError"):
            llm.generate("a", GREEDY)
        monkeypatch.undo()
        assert len(llm.generate("a", GREEDY)[0].outputs[0].token_ids) == 8


def test_a_forgotten_llm_stops_its_thread():
    def engine_threads():
        return [t for t in threading.enumerate() if t.name == "pyllm-engine"]

    before = len(engine_threads())
    llm = llm_of()
    assert len(engine_threads()) == before + 1
    del llm
    gc.collect()
    wait_until(lambda: len(engine_threads()) == before)


def test_exit_in_the_middle_of_a_stream_is_clean():
    code = """
from tests.pyllm.test_llm import *
llm = llm_of(logits_of=slow_logits, **ENDLESS)
stream = llm.stream("a", SamplingParams(max_tokens=None))
print(next(stream).token_ids != [])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_an_llm_from_before_a_fork_says_so_instead_of_hanging():
    code = """
import os
from tests.pyllm.test_llm import *
llm = llm_of()
if os.fork() == 0:
    try:
        llm.generate("a", GREEDY)
    except PyLLMError as error:
        print(error)
    llm.close()
    print(len(llm_of().generate("a", GREEDY)), flush=True)
    os._exit(0)
os.wait()
print(len(llm.generate("a", GREEDY)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    refusal, in_the_child, in_the_parent = done.stdout.splitlines()
    assert "loaded before a fork; load it in the child" in refusal
    assert (in_the_child, in_the_parent, done.returncode) == ("1", "1", 0)


# ---- arguments of the constructor --------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kv_cache_dtype", "q5_1"), ("cache_type_k", "fp8"), ("enable_prefix_caching", None),
        ("max_num_seqs", 0),
        ("max_num_batched_tokens", 15), ("max_num_batched_tokens", 0), ("max_num_seqs", 1.5),
        ("seed", "x"), ("num_threads", "2"), ("num_threads", 10**9), ("num_threads_batch", 10**9),
        ("max_decode_slowdown", 1), ("max_decode_slowdown", "2"), ("max_decode_slowdown", True),
        ("max_model_len", "32k"), ("max_model_len", 32.5), ("kv_cache_bytes", True),
    ],
)  # fmt: skip
def test_a_constructor_argument_that_cannot_be_honoured_is_refused_before_loading(field, value):
    with pytest.raises(RequestError, match=field):
        LLM("no such file", **{field: value})


def test_the_constructor_loads_what_it_was_told(monkeypatch):
    calls = {}

    def load_model(path, **options):
        calls.update(path=path, **options)
        return FakeModel()

    monkeypatch.setattr(llm_module, "load_model", load_model)
    options = {
        "num_threads": 3, "max_model_len": 99, "enable_prefix_caching": False,
        "cache_type_k": "q8_0",
    }  # fmt: skip
    with LLM("m.gguf", prefix_cache_dir="not used then", seed=4, **options) as llm:
        assert llm.engine.seed == 4
        assert not llm.engine.enable_prefix_caching
        assert llm.get_tokenizer().name == "fake"
    del calls["progress"]
    assert calls == {
        "path": "m.gguf",
        "num_threads": 3,
        "num_threads_batch": None,
        "max_model_len": 99,
        "max_num_seqs": 16,
        "max_num_batched_tokens": 512,
        "kv_cache_bytes": None,
        "kv_types": KVTypes("q8_0", "f16"),
        "packed_cache": False,
        "prefix_cache_dir": None,
        "prefix_cache_bytes": None,
        "speculation": SpeculativeConfig(),
    }


def test_scripted_end():
    with llm_of(logits_of=scripted(2, [*b"ok"])) as llm:
        output = llm.generate("x", SamplingParams(temperature=0)).pop().outputs[0]
        assert (output.text, output.token_ids[-1], output.finish_reason) == ("ok", EOS, "stop")


def test_the_owner_may_allow_more_logprobs():
    greedy = SamplingParams(temperature=0, max_tokens=1, logprobs=-1)
    with llm_of() as llm, pytest.raises(RequestError, match="max_logprobs"):
        llm.generate("x", greedy)
    with LLM.from_model(FakeModel(), max_logprobs=-1) as llm:
        (logprobs,) = llm.generate("x", greedy)[0].outputs[0].logprobs
        assert len(logprobs) == llm.model.tokenizer.n_vocab
    with pytest.raises(RequestError, match="max_logprobs: -2"):
        LLM.from_model(FakeModel(), max_logprobs=-2)


def test_wide_beams_need_no_leave():
    with llm_of() as llm:
        (output,) = llm.beam_search("x", BeamSearchParams(beam_width=16, max_tokens=2))
        assert len(output.sequences) == 16


@pytest.mark.parametrize(("window", "blocks"), [(0, 16), (70, 5 + 4 + 1)])
def test_what_a_text_of_full_length_takes(window, blocks):
    """256 tokens in blocks of 16, or a window and a chunk of 64."""
    llm = llm_of(kv_window=window, kv_cache_bytes=64 * 100)
    assert (llm.kv_cache_bytes, llm.kv_sequence_bytes) == (6400, blocks * 100)


# ---- texts that are read only ------------------------------------------------------------------


def test_embeddings_come_in_the_order_of_the_texts():
    texts = [f"text {n % 7} {'x' * (n % 5)}" for n in range(60)]
    with llm_of() as llm:
        outputs = llm.embed(texts)
        alone = {text: llm.embed(text)[0].outputs for text in set(texts)}
    assert [output.outputs for output in outputs] == [alone[text] for text in texts]
    assert [bytes(o.prompt_token_ids[1:]).decode() for o in outputs] == texts


def test_threads_that_embed_and_threads_that_generate_share_the_engine():
    with llm_of() as llm:
        texts = [f"text {n}" for n in range(20)]
        vectors = [output.outputs for output in llm.embed(texts)]
        (answer,) = llm.generate("hello", GREEDY)
        with ThreadPoolExecutor(4) as pool:
            embedding = [pool.submit(llm.embed, texts) for _ in range(6)]
            generating = [pool.submit(llm.generate, "hello", GREEDY) for _ in range(6)]
            for future in embedding:
                assert [output.outputs for output in future.result()] == vectors
            for future in generating:
                assert future.result()[0].outputs == answer.outputs
        assert all_blocks_are_free(llm)


def test_a_text_that_cannot_be_read_is_refused_before_any_work():
    with llm_of() as llm:
        with pytest.raises(ContextLengthError):
            llm.embed(["fine", "x" * 256])
        with pytest.raises(RequestError, match="prompt: '': is empty"):
            llm.embed(["fine", ""])
        with pytest.raises(RequestError, match="priority"):
            llm.embed(["fine", "also"], priority=[1])
        with pytest.raises(RequestError, match="priority"):
            llm.score("fine", "also", priority=2**40)
        assert llm.model.program.num_steps == 0
        assert llm.embed([]) == []


def test_a_closed_llm_embeds_nothing():
    llm = llm_of()
    llm.close()
    with pytest.raises(PyLLMError, match="closed"):
        llm.embed("x")
