"""`/metrics`: what the engines and the server count, as Prometheus reads it.

The names are vLLM's, under `pyllm:` and, so that its dashboards and scalers work, under `vllm:`
too; llama-server's are there beside them. docs/observability.md lists them all.
"""

from pyllm.server.metrics.server_metrics import CONTENT_TYPE, ServedModels, ServerMetrics

__all__ = ["CONTENT_TYPE", "ServedModels", "ServerMetrics"]
