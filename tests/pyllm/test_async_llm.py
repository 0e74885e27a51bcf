"""AsyncLLM: tasks share batches, and one that is cancelled frees what it held."""

import asyncio
import threading
import time
from contextlib import aclosing

import pytest

import pyllm.llm as llm_module
from pyllm.async_llm import AsyncLLM
from pyllm.errors import ContextLengthError, PyLLMError, QueueFullError, RequestError
from pyllm.llm import LLM
from pyllm.pooling.pooling import PoolingParams
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.fake_program import FakeModel, hashed_logits, printable_logits

GREEDY = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True)
ENDLESS_STREAM = SamplingParams(
    temperature=0, max_tokens=None, ignore_eos=True, output_kind=RequestOutputKind.DELTA
)
ENDLESS = SamplingParams(temperature=0, max_tokens=None, ignore_eos=True)
LONG = {"max_model_len": 8000, "num_kv_blocks": 510}
HELLO = [{"role": "user", "content": "hello"}]
KINDS = list(RequestOutputKind)


def slow_logits(tokens):
    time.sleep(0.002)
    return printable_logits(tokens)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def llm_of(**options):
    limits = {k: options.pop(k) for k in list(options) if k.startswith("max_num_queued")}
    return AsyncLLM.from_model(FakeModel(**options), **limits)


async def all_of(outputs):
    return [output async for output in outputs]


async def last_of(outputs):
    return (await all_of(outputs))[-1]


async def freed(llm):
    cache = llm._llm.engine.scheduler.kv_cache
    while cache.num_free_blocks < llm.model.num_kv_blocks or llm._llm.engine.has_unfinished():
        await asyncio.sleep(0.001)


def test_token_healing_is_what_the_llm_gives():
    params = SamplingParams(temperature=0, max_tokens=6)
    with LLM.from_model(FakeModel(logits_of=printable_logits)) as plain:
        expected = plain.generate(["a st"], params, token_healing=True)[0]

    async def main():
        async with llm_of(logits_of=printable_logits) as llm:
            return await last_of(llm.generate("a st", params, token_healing=True, priority=1))

    output = run(main())
    assert output.outputs == expected.outputs
    assert output.prompt_token_ids == expected.prompt_token_ids


# ---- answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_reports_are_those_of_the_engine(kind):
    async def main():
        async with llm_of(logits_of=printable_logits) as llm:
            params = SamplingParams(temperature=0, max_tokens=8, output_kind=kind)
            outputs = await all_of(llm.generate("hello", params, "name"))
        assert [output.finished for output in outputs] == [False] * (len(outputs) - 1) + [True]
        assert {output.request_id for output in outputs} == {"name"}
        texts = [output.outputs[0].text for output in outputs]
        return "".join(texts) if kind is RequestOutputKind.DELTA else texts[-1]

    with LLM.from_model(FakeModel(logits_of=printable_logits)) as llm:
        assert run(main()) == llm.generate("hello", GREEDY)[0].outputs[0].text


def test_tasks_share_batches_and_get_their_own_answers():
    prompts = [f"prompt {number}" for number in range(12)]
    params = SamplingParams(max_tokens=30, seed=5, temperature=20)

    async def main():
        async with llm_of(logits_of=slow_logits) as llm:
            outputs = await asyncio.gather(*(last_of(llm.generate(p, params)) for p in prompts))
            assert llm.model.program.num_steps < 12 * 30 / 2, "they did run together"
            return [output.outputs for output in outputs]

    with LLM.from_model(FakeModel(logits_of=printable_logits)) as llm:
        assert run(main()) == [llm.generate(p, params)[0].outputs for p in prompts]


def test_chat_runs_to_the_end_of_the_context():
    async def main():
        async with llm_of(logits_of=printable_logits) as llm:
            output = await last_of(llm.chat(HELLO))
            assert output.prompt == "[user]hello[assistant]"
            assert len(output.prompt_token_ids) + len(output.outputs[0].token_ids) == 256
            output = await last_of(llm.chat(HELLO, GREEDY, chat_template="x"))
            assert output.prompt == "x"

    run(main())


