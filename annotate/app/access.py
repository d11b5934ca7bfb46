"""Access to the server: by those who know its token, from pages of its own, under its own names."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from annotate.errors import AnnotateError

MAX_BODY = 4_000_000  # bytes: an operation that labels a hundred thousand tracklets at once
MAX_PICTURE = 20_000_000  # bytes of a picture to search for: a photo of a phone has 3 to 12 MB
PICTURES = ("image/jpeg", "image/png", "image/webp")
_SEARCH = "/api/find"  # where pictures may be sent
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _new_token() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Access:
    """The rules of access.

    Attributes:
        hosts: names and addresses by which the server may be called, in lower case. Any other is refused: a foreign
            page could have its name point here (DNS rebinding).
        token: required from everybody; None: not required, which lets in every user of this machine.
        once: opens the page a single time, for the browser that is started here: other users of this machine see
            the command that starts it.

    Raises:
        AnnotateError: a token that is too short to be secret, or no part of an address.

    """

    hosts: Sequence[str] = LOOPBACK
    token: str | None = field(default_factory=_new_token, repr=False)
    once: str = field(default_factory=_new_token, repr=False)

    def __post_init__(self) -> None:
        """Check the token."""
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise AnnotateError("token: expected 16 to 200 letters, digits, - and _")


class Guard:
    """Refuses what `access` does not allow, and bodies that are too large, before anything reads them."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._once: str | None = access.once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _limited(receive, _most(scope)), _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        name, port = _parse_host(host)
        if name not in self._access.hosts:
            return _refuse(403, f"host {host[:100]!r} is not served; expected {', '.join(self._access.hosts)}")
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host:
            return _refuse(403, f"a page of {origin[:100]!r} may not use this server")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refuse(403, "a page of another site may not use this server")
        length = headers.get("content-length", "0")
        most = _most(scope)
        if not length.isdecimal() or int(length) > most:
            return _refuse(413, f"a body of {length[:20]} bytes; expected {most:,} at most")
        # Neither type can be sent by a page of another site without asking first.
        types = PICTURES if scope["path"] == _SEARCH else ("application/json",)
        if scope["method"] == "POST" and headers.get("content-type", "").split(";")[0] not in types:
            return _refuse(415, f"expected a body of type {' or '.join(types)}")
        return self._token_refusal(scope, headers, f"uavpipe_token_{port}")

    def _token_refusal(self, scope: Scope, headers: Headers, cookie: str) -> Response | None:
        """`cookie`: its name, with the port: cookies of all servers of a machine are in one jar."""
        token = self._access.token
        if token is None:
            return None
        given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "")
        if scope["path"] == "/" and (_same(given, token) or self._take_once(given)):
            response = RedirectResponse("/", 303)  # out of the address bar and the history
            response.set_cookie(cookie, token, httponly=True, samesite="strict", max_age=30 * 86400)
            return response
        if _same(_cookie(headers, cookie), token) or _same(_bearer(headers), token):
            return None
        return _refuse(403, "open the address with the token that `uavpipe annotate serve` printed")

    def _take_once(self, given: str) -> bool:
        fits = self._once is not None and _same(given, self._once)
        if fits:
            self._once = None
        return fits


def _most(scope: Scope) -> int:
    """Bytes that the body of a request may have."""
    return MAX_PICTURE if scope["path"] == _SEARCH else MAX_BODY


def _limited(receive: Receive, most: int) -> Receive:
    """`receive`, that ends the body where it has more than `most` bytes, whatever length was announced."""
    total = 0

    async def limited() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise HTTPException(413, f"a body of more than {most:,} bytes; expected no more")
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return with_headers


def _parse_host(header: str) -> tuple[str, str]:
    """Name and port of a Host header in lower case; a name of "" where it is none."""
    found = _HOST.fullmatch(header)
    if found is None or int(found["port"] or 80) > 65535:
        return "", ""
    return found["name"].strip("[]"), found["port"] or "80"


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _cookie(headers: Headers, name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _bearer(headers: Headers) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ")


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def _refuse(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)
