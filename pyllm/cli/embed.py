"""`pyllm embed MODEL TEXT…`: the embedding of each text, one per line or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.terminal import is_terminal
from pyllm.llm import LLM
from pyllm.pooling.pooling import PoolingParams

__all__ = ["embed"]


def embed(
    model: Path,
    *,
    texts: Sequence[str],
    dimensions: int | None,
    normalize: bool,
    pooling: str | None,
    as_json: bool,
    engine: Mapping[str, Any],
) -> None:
    """Prints a list of numbers for each of `texts`, or for each line of standard input.

    Raises what LLM and LLM.embed raise.
    """
    given = list(texts) or _lines()  # before loading: that takes a while
    params = PoolingParams(dimensions=dimensions, normalize=normalize, pooling_type=pooling)
    with LLM(model, **engine) as llm:
        outputs = llm.embed(given, params)
    arrays = [np.array(output.outputs.embedding, np.float32) for output in outputs]
    if not as_json:
        for array in arrays:
            print(_numbers(array))
        return
    rows = [
        f'{{"index": {index}, "tokens": {len(output.prompt_token_ids)}, '
        f'"embedding": {_numbers(array)}}}'
        for index, (output, array) in enumerate(zip(outputs, arrays, strict=True))
    ]
    print(f'{{"model": {json.dumps(str(model))}, "data": [{", ".join(rows)}]}}')


def _lines() -> list[str]:
    if is_terminal(sys.stdin):
        raise CommandLineError("no text: give TEXT, or lines on standard input")
    lines = sys.stdin.buffer.read().decode("utf-8", "replace").splitlines() if sys.stdin else []
    if not any(lines):
        raise CommandLineError("no text: standard input is empty")
    return [line for line in lines if line]


def _numbers(array: npt.NDArray[np.float32]) -> str:
    """As JSON; nine digits are enough to give every float32 back."""
    if array.ndim > 1:
        return f"[{', '.join(map(_numbers, array))}]"
    return f"[{', '.join(f'{number:.9g}' for number in array.tolist())}]"