def test_a_chat_can_go_on_with_an_answer_and_keep_its_cache_to_itself():
    messages = [*HELLO, {"role": "assistant", "content": "x" * 40}]

    async def main():
        async with llm_of(logits_of=printable_logits) as llm:
            cached = []
            for salt in ("mine", "mine", "yours"):
                options = {"continue_final_message": True, "cache_salt": salt}
                output = await last_of(llm.chat(messages, GREEDY, **options))
                assert output.prompt == "[user]hello[assistant]" + "x" * 40
                cached.append(output.num_cached_tokens > 0)
            assert cached == [False, True, False]

    run(main())


def test_a_reader_that_lags_gets_the_same_text_in_fewer_reports():
    async def main():
        async with llm_of(logits_of=printable_logits) as llm:
            params = SamplingParams(
                temperature=0, max_tokens=100, output_kind=RequestOutputKind.DELTA, logprobs=1
            )
            outputs = llm.generate("hello", params)
            first = await anext(outputs)
            time.sleep(0.5)  # the loop is blocked, the engine goes on
            rest = await all_of(outputs)
        assert len(rest) < 60
        parts = [output.outputs[0] for output in (first, *rest)]
        return (
            "".join(part.text for part in parts),
            [token for part in parts for token in part.token_ids],
            [entry for part in parts for entry in part.logprobs],
        )

    with LLM.from_model(FakeModel(logits_of=printable_logits)) as llm:
        params = SamplingParams(temperature=0, max_tokens=100, logprobs=1)
        expected = llm.generate("hello", params)[0].outputs[0]
    assert run(main()) == (expected.text, expected.token_ids, expected.logprobs)


def test_seeds_are_given_in_the_order_of_the_calls():
    params = SamplingParams(temperature=30, max_tokens=8, ignore_eos=True)
    prompts = [f"prompt {number}" for number in range(4)]

    async def main():
        async with llm_of() as llm:
            encode, turn = llm.get_tokenizer().encode, threading.Semaphore(0)
            llm.get_tokenizer().encode = lambda text, **options: (
                turn.acquire(timeout=0.1 * (4 - int(text[-1]))),
                encode(text, **options),
            )[1]
            outputs = await asyncio.gather(*(last_of(llm.generate(p, params)) for p in prompts))
            return [(output.request_id, output.outputs) for output in outputs]

    with LLM.from_model(FakeModel()) as llm:
        expected = llm.generate(prompts, params)
    assert run(main()) == [(output.request_id, output.outputs) for output in expected]


def test_an_automatic_id_is_not_one_that_a_caller_is_about_to_use():
    async def main():
        async with llm_of(logits_of=slow_logits) as llm:
            names = ["1", None, "3", None]
            tasks = [last_of(llm.generate("hello" * 20, GREEDY, name)) for name in names]
            return [output.request_id for output in await asyncio.gather(*tasks)]

    assert run(main()) == ["1", "2", "3", "4"]


def test_two_loops_share_an_engine():
    llm = llm_of(logits_of=slow_logits)
    texts = []

    def ask():
        texts.append(run(last_of(llm.generate("hello", GREEDY))).outputs[0].text)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    llm.shutdown()
    assert len(texts) == 3
    assert len(set(texts)) == 1


# ---- leaving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "close", "break", "throw"])
def test_leaving_frees_the_blocks_and_neighbours_do_not_notice(how):
    async def read(llm):
        async with aclosing(llm.generate("a" * 100, ENDLESS)) as outputs:
            async for _ in outputs:
                if how == "break":
                    break
                if how == "throw":
                    raise ZeroDivisionError

    async def main():
        async with llm_of(logits_of=slow_logits, **LONG) as llm:
            expected = (await last_of(llm.generate("hello", GREEDY))).outputs
            neighbour = asyncio.create_task(last_of(llm.generate("hello", GREEDY)))
            if how == "close":
                outputs = llm.generate("a" * 100, ENDLESS)
                await anext(outputs)
                await outputs.aclose()
            elif how == "cancel":
                task = asyncio.create_task(read(llm))
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            elif how == "throw":
                with pytest.raises(ZeroDivisionError):
                    await read(llm)
            else:
                await read(llm)
            await freed(llm)
            assert (await neighbour).outputs == expected

    run(main())


