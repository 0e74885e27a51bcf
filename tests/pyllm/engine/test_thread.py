"""The engine's thread: aborts inside a prompt, inboxes that break, queues that are full."""

import queue
import sys
import threading
import time

import pytest

from pyllm.engine.engine import Engine
from pyllm.engine.interrupt import StepInterrupted
from pyllm.engine.queue_limits import QueueLimits
from pyllm.engine.thread import EngineThread
from pyllm.errors import PyLLMError, QueueFullError
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.fake_program import FakeModel, printable_logits

LONG = {"max_model_len": 8000, "num_kv_blocks": 510}
PARAMS = SamplingParams(max_tokens=5, temperature=0, ignore_eos=True)
PATIENCE_S = 20


class StuckModel(FakeModel):
    """A prompt of 77s takes for ever, until its step is interrupted."""

    def __post_init__(self):
        super().__post_init__()
        self.reading = threading.Event()
        self.told_to_stop = threading.Event()
        whole_step = self.program.step

        def step(n_tokens, *rest, **options):
            if (self.program.columns["tokens"][:n_tokens] == 77).sum() > 9:
                self.reading.set()
                assert self.told_to_stop.wait(PATIENCE_S), "nobody interrupted"
                self.told_to_stop.clear()
                raise StepInterrupted
            whole_step(n_tokens, *rest, **options)

        self.program.step = step
        self.program.interrupt = self.told_to_stop.set


class Running:
    """An engine and its thread, until the end of the test."""

    def __init__(self, model, limits=None):
        self.engine = Engine(model)
        self.thread = EngineThread(self.engine, limits)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.close()

    def submit(self, prompt, params=PARAMS, name=None, inbox=None, **options):
        inbox = inbox or queue.SimpleQueue()
        request = self.engine.make_request(None, prompt, params, name)
        self.thread.submit([request], inbox, **options)
        return inbox

    def wait_until_free(self):
        deadline = time.monotonic() + PATIENCE_S
        while self.engine.scheduler.kv_cache.num_free_blocks < self.engine.model.num_kv_blocks:
            assert time.monotonic() < deadline, "blocks are still held"
            time.sleep(0.001)


def last(inbox):
    """The last report of a request."""
    while True:
        message = inbox.get(timeout=PATIENCE_S)
        if isinstance(message, PyLLMError):
            raise message
        if message.finished:
            return message


def test_an_abort_ends_the_step_that_reads_the_prompt():
    model = StuckModel(**LONG)
    with Running(model) as running:
        inbox = running.submit([77] * 5000, name="long")
        assert model.reading.wait(PATIENCE_S)
        running.thread.abort(["long"])
        assert last(inbox).outputs[0].finish_reason == "abort"
        running.wait_until_free()
        assert len(last(running.submit([1])).outputs[0].token_ids) == 5


def test_a_neighbour_of_the_aborted_prompt_is_unchanged():
    with Running(FakeModel(**LONG)) as running:
        expected = last(running.submit([5] * 40)).outputs
    model = StuckModel(max_num_batched_tokens=64, **LONG)
    with Running(model) as running:
        aborted = running.submit([77] * 5000, name="long")
        assert model.reading.wait(PATIENCE_S)
        neighbour = running.submit([5] * 40)
        running.thread.abort(["long"])
        assert last(neighbour).outputs == expected
        assert last(aborted).finished


def test_closing_ends_the_step_that_reads_a_prompt():
    model = StuckModel(**LONG)
    running = Running(model)
    inbox = running.submit([77] * 5000)
    assert model.reading.wait(PATIENCE_S)
    running.thread.close()
    with pytest.raises(PyLLMError, match="closed before the request was finished"):
        last(inbox)


def test_a_request_in_the_queue_is_aborted_before_it_starts():
    model = StuckModel(max_num_seqs=1, **LONG)
    limits = QueueLimits(5, None)
    with Running(model, limits) as running:
        running.submit([77] * 5000, name="long")
        assert model.reading.wait(PATIENCE_S)
        inbox = running.submit([1], name="waits", refusable=True)
        assert limits.num_requests == 1
        running.thread.abort(["waits", "long"])
        assert last(inbox).outputs[0].token_ids == []
        assert limits.num_requests == 0


