"""pyllm: quantized language models on the CPU.

    from pyllm import LLM, SamplingParams
    print(LLM("model.gguf").generate("Once upon a time")[0].outputs[0].text)

Names are imported on first use, so that `import pyllm` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyllm.async_llm import AsyncLLM
    from pyllm.engine.stats import EngineStats
    from pyllm.errors import (
        ContextLengthError,
        DeviceError,
        MemoryBudgetError,
        ModelFileError,
        PyLLMError,
        QueueFullError,
        RequestError,
        TemplateError,
        TokenizerError,
        UnsupportedModelError,
    )
    from pyllm.llm import LLM
    from pyllm.outputs import CompletionOutput, Delta, Logprob, RequestMetrics, RequestOutput
    from pyllm.pooling.outputs import (
        EmbeddingOutput,
        EmbeddingRequestOutput,
        ScoringOutput,
        ScoringRequestOutput,
    )
    from pyllm.pooling.pooling import PoolingParams
    from pyllm.sampling.beam_search import BeamSearchOutput, BeamSearchParams
    from pyllm.sampling.logprobs import FlatLogprobs
    from pyllm.sampling.params import RequestOutputKind, SamplingParams
    from pyllm.sampling.repetition import RepetitionDetectionParams
    from pyllm.structured import StructuredOutputsParams

    __version__: str

__all__ = [  # noqa: RUF022 - plain order, as sorted() gives it
    "AsyncLLM",
    "BeamSearchOutput",
    "BeamSearchParams",
    "CompletionOutput",
    "ContextLengthError",
    "Delta",
    "DeviceError",
    "EmbeddingOutput",
    "EmbeddingRequestOutput",
    "EngineStats",
    "FlatLogprobs",
    "LLM",
    "Logprob",
    "MemoryBudgetError",
    "ModelFileError",
    "PoolingParams",
    "PyLLMError",
    "QueueFullError",
    "RepetitionDetectionParams",
    "RequestError",
    "RequestMetrics",
    "RequestOutput",
    "RequestOutputKind",
    "SamplingParams",
    "ScoringOutput",
    "ScoringRequestOutput",
    "StructuredOutputsParams",
    "TemplateError",
    "TokenizerError",
    "UnsupportedModelError",
    "__version__",
]

_HOMES = {
    "AsyncLLM": "pyllm.async_llm",
    "LLM": "pyllm.llm",
    "BeamSearchOutput": "pyllm.sampling.beam_search",
    "BeamSearchParams": "pyllm.sampling.beam_search",
    "EngineStats": "pyllm.engine.stats",
    "FlatLogprobs": "pyllm.sampling.logprobs",
    "RepetitionDetectionParams": "pyllm.sampling.repetition",
    "CompletionOutput": "pyllm.outputs",
    "Delta": "pyllm.outputs",
    "Logprob": "pyllm.outputs",
    "RequestMetrics": "pyllm.outputs",
    "RequestOutput": "pyllm.outputs",
    "PoolingParams": "pyllm.pooling.pooling",
    "EmbeddingOutput": "pyllm.pooling.outputs",
    "EmbeddingRequestOutput": "pyllm.pooling.outputs",
    "ScoringOutput": "pyllm.pooling.outputs",
    "ScoringRequestOutput": "pyllm.pooling.outputs",
    "RequestOutputKind": "pyllm.sampling.params",
    "SamplingParams": "pyllm.sampling.params",
    "StructuredOutputsParams": "pyllm.structured",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in __all__:
        value = getattr(importlib.import_module(_HOMES.get(name, "pyllm.errors")), name)
    else:
        raise AttributeError(f"module 'pyllm' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pyllm")
    except PackageNotFoundError:  # a checkout that was never installed has no version of its own
        return "0+source"
