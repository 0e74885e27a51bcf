"""The list of metrics, the dashboard and the page say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pyllm.server.metrics.stubs import busy_metrics, families

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "pyllm.json").read_text("utf-8"))
DOCUMENT = (ROOT / "docs" / "observability.md").read_text("utf-8")

FAMILIES = families(busy_metrics().render())
KINDS = {
    family.name + ("_total" if family.type == "counter" else ""): family.type
    for family in FAMILIES.values()
}
SERIES = {sample.name for family in FAMILIES.values() for sample in family.samples}
NAME = re.compile(r"\b(?:pyllm|vllm|llamacpp):[a-z0-9_]+|\bprocess_[a-z0-9_]+")

# Part of the document: the prefixes that its table's names have.
PREFIXES = {
    "Under `pyllm:` and under `vllm:`": ["pyllm:", "vllm:"],
    "Only under `pyllm:`": ["pyllm:"],
    "Only under `vllm:`": ["vllm:"],
    "Under `llamacpp:`": ["llamacpp:"],
    "Of the process": [""],
}


def documented() -> dict[str, tuple[str, set[str]]]:
    """Name: kind and labels, as the tables have them."""
    found = {}
    for title, prefixes in PREFIXES.items():
        part = re.split(r"^#+ ", DOCUMENT.split(f"### {title}\n")[1], flags=re.MULTILINE)[0]
        for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) \|", part, re.M):
            words = {label.strip() for label in labels.split(",") if label.strip()}
            found.update({prefix + name: (kind, words) for prefix in prefixes})
    return found


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    assert {name: kind for name, (kind, _) in documented().items()} == KINDS


def test_labels_are_documented() -> None:
    for family in FAMILIES.values():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert documented()[name][1] == labels, name


def test_alerts_ask_for_what_exists() -> None:
    part = DOCUMENT.split("### Worth an alert")[1].split("\n## ")[0]
    names = NAME.findall(part)
    assert names
    assert set(names) <= SERIES


# ---- the dashboard -----------------------------------------------------------------------------


def panels() -> Iterator[dict[str, Any]]:
    for panel in DASHBOARD["panels"]:
        if panel["type"] != "row":
            yield panel


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_a_panel_asks_for_what_exists(expression: str) -> None:
    names = NAME.findall(expression)
    assert names
    assert set(names) <= SERIES
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_panels_show_everything() -> None:
    shown = {name for expression in expressions() for name in NAME.findall(expression)}
    families_shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} | shown
    wanted = {name for name in KINDS if name.startswith(("pyllm:", "process_"))}
    assert wanted <= families_shown


def test_counters_are_rates_and_gauges_are_not() -> None:
    for expression in expressions():
        for name in NAME.findall(expression):
            is_rate = re.search(rf"(rate|increase)\({re.escape(name)}\b", expression) is not None
            kind = KINDS.get(name, "histogram")
            if name == "pyllm:corrupted_requests_total":  # one is one too many, whenever it was
                assert not is_rate
            else:
                assert is_rate == (kind != "gauge"), expression


def test_variables_are_those_that_exist() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"])))
    assert used == {*variables, "__rate_interval"}
    assert variables["datasource"]["type"] == "datasource"
    for name in ("job", "model_name"):
        assert set(NAME.findall(variables[name]["definition"])) <= SERIES
    sources = {panel["datasource"]["uid"] for panel in panels()}
    assert sources == {"${datasource}"}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(identities) == len(set(identities))
    assert DASHBOARD["schemaVersion"] >= 38  # Grafana 10
    assert DASHBOARD["id"] is None
