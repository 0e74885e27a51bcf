"""Text that tells a stranger how the machine looks inside."""

from __future__ import annotations

import re

_LEAKS = re.compile(
    r"0x[0-9a-fA-F]{6,}"  # an address
    r"|Traceback \(most recent call last\)"
    r"|File \"[^\"]+\", line \d+"
    r"|\b[A-Za-z]:\\\\?\w"
    r"|(?<![\w.:/])~?/(?:bin|boot|data|dev|etc|home|lib\w*|media|mnt|opt|proc|root|run|srv|sys"
    r"|tmp|usr|var|work\w*|Users|private)/[\w.@-]"
    r"|/(?:site|dist)-packages/"
)


def find_leak(text: str) -> str | None:
    """The first address, file path or piece of a traceback in `text`, None when it is clean.

    Routes (/v1/models) and URLs are not paths of files.
    """
    match = _LEAKS.search(text)
    return match[0] if match else None
