"""The application: `/join`, `/invite` and `/r` for raters, to be mounted under any path."""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from study.errors import StudyError
from study.stopping import get_ready
from study.store.store import Store
from study.web import entry, images, session
from study.web.limits import Limit
from study.web.pages import Offer, render, route
from study.web.turns import Turns

LOG = logging.getLogger("uvicorn.error")  # what the server says to whoever runs it
JOINS = 60  # consents from one address in a minute, unless the environment says otherwise

HEADERS = {
    # Crowd platforms and Hugging Face Spaces show the pages in a frame of theirs.
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "form-action 'self' https://www.mturk.com https://workersandbox.mturk.com; base-uri 'none'; "
    "frame-ancestors 'self' https://*.mturk.com https://*.prolific.com https://huggingface.co",
    "Referrer-Policy": "no-referrer",  # a page's address is the rater's key to it
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def create_app(
    store: Store,
    offer: Callable[[], Offer] | None = None,
    joins_a_minute: int | None = None,
    certified: bool = False,
) -> FastAPI:
    """The pages of every study in the store. Links are relative: mount it where you like.

    Args:
        offer: what the bare address leads to, asked at each visit; without one it is no page.
        joins_a_minute: consents from one address; by default $STUDY_JOINS_A_MINUTE, or JOINS.
        certified: newcomers wait until their study has passed `study certify`.
    """
    turns = Turns(store.database.one_writer)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=turns.lifespan)
    app.state.store, app.state.offer, app.state.certified, app.state.turns = store, offer, certified, turns
    app.state.joins = Limit(joins_a_minute or _joins())
    for router in (images.router, session.router, entry.router):  # what is asked for most often first
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_middleware(WithHeaders)
    app.add_exception_handler(StudyError, _mistake)
    app.add_exception_handler(Exception, _failed)
    for status in (404, 405):
        app.add_exception_handler(status, _not_found)
    app.add_exception_handler(RequestValidationError, _incomplete)
    return app


def _joins() -> int:
    named = os.environ.get("STUDY_JOINS_A_MINUTE", str(JOINS))
    if not named.isdigit() or not int(named):
        raise StudyError(f"STUDY_JOINS_A_MINUTE is {named!r}: set a whole number from 1.")
    return int(named)


def serve(store: Store, host: str, port: int, certified: bool = False) -> None:
    """Runs until interrupted. Raises StudyError where the address cannot be had."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        raise StudyError(f"Cannot listen on {host}, port {port}: choose another --host or --port.") from None
    # Connections take this from it; else a page waits for the browser's word on its first part, 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    shown = f"[{host}]" if ":" in host else host
    print(f"The rater's pages are at http://{shown}:{listener.getsockname()[1]}", flush=True)
    threading.Thread(target=get_ready, daemon=True).start()
    config = uvicorn.Config(
        create_app(store, certified=certified),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


class WithHeaders:
    """HEADERS on every answer that has not its own."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self.pages, self.files = (
            [(name.lower().encode(), value.encode()) for name, value in (HEADERS | own).items()]
            for own in ({}, {"Cache-Control": "max-age=3600"})
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                usual = self.files if route(Request(scope)).startswith("/static/") else self.pages
                message["headers"] = [*message["headers"], *(one for one in usual if one[0] not in present)]
            await send(message)

        await self.app(scope, receive, send_with if scope["type"] == "http" else send)


def _mistake(request: Request, error: Exception) -> Response:
    status = getattr(error, "status", 400)
    if status >= 500:
        LOG.error(error)
        return _failed(request, error, status)
    on = getattr(request.state, "on", "") if status == 409 else ""  # an answer that cannot be; the session goes on
    return render(request, "message.html", status, title="This did not work", sentence=str(error), on=on)


def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    sentence = "There is nothing at this address: check the link that you were given."
    return render(request, "message.html", status, title="This did not work", sentence=sentence)


def _failed(request: Request, error: Exception, status: int = 500) -> Response:
    """A reload sends the same answers again, and they are stored once."""
    sentence = "Something went wrong on our side. What was stored before is safe: reload the page in a moment."
    page = render(request, "message.html", status, title="This did not work", sentence=sentence)
    page.headers.update(HEADERS)  # what nobody expected passes by the middleware
    return page


def _incomplete(request: Request, error: Exception) -> Response:
    sentence = "The answer was incomplete: go back and answer every question."
    return render(request, "message.html", 422, title="This did not work", sentence=sentence)
