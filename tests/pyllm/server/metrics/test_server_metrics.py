"""The page as Prometheus' parser reads it back."""

import asyncio
import re
import threading

import pytest

from pyllm.errors import MemoryBudgetError, UnsupportedModelError
from pyllm.histogram import Distribution
from pyllm.server.metrics import CONTENT_TYPE, ServerMetrics
from tests.pyllm.server.metrics.stubs import (
    Engine,
    Models,
    busy_metrics,
    families,
    output,
    samples,
    stats,
    value,
)

# What dashboards, autoscalers and gateways ask for by name.
VLLM = [
    "num_requests_running",
    "num_requests_waiting",
    "kv_cache_usage_perc",
    "gpu_cache_usage_perc",
    "num_preemptions_total",
    "prompt_tokens_total",
    "generation_tokens_total",
    "request_success_total",
    "prefix_cache_queries_total",
    "prefix_cache_hits_total",
    "corrupted_requests_total",
    "spec_decode_num_drafts_total",
    "spec_decode_num_draft_tokens_total",
    "spec_decode_num_accepted_tokens_total",
    "cache_config_info",
    "time_to_first_token_seconds_bucket",
    "inter_token_latency_seconds_bucket",
    "time_per_output_token_seconds_bucket",
    "request_time_per_output_token_seconds_bucket",
    "e2e_request_latency_seconds_bucket",
    "request_queue_time_seconds_bucket",
    "request_prefill_time_seconds_bucket",
    "request_decode_time_seconds_bucket",
    "request_inference_time_seconds_bucket",
    "request_prompt_tokens_bucket",
    "request_generation_tokens_bucket",
    "iteration_tokens_total_bucket",
]
LLAMA = [
    "prompt_tokens_total",
    "tokens_predicted_total",
    "prompt_tokens_seconds",
    "predicted_tokens_seconds",
    "requests_processing",
    "requests_deferred",
    "prompt_seconds_total",
    "tokens_predicted_seconds_total",
    "n_decode_total",
    "n_busy_slots_per_decode",
    "kv_cache_usage_ratio",
    "kv_cache_tokens",
]


@pytest.fixture(scope="module")
def page():
    return busy_metrics().render()


@pytest.mark.parametrize("name", VLLM)
def test_the_names_of_vllm(page, name):
    assert any(found == f"vllm:{name}" for found, _ in samples(page))


@pytest.mark.parametrize("name", LLAMA)
def test_the_names_of_llama_server_have_no_labels(page, name):
    assert (f"llamacpp:{name}", ()) in samples(page)


def test_every_alias_says_what_ours_says(page):
    found = samples(page)
    aliases = {key: v for key, v in found.items() if key[0].startswith("vllm:")}
    for (name, labels), alias in aliases.items():
        ours = found.get((name.replace("vllm:", "pyllm:"), labels))
        if ours is not None:
            assert ours == alias
    assert len(aliases) > 100


def test_the_page_keeps_the_rules_of_the_format(page):
    """What promtool checks, as far as a compatible name can: help and type once and first."""
    lines = page.decode("ascii").splitlines()
    helped = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    typed = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE "))
    assert len(helped) == len(set(helped))
    assert helped == list(typed)
    current = ""
    for line in lines:
        if line.startswith("# TYPE "):
            current = line.split()[2]
        elif not line.startswith("#"):
            name = re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*", line).group()
            suffixes = ("_bucket", "_sum", "_count") if typed[current] == "histogram" else ("",)
            assert name in {current + suffix for suffix in suffixes}
    for name, kind in typed.items():
        if name.startswith("pyllm:") and kind != "histogram":
            assert name.endswith("_total") == (kind == "counter"), name
    assert page.endswith(b"\n")
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


def test_histograms_are_cumulative(page):
    for family in families(page).values():
        if family.type != "histogram":
            continue
        series = {}
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k != "le"}
            key = tuple(sorted(labels.items()))
            series.setdefault(key, []).append((sample.name, sample.labels.get("le"), sample.value))
        for rows in series.values():
            buckets = [v for name, _, v in rows if name.endswith("_bucket")]
            bounds = [float(le) for name, le, _ in rows if name.endswith("_bucket")]
            (count,) = [v for name, _, v in rows if name.endswith("_count")]
            assert buckets == sorted(buckets)
            assert bounds == sorted(bounds)
            assert bounds[-1] == float("inf")
            assert buckets[-1] == count


