"""The edge around an application: every check, in the order that reveals least."""

from __future__ import annotations

from pyllm.server.edge.asgi import App, Receive, Scope, Send
from pyllm.server.edge.auth import Authentication
from pyllm.server.edge.body_limits import BodyLimits
from pyllm.server.edge.draining import DrainGate, Draining
from pyllm.server.edge.guard import Guard
from pyllm.server.edge.hosts import HostCheck
from pyllm.server.edge.origins import OriginCheck
from pyllm.server.edge.refusal import RenderRefusal
from pyllm.server.edge.settings import EdgeSettings


def wrap(app: App, settings: EdgeSettings, draining: Draining, render: RenderRefusal) -> App:
    """`app` behind the edge.

    From the outside in: Guard (request id, last line for exceptions), HostCheck, OriginCheck (and
    CORS), Authentication, DrainGate, BodyLimits. A stranger meets the cheap checks only, and no
    byte of a body is read before the key is right.

    render  puts a refusal into the dialect of its path
    """
    checked: App = BodyLimits(app, settings, render)
    checked = DrainGate(checked, draining, render)
    checked = Authentication(checked, settings, render)
    checked = OriginCheck(checked, settings, render)
    checked = HostCheck(checked, settings, render)
    checked = Guard(checked, render)

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await checked(scope, receive, send)
        elif scope["type"] == "lifespan":
            await app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    return edge
