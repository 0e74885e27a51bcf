"""What an answer must look like, with the name that the client gave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyllm.errors import RequestError
from pyllm.structured.params import StructuredOutputsParams, as_structured_outputs


@dataclass(frozen=True)
class Structure:
    """
    field   of the request that asks for it: "response_format", "format", "guided_regex", …
    params  fields of StructuredOutputsParams
    """

    field: str
    params: Mapping[str, Any]

    def checked(self) -> StructuredOutputsParams:
        """Raises RequestError."""
        params = as_structured_outputs(dict(self.params))
        assert params is not None
        return params


@contextmanager
def named(structure: Structure | None) -> Iterator[None]:
    """Errors of structured outputs leave it under the client's name for them."""
    try:
        yield
    except RequestError as error:
        if structure is None or not error.field.startswith("structured_outputs"):
            raise
        raise RequestError(structure.field, None, error.message) from error