def test_a_full_queue_refuses_at_once_and_all_or_none():
    model = StuckModel(max_num_seqs=1, **LONG)
    limits = QueueLimits(2, None)
    with Running(model, limits) as running:
        running.submit([77] * 5000, name="long", refusable=True)
        assert model.reading.wait(PATIENCE_S)  # it left the queue
        first = running.submit([1], refusable=True)
        requests = [running.engine.make_request(None, [1], PARAMS) for _ in range(2)]
        with pytest.raises(QueueFullError):
            running.thread.submit(requests, queue.SimpleQueue(), refusable=True)
        assert limits.num_requests == 1
        patient = running.submit([1])
        running.thread.abort(["long"])
        assert len(last(first).outputs[0].token_ids) == 5
        assert len(last(patient).outputs[0].token_ids) == 5
        assert limits.num_requests == 0


class BrokenInbox:
    def __init__(self, healthy=0):
        self.healthy = healthy

    def put(self, message):
        self.healthy -= 1
        if self.healthy < 0:
            raise RuntimeError("nobody is at home")


@pytest.mark.parametrize("healthy", [0, 2])
def test_an_inbox_that_breaks_ends_its_request_alone(healthy):
    params = SamplingParams(
        max_tokens=None, temperature=0, output_kind=RequestOutputKind.DELTA, ignore_eos=True
    )
    with Running(FakeModel(logits_of=printable_logits, **LONG)) as running:
        expected = last(running.submit([1, 2])).outputs
        running.submit([1, 2], params, inbox=BrokenInbox(healthy))
        assert last(running.submit([1, 2])).outputs == expected
        running.wait_until_free()
        assert not running.engine.has_unfinished()


# ---- ends that nobody expected -----------------------------------------------------------------


def test_a_step_that_exits_is_reported_and_the_engine_goes_on(monkeypatch):
    with Running(FakeModel()) as running:
        with monkeypatch.context() as broken:
            broken.setattr(running.engine, "step", lambda has_news: sys.exit("enough"))
            with pytest.raises(PyLLMError, match="SystemExit: enough"):
                last(running.submit([1]))
        assert len(last(running.submit([1])).outputs[0].token_ids) == 5


def test_nobody_waits_for_a_thread_that_is_gone(monkeypatch):
    model = StuckModel(**LONG)
    limits = QueueLimits(5, None)
    with Running(model, limits) as running:
        reading = running.submit([77] * 5000, name="long")
        assert model.reading.wait(PATIENCE_S)
        waiting = running.submit([1], refusable=True)
        assert running.thread.is_running
        monkeypatch.setattr(running.engine, "abort", lambda name: sys.exit("enough"))
        monkeypatch.setattr(running.engine, "reset", lambda: sys.exit("twice"))
        running.thread.abort(["long"])
        unheard = running.submit([1], refusable=True)
        for inbox in (reading, waiting, unheard):
            with pytest.raises(PyLLMError, match="SystemExit"):
                last(inbox)
        running.thread._thread.join(PATIENCE_S)
        assert not running.thread.is_running
        with pytest.raises(PyLLMError, match="the engine has stopped: SystemExit: twice"):
            running.submit([1])
        running.thread.abort(["long"])
        assert limits.num_requests == 0


def test_a_request_made_on_the_engines_thread_is_refused():
    with Running(FakeModel()) as running:
        params = SamplingParams(max_tokens=5, logits_processors=[lambda *_: running.submit([1])])
        answer = last(running.submit([1], params)).outputs[0]
        assert answer.finish_reason == "error"
        assert "cannot wait for the LLM that runs it" in answer.stop_reason
        assert len(last(running.submit([1])).outputs[0].token_ids) == 5


# ---- names -------------------------------------------------------------------------------------


def test_an_abort_with_another_inbox_is_not_meant():
    with Running(FakeModel(logits_of=printable_logits, **LONG)) as running:
        expected = last(running.submit([1, 2], name="x")).outputs
        owner = running.submit([1, 2], name="x")
        running.thread.abort(["x"], queue.SimpleQueue())
        assert last(owner).outputs == expected


