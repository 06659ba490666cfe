"""Who may see the admin pages, and the files that they link to."""

import atexit
import secrets
from typing import Annotated

import gradio as gr
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from itsdangerous import BadData, TimestampSigner

from app.admin.files import export_zip, methods_zip, report_page
from app.admin.page import build_admin
from app.admin.preview import Previews
from app.admin.templates import TEMPLATES
from app.look.mounting import mount
from app.look.theme import CSS, THEME
from app.studies.ready import Studies
from study.errors import StudyError
from study.store.studies import find_study
from study.web.limits import Limit

COOKIE, HOURS = "study_admin", 12
TRIES = 10  # attempts at the secret, from one address in a minute
MAX_UPLOAD = "2gb"


class Organisers:
    """Recognises whoever has entered the secret, by a signed cookie that is valid on every page."""

    def __init__(self, secret: str):
        self.signer = TimestampSigner(secret, salt="admin")

    def named(self, cookie: str) -> str | None:
        try:
            return self.signer.unsign(cookie, max_age=HOURS * 3600).decode()
        except BadData:
            return None

    def asks(self, request: gr.Request | None) -> bool:
        """Whether this request from one of the app's pages is an organiser's."""
        return request is not None and self.named(request.cookies.get(COOKIE, "")) is not None


def add_admin(app: FastAPI, studies: Studies, secret: str, root_path: str = "") -> None:
    """Mount the pages at /admin. They are a separate Blocks, so that the demo's /config reveals nothing of them."""
    organisers = Organisers(secret)
    tries = Limit(TRIES)

    def known(request: Request) -> str | None:
        return organisers.named(request.cookies.get(COOKIE, ""))

    def visitor(request: Request) -> str | None:
        """The signed-in user. The page itself redirects strangers to the sign-in; everything behind it refuses them."""
        user = known(request)
        if user is None and request.url.path.endswith("/admin/"):
            raise HTTPException(303, headers={"Location": "login"})
        return user

    def member(request: Request) -> str:
        if (user := known(request)) is None:
            raise HTTPException(303, headers={"Location": f"{request.scope.get('root_path', '')}/admin/login"})
        return user

    @app.get("/admin")
    def bare() -> Response:
        return RedirectResponse("admin/", status_code=307)

    @app.get("/admin/login")
    def ask(request: Request) -> Response:
        return _login(request)

    @app.post("/admin/login")
    def sign_in(request: Request, given: Annotated[str, Form(alias="secret")] = "") -> Response:
        if not tries.allows(request.client.host if request.client else ""):
            return _login(request, "Too many secrets were tried from your address: wait a minute, then try again.", 429)
        if not secrets.compare_digest(given.encode(), secret.encode()):
            return _login(request, "That is not the secret: check it, and type it again.", 403)
        response = RedirectResponse("./", status_code=303)
        # Lax: no other site's form can act in the organiser's name.
        response.set_cookie(
            COOKIE,
            organisers.signer.sign("organiser").decode(),
            max_age=HOURS * 3600,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    @app.get("/admin/report/{name}/{version}", dependencies=[Depends(member)])
    def report(name: str, version: int) -> Response:
        return HTMLResponse(report_page(studies.store, name, version), headers={"Cache-Control": "no-store"})

    @app.get("/admin/export/{name}/{version}", dependencies=[Depends(member)])
    def export(name: str, version: int) -> Response:
        return export_zip(studies.store, name, version)

    @app.get("/admin/methods/{name}/{version}", dependencies=[Depends(member)])
    def methods(name: str, version: int, pay: str = "", ethics: str = "") -> Response:
        return methods_zip(studies.store, name, version, pay, ethics)

    previews = Previews(studies.store)
    atexit.register(previews.close)

    @app.get("/admin/preview/{name}/{version}", dependencies=[Depends(member)])
    def preview(name: str, version: int) -> Response:
        begun = previews.open(find_study(studies.store.database, name, version))
        return RedirectResponse(f"../../previews/{begun}", status_code=303)

    app.mount("/admin/previews", previews)

    @app.exception_handler(StudyError)
    def error_page(request: Request, error: Exception) -> Response:
        values = {"root": "../../../study/", "title": "This did not work", "sentence": str(error)}
        return TEMPLATES.TemplateResponse(request, "message.html", values, status_code=409)

    mount(
        app,
        build_admin(studies),
        path="/admin",
        root_path=f"{root_path}/admin" if root_path else None,
        auth_dependency=visitor,
        theme=THEME,
        css_paths=CSS,
        ssr_mode=False,
        run_history=False,
        footer_links=["settings"],
        max_file_size=MAX_UPLOAD,
    )


def _login(request: Request, wrong: str = "", status: int = 200) -> Response:
    values = {"root": "../study/", "wrong": wrong}
    return TEMPLATES.TemplateResponse(request, "login.html", values, status)
