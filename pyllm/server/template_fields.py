"""What a request may say to the chat template: whether to think; more only where it is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyllm.server.errors import ApiError
from pyllm.server.settings import ServerSettings

# Variables of many templates that say no more than "think, or not" and "how much".
_THINKING = ("enable_thinking", "thinking")
_HARMLESS = (*_THINKING, "reasoning_effort", "thinking_budget")
# What the server itself gives to templates, and what their renderers elsewhere are called with.
_RESERVED = ("messages", "tools", "add_generation_prompt", "tokenize", "bos_token", "eos_token")
_NO_EFFORT = "none"


def template_fields(
    settings: ServerSettings,
    template: str | None,
    variables: Mapping[str, Any] | None,
    enable_thinking: bool | None,
    reasoning_effort: str | None,
) -> tuple[bool | None, dict[str, Any]]:
    """Whether to think (None: as the template has it), and variables for the template.

    A template is a program, and its variables reach into it: clients bring their own only where the
    server was started with --allow-request-templates. ApiError otherwise.
    """
    if template is not None and not settings.request_templates:
        raise _refusal("chat_template")
    found = dict(variables or {})
    for name in found:
        if name not in _HARMLESS and not settings.request_templates:
            raise _refusal(f"chat_template_kwargs.{name[:64]}")
        if name in _RESERVED or not name.isidentifier() or name.startswith("__"):
            field = f"chat_template_kwargs.{name[:64]}"
            raise ApiError(400, f"{field}: cannot be set here", "invalid_value", param=field)
    for name in _THINKING:
        wish = found.pop(name, None)
        if wish is not None and not isinstance(wish, bool):
            field = f"chat_template_kwargs.{name}"
            raise ApiError(400, f"{field}: must be true or false", "invalid_value", param=field)
        if enable_thinking is None:
            enable_thinking = wish
    if reasoning_effort is not None:
        found["reasoning_effort"] = reasoning_effort
        if enable_thinking is None and reasoning_effort == _NO_EFFORT:
            enable_thinking = False
    return enable_thinking, found


def _refusal(field: str) -> ApiError:
    message = f"{field}: refused; the server was not started with --allow-request-templates"
    return ApiError(400, message, "template_not_allowed", param=field)
