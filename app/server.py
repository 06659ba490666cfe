"""Serves the pages; more specific paths are mounted before those at /."""

import contextlib
import logging
import os
import socket
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse

from app.admin.access import Organisers, add_admin
from app.engine.services import Services
from app.engine.uploads import MEGABYTES
from app.look.mounting import mount
from app.look.styles import style_css
from app.look.theme import CSS, THEME
from app.settings import ServerSettings
from app.studies.ready import Studies, studies_or_exit
from app.ui import build_ui
from e2ed2.errors import UserError
from study.web import create_app

LOOK: dict[str, Any] = {
    "theme": THEME,
    "css_paths": CSS,
    "css": style_css(),
    "ssr_mode": False,
    "run_history": False,
    "max_file_size": MEGABYTES * 2**20,  # so that nobody fills the disk with files that would be refused anyway
    "footer_links": ["api", "settings"],
    "favicon_path": str(Path(__file__).with_name("look") / "favicon.svg"),
}


def assemble(settings: ServerSettings, warm_up: bool = False) -> tuple[gr.Blocks, Services, Studies]:
    """The pages, the services they call, and the studies; a mistake in the settings exits with one sentence and code 2.

    Args:
        warm_up: get ready for the first visitor while the pages are built.
    """
    try:
        services = Services(settings.checkpoints, settings.runs, settings.added)
    except UserError as error:  # E2ED2_DEVICE
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    if warm_up:
        services.warm_up()
    studies = studies_or_exit(settings)
    organiser = Organisers(settings.admin_secret).asks if settings.admin_secret else None
    return build_ui(services, studies, organiser), services, studies


def build_app(demo: gr.Blocks, studies: Studies, secret: str = "", root_path: str = "") -> FastAPI:
    """The whole site: `build_site` and the demo. The server must be given the same root path."""
    warnings.filterwarnings("ignore", "SSR mode is not supported")  # it is off
    site = build_site(studies, secret, root_path)
    return mount(site, demo, path="/", root_path=root_path or None, **LOOK)


def build_site(studies: Studies, secret: str = "", root_path: str = "") -> FastAPI:
    """The health check, the rater's pages, and, if there is a secret, the admin pages."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/study")
    def bare(request: Request) -> RedirectResponse:
        """Redirect a mount's bare name to its page; keep the query, in which platforms pass the participant."""
        return RedirectResponse(f"study/{'?' if request.url.query else ''}{request.url.query}", status_code=307)

    app.mount("/study", create_app(studies.store, studies.offer))
    if secret:
        add_admin(app, studies, secret, root_path)
    return app


def serve(demo: gr.Blocks, services: Services, studies: Studies, settings: ServerSettings) -> None:
    """Run until interrupted. If the address is unavailable, exit with one sentence and code 2."""
    if "GRADIO_WATCH_DIRS" in os.environ:
        reload(demo, services, studies, settings)
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
    except OSError:
        print(f"Cannot listen on {settings.host}, port {settings.port}: set another HOST or PORT.", file=sys.stderr)
        raise SystemExit(2) from None
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"The pages are at http://{host}:{listener.getsockname()[1]}", flush=True)
    studies.prepare(after=services.ready)
    app = build_app(demo, studies, settings.admin_secret, settings.root_path)
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=1, root_path=settings.root_path, access_log=False
    )
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is the usual way to quit
        Server(config).run(sockets=[listener])


class Server(uvicorn.Server):
    """Shuts down quietly: every open page is waiting on a request, and each would leave a traceback."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)


def reload(demo: gr.Blocks, services: Services, studies: Studies, settings: ServerSettings) -> None:
    """For `gradio app.py`, whose own server reloads changed code; the rest of the site is mounted before it."""
    studies.prepare(after=services.ready)
    site = build_site(studies, settings.admin_secret)
    parts = {
        "routes": site.routes,
        "exception_handlers": site.exception_handlers,
        "lifespan": site.router.lifespan_context,
    }
    demo.launch(
        server_name=settings.host,
        server_port=settings.port or None,
        root_path=settings.root_path,
        app_kwargs=parts,
        **LOOK,
    )
