"""A server's models without models, and pages read back by Prometheus' own parser."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from pyllm.engine.counters import EngineCounters
from pyllm.engine.scheduler import Scheduler
from pyllm.kv.cache import KVCache
from pyllm.outputs import CompletionOutput, RequestMetrics, RequestOutput
from pyllm.server.metrics import ServerMetrics


def stats(**changes):
    """Those of an engine that has done nothing else."""
    scheduler = Scheduler(KVCache(64, 16), max_num_seqs=4, max_num_batched_tokens=64)
    return replace(EngineCounters().snapshot(scheduler, 0), **changes)


class Engine:
    def __init__(self, **changes):
        self.now = stats(**changes)

    def stats(self):
        return self.now


class Models:
    """What ServerMetrics asks of a registry."""

    def __init__(self, *names, **loaded):
        self.all = list(names) or list(loaded)
        self.engines = loaded

    def names(self):
        return self.all

    def loaded(self):
        return [(name, engine, 300.0) for name, engine in self.engines.items()]


def output(num_prompt=10, num_output=5, num_cached=4, reason="stop", **times):
    """A last report: queued 1 s, read for 2 s, written for 4 s."""
    times = {
        "arrival_time": 100.0, "first_scheduled_time": 101.0, "first_token_time": 103.0,
        "last_token_time": 107.0, "finished_time": 107.5, **times,
    }  # fmt: skip
    metrics = RequestMetrics(**times, num_output_tokens=num_output)
    part = CompletionOutput(0, "", [1], None, None, reason)
    prompt = [1] * num_prompt
    return RequestOutput("r", None, prompt, [part], True, metrics, num_cached_tokens=num_cached)


def busy_metrics():
    """Of a server on which everything has happened, so that every series is there."""
    models = Models("a", "b", a=Engine(num_running=2))
    metrics = ServerMetrics(models)
    metrics.request_finished("a", output())
    metrics.cancelled("a", "load")
    metrics.rejected("queue_full")
    metrics.model_load_failed(OSError())
    metrics.answered("/v1/models", 200)
    metrics.stalled(0.2)
    return metrics


def families(page):
    return {family.name: family for family in text_string_to_metric_families(page.decode())}


def samples(page):
    """Every sample: {(name, sorted labels): value}."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(page).values()
        for sample in family.samples
    }


def value(page, name, **labels):
    return samples(page)[name, tuple(sorted(labels.items()))]
