"""The C interface: every function is there, and a missing extension is explained."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyllm import native

ROOT = Path(__file__).parents[2]


def test_every_declared_function_is_exported() -> None:
    names = re.findall(
        r"PYLLM_API [^;(]*?(pyllm_\w+)\(", (ROOT / "csrc/pyllm_kernels.h").read_text()
    )
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
