"""How raters come in: an open link, a personal invitation, Prolific, Mechanical Turk. Consent comes first."""

import re
import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response

from study.errors import StudyError
from study.store.certificates import passed
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
from study.web.platforms import NO_ASSIGNMENT, checked, entry_from_form, entry_from_link, person_in
from study.web.practice import practice_of

router = APIRouter()
COOKIE = "study_person"  # the browser's mark; through the open link it is the person, too
PHONE = re.compile(r"Mobi|Android|iPhone|iPad")
NO_PHONE = "The pictures of this study are too large for a phone or a tablet: open the link on a computer."
NOT_OPEN = "This study has not been opened yet: come back later."
MARK = re.compile(r"[\w-]{22}", re.ASCII)


def _slowly(request: Request) -> None:
    """Consents from one address, a minute; behind a proxy, FORWARDED_ALLOW_IPS says whose word on addresses counts."""
    if not request.app.state.joins.allows(request.client.host if request.client else ""):
        raise StudyError("Many people have come from your address within a minute: wait a minute, then try again.", 429)


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
    mark = _mark(request)
    person = person_in(request.query_params) or (Person("open", mark) if mark else None)
    return _consent(request, store, study, person, preview=request.query_params.get("assignmentId") == NO_ASSIGNMENT)


@router.post("/join/{token}", dependencies=[Depends(_slowly)])
def joined(
    request: Request,
    study: NamedStudy,
    store: OpenStore,
    visit: Annotated[str, Form()] = "",
    platform: Annotated[str, Form()] = "",
    person: Annotated[str, Form()] = "",
    entry: Annotated[str, Form()] = "",
) -> Response:
    # The form's own mark makes two presses of its button one participation, before the first cookie is there.
    mark = _mark(request) or (visit if MARK.fullmatch(visit) else secrets.token_urlsafe(16))
    who = checked(platform, person) if platform else person_in(request.query_params) or Person("open", mark)
    if full := _full(request, store, study, who, mark):
        return full
    rater = enrol(store.database, study, who, mark)
    if platform:
        note(store.database, rater, ENTERED, entry_from_form(entry))
    if study.spec.by_visitor:
        deal(store.database, rater)
        set_practised(store.database, rater.id, len(practice_of(study.spec)))  # one pair needs no practice
    return _marked(request, _enter(request, rater), mark)


@router.get("/invite/{token}/{invitation}")
def invited(request: Request, study: NamedStudy, store: OpenStore, invitation: str) -> Response:
    return _consent(request, store, study, read_invitation(study, invitation))


@router.post("/invite/{token}/{invitation}", dependencies=[Depends(_slowly)])
def accepted(request: Request, study: NamedStudy, store: OpenStore, invitation: str) -> Response:
    person = read_invitation(study, invitation)
    return _full(request, store, study, person) or _enter(request, enrol(store.database, study, person))


def _mark(request: Request) -> str:
    """The browser's, from an earlier visit; "" where it has none."""
    mark = request.cookies.get(COOKIE, "")
    return mark if MARK.fullmatch(mark) else ""


def _marked(request: Request, response: Response, mark: str) -> Response:
    """Within a frame of another site a browser keeps partitioned cookies only, and those by https only."""
    https = request.url.scheme == "https"
    where = "SameSite=None; Secure; Partitioned" if https else "SameSite=Lax"
    response.headers.append("Set-Cookie", f"{COOKIE}={mark}; HttpOnly; Max-Age={365 * 86400}; Path=/; {where}")
    return response


def _consent(
    request: Request, store: Store, study: StudyInfo, person: Person | None, preview: bool = False
) -> Response:
    if study.spec.page.desktop_only and PHONE.search(request.headers.get("User-Agent", "")):
        return render(request, "message.html", 403, title="A computer is needed", sentence=NO_PHONE)
    if person and (known := find_person(store.database, study, person, _mark(request))):
        return _enter(request, known)
    if full := _full(request, store, study, person, _mark(request)):
        return full
    entry = entry_from_link(request.query_params)
    visit = secrets.token_urlsafe(16)
    return render(request, "consent.html", study=study, person=person, preview=preview, entry=entry, visit=visit)


def _full(request: Request, store: Store, study: StudyInfo, person: Person | None, mark: str = "") -> Response | None:
    """For a newcomer for whom there is no place: why, and the way back to the platform; before any consent."""
    if person and find_person(store.database, study, person, mark):
        return None
    if request.app.state.certified and not passed(store.database, study):
        return render(request, "message.html", 403, title="Not open yet", sentence=NOT_OPEN)
    reason = refusal(store.database, study, person)
    if not reason:
        return None
    return render(request, "message.html", 403, title="No place left", sentence=reason, back=study.spec.full_url)


def _enter(request: Request, participation: Participation) -> Response:
    return go(request, f"r/{personal_token(participation)}")
