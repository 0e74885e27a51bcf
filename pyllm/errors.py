"""The exception tree: every error pyllm raises on purpose, each saying what to do next.

PyLLMError
 ├─ ModelFileError          a model file is malformed (file, offset, field, value, limit)
 │   └─ UnsupportedModelError   well formed, but a kind of model pyllm does not run
 ├─ TokenizerError          the vocabulary cannot be built or cannot encode
 ├─ TemplateError           the chat template is refused or fails
 ├─ RequestError            a request field has an unusable value
 │   └─ ContextLengthError      the prompt is longer than the context
 ├─ QueueFullError          too many requests wait already; try again later
 ├─ DeviceError             the machine cannot do what was asked (instruction set, threads)
 └─ MemoryBudgetError       more memory is needed than there is
"""

from __future__ import annotations

from pyllm.byte_size import byte_size

__all__ = [
    "ContextLengthError",
    "DeviceError",
    "MemoryBudgetError",
    "ModelFileError",
    "PyLLMError",
    "QueueFullError",
    "RequestError",
    "TemplateError",
    "TokenizerError",
    "UnsupportedModelError",
    "printable",
]

# A hostile file may put a megabyte or an escape sequence into a name; one terminal line is enough.
_MAX_SHOWN_CHARS = 80
_MAX_PATH_ENDS = 256  # a longer path shows this many characters at either end