def test_a_refused_name_does_not_uncount_its_owner():
    def slow_logits(tokens):
        time.sleep(0.002)  # thousands of them: it runs until it is aborted
        return printable_logits(tokens)

    limits = QueueLimits(3, None)
    endless = SamplingParams(max_tokens=None, ignore_eos=True)
    with Running(FakeModel(max_num_seqs=1, logits_of=slow_logits, **LONG), limits) as running:
        running.submit([1], endless, name="long")
        owner = running.submit([1], name="x", refusable=True)
        for _ in range(5):
            with pytest.raises(PyLLMError, match="in use by another request"):
                last(running.submit([1], name="x", refusable=True))
            assert limits.num_requests == 1
        running.thread.abort(["long"])
        assert len(last(owner).outputs[0].token_ids) == 5
        assert limits.num_requests == 0


def test_a_number_that_waits_for_its_first_step_is_in_use():
    model = StuckModel(**LONG)
    with Running(model) as running:
        running.submit([77] * 5000, name="1")
        assert model.reading.wait(PATIENCE_S)
        running.submit([1], name="2")
        assert running.engine.make_request(None, [1], PARAMS).request_id == "3"


def test_aborts_of_nobody_are_not_queued_and_aborts_of_somebody_hold_up_nobody():
    with Running(FakeModel(logits_of=printable_logits, **LONG)) as running:
        running.thread.abort(["nobody"])
        assert running.thread._door.commands.empty()
        stop = threading.Event()

        def spam():
            inbox = queue.SimpleQueue()
            while not stop.is_set():
                running.thread.abort(["x"], inbox)
                while running.thread._door.commands.qsize() > 1000:
                    time.sleep(0)

        spammer = threading.Thread(target=spam)
        spammer.start()
        try:
            assert len(last(running.submit([1] * 700, name="x")).outputs[0].token_ids) == 5
        finally:
            stop.set()
            spammer.join()


def test_an_abort_while_a_request_is_made_ends_it_when_it_comes():
    with Running(FakeModel(logits_of=printable_logits, **LONG)) as running:
        with running.thread.expecting("x"):
            running.thread.abort(["x"])
            output = last(running.submit([1], name="x"))
        assert output.outputs[0].finish_reason == "abort"
        assert not output.outputs[0].token_ids
        assert len(last(running.submit([1], name="x")).outputs[0].token_ids) == 5, "that is past"
        with running.thread.expecting("x"):
            running.thread.abort(["x"])
            last(running.submit([1], name="y"))  # the abort has been heard
        assert len(last(running.submit([1], name="x")).outputs[0].token_ids) == 5, "it never came"
        assert not running.thread._door.expected
        assert not running.thread._door.early_aborts


# ---- numbers -----------------------------------------------------------------------------------


def test_stats_count_those_that_the_engine_has_not_heard_of():
    model = StuckModel(max_num_seqs=1, **LONG)
    with Running(model) as running:
        running.submit([77] * 5000, name="long")
        assert model.reading.wait(PATIENCE_S)
        inbox = running.submit([1], SamplingParams(n=2, max_tokens=3, ignore_eos=True))
        stats = running.thread.stats()
        assert (stats.num_running, stats.num_waiting) == (1, 2)
        running.thread.abort(["long"])
        last(inbox)
        running.wait_until_free()
        stats = running.thread.stats()
        assert (stats.num_running, stats.num_waiting) == (0, 0)
        assert stats.num_cancelled == {"queue": 0, "prefill": 1, "decode": 0}


def test_stats_are_there_after_the_end():
    running = Running(FakeModel(logits_of=printable_logits))
    last(running.submit([1]))
    running.thread.close()
    running.thread.close()
    stats = running.thread.stats()
    assert stats.num_generated_tokens == 5
    assert (stats.num_running, stats.num_waiting, stats.kv_cache_usage) == (0, 0, 0.0)


def test_stats_may_be_asked_while_it_works():
    with Running(FakeModel(logits_of=printable_logits)) as running:
        inboxes = [running.submit([number] * 9) for number in range(20)]
        seen = [running.thread.stats() for _ in range(300)]
        for inbox in inboxes:
            last(inbox)
        seen.append(running.thread.stats())
    tokens = [stats.num_generated_tokens for stats in seen]
    assert tokens == sorted(tokens)
    assert tokens[-1] == 100
    assert all(0 <= stats.kv_cache_usage <= 1 for stats in seen)
