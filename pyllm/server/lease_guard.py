"""Gives a model back: when its request cannot be served, or as soon as it is answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pyllm.errors import PyLLMError
from pyllm.server.errors import as_api_error
from pyllm.server.model_registry import Lease


@contextlib.contextmanager
def released_on_failure(lease: Lease) -> Iterator[None]:
    """PyLLMErrors leave it as ApiErrors."""
    try:
        yield
    except BaseException as error:
        lease.release()
        if isinstance(error, PyLLMError):
            raise as_api_error(error) from error
        raise


@contextlib.contextmanager
def released_after(lease: Lease) -> Iterator[None]:
    """For answers that are made at once. PyLLMErrors leave it as ApiErrors."""
    try:
        yield
    except PyLLMError as error:
        raise as_api_error(error) from error
    finally:
        lease.release()
