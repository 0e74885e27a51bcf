"""The tables of `pyllm bench throughput` and `bench serve`."""

from __future__ import annotations

import json

from pyllm.cli.bench_figures import Totals, as_json, as_markdown
from pyllm.latency import Spread

TOTALS = Totals(4, 1, 2.0, 100, 60)
LATENCIES = {"ttft": Spread.of([0.1, 0.2, 0.3]), "tpot": None}


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_markdown_says_it_in_the_usual_words() -> None:
    totals, latencies = as_markdown("Serving", {"request_rate": 2.5}, TOTALS, LATENCIES).split(
        "\n\n"
    )
    rows = cells(totals)
    assert rows[0] == ["Serving", ""]
    assert rows[2:] == [
        ["Successful requests", "4"],
        ["Failed requests", "1"],
        ["Request rate configured (RPS)", "2.50"],
        ["Benchmark duration (s)", "2.00"],
        ["Total input tokens", "100"],
        ["Total generated tokens", "60"],
        ["Request throughput (req/s)", "2.00"],
        ["Output token throughput (tok/s)", "30.00"],
        ["Total token throughput (tok/s)", "80.00"],
    ]
    rows = cells(latencies)
    assert rows[0] == ["ms", "Mean", "Median (P50)", "P90", "P99"]
    assert rows[2] == ["TTFT (time to first token)", "200.00", "200.00", "280.00", "298.00"]
    assert rows[3][1:] == ["–"] * 4
    assert len({len(line) for line in latencies.splitlines()}) == 1


def test_without_latencies_there_is_one_table() -> None:
    assert "\n\n" not in as_markdown("Offline throughput", {}, TOTALS, {})


def test_json_has_the_names_of_the_usual_result_file() -> None:
    found = json.loads(as_json({"request_rate": None}, TOTALS, LATENCIES))
    assert found["request_rate"] is None
    assert (found["completed"], found["total_output_tokens"]) == (4, 60)
    assert found["request_throughput"] == 2
    assert found["median_ttft_ms"] == found["p50_ttft_ms"] == 200
    assert found["std_ttft_ms"] > 81
    assert not [name for name in found if "tpot" in name]
