"""How raters come in: an open link, a personal invitation, Prolific, Mechanical Turk. Consent comes first."""

import re
import secrets
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Request, Response

from study.store.raters import (
    ENTERED,
    Participation,
    Person,
    deal,
    enrol,
    find_person,
    personal_token,
    read_invitation,
    refusal,
    set_practised,
)
from study.store.store import Store
from study.store.studies import StudyInfo
from study.store.votes import note
from study.web.dependencies import NamedStudy, OpenStore
from study.web.pages import go, offer_of, render
from study.web.practice import PRACTICE

router = APIRouter()
COOKIE = "study_person"
MAX_ID = 200  # characters
MAX_ENTRY = 1000
KEPT = ("STUDY_ID", "SESSION_ID", "assignmentId", "hitId", "turkSubmitTo")  # of the platforms, for paying and returning
NO_ASSIGNMENT = "ASSIGNMENT_ID_NOT_AVAILABLE"  # Mechanical Turk shows a preview so


@router.get("/")
def front(request: Request) -> Response:
    """The study that this site offers to everybody, where it does; what a link says of the person stays with it."""
    offer = offer_of(request)
    if offer is None:
        raise HTTPException(404)
    if offer.token:
        return go(request, f"join/{offer.token}{'?' if request.url.query else ''}{request.url.query}")
    title = "One moment" if offer.waiting else "No study yet"
    page = render(request, "message.html", 503 if offer.waiting else 404, title=title, sentence=offer.sentence)
    if offer.waiting:
        page.headers["Refresh"] = "2"
    return page


@router.get("/join/{token}")
def join(request: Request, study: NamedStudy, store: OpenStore) -> Response:
    """Consent; platforms name the person in the query."""
    person = _platform_person(dict(request.query_params)) or _cookie_person(request)
    return _consent(request, store, study, person, preview=request.query_params.get("assignmentId") == NO_ASSIGNMENT)


@router.post("/join/{token}")
def joined(
    request: Request,
    study: NamedStudy,
    store: OpenStore,
    visit: Annotated[str, Form()] = "",
    platform: Annotated[str, Form()] = "",
    person: Annotated[str, Form()] = "",
    entry: Annotated[str, Form()] = "",
) -> Response:
    database = store.database
    channel = platform if platform in ("prolific", "mturk") else "open"
    if full := _full(request, store, study, Person(channel, person) if person else _cookie_person(request)):
        return full
    if platform in ("prolific", "mturk") and 0 < len(person) <= MAX_ID:
        rater = enrol(database, study, Person(platform, person))
        note(database, rater, ENTERED, entry[:MAX_ENTRY])
        return _enter(request, rater)
    # The form's own mark makes two presses of its button one participation, before the first cookie is there.
    marked = visit if re.fullmatch(r"[\w-]{22}", visit) else secrets.token_urlsafe(16)
    open_person = _cookie_person(request) or Person("open", marked)
    rater = enrol(database, study, open_person)
    if study.spec.by_visitor:
        deal(database, rater)
        set_practised(database, rater.id, len(PRACTICE))  # one pair needs no practice
    response = _enter(request, rater)
    response.set_cookie(
        COOKIE, open_person.id, max_age=365 * 86400, httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )
    return response


@router.get("/invite/{token}/{invitation}")
def invited(request: Request, study: NamedStudy, store: OpenStore, invitation: str) -> Response:
    return _consent(request, store, study, read_invitation(study, invitation))


@router.post("/invite/{token}/{invitation}")
def accepted(request: Request, study: NamedStudy, store: OpenStore, invitation: str) -> Response:
    person = read_invitation(study, invitation)
    return _full(request, store, study, person) or _enter(request, enrol(store.database, study, person))


def _platform_person(query: dict[str, str]) -> Person | None:
    for channel, name in (("prolific", "PROLIFIC_PID"), ("mturk", "workerId")):
        if 0 < len(query.get(name, "")) <= MAX_ID:
            return Person(channel, query[name])
    return None


def _cookie_person(request: Request) -> Person | None:
    id = request.cookies.get(COOKIE, "")
    return Person("open", id) if 0 < len(id) <= MAX_ID else None


def _consent(
    request: Request, store: Store, study: StudyInfo, person: Person | None, preview: bool = False
) -> Response:
    if person and (known := find_person(store.database, study, person)):
        return _enter(request, known)
    if full := _full(request, store, study, person):
        return full
    entry = urlencode({name: value for name, value in request.query_params.items() if name in KEPT})
    visit = secrets.token_urlsafe(16)
    return render(request, "consent.html", study=study, person=person, preview=preview, entry=entry, visit=visit)


def _full(request: Request, store: Store, study: StudyInfo, person: Person | None) -> Response | None:
    """For a newcomer for whom there is no place: why, and the way back to the platform; before any consent."""
    if person and find_person(store.database, study, person):
        return None
    reason = refusal(store.database, study, person)
    if not reason:
        return None
    return render(request, "message.html", 403, title="No place left", sentence=reason, back=study.spec.full_url)


def _enter(request: Request, participation: Participation) -> Response:
    return go(request, f"r/{personal_token(participation)}")
