"""Routes whose bodies are parsed strictly, before anything else looks at them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import printable
from pyllm.server.edge import Refusal, read_json_object
from pyllm.server.errors import ApiError, from_edge

BODY_BYTES = "pyllm.body_bytes"  # of a request, in its scope: what its body measures

Model = TypeVar("Model", bound=BaseModel)


def read_body(model: type[Model], fields: dict[str, Any]) -> Model:
    """`fields` as a route gets them that takes a `model`. ApiError naming the wrong field."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _refusal(RequestValidationError(error.errors())) from None


class StrictRequest(Request):
    """Its `json` refuses what JSON parsers disagree about: see edge/json_body.py."""

    async def json(self) -> Any:
        try:
            body = await self.body()
            self.scope[BODY_BYTES] = len(body)
            return await read_json_object(body)
        except Refusal as refusal:
            raise from_edge(refusal) from refusal


class StrictRoute(APIRoute):
    """Wrong fields are ApiErrors that name the field."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            # curl -d and some libraries name no type, or a wrong one; edge/ lets those in that no
            # browser sent, and nothing but JSON is ever read here.
            kept = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
            scope = {**request.scope, "headers": [*kept, (b"content-type", b"application/json")]}
            try:
                return await handler(StrictRequest(scope, request.receive))
            except RequestValidationError as error:
                raise _refusal(error) from error

        return strict


def _refusal(error: RequestValidationError) -> ApiError:
    """The first complaint: the others often follow from it."""
    first = error.errors()[0]
    param = _path(first["loc"])
    if first["type"] == "extra_forbidden":
        return ApiError(400, f"{param}: is not a known field", "unknown_field", param=param)
    shown = "" if first["type"] == "missing" else f" {printable(first.get('input'))}:"
    message = f"{param}:{shown} {first['msg']}" if first["loc"][1:] else f"the body: {first['msg']}"
    return ApiError(400, message, "invalid_value", param=param or None)


def _path(location: tuple[int | str, ...]) -> str:
    """("body", "messages", 0, "role") as messages[0].role; names of pydantic's own left out."""
    path = ""
    for part in location[1:]:  # the first says where it stood: "body", "query", "path"
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.replace("_", "").isalnum() and part[:1].islower():
            path += f".{part}" if path else part
    return path