def test_a_task_cancelled_in_the_queue_leaves_it():
    async def main():
        async with llm_of(max_num_seqs=1, logits_of=slow_logits, **LONG) as llm:
            first = llm.generate("a", ENDLESS)
            await anext(first)
            waiting = asyncio.create_task(last_of(llm.generate("b", ENDLESS)))
            while not llm.num_queued_requests:
                await asyncio.sleep(0.001)
            waiting.cancel()
            while llm.num_queued_requests:
                await asyncio.sleep(0.001)
            await first.aclose()
            await freed(llm)

    run(main())


def test_who_goes_first_is_told():
    async def main():
        async with llm_of(max_num_seqs=1, logits_of=slow_logits, **LONG) as llm:
            assert not llm.has_requests_before(2**31)
            first = llm.generate("a", ENDLESS, priority=5)
            await anext(first)
            assert llm.has_requests_before(6)
            assert not llm.has_requests_before(5)
            await first.aclose()
            await freed(llm)

    run(main())


def test_a_loop_that_is_gone_does_not_hold_blocks():
    llm = llm_of(logits_of=slow_logits, **LONG)
    loop = asyncio.new_event_loop()
    outputs = llm.generate("a", ENDLESS)
    loop.run_until_complete(anext(outputs))
    loop.close()
    run(freed(llm))
    llm.shutdown()


def test_what_is_no_id_is_refused_and_several_are_ended():
    async def go():
        async with llm_of(logits_of=slow_logits, **LONG) as llm:
            tasks = [
                asyncio.create_task(last_of(llm.generate("a", ENDLESS, name))) for name in "xyz"
            ]
            await asyncio.sleep(0.05)
            for wrong in (5, [["x"]], [None]):
                with pytest.raises(RequestError, match="request_id"):
                    await llm.abort(wrong)
            with pytest.raises(RequestError, match="request_id"):
                await all_of(llm.generate("a", GREEDY, 5))
            await llm.abort(["x", "y"])
            for task in tasks[:2]:
                assert (await task).outputs[0].finish_reason == "abort"
            assert not tasks[2].done()
            await llm.abort("z")
            assert (await tasks[2]).outputs[0].finish_reason == "abort"

    run(go())


def test_abort_by_name_ends_the_iteration():
    async def main():
        async with llm_of(logits_of=slow_logits, **LONG) as llm:
            outputs = llm.generate("a", ENDLESS, "mine")
            await anext(outputs)
            await llm.abort("mine")
            await llm.abort("nobody's")
            rest = await all_of(outputs)
            assert (rest[-1].outputs[0].finish_reason, rest[-1].finished) == ("abort", True)
            await freed(llm)

    run(main())


def test_shutdown_ends_requests_with_an_error_and_may_be_repeated():
    async def main():
        llm = llm_of(logits_of=slow_logits, **LONG)
        outputs = llm.generate("a", ENDLESS)
        await anext(outputs)
        llm.shutdown()
        llm.shutdown()
        with pytest.raises(PyLLMError, match="closed before the request was finished"):
            await all_of(outputs)
        with pytest.raises(PyLLMError, match="closed"):
            await all_of(llm.generate("a"))

    run(main())


def test_a_refused_name_that_is_cancelled_does_not_end_its_owner():
    async def main():
        async with llm_of(logits_of=slow_logits) as llm:
            owner = asyncio.create_task(last_of(llm.generate("a", ENDLESS, "mine")))
            await asyncio.sleep(0.05)
            for number in range(10):
                second = asyncio.create_task(last_of(llm.generate("b", GREEDY, "mine")))
                await asyncio.sleep(0.0005 * number)
                second.cancel()
            assert (await owner).outputs[0].finish_reason == "length"

    run(main())


def test_stats_tell_how_far_a_request_was_that_nobody_wants():
    async def main():
        async with llm_of(logits_of=printable_logits) as llm:
            async with aclosing(llm.generate("hello", ENDLESS_STREAM)) as outputs:
                await anext(outputs)
            await freed(llm)
            return llm.stats()

    stats = run(main())
    assert stats.num_cancelled == {"queue": 0, "prefill": 0, "decode": 1}
    assert stats.num_finished["abort"] == 1


