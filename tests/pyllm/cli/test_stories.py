"""The published story of a real model, told by the command itself."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pyllm import kernels
from tests.pyllm.cli.program import COMMAND, environment

MATERIAL = Path(__file__).resolve().parents[4] / "shared" / "material"
STORIES = Path(os.environ.get("PYLLM_TEST_MATERIAL", MATERIAL)) / "weights" / "stories260K"


@pytest.mark.parametrize("isa", kernels.isas())
def test_greedy_story(isa: str) -> None:
    if not STORIES.is_dir():
        pytest.skip(f"no test material in {STORIES}; set PYLLM_TEST_MATERIAL")
    expected = json.loads((STORIES / "expected_greedy.json").read_text())
    count = str(len(expected["greedy_ids"]) - len(expected["prompt_ids"]))
    run = subprocess.run(
        [*COMMAND, "run", STORIES / "stories260K.gguf", "--raw", "", "--temp", "0", "-n", count],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(PYLLM_ISA=isa),
        check=True,
    )
    assert run.stdout == expected["text"].removeprefix(" ") + "\n"
    assert run.stdout.startswith(expected["expected_published_text"])
    assert run.stderr == ""
