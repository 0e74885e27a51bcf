"""The safe edge of the server: what is checked before a request reaches a route.

Plain ASGI, no framework: `wrap` puts the checks around any application; `connection.EdgeConfig`
makes uvicorn read HTTP strictly and with deadlines.
"""

from pyllm.server.edge.api_keys import load_api_keys
from pyllm.server.edge.draining import Draining
from pyllm.server.edge.json_body import parse_json_object, read_json_object
from pyllm.server.edge.refusal import Refusal, RenderRefusal
from pyllm.server.edge.settings import EdgeSettings
from pyllm.server.edge.wrap import wrap

__all__ = [
    "Draining",
    "EdgeSettings",
    "Refusal",
    "RenderRefusal",
    "load_api_keys",
    "parse_json_object",
    "read_json_object",
    "wrap",
]
