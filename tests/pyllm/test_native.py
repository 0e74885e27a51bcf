"""The C interface: its declarations are the header's, and a missing extension is explained."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyllm import native

ROOT = Path(__file__).parents[2]


def plain_declarations(text: str) -> list[str]:
    """C declarations without comments, preprocessor lines and spacing."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE).replace("PYLLM_API ", "")
    text = re.sub(r'extern "C" \{|^\}\s*$', "", text, flags=re.MULTILINE)
    text = re.sub(r"(typedef )?enum [^;]*;", "", text)
    found = re.findall(r"typedef struct.*?\} \w+;|[^;{}]+;", text, flags=re.DOTALL)
    return [" ".join(d.split()) for d in found if d.strip()]


def test_declarations_match_the_header() -> None:
    header = (ROOT / "csrc/pyllm_kernels.h").read_text()
    assert set(plain_declarations(native.DECLARATIONS)) == set(plain_declarations(header))


def test_every_declared_function_is_exported() -> None:
    names = re.findall(r"(pyllm_\w+)\(", native.DECLARATIONS)
    assert len(names) > 10
    for name in names:
        assert getattr(native.lib, name)


def test_missing_extension_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="scripts/build"):
        native.open_library()


def test_another_interface_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(pyllm_abi_version=lambda: native.ABI_VERSION + 1)
    fake_ffi = SimpleNamespace(dlopen=lambda path: other)
    monkeypatch.setattr(native, "ffi", fake_ffi)
    with pytest.raises(ImportError, match="build it again"):
        native.open_library()
