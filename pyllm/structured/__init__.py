"""Structured output: answers that follow a JSON schema, a regular expression or a grammar."""

from pyllm.structured.params import StructuredOutputsParams

__all__ = ["StructuredOutputsParams"]