# ---- requests ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("e2e_request_latency_seconds", 7.5), ("request_queue_time_seconds", 1.0),
        ("request_prefill_time_seconds", 2.0), ("request_decode_time_seconds", 4.0),
        ("request_inference_time_seconds", 6.0), ("request_prompt_tokens", 10.0),
        ("request_generation_tokens", 5.0), ("request_time_per_output_token_seconds", 1.0),
    ],
)  # fmt: skip
def test_a_finished_request(page, name, total):
    assert value(page, f"vllm:{name}_sum", model_name="a") == total
    assert value(page, f"vllm:{name}_count", model_name="a") == 1


def test_a_request_that_never_ran_only_waited():
    metrics = ServerMetrics(Models(a=Engine()))
    metrics.request_finished(
        "a",
        output(
            num_output=0, first_scheduled_time=None, first_token_time=None, last_token_time=None
        ),
    )
    page = metrics.render()
    assert value(page, "pyllm:e2e_request_latency_seconds_count", model_name="a") == 1
    for name in ("queue", "prefill", "decode", "inference"):
        assert value(page, f"pyllm:request_{name}_time_seconds_count", model_name="a") == 0


def test_an_answer_of_one_token_has_no_time_between_tokens():
    metrics = ServerMetrics(Models(a=Engine()))
    metrics.request_finished("a", output(num_output=1, last_token_time=103.0))
    name = "pyllm:request_time_per_output_token_seconds_count"
    assert value(metrics.render(), name, model_name="a") == 0


def test_speeds_are_those_of_the_last_requests():
    metrics = ServerMetrics(Models(a=Engine()))
    for _ in range(100):
        metrics.request_finished("a", output(num_prompt=1000, num_cached=0))
    for _ in range(64):
        metrics.request_finished("a", output())  # 6 tokens read in 2 s, 4 written in 4 s
    page = metrics.render()
    assert value(page, "llamacpp:prompt_tokens_seconds") == pytest.approx(3.0)
    assert value(page, "llamacpp:predicted_tokens_seconds") == pytest.approx(1.0)
    assert value(page, "llamacpp:prompt_seconds_total") == pytest.approx(328)


# ---- labels are bounded ------------------------------------------------------------------------


def test_names_that_the_server_does_not_know_are_one():
    metrics = ServerMetrics(Models(a=Engine()))
    for number in range(1000):
        metrics.request_finished(f"made up {number}", output())
        metrics.cancelled(f"made up {number}", "encode")
    models = {dict(labels).get("model_name") for _, labels in samples(metrics.render())}
    assert models == {None, "a", "other"}


def test_routes_and_statuses_are_bounded():
    metrics = ServerMetrics(Models(a=Engine()))
    for number in range(2000):
        metrics.answered(f"/made/up/{number}", number)
    counted = [key for key in samples(metrics.render()) if key[0] == "pyllm:http_requests_total"]
    assert len(counted) < 1100
    total = sum(v for k, v in samples(metrics.render()).items() if k[0] == counted[0][0])
    assert total == 2000


def test_a_hostile_name_stays_inside_its_label():
    name = 'a"} 1\nvllm:fake 7\\'
    metrics = ServerMetrics(Models(**{name: Engine(num_running=3)}))
    page = metrics.render()
    assert value(page, "vllm:num_requests_running", model_name=name) == 3
    assert "vllm:fake" not in families(page)


# ---- what no engine sees -----------------------------------------------------------------------


def test_refusals_are_counted_by_reason():
    metrics = ServerMetrics(Models("a"))
    for code in ("queue_full", "queue_full", "shutting_down", "invalid_value", None):
        metrics.rejected(code)
    page = metrics.render()
    assert value(page, "pyllm:admission_rejections_total", reason="queue_full") == 2
    assert value(page, "pyllm:admission_rejections_total", reason="shutting_down") == 1
    assert value(page, "pyllm:admission_rejections_total", reason="insufficient_memory") == 0


def test_failed_loads_are_counted_by_reason():
    metrics = ServerMetrics(Models("a"))
    unsupported = UnsupportedModelError("x", None, "architecture", "y", "z")
    errors = [unsupported, MemoryBudgetError(2, 1), FileNotFoundError(), ValueError()]
    for error in errors:
        metrics.model_load_failed(error)
    page = metrics.render()
    for reason, count in {"unsupported": 1, "memory": 1, "io": 1, "other": 1, "device": 0}.items():
        assert value(page, "pyllm:model_load_failures_total", reason=reason) == count


