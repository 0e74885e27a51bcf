"""Ollama's HTTP interface: /api/…, streaming one JSON object a line unless told not to."""
