"""How the doctor's findings are printed."""

from __future__ import annotations

import json

import pytest

from pyllm.cli import doctor as command
from pyllm.doctor import Finding

WELL = Finding("threads", "ok", "2: 2 physical cores")
ILL = Finding("kernels", "failed", "Q4_K: \x1b[2J")
ODD = Finding("model", "warning", "a\nb")


def use(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(command, "examine", lambda model: iter(findings))


def test_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use(monkeypatch, WELL, ODD)
    assert command.doctor(None, as_json=False) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok    threads          2: 2 physical cores",
        "WARN  model            a\\nb",
    ]


def test_ill(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use(monkeypatch, WELL, ILL)
    assert command.doctor(None, as_json=False) == 1
    out = capsys.readouterr().out
    assert "FAIL  kernels          Q4_K: \\x1b[2J\n" in out
    assert out.endswith("1 of 2 findings need attention.\n")


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use(monkeypatch, WELL, ILL)
    assert command.doctor(None, as_json=True) == 1
    assert [row["status"] for row in json.loads(capsys.readouterr().out)] == ["ok", "failed"]
