"""A preview of a study as its raters see it, on a copy: no answer is stored, and every page says so."""

import re
import secrets
import tempfile
from pathlib import Path
from typing import Any

from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from study.protocol.parts import Stopping
from study.rehearsal.copying import copy_study
from study.store.store import Store
from study.store.studies import StudyInfo
from study.web import create_app

MOST = 8  # copies at a time; then the oldest is deleted
BANNER = '<p class="note" role="note"><strong>Preview.</strong> Nothing that you answer here is stored or counted.</p>'
# A preview sends nobody to a crowd platform, and always has room.
HERE: dict[str, Any] = {"completion_url": "", "full_url": "", "open_cap": None, "stopping": Stopping()}


class Previews:
    """An ASGI application: the rater's pages of each copy, under an unguessable name."""

    def __init__(self, store: Store):
        self.store, self.router = store, Router()
        self.copies: list[tuple[Store, tempfile.TemporaryDirectory[str]]] = []

    def open(self, study: StudyInfo) -> str:
        """Make a new copy and return the address of its first page, relative to this application."""
        folder = tempfile.TemporaryDirectory(prefix="preview-")
        copy, copied = copy_study(self.store, study, Path(folder.name), **HERE)
        name = secrets.token_urlsafe(12)
        self.router.routes.append(Mount(f"/{name}", app=Marked(create_app(copy))))
        self.copies.append((copy, folder))
        if len(self.copies) > MOST:
            self._forget()
        return f"{name}/join/{copied.token}"

    def close(self) -> None:
        while self.copies:
            self._forget()

    def _forget(self) -> None:
        self.router.routes.pop(0)
        copy, folder = self.copies.pop(0)
        copy.database.engine.dispose()
        folder.cleanup()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.router(scope, receive, send)


class Marked:
    """Wraps an ASGI application so that its pages begin with the banner."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun: list[Message] = []
        parts: list[bytes] = []

        async def pass_on(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                begun.append(message)
            elif not begun:
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    await self._send_page(begun[0], b"".join(parts), send)

        await self.app(scope, receive, pass_on)

    async def _send_page(self, start: Message, body: bytes, send: Send) -> None:
        body = re.sub(rb"<main[^>]*>", lambda found: found[0] + BANNER.encode(), body, count=1)
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})


def _is_page(start: Message) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in start["headers"])