def test_stalls_and_http(page):
    assert value(page, "pyllm:stream_stall_seconds_sum") == pytest.approx(0.2)
    assert value(page, "pyllm:http_requests_total", route="/v1/models", status="200") == 1
    assert value(page, "pyllm:requests_cancelled_total", model_name="a", phase="load") == 1
    assert value(page, "pyllm:requests_cancelled_total", model_name="a", phase="decode") == 0


def test_which_models_are_loaded(page):
    assert value(page, "pyllm:model_loaded", model_name="a") == 1
    assert value(page, "pyllm:model_loaded", model_name="b") == 0


def test_the_process_is_there_too(page):
    assert value(page, "process_resident_memory_bytes") > 1e6


# ---- engines come and go -----------------------------------------------------------------------


def test_numbers_of_the_engines():
    spread = Distribution((1.0, 2.0), (1, 0, 2), 9.0)
    models = Models(a=Engine(num_running=2, num_waiting=5, kv_cache_usage=0.25, num_steps=4,
                             num_scheduled=8, num_prompt_tokens=30, num_cached_tokens=10,
                             next_token_seconds=spread),
                    b=Engine(num_running=1, num_steps=4, num_scheduled=4))  # fmt: skip
    page = ServerMetrics(models).render()
    assert value(page, "vllm:num_requests_running", model_name="a") == 2
    assert value(page, "vllm:kv_cache_usage_perc", model_name="a") == 0.25
    assert value(page, "vllm:prefix_cache_queries_total", model_name="a") == 30
    assert value(page, "vllm:prefix_cache_hits_total", model_name="a") == 10
    assert value(page, "vllm:inter_token_latency_seconds_count", model_name="a") == 3
    assert value(page, "vllm:inter_token_latency_seconds_sum", model_name="a") == 9
    assert value(page, "llamacpp:requests_processing") == 3
    assert value(page, "llamacpp:requests_deferred") == 5
    assert value(page, "llamacpp:n_busy_slots_per_decode") == 1.5
    assert value(page, "llamacpp:kv_cache_usage_ratio") == 0.125
    assert value(page, "llamacpp:kv_cache_tokens") == 256


def test_without_prefix_caching_nothing_is_looked_up():
    models = Models(a=Engine(num_prompt_tokens=30, enable_prefix_caching=False))
    page = ServerMetrics(models).render()
    assert value(page, "vllm:prefix_cache_queries_total", model_name="a") == 0


def test_totals_never_fall_when_a_model_is_loaded_again():
    models = Models("a", a=Engine(num_running=1, num_generated_tokens=10))
    metrics = ServerMetrics(models)
    seen = [metrics.render()]
    models.engines.clear()  # it is being unloaded
    seen.append(metrics.render())
    metrics.model_unloaded("a", stats(num_generated_tokens=12))
    seen.append(metrics.render())
    models.engines["a"] = Engine(num_generated_tokens=3)
    seen.append(metrics.render())
    tokens = [value(page, "pyllm:generation_tokens_total", model_name="a") for page in seen]
    running = [value(page, "pyllm:num_requests_running", model_name="a") for page in seen]
    assert tokens == [10, 10, 12, 15]
    assert running == [1, 0, 0, 0]


def test_two_servers_count_apart():
    one, two = ServerMetrics(Models(a=Engine())), ServerMetrics(Models(a=Engine()))
    one.answered("/health", 200)
    assert b'route="/health"' in one.render()
    assert b'route="/health"' not in two.render()


def test_the_page_is_written_on_another_thread():
    metrics = busy_metrics()
    threads = []
    metrics._write = lambda scrape: threads.append(threading.current_thread()) or b"page"
    assert asyncio.run(metrics.page()) == b"page"
    assert threads != [threading.main_thread()]


def test_it_is_read_while_requests_finish():
    metrics = ServerMetrics(Models(a=Engine()))
    done = threading.Event()

    def finish():
        while not done.is_set():
            metrics.request_finished("a", output())
            metrics.answered("/v1/models", 200)

    thread = threading.Thread(target=finish)
    thread.start()
    try:
        counts = [
            value(metrics.render(), "pyllm:request_prompt_tokens_count", model_name="a")
            for _ in range(10)
            if metrics._requests
        ]
    finally:
        done.set()
        thread.join()
    assert counts == sorted(counts)
