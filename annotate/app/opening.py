"""The application while its workspace is opened, which takes seconds where there are thousands of tracklets."""

import asyncio
from collections.abc import Callable
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from annotate.app.access import Access, Guard

_POLL_S = 0.05
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="refresh" content="1"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>uavpipe: opening</title></head>
<body><main><h1>The workspace is being opened.</h1><p role="status">{line}</p></main></body>
</html>
"""


class Opening:
    """Shows a page with the progress until the application is there; all other requests wait for it.

    Attributes:
        line: the progress, for people to read.
        ending: whether the server ends; what still waits is refused then.

    """

    def __init__(self, access: Access) -> None:
        self.line = ""
        self.ending: Callable[[], bool] = lambda: False
        self._app: ASGIApp | None = None
        self._guard = Guard(self._answer, access)

    def ready(self, app: ASGIApp) -> None:
        """Pass all requests on to `app`, which does not guard itself; may be called from any thread."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await self._guard(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None and Request(scope).url.path == "/":
            await HTMLResponse(_PAGE.format(line=escape(self.line)))(scope, receive, send)
            return
        while self._app is None:
            if self.ending():
                await PlainTextResponse("The labelling app ends.", 503)(scope, receive, send)
                return
            await asyncio.sleep(_POLL_S)
        await self._app(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    """There is nothing to start or to end."""
    for what in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{what}.complete"})