def printable(value: object, max_chars: int = _MAX_SHOWN_CHARS) -> str:
    """Text of `value` that is safe in a terminal and a log: one line, escaped, at most `max_chars`.

    Strings and bytes are quoted; control characters, surrogates and non-printable code points
    are escaped. Objects other than text, numbers and None show their type name only, because a
    default repr carries a memory address.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        shown = repr(bytes(value[: max_chars + 1]))
        return _shortened(shown, max_chars, longer=len(value) > max_chars)
    if isinstance(value, str):
        shown = repr(value[: max_chars + 1])
        return _shortened(shown, max_chars, longer=len(value) > max_chars)
    if value is None or isinstance(value, bool | int | float):
        return _shortened(_number_text(value), max_chars)
    if isinstance(value, list | tuple):
        # One level: a list from a request may be nested deeper than Python's stack.
        inside = ", ".join(
            "[…]" if isinstance(item, list | tuple) else printable(item, 24) for item in value[:8]
        )
        return _shortened(f"[{inside}{', …' if len(value) > 8 else ''}]", max_chars)
    return type(value).__name__


def _number_text(value: object) -> str:
    # str() of an int beyond 4300 digits raises in CPython; such a number is never needed in full.
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a {value.bit_length()}-bit integer"
    return str(value)


def _shortened(text: str, max_chars: int, *, longer: bool = False) -> str:
    if not longer and len(text) <= max_chars:
        return text
    return text[:max_chars] + "…"


def _escaped_path(path: object) -> str:
    """A path as one printable line; bytes that are not UTF-8 appear as \\xNN."""
    text = str(path)
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate, which no file system hands out
        raw = text.encode("utf-8", "backslashreplace")
    text = raw.decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(text) <= 2 * _MAX_PATH_ENDS:
        return text
    return f"{text[:_MAX_PATH_ENDS]}…{text[-_MAX_PATH_ENDS:]}"


class PyLLMError(Exception):
    """Base class of every error pyllm raises on purpose."""


class ModelFileError(PyLLMError):
    """A model file holds something it must not: `file:offset: field: read X, allowed Y; next step`.

    path    file as the user named it
    offset  byte offset of the offending field in that file, None when there is no single place
    field   name of the field ("version", a metadata key, "tensor 'x': dimensions")
    value   what was read; None when nothing could be read (shown escaped and shortened)
    limit   what is allowed, as a phrase ("2 or 3", "at most 65536 keys")
    message what to do next ("download the file again"), may be empty
    """

    def __init__(
        self,
        path: object,
        offset: int | None,
        field: str,
        value: object,
        limit: str,
        message: str = "",
    ) -> None:
        super().__init__(path, offset, field, value, limit, message)
        self.path = path
        self.offset = offset
        self.field = field
        self.value = value
        self.limit = limit
        self.message = message

    def __str__(self) -> str:
        place = _escaped_path(self.path)
        if self.offset is not None:
            place += f":{self.offset}"
        parts = []
        if self.value is not None:
            parts.append(f"read {printable(self.value)}")
        if self.limit:
            parts.append(f"allowed: {self.limit}" if parts else self.limit)
        text = f"{place}: {self.field}: {', '.join(parts)}"
        return f"{text}; {self.message}" if self.message else text


class UnsupportedModelError(ModelFileError):
    """A well-formed file of a kind pyllm does not run: architecture, type, rope scaling, …"""


class TokenizerError(PyLLMError):
    """The vocabulary in the file cannot be built, or the text cannot be encoded."""


class TemplateError(PyLLMError):
    """The chat template is refused (size, syntax, sandbox) or failed while rendering."""


class RequestError(PyLLMError):
    """A request field has a value that cannot be honoured.

    field    name of the field as the caller wrote it ("temperature", "messages[2].role")
    value    the offending value
    message  what is allowed
    """

    def __init__(self, field: str, value: object, message: str) -> None:
        super().__init__(field, value, message)
        self.field = field
        self.value = value
        self.message = message

    def __str__(self) -> str:
        return f"{self.field}: {printable(self.value)}: {self.message}"


class ContextLengthError(RequestError):
    """The prompt does not fit: `prompt_tokens` tokens for a context of `max_model_len` tokens."""

    def __init__(self, prompt_tokens: int, max_model_len: int) -> None:
        super().__init__(
            "prompt",
            prompt_tokens,
            f"the prompt has {prompt_tokens} tokens, the context holds {max_model_len}; "
            "shorten the prompt or raise max_model_len",
        )
        self.args = (prompt_tokens, max_model_len)  # what pickle passes to __init__
        self.prompt_tokens = prompt_tokens
        self.max_model_len = max_model_len

    def __str__(self) -> str:
        return self.message


class QueueFullError(PyLLMError):
    """Too many requests wait already; this one was not taken.

    queued_requests, queued_tokens          that wait now
    max_queued_requests, max_queued_tokens  how many may, None: any
    retry_after                             seconds, estimated from how fast the queue drains
    """

    def __init__(
        self,
        queued_requests: int,
        queued_tokens: int,
        max_queued_requests: int | None,
        max_queued_tokens: int | None,
        retry_after: int,
    ) -> None:
        limits = max_queued_requests, max_queued_tokens
        super().__init__(queued_requests, queued_tokens, *limits, retry_after)
        self.queued_requests = queued_requests
        self.queued_tokens = queued_tokens
        self.max_queued_requests, self.max_queued_tokens = limits
        self.retry_after = retry_after

    def __str__(self) -> str:
        return (
            f"the queue is full: {_of(self.queued_requests, self.max_queued_requests)} requests, "
            f"{_of(self.queued_tokens, self.max_queued_tokens)} tokens; "
            f"try again in {self.retry_after} s"
        )


def _of(number: int, limit: int | None) -> str:
    return str(number) if limit is None else f"{number} of {limit}"


class DeviceError(PyLLMError):
    """The machine cannot do what was asked, for example PYLLM_ISA names a set it lacks."""


class MemoryBudgetError(PyLLMError):
    """`needed` bytes of memory are required and `available` bytes are there."""

    def __init__(self, needed: int, available: int, message: str = "") -> None:
        super().__init__(needed, available, message)
        self.needed = needed
        self.available = available
        self.message = message

    def __str__(self) -> str:
        text = f"needs {byte_size(self.needed)}, {byte_size(self.available)} are available"
        return f"{text}; {self.message}" if self.message else text
