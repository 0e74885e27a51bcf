"""Where keys come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllm.errors import RequestError
from pyllm.server.edge.api_keys import KeyRing, load_api_keys


def test_keys_come_from_flags_file_and_environment(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# of the team\nfrom-file\n\n  spaced-out  \n")
    keys = load_api_keys(["a", "b", "a"], str(file), {"PYLLM_API_KEY": "from-environment"})
    assert keys == ("a", "b", "from-file", "spaced-out", "from-environment")
    assert load_api_keys([], None, {}) == ()
    assert load_api_keys([], None, {"PYLLM_API_KEY": ""}) == ()


@pytest.mark.parametrize("key", ["", " ", "two words", "ümlaut", "line\nbreak", "nul\0"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(RequestError, match="api_key") as refused:
        load_api_keys([key], None, {})
    assert not key.strip() or key not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"# none\n", "no key"), (b"x" * 70_000, "longer"), (b"\xff\xfe", "printable ASCII")],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(RequestError, match=reason):
        load_api_keys([], str(file), {})


def test_an_empty_ring_knows_nobody() -> None:
    assert not KeyRing([])
    assert KeyRing([]).tenant(b"") is None
