"""Addresses as people type them."""

from __future__ import annotations

import re

import pytest

from pyllm.cli.server_url import is_loopback, server_url


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("localhost:11434/", "http://localhost:11434/v1"),
        ("http://host/v1/", "http://host/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_addresses(typed: str, url: str) -> None:
    assert server_url(typed) == url


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("ftp://host", "allowed: http:// and https://"),
        ("http://", "allowed: one like"),
        ("", "allowed: one like"),
        ("http://host:99999", "no address: Port"),
        ("http://[::1", "no address"),
        ("http://ho st", "allowed: one like"),
        ("http://host\x1b", "allowed: one like"),
        ("http://host/v1?key=1", "leave out"),
    ],
)
def test_what_is_no_address(typed: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        server_url(typed)
    assert "\x1b" not in str(error.value)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="--api-key") as error:
        server_url("http://me:secret@host")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]/v1", True),
        ("http://localhost/v1", True),
        ("http://localhost.example.com/v1", False),
        ("http://192.168.0.1/v1", False),
        ("http://127.0.0.1.example.com/v1", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) == expected
