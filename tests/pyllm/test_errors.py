"""The exception tree: texts are one safe line, and errors survive pickling."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm import errors
from pyllm.errors import (
    ContextLengthError,
    MemoryBudgetError,
    ModelFileError,
    PyLLMError,
    QueueFullError,
    RequestError,
    UnsupportedModelError,
    printable,
)

EXAMPLES = [
    (
        ModelFileError("m.gguf", 4, "version", 9, "2 or 3", "update pyllm"),
        "m.gguf:4: version: read 9, allowed: 2 or 3; update pyllm",
    ),
    (
        UnsupportedModelError("m.gguf", None, "x.type", "yarn", "none or linear"),
        "m.gguf: x.type: read 'yarn', allowed: none or linear",
    ),
    (
        ModelFileError("m.gguf", None, "tensor 'w'", None, "is missing"),
        "m.gguf: tensor 'w': is missing",
    ),
    (RequestError("top_p", 2.0, "from 0 to 1"), "top_p: 2.0: from 0 to 1"),
    (
        ContextLengthError(5000, 4096),
        "the prompt has 5000 tokens, the context holds 4096; "
        "shorten the prompt or raise max_model_len",
    ),
    (
        MemoryBudgetError(8 << 30, 4 << 30, "use a smaller context"),
        "needs 8.0 GiB, 4.0 GiB are available; use a smaller context",
    ),
    (MemoryBudgetError(3 << 19, 0), "needs 1.5 MiB, 0 B are available"),
    (errors.TemplateError("no"), "no"),
]


@pytest.mark.parametrize(("error", "text"), EXAMPLES, ids=lambda x: type(x).__name__)
def test_text(error, text):
    assert str(error) == text


@pytest.mark.parametrize("error", [error for error, _ in EXAMPLES], ids=lambda x: type(x).__name__)
def test_pickle_keeps_everything(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_every_error_is_a_pyllm_error():
    for name in errors.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(errors, name), PyLLMError)
    assert issubclass(ContextLengthError, RequestError)
    assert issubclass(UnsupportedModelError, ModelFileError)


@given(
    st.text() | st.binary() | st.integers() | st.floats() | st.none() | st.lists(st.text()),
    st.text(alphabet=st.characters())
    | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)
def test_any_value_and_path_give_one_printable_line(value, path):
    text = str(ModelFileError(path, 0, "field", value, "nothing"))
    assert text.isprintable()
    assert len(text) < 700


def test_printable_shortens_and_hides_addresses():
    assert printable("a" * 500) == "'" + "a" * 79 + "…"
    assert printable(b"\x1b[2J") == "b'\\x1b[2J'"
    assert printable(1 << 5000) == "a 5001-bit integer"
    assert printable(object()) == "object"
    assert printable(list(range(20))) == "[0, 1, 2, 3, 4, 5, 6, 7, …]"


def test_path_that_is_not_utf8_is_escaped():
    error = ModelFileError("a\udcff\n.gguf", 0, "magic", 1, "2")
    assert str(error).startswith("a\\xff\\n.gguf:0: ")
    assert len(str(ModelFileError("x" * 5000, 0, "magic", 1, "2"))) < 600


def test_a_full_queue_says_how_full_and_when_to_come_back():
    error = QueueFullError(7, 900, 7, None, 3)
    assert str(error) == "the queue is full: 7 of 7 requests, 900 tokens; try again in 3 s"
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.queued_requests, copy.max_queued_requests, copy.retry_after) == (7, 7, 3)
