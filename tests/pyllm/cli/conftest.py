"""A scripted model for every test here, and no settings from the machine's environment."""

from __future__ import annotations

import os

import pytest

from tests.pyllm.cli.fake_llm import FakeLLM


@pytest.fixture
def fake_llm() -> FakeLLM:
    return FakeLLM()


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PYLLM_")]:
        if name not in ("PYLLM_ISA", "PYLLM_TEST_MATERIAL"):
            monkeypatch.delenv(name)
