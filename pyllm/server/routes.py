"""All routers, dialect by dialect."""

from __future__ import annotations

from pyllm.server import docs_page, health
from pyllm.server.anthropic import messages
from pyllm.server.llama_server import completion, props, tokens
from pyllm.server.metrics import route as metrics
from pyllm.server.ollama import chat as ollama_chat
from pyllm.server.ollama import embed as ollama_embed
from pyllm.server.ollama import generate as ollama_generate
from pyllm.server.ollama import models as ollama_models
from pyllm.server.openai import (
    batches,
    chat,
    completions,
    embeddings,
    files,
    models,
    rerank,
    responses,
)

ROUTERS = (
    models.router,
    chat.router,
    completions.router,
    responses.router,
    embeddings.router,
    rerank.router,
    files.router,
    batches.router,
    ollama_chat.router,
    ollama_generate.router,
    ollama_embed.router,
    ollama_models.router,
    messages.router,
    tokens.router,
    completion.router,
    props.router,
    health.router,
    metrics.router,
    docs_page.router,
)
