"""Who may call: an API key in a header, or a log-in on the web page."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from pyllm.server.edge.api_keys import KeyRing
from pyllm.server.edge.asgi import App, Headers, Receive, Scope, Send, header_values
from pyllm.server.edge.login import answer_login_page, read_login_form, redirect_to_page
from pyllm.server.edge.refusal import Refusal, RenderRefusal, send_refusal
from pyllm.server.edge.sessions import Sessions
from pyllm.server.edge.settings import EdgeSettings

# A query string ends up in histories, in proxies' logs and in Referer headers.
_KEY_PARAMETERS = frozenset(
    {b"key", b"apikey", b"xapikey", b"accesstoken", b"token", b"authorization", b"bearer"}
)


class Authentication:
    """Refuses what carries no valid key; sets `scope["state"]["tenant"]` for what does.

    The only route without a key is GET /health. A browser that asks for a page gets the 401 with
    a log-in form in it; POST /login trades a key for a session cookie, POST /logout ends it. The
    tenant is a salt for the prefix cache, different for every key, and in every process that
    was given no `key_secret`; None when the server has no keys.
    """

    def __init__(self, app: App, settings: EdgeSettings, render: RenderRefusal) -> None:
        self._app = app
        self._render = render
        self._keys = KeyRing(settings.api_keys, settings.key_secret)
        self._sessions = Sessions(settings.session_s)
        self._session_s = int(settings.session_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _has_key_parameter(scope["query_string"]):
            await self._refuse_key_in_query(scope, send)
            return
        if not self._keys or (scope["path"] == "/health" and scope["method"] in ("GET", "HEAD")):
            tenant = None
        elif scope["path"] == "/login" and scope["method"] == "POST":
            await self._log_in(scope, receive, send)
            return
        else:
            tenant = self._tenant(scope)
            if tenant is None:
                await self._refuse(scope, send)
                return
        scope.setdefault("state", {})["tenant"] = tenant
        if self._keys and scope["path"] == "/logout" and scope["method"] == "POST":
            self._sessions.close(_session_name(scope))
            await redirect_to_page(send, _cookie(scope, "", 0))
            return
        await self._app(scope, receive, send)

    def _tenant(self, scope: Scope) -> str | None:
        """Every credential is looked at, and each is compared with every key."""
        found = [self._keys.tenant(key) for key in _presented_keys(scope)]
        found.append(self._sessions.tenant(_session_name(scope)))
        return next((tenant for tenant in found if tenant is not None), None)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        tenant = self._keys.tenant(await read_login_form(scope, receive))
        if tenant is None:
            await answer_login_page(send, "That key is not valid.")
            return
        await redirect_to_page(send, _cookie(scope, self._sessions.open(tenant), self._session_s))

    async def _refuse(self, scope: Scope, send: Send) -> None:
        if _wants_page(scope):
            await answer_login_page(send)
            return
        refusal = Refusal(
            401,
            "invalid_api_key",
            "a valid API key is needed: 'Authorization: Bearer KEY' or 'x-api-key: KEY'",
            headers=(("www-authenticate", "Bearer"),),
        )
        await send_refusal(scope, send, refusal, self._render)

    async def _refuse_key_in_query(self, scope: Scope, send: Send) -> None:
        text = "an API key may not be in the URL; send it as 'Authorization: Bearer KEY'"
        await send_refusal(scope, send, Refusal(400, "key_in_query", text), self._render)


def _has_key_parameter(query: bytes) -> bool:
    names = (pair.partition(b"=")[0] for pair in query.replace(b";", b"&").split(b"&"))
    return any(_plain(name) in _KEY_PARAMETERS for name in names)


def _plain(name: bytes) -> bytes:
    """`API-Key`, `api_key` and `%61pikey` are all `apikey`."""
    return bytes(c for c in unquote_to_bytes(name).lower() if c not in b"-_+ ")


def _presented_keys(scope: Scope) -> list[bytes]:
    keys = header_values(scope, b"x-api-key")
    for value in header_values(scope, b"authorization"):
        scheme, _, key = value.partition(b" ")
        if scheme.lower() == b"bearer":
            keys.append(key.strip())
    return keys


def _wants_page(scope: Scope) -> bool:
    accepted = b",".join(header_values(scope, b"accept"))
    return scope["method"] in ("GET", "HEAD") and b"text/html" in accepted


def _cookie_name(scope: Scope) -> str:
    # Cookies do not tell ports apart; two servers of one machine must not log each other out.
    server = scope.get("server") or ("", None)
    return f"pyllm_session_{server[1] or 0}"


def _session_name(scope: Scope) -> str:
    wanted = _cookie_name(scope)
    for value in header_values(scope, b"cookie"):
        for pair in value.decode("latin-1").split(";"):
            name, _, content = pair.strip().partition("=")
            if name == wanted:
                return content
    return ""


def _cookie(scope: Scope, session: str, lifetime_s: int) -> Headers:
    secure = "; Secure" if scope["scheme"] == "https" else ""
    text = (
        f"{_cookie_name(scope)}={session}; Path=/; Max-Age={lifetime_s}; "
        f"HttpOnly; SameSite=Strict{secure}"
    )
    return [(b"set-cookie", text.encode())]
