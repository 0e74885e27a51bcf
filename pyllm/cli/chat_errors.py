"""What a server's refusals say to a person: status, the server's own words, what to do next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyllm.cli.arguments import CommandLineError
from pyllm.errors import PyLLMError

__all__ = [
    "BrokenStream",
    "ServerError",
    "ServerRefusal",
    "error_message",
    "http_failure",
    "shortened",
]

_MAX_MESSAGE_CHARS = 500
_MAX_NAMES = 20  # models that a message lists

_NEXT_STEPS = {
    401: "give a key with --api-key or PYLLM_API_KEY",
    403: "this key may not do that; give another with --api-key",
    404: "is the address right? It ends with /v1 as a rule",
    405: "is the address right? It ends with /v1 as a rule",
    413: "/clear starts anew, or shorten the prompt",
    429: "try again later",
    500: "the server's log says more",
    502: "no server answers behind this one; try again later",
    503: "the server is starting, stopping or full; try again later",
    504: "the server took too long; try again later",
}


class ServerError(PyLLMError):
    """The server failed, or cannot be reached."""


class BrokenStream(ServerError):
    """An answer ended before its end."""


class ServerRefusal(CommandLineError):
    """The server does not take what it was asked: another value is needed, not another try."""


def http_failure(
    status: int, reason: str, body: bytes, models: Sequence[str] | None = None
) -> Exception:
    """The error for a response that is no success.

    models  what the server has, when it misses the one asked for
    """
    reason, said = reason[:80], _said(body)
    said = "" if said == reason else said
    text = f"the server answers {status}{f' {reason}' if reason else ''}"
    text += f": {said}" if said else ""
    step = _NEXT_STEPS.get(status, "")
    if models and all(name in said for name in models):
        step = "name one of them with --model"
    elif models is not None:
        step = f"it has: {_listed(models)}" if models else "it has no models"
    text += f"; {step}" if step else ""
    bad_request = 400 <= status < 500 and status not in (408, 425, 429)
    return ServerRefusal(text) if bad_request else ServerError(text)


def error_message(document: Any) -> str | None:
    """The message in an error of any dialect, None when the document is no error.

    {"error": {"message": "…"}} (OpenAI), {"error": "…"} (Ollama), {"message": "…"},
    {"detail": "…"} or {"detail": [{"loc": […], "msg": "…"}]} (FastAPI).
    """
    if not isinstance(document, Mapping):
        return None
    error = document.get("error") or document.get("message") or document.get("detail")
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("code") or error.get("type") or "unknown error"
    if isinstance(error, list) and error and isinstance(error[0], Mapping):
        place = error[0].get("loc")
        words = [str(word) for word in place] if isinstance(place, list) else []
        error = f"{'.'.join(words)}: {error[0].get('msg')}" if words else error[0].get("msg")
    return None if error is None else shortened(str(error))


def shortened(text: str) -> str:
    """At most 500 characters, white space in one piece."""
    text = " ".join(text[: 2 * _MAX_MESSAGE_CHARS].split())
    return text if len(text) <= _MAX_MESSAGE_CHARS else text[:_MAX_MESSAGE_CHARS] + "…"


def _said(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        message = error_message(json.loads(text))
    except (ValueError, RecursionError):
        message = None
    if message is None and text.lstrip()[:1] not in ("<", "{", "["):  # a web page says nothing
        message = shortened(text)
    return (message or "").rstrip(".")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:100] for name in names[:_MAX_NAMES])
    return shown + (f", … ({len(names)} models)" if len(names) > _MAX_NAMES else "")
