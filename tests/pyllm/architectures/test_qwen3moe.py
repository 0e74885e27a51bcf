"""The qwen3moe family computes what transformers computes, in one piece and token by token."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from tests.support.architecture_tests import check_core, check_reference
from tests.support.reference_models import CHUNKS, names_of

NAMES = names_of("qwen3moe")
FLOATS = (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16)


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("name", NAMES)
def test_reference_interpreter(name: str, chunk: int) -> None:
    check_reference(name, chunk)


@pytest.mark.isa
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("kind", FLOATS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", NAMES)
def test_program(name: str, chunk: int, kind: gguf.GGMLQuantizationType, tmp_path: Path) -> None:
    check_core(name, chunk, kind, tmp_path)
