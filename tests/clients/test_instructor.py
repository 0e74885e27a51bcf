"""`instructor`, unmodified."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # of the package itself


@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA"])
def test_answers_are_objects(server: str, mode: str) -> None:
    instructor: Any = pytest.importorskip("instructor")
    openai: Any = pytest.importorskip("openai")
    from pydantic import BaseModel, Field

    class Sum(BaseModel):
        total: int = Field(ge=0, le=99)

    plain = openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0)
    client = instructor.from_openai(plain, mode=getattr(instructor.Mode, mode))
    found = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "What is 3 + 4?"}],
        response_model=Sum,
        temperature=0,
        max_tokens=100,
        max_retries=1,
    )
    assert isinstance(found, Sum)