def test_closing_an_old_generator_does_not_end_a_new_request_of_its_name():
    async def main():
        async with llm_of(logits_of=slow_logits) as llm:
            old = llm.generate("a", GREEDY, "mine")
            await anext(old)
            await freed(llm)  # its last report is unread
            new = asyncio.create_task(last_of(llm.generate("b", ENDLESS, "mine")))
            await asyncio.sleep(0.05)
            await old.aclose()
            assert (await new).outputs[0].finish_reason == "length"

    run(main())


# ---- refusals --------------------------------------------------------------------------------


def test_a_full_queue_refuses_and_takes_requests_again_when_it_has_drained():
    async def main():
        async with llm_of(
            max_num_seqs=1, logits_of=slow_logits, max_num_queued_requests=2, **LONG
        ) as llm:
            first = llm.generate("a", ENDLESS)
            await anext(first)
            waiting = [asyncio.create_task(last_of(llm.generate("b", GREEDY))) for _ in range(2)]
            while llm.num_queued_requests < 2:
                await asyncio.sleep(0.001)
            with pytest.raises(QueueFullError) as raised:
                await all_of(llm.generate("c", GREEDY))
            assert (raised.value.queued_requests, raised.value.max_queued_requests) == (2, 2)
            assert raised.value.retry_after >= 1
            await first.aclose()
            await asyncio.gather(*waiting)
            assert (await last_of(llm.generate("c", GREEDY))).finished

    run(main())


def test_a_name_in_use_is_refused_and_its_owner_goes_on():
    async def main():
        async with llm_of(logits_of=slow_logits) as llm:
            owner = asyncio.create_task(last_of(llm.generate("a", ENDLESS, "mine")))
            await asyncio.sleep(0.05)
            with pytest.raises(RequestError, match="request_id"):
                await all_of(llm.generate("b", GREEDY, "mine"))
            assert (await owner).outputs[0].finish_reason == "length"

    run(main())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("x" * 300,), ContextLengthError),
        ((3,), RequestError),
        (("x", {"temperature": 1}), RequestError),
    ],
)
def test_bad_arguments_are_refused(arguments, error):
    async def main():
        async with llm_of() as llm:
            with pytest.raises(error):
                await all_of(llm.generate(*arguments))
            with pytest.raises(RequestError, match="priority"):
                await all_of(llm.generate("a", priority="high"))
            assert llm.model.program.num_steps == 0

    run(main())


@pytest.mark.parametrize("field", ["max_num_queued_requests", "max_num_queued_tokens"])
@pytest.mark.parametrize("value", [-1, 1.5, "many"])
def test_limits_are_checked_before_loading(field, value):
    with pytest.raises(RequestError, match=field):
        AsyncLLM("no such file", **{field: value})


def test_the_constructor_passes_its_options_on(monkeypatch):
    monkeypatch.setattr(llm_module, "load_model", lambda path, **options: FakeModel())
    llm = AsyncLLM("m.gguf", seed=4, max_num_queued_requests=None, max_num_queued_tokens=7)
    assert llm._llm.engine.seed == 4
    assert (llm._llm.thread.limits.max_requests, llm._llm.thread.limits.max_tokens) == (None, 7)
    assert llm.get_tokenizer().name == "fake"
    llm.shutdown()


# ---- texts that are read only ------------------------------------------------------------------


def test_embeddings_and_scores_are_those_of_the_llm():
    texts = [f"text {n}" for n in range(40)]
    params = PoolingParams(dimensions=3)
    with LLM.from_model(FakeModel()) as llm:
        vectors = [output.outputs for output in llm.embed(texts, params)]
        scores = [output.outputs for output in llm.score("text 1", texts)]

    async def main():
        async with llm_of() as llm:
            embedded, answer, scored = await asyncio.gather(
                llm.embed(texts, params),
                last_of(llm.generate("hello", GREEDY)),
                llm.score("text 1", texts),
            )
            assert [output.outputs for output in embedded] == vectors
            assert [output.outputs for output in scored] == scores
            assert len(answer.outputs[0].token_ids) == 8
            assert await llm.embed([]) == []
            await freed(llm)

    run(main())


