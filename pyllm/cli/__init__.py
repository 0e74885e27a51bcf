"""The `pyllm` command: main() parses, commands.py lists, one file per command does the work."""

from __future__ import annotations

from pyllm.cli.main import main

__all__ = ["main"]
