"""SamplingParams from the fields of a request, whatever dialect wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyllm.errors import RequestError
from pyllm.sampling.params import RequestOutputKind, SamplingParams

_MAX_ID_DIGITS = 10


def sampling_params(
    given: Mapping[str, Any], defaults: Mapping[str, Any], *, stream: bool
) -> SamplingParams:
    """`given` are fields of SamplingParams, None where the request is silent.

    defaults  apply where it is
    Raises RequestError naming the field.
    """
    fields = dict(defaults)
    fields.update((name, value) for name, value in given.items() if value is not None)
    kind = RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY
    # Millions of small objects are a tenth of a second for the garbage collector, which holds
    # everyone up; long lists of numbers are nothing.
    return SamplingParams(**fields, output_kind=kind, flat_logprobs=True)


def token_biases(field: str, biases: Mapping[str, float] | None) -> dict[int, float] | None:
    """OpenAI writes token ids as the keys of an object: as texts."""
    if biases is None:
        return None
    found = {}
    for token, bias in biases.items():
        if not (token.isascii() and token.isdigit()) or len(token) > _MAX_ID_DIGITS:
            raise RequestError(field, token, "must be a token id")
        found[int(token)] = bias
    return found


def joined_salt(tenant: str | None, salt: str | None) -> str | None:
    """Whose cached prefixes a request may share: those of its own key, and of its own salt.

    The length comes first, so that no key and salt together look like another key.
    """
    if tenant is None:
        return salt and f"-:{salt}"
    return f"{len(tenant)}:{tenant}{salt or ''}"
