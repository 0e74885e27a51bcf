"""Gives a model back when the request that asked for it cannot be served."""

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
