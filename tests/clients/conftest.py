"""Other people's packages against a real server. They leak sockets and loops, which is theirs."""

from __future__ import annotations

from tests.pyllm.server.conftest import http, server

__all__ = ["http", "server"]