def test_a_call_of_many_texts_takes_few_places_in_the_queue():
    async def main():
        async with llm_of(max_num_queued_requests=8, logits_of=slow_logits) as llm:
            longest = 0

            async def watch():
                nonlocal longest
                while True:
                    longest = max(longest, llm.num_queued_requests)
                    await asyncio.sleep(0)

            watching = asyncio.create_task(watch())
            outputs = await llm.embed([f"text {n}" for n in range(300)])
            watching.cancel()
            assert len(outputs) == 300
            assert longest <= 8

    run(main())


def test_a_full_queue_refuses_a_call_before_any_text_is_read():
    async def main():
        async with llm_of(max_num_queued_requests=0, max_num_seqs=1, **LONG) as llm:
            busy = llm.generate("x", ENDLESS)
            await anext(busy)
            waiting = asyncio.create_task(last_of(llm.generate("y", GREEDY)))  # finds nobody there
            while not llm.num_queued_requests:
                await asyncio.sleep(0.001)
            with pytest.raises(QueueFullError):
                await llm.embed(["a", "b"])
            await busy.aclose()
            await waiting
            assert len(await llm.embed(["a", "b"])) == 2

    run(main())


def test_a_cancelled_call_frees_all_its_texts():
    async def main():
        async with llm_of(**LONG) as llm:
            texts = ["x" * 4000 + str(n) for n in range(30)]
            call = asyncio.create_task(llm.embed(texts, PoolingParams(pooling_type="mean")))
            while not llm._llm.engine.has_unfinished():
                await asyncio.sleep(0.001)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await freed(llm)
            assert llm.num_queued_requests == 0

    run(main())


def test_one_text_that_cannot_be_read_ends_the_call_and_the_other_texts():
    async def main():
        async with llm_of() as llm:
            with pytest.raises(ContextLengthError):
                await llm.embed([*["fine"] * 20, "x" * 300])
            with pytest.raises(RequestError, match="is empty"):
                await llm.embed(["", "fine"])
            with pytest.raises(RequestError, match="request_id"):
                await llm.embed("fine", request_id=7)
            with pytest.raises(RequestError, match="priority"):
                await llm.embed("fine", priority="high")
            await freed(llm)

    run(main())


def test_a_call_may_be_ended_by_name():
    async def main():
        async with llm_of(**LONG) as llm:
            texts = ["x" * 3000, "y" * 3000]
            call = asyncio.create_task(llm.embed(texts, PoolingParams(pooling_type="mean"), "call"))
            while not call.done():
                await llm.abort("call-1")
                await asyncio.sleep(0.001)
            with pytest.raises(PyLLMError, match="request 'call-1' gave no vector: abort"):
                await call
            await freed(llm)

    run(main())


# ---- many ------------------------------------------------------------------------------------


def test_a_storm_of_cancels_leaves_nothing_behind():
    """Tasks that end at any moment, beside neighbours whose answers must not change."""
    prompts = [f"neighbour {number}" for number in range(4)]
    params = SamplingParams(max_tokens=40, seed=3, temperature=10, ignore_eos=True)

    async def main():
        async with llm_of(logits_of=hashed_logits, num_kv_blocks=48) as llm:
            neighbours = [asyncio.create_task(last_of(llm.generate(p, params))) for p in prompts]
            tasks = []
            for number in range(300):
                stream = llm.generate("x" * (1 + number % 200), params)
                tasks.append(asyncio.create_task(all_of(stream)))
                await asyncio.sleep(0)
                if number % 3:
                    await asyncio.sleep(0.001 * (number % 5))
                    tasks[-(1 + number % min(len(tasks), 7))].cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            outputs = [(await task).outputs for task in neighbours]
            await freed(llm)
            return outputs

    with LLM.from_model(FakeModel()) as llm:
        assert run(main()) == [llm.generate(p, params)[0].outputs for p in prompts]
