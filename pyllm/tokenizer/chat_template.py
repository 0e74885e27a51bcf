"""Chat templates: a conversation, rendered by the Jinja template that a model brings along.

The names, filters and tags are those of Hugging Face's renderer, which templates are written for.
Templates are untrusted: template_sandbox.py and template_budget.py keep them harmless.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn

from jinja2 import Template

from pyllm.errors import TemplateError, printable
from pyllm.tokenizer.template_budget import MAX_OUTPUT_CHARS, Budget, BudgetExceeded
from pyllm.tokenizer.template_compiler import compile_template
from pyllm.tokenizer.template_sandbox import TemplateSandbox

__all__ = ["RESERVED_NAMES", "ChatTemplate"]

# Variables and functions that callers cannot set through template arguments.
RESERVED_NAMES: Final = frozenset(
    {
        *("add_generation_prompt", "bos_token", "eos_token", "messages", "tokenize", "tools"),
        *("cycler", "dict", "joiner", "namespace", "range", "self"),
        *("raise_exception", "strftime_now"),
    }
)
_MAX_INPUT_DEPTH = 100
_MAX_TIME_FORMAT = 256
_TIME_FORMAT = re.compile(r"(?:[^%\0]|%[-_0^#]?[A-Za-z%])*")


class _Refused(Exception):
    """The template called raise_exception."""


class ChatTemplate:
    """A compiled chat template. Immutable; any number of threads may render at once."""

    def __init__(
        self,
        source: str,
        bos_token: str | None,
        eos_token: str | None,
        *,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`clock` gives the local time for strftime_now. Raises TemplateError."""
        if not isinstance(source, str):
            raise TemplateError(f"the chat template is {printable(source)}, not text")
        if "\0" in source:
            raise TemplateError("the chat template has a NUL character; this is no template")
        self.source = source
        self._special = {"bos_token": bos_token, "eos_token": eos_token}
        self._clock = clock
        try:
            self._code = compile_template(source)
        except Exception as error:  # whatever untrusted source makes the compiler raise
            raise _template_error(error, "cannot be compiled") from error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        /,
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> str:
        """The prompt for a conversation.

        add_generation_prompt  end with the opening of the assistant's turn
        tools                  descriptions of functions the model may call
        kwargs                 further variables for the template ("enable_thinking", "documents")

        All values must be such as JSON can hold. Raises TemplateError when the template refuses
        the conversation, fails, or uses too much time or memory.
        """
        _check_names(kwargs)
        variables = {
            "messages": _plain(messages, "messages"),
            "tools": _plain(tools, "tools"),
            "add_generation_prompt": bool(add_generation_prompt),
            **{name: token for name, token in self._special.items() if token is not None},
            **{name: _plain(value, name) for name, value in kwargs.items()},
        }
        try:
            return self._rendered(variables)
        except _Refused as error:
            failure = TemplateError(f"the chat template refuses this conversation: {error}")
        except Exception as error:  # whatever untrusted code raises
            failure = _template_error(error, "failed")
        # Not chained: the traceback would keep alive whatever the template has made.
        raise failure

    def _rendered(self, variables: dict[str, Any]) -> str:
        budget = Budget(variables)
        sandbox = TemplateSandbox(budget)
        functions = {"raise_exception": _refuse, "strftime_now": self._strftime_now}
        template = Template.from_code(sandbox, self._code, {**sandbox.globals, **functions})
        context = template.new_context(variables)
        parts = []
        size = 0
        try:
            for part in template.root_render_func(context):
                size += len(part)
                if size > MAX_OUTPUT_CHARS:
                    raise BudgetExceeded(f"it writes more than {MAX_OUTPUT_CHARS} characters")
                parts.append(part)
            return "".join(parts)
        finally:
            # Macros and their context refer to each other; what they hold is freed now, not later.
            context.vars.clear()
            context.exported_vars.clear()
            budget.forget()

    def _strftime_now(self, form: object) -> str:
        is_usable = isinstance(form, str) and len(form) <= _MAX_TIME_FORMAT
        if not is_usable or not _TIME_FORMAT.fullmatch(str(form)):
            raise BudgetExceeded(f"strftime_now cannot write the form {printable(form)}")
        return self._clock().strftime(str(form))


def _refuse(message: object = "") -> NoReturn:
    raise _Refused(printable(message, 1000).strip("'\""))


def _check_names(kwargs: Mapping[str, Any]) -> None:
    for name in kwargs:
        if name in RESERVED_NAMES or name.startswith("_") or not name.isidentifier():
            raise TemplateError(f"the template argument {printable(name)} is reserved; rename it")


def _plain(value: Any, name: str, depth: int = 0) -> Any:
    """A copy made of JSON's types only: templates never see, or change, a caller's objects."""
    if depth > _MAX_INPUT_DEPTH:
        raise TemplateError(f"{name} is nested more than {_MAX_INPUT_DEPTH} deep")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {
            _plain_key(key, name): _plain(item, f"{name}[{printable(key, 20)}]", depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, f"{name}[{at}]", depth + 1) for at, item in enumerate(value)]
    raise TemplateError(f"{name} is {printable(value)}; give text, numbers, lists or dictionaries")


def _plain_key(key: Any, name: str) -> Any:
    if key is None or isinstance(key, str | bool | int | float):
        return key
    raise TemplateError(f"a key of {name} is {printable(key)}; give text")


def _template_error(error: Exception, what: str) -> TemplateError:
    line = getattr(error, "lineno", None)
    place = f" (line {line})" if isinstance(line, int) else ""
    if isinstance(error, RecursionError):
        reason = "it is nested too deeply"
    elif isinstance(error, MemoryError):
        reason = "it needs too much memory"
    else:
        reason = printable(str(error) or type(error).__name__, 300)
    return TemplateError(f"the chat template {what}{place}: {reason}")
