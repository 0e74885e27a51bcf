"""/tokenize, /detokenize and /apply-template."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import RequestError
from pyllm.prompts import checked_ids, checked_text
from pyllm.server.body import StrictRoute
from pyllm.server.lease_guard import released_after
from pyllm.server.llama_server.protocol import (
    ApplyTemplateRequest,
    DetokenizeRequest,
    TokenizeRequest,
)
from pyllm.server.long_json import long_json
from pyllm.server.model_registry import Lease
from pyllm.server.openai.common import TOKENIZING, json_answer, lease_of, read_fields, service_of
from pyllm.server.openai.schemas import refusals
from pyllm.server.streams import to_json
from pyllm.server.template_fields import template_fields

router = APIRouter(route_class=StrictRoute, tags=["llama-server"], responses=refusals())

# A piece takes 300 bytes of memory, and 8 MiB of text may have a million of them.
_MAX_PIECES = 2**17


@router.post("/tokenize")
async def tokenize(body: TokenizeRequest, request: Request) -> Response:
    """The tokens of a text or a conversation."""
    service = service_of(request)
    lease = await lease_of(request, body.model)
    with released_after(lease):
        found = await asyncio.to_thread(_tokenized, body, lease, service.settings)
        return Response(found, media_type="application/json")


def _tokenized(body: TokenizeRequest, lease: Lease, settings: Any) -> bytes:
    """The answer's JSON."""
    tokenizer = lease.llm.get_tokenizer()
    given = [name for name in ("content", "prompt", "messages") if getattr(body, name) is not None]
    if len(given) != 1:
        limit = "give exactly one of content, prompt, messages"
        raise RequestError("content", " and ".join(given) or None, limit)
    if body.content is not None:
        text = checked_text("content", body.content)
        special, parse = body.add_special, body.parse_special
        ids = tokenizer.encode(text, add_special=special, parse_special=parse)
    elif body.prompt is not None:
        text = checked_text("prompt", body.prompt)
        ids = tokenizer.encode(text, add_special=body.add_special_tokens is not False)
    else:
        kwargs = body.chat_template_kwargs
        thinking, variables = template_fields(settings, None, kwargs, None, None)
        messages = [message.model_dump(exclude_none=True) for message in body.messages or ()]
        _, ids = lease.model.render(
            messages,
            tools=[tool.model_dump(exclude_none=True) for tool in body.tools or ()],
            variables=variables,
            thinking=thinking,
            add_generation_prompt=body.add_generation_prompt,
        )
    for name in ("with_pieces", "return_token_strs"):
        if getattr(body, name) and len(ids) > _MAX_PIECES:
            limit = f"the text has {len(ids)} tokens, their pieces are given for {_MAX_PIECES}"
            raise RequestError(name, True, limit)
    if body.content is not None:
        if not body.with_pieces:
            return b'{"tokens":%s}' % _numbers(ids)
        return long_json(
            {"tokens": [{"id": token, "piece": _piece(tokenizer, token)} for token in ids]}
        )
    found: dict[str, Any] = {"count": len(ids), "max_model_len": lease.llm.model.max_model_len}
    if body.return_token_strs:
        found["token_strs"] = [
            tokenizer.token_bytes(token).decode("utf-8", "replace") for token in ids
        ]
    return b'{"tokens":%s,' % _numbers(ids) + long_json(found)[1:]


def _numbers(ids: list[int]) -> bytes:
    """A list of JSON, part by part: others get their turn between two parts of millions."""
    parts = (to_json(ids[at : at + 10_000])[1:-1] for at in range(0, len(ids), 10_000))
    return b"[" + b",".join(parts) + b"]"


def _piece(tokenizer: Any, token: int) -> str | list[int]:
    """Text, or the bytes of what is no text by itself."""
    raw: bytes = tokenizer.token_bytes(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return list(raw)


@router.post("/detokenize")
async def detokenize(body: DetokenizeRequest, request: Request) -> Response:
    """The text of tokens: llama-server calls it content, vLLM prompt."""
    lease = await lease_of(request, body.model)
    with released_after(lease):
        text = await read_fields(request, partial(_detokenized, body, lease), times=TOKENIZING)
    return await json_answer(lambda: {"content": text, "prompt": text}, 2 * len(text))


def _detokenized(body: DetokenizeRequest, lease: Lease) -> str:
    tokenizer = lease.llm.get_tokenizer()
    ids = checked_ids("tokens", body.tokens, tokenizer.n_vocab) if body.tokens else []
    return tokenizer.decode(ids, skip_special=False)


@router.post("/apply-template")
async def apply_template(body: ApplyTemplateRequest, request: Request) -> Response:
    """The text that the model would read."""
    service = service_of(request)
    thinking, variables = template_fields(
        service.settings, None, body.chat_template_kwargs, body.enable_thinking, None
    )
    lease = await lease_of(request, body.model)
    with released_after(lease):
        text, _ = await asyncio.to_thread(
            lease.model.render,
            [message.model_dump(exclude_none=True) for message in body.messages],
            tools=[tool.model_dump(exclude_none=True) for tool in body.tools or ()],
            variables=variables,
            thinking=thinking,
            add_generation_prompt=body.add_generation_prompt,
        )
    return await json_answer(lambda: {"prompt": text}, len(text or ""))
