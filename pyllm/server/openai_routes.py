"""All routers of openai/."""

from __future__ import annotations

from pyllm.server.openai import chat, completions, models

ROUTERS = (models.router, chat.router, completions.router)
