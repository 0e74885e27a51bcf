"""How well pairs of texts belong together: by a model that ranks, or by their embeddings."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Protocol

import numpy as np

from pyllm.engine.model import EngineModel
from pyllm.errors import RequestError, TemplateError
from pyllm.outputs import RequestOutput
from pyllm.pooling.classifier import Classifier
from pyllm.pooling.embedding import PoolingJob, pooled_by
from pyllm.pooling.outputs import ScoringOutput, ScoringRequestOutput
from pyllm.pooling.pooling import Floats, PoolingParams
from pyllm.prompts import Encoded, checked_text, encode_prompt
from pyllm.text.special_text import SpecialText

__all__ = ["Scorer", "Scoring"]


class Scoring(Protocol):
    """The texts to read, and what their outputs, in the same order, say of each pair."""

    @property
    def jobs(self) -> list[PoolingJob]: ...
    def results(self, outputs: Sequence[RequestOutput]) -> list[ScoringRequestOutput]: ...


class Scorer:
    """Of one model."""

    def __init__(self, model: EngineModel) -> None:
        self._model = model

    def scoring(self, text_1: str | Sequence[str], text_2: str | Sequence[str]) -> Scoring:
        """One text against one or many, or as many against as many. Raises RequestError.

        TemplateError when the model ranks and its file does not say how it is asked.
        """
        first, second = _texts("text_1", text_1), _texts("text_2", text_2)
        if len(first) not in (1, len(second)):
            limit = f"must be one text, or as many as text_2, {len(second)}"
            raise RequestError("text_1", f"{len(first)} texts", limit)
        classifier = self._model.pooling.classifier
        if classifier is None:
            return CosineScoring(self._model, first, second)
        queries = first * (len(second) // len(first))
        return RankScoring(self._model, classifier, self._special_text, queries, second)

    @cached_property
    def _special_text(self) -> SpecialText:
        return SpecialText(self._model.tokenizer)  # looks through the vocabulary once


class CosineScoring:
    """Embeds every text once; a score is the cosine of the angle between two embeddings."""

    def __init__(self, model: EngineModel, first: list[str], second: list[str]) -> None:
        if model.pooling.type == "none":
            limit = "gives a vector for each token, not one for a text; there is nothing to score"
            raise RequestError("pooling_type", "none", limit)
        self._num_first = len(first)
        self.jobs = [
            PoolingJob(partial(encode_prompt, text, model.tokenizer), PoolingParams())
            for text in first + second
        ]

    def results(self, outputs: Sequence[RequestOutput]) -> list[ScoringRequestOutput]:
        first, second = list(outputs[: self._num_first]), outputs[self._num_first :]
        if len(first) == 1:
            first *= len(second)
        return [
            ScoringRequestOutput(
                f"{a.request_id}_{b.request_id}",
                ScoringOutput(cosine(pooled_by(a), pooled_by(b))),
                a.prompt_token_ids + b.prompt_token_ids,
                num_cached_tokens=a.num_cached_tokens + b.num_cached_tokens,
            )
            for a, b in zip(first, second, strict=True)
        ]


class RankScoring:
    """Asks the model, which reads each pair as one text made by its file's template."""

    def __init__(
        self,
        model: EngineModel,
        classifier: Classifier,
        special_text: SpecialText,
        queries: list[str],
        documents: list[str],
    ) -> None:
        template = model.pooling.rerank_template
        if template is None:
            message = "the model ranks, but its file has no tokenizer.chat_template.rerank"
            raise TemplateError(f"{message}: convert it again with a current llama.cpp")
        self._classifier = classifier
        self._tokenizer = model.tokenizer
        self._special = special_text
        params = PoolingParams(pooling_type="last")
        self.jobs = [
            PoolingJob(partial(self._encode, template, query, document), params)
            for query, document in zip(queries, documents, strict=True)
        ]

    def results(self, outputs: Sequence[RequestOutput]) -> list[ScoringRequestOutput]:
        return [
            ScoringRequestOutput(
                output.request_id,
                ScoringOutput(self._classifier.score(pooled_by(output))),
                output.prompt_token_ids,
                num_cached_tokens=output.num_cached_tokens,
            )
            for output in outputs
        ]

    def _encode(self, template: str, query: str, document: str) -> Encoded:
        """Special tokens of the template are tokens; in the two texts they are plain text."""
        (marked,), mark = self._special.marked([{"query": query, "document": document}])
        # In one pass: a query may well speak of "{document}".
        text = re.sub(r"\{(query|document)\}", lambda match: str(marked[match[1]]), template)
        ids = self._special.encode(text, mark)
        bos = self._tokenizer.bos_id
        if self._tokenizer.add_bos and bos is not None and ids[:1] != [bos]:
            ids.insert(0, bos)
        return text.replace(mark, "") if mark else text, ids


def cosine(a: Floats, b: Floats) -> float:
    """Of the angle between two vectors; 0 when one of them is zero."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    # Not BLAS, whose order of summation may depend on where an array lies in memory.
    length = math.sqrt(float((a * a).sum())) * math.sqrt(float((b * b).sum()))
    return float((a * b).sum()) / length if length else 0.0


def _texts(field: str, given: str | Sequence[str]) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not texts:
        raise RequestError(field, given, "must be a text or a list of texts")
    for index, text in enumerate(texts):
        name = field if isinstance(given, str) else f"{field}[{index}]"
        if not isinstance(text, str):
            raise RequestError(name, text, "must be text")
        if not text:
            raise RequestError(name, text, "is empty; there is nothing to score")
        checked_text(name, text)
    return list(texts)
