"""The bodies of requests that embed, score and rank, and of their answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from pyllm.server.openai.protocol import Body, Number
from pyllm.server.openai.schemas import Part

MAX_INPUTS = 2048  # as OpenAI's; of texts, and of documents
MAX_TOKENS = 2**20

Ids = Annotated[list[StrictInt], Field(fail_fast=True, min_length=1, max_length=MAX_TOKENS)]


class ReadingBody(Body):
    """Fields of every request whose texts are only read."""

    model: StrictStr | None = Field(None, max_length=256, description="default: the first model")
    priority: StrictInt | None = Field(None, ge=-(2**31), le=2**31 - 1)
    timeout: Number | None = Field(None, gt=0, description="seconds this request may take")
    user: StrictStr | None = Field(None, description="no effect")


class EmbeddingRequest(ReadingBody):
    input: (
        StrictStr
        | Ids
        | Annotated[list[StrictStr], Field(min_length=1, max_length=MAX_INPUTS)]
        | Annotated[list[Ids], Field(fail_fast=True, min_length=1, max_length=MAX_INPUTS)]
    )
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: StrictInt | None = Field(None, ge=1)
    normalize: StrictBool | None = Field(None, description="default: true")
    cache_salt: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None


class DocumentText(Body):
    text: StrictStr


class RerankRequest(ReadingBody):
    """Jina's and Cohere's."""

    query: StrictStr
    documents: Annotated[list[StrictStr | DocumentText], Field(min_length=1, max_length=MAX_INPUTS)]
    top_n: StrictInt | None = Field(None, ge=0, description="default, and 0: all")
    return_documents: StrictBool | None = Field(None, description="default: true")


Texts = StrictStr | Annotated[list[StrictStr], Field(min_length=1, max_length=MAX_INPUTS)]


class ScoreRequest(ReadingBody):
    """vLLM's: one text against one or many, or each against its partner."""

    text_1: Texts
    text_2: Texts


class ReadingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Embedding(Part):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(Part):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: ReadingUsage


class RankedDocument(Part):
    index: int
    relevance_score: float
    document: dict[str, Any] | None = None


class Ranking(Part):
    id: str
    model: str
    usage: ReadingUsage
    results: list[RankedDocument]


class Score(Part):
    index: int
    object: Literal["score"]
    score: float


class ScoreList(Part):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Score]
    usage: ReadingUsage
