"""Simon Willison's `llm` on the command line, unmodified."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def llm(tmp_path: Path, server: str) -> list[str]:
    found = shutil.which("llm", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("the command llm is not installed")
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: local\n  model_name: demo\n  api_base: {server}/v1\n  can_stream: true\n"
    )
    return [found]


@pytest.mark.parametrize("more", [[], ["--no-stream"]])
def test_a_prompt_is_answered(llm: list[str], tmp_path: Path, more: list[str]) -> None:
    env = {**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"}
    command = [*llm, "-m", "local", "-o", "temperature", "0", *more, "What is 3 + 4?"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "3 + 4 = 7.", done.stderr
