"""One rater's session: instructions, practice, pairs, thanks. The address alone says who it is, on any device."""

import re
import uuid
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from itsdangerous import BadSignature, Signer

from study.clock import seconds
from study.errors import StudyError
from study.protocol.parts import ANSWERS
from study.store.raters import Participation, deal, entry_of, personal_token, set_practised, welcome_back
from study.store.remarks import COMMENT, has_remarked, keep_remarks
from study.store.store import Store
from study.store.visitors import reveal
from study.store.votes import (
    MAX_MS,
    Ballot,
    Screen,
    cast,
    finish,
    last_receipt,
    last_screen,
    next_screen,
    note,
)
from study.web.dependencies import OpenStore, Rater, rater_of
from study.web.pages import go, offer_of, render, root
from study.web.practice import practice_of, verdict

router = APIRouter()
# Window in CSS pixels, pixels of the screen in one of them, and the size in which both pictures were shown.
VIEWPORT = re.compile(r"\d{1,6}x\d{1,6}@[\d.]{1,8}( (\d{1,6})x(\d{1,6}))?")
TOO_SMALL = "The images are too small here to judge: make the window larger, or go on with another screen."
MOST_WORDS = 2000  # characters
TURK_SITES = ("https://www.mturk.com", "https://workersandbox.mturk.com")


@router.get("/r/{token}")
def here(request: Request, token: str, store: OpenStore) -> Response:
    """Wherever the rater is now."""
    rater = rater_of(request, token, store)
    if rater.practised < 0:
        return _show(request, rater, "instructions.html", practice=len(practice_of(rater.study.spec)))
    if rater.practised < len(practice_of(rater.study.spec)):
        return _practice(request, rater, "")
    if rater.status == "abandoned":
        return _show(request, rater, "return.html")
    screen = next_screen(store.database, rater)
    return _pair(request, rater, screen) if screen else _thanks(request, store, rater)


@router.post("/r/{token}/return")
def return_(request: Request, token: str, rater: Rater, store: OpenStore) -> Response:
    """A rater who was away for too long goes on with the pairs that nobody has answered meanwhile."""
    if rater.status == "abandoned":
        welcome_back(store.database, rater)
        if next_screen(store.database, rater) is None:
            finish(store.database, rater)
    return go(request, f"r/{token}")


@router.post("/r/{token}/start")
def start(request: Request, token: str, rater: Rater, store: OpenStore) -> Response:
    if not practice_of(rater.study.spec):
        deal(store.database, rater)
    set_practised(store.database, rater.id, 0)
    return go(request, f"r/{token}")


@router.post("/r/{token}/practice")
def practise(request: Request, token: str, rater: Rater, store: OpenStore, answer: Annotated[str, Form()]) -> Response:
    """Feedback on a practice pair; nothing of it is a vote."""
    if answer not in ANSWERS:
        raise StudyError("This answer is none of A, B and tie: go back and choose one.", 409)
    if not 0 <= rater.practised < len(practice_of(rater.study.spec)):
        return go(request, f"r/{token}")
    note(store.database, rater, "practice", f"{rater.practised}: {answer}")
    return _practice(request, rater, answer)


@router.post("/r/{token}/practised")
def practised(request: Request, token: str, rater: Rater, store: OpenStore, step: Annotated[int, Form()]) -> Response:
    steps = len(practice_of(rater.study.spec))
    if step == rater.practised + 1 <= steps:
        if step == steps:
            deal(store.database, rater)
        set_practised(store.database, rater.id, step)
    return go(request, f"r/{token}")


@router.post("/r/{token}/vote")
async def vote(request: Request, token: str, store: OpenStore) -> Response:
    """Stores the answers, then shows the next pair; without all answers, the same pair again."""
    form = {name: str(value) for name, value in (await request.form()).items()}
    return await run_sync(_vote, request, token, store, form, limiter=request.app.state.turns.votes)


@router.post("/r/{token}/back")
def undo(request: Request, token: str, rater: Rater, store: OpenStore) -> Response:
    """Notes that the rater went back, then shows the last pair."""
    if screen := _last(store, rater):
        note(store.database, rater, "undo", screen.assignment)
    return go(request, f"r/{token}/back")


@router.get("/r/{token}/back")
def back(request: Request, token: str, rater: Rater, store: OpenStore) -> Response:
    """The last pair once more, with the answers given; a change is a new revision."""
    screen = _last(store, rater)
    return _pair(request, rater, screen) if screen else go(request, f"r/{token}")


@router.post("/r/{token}/questionnaire")
async def questionnaire(request: Request, token: str, rater: Rater, store: OpenStore) -> Response:
    """What the rater says after the last pair; what the study does not ask is not kept."""
    form = {name: str(value)[:MOST_WORDS].strip() for name, value in (await request.form()).items()}
    page = rater.study.spec.page
    remarks = {item.key: form.get(f"about-{item.key}", "") for item in page.questionnaire}
    for item in page.questionnaire:
        if item.choices and remarks[item.key] not in ("", *item.choices):
            raise StudyError("This answer is none of those to choose from: go back and choose one.", 409)
    if page.comment:
        remarks[COMMENT] = form.get(COMMENT, "")
    await run_in_threadpool(keep_remarks, store.database, rater, remarks)
    return go(request, f"r/{token}")


@router.get("/r/{token}/pause")
def pause(request: Request, rater: Rater) -> Response:
    return _show(request, rater, "pause.html")


def _vote(request: Request, token: str, store: Store, form: dict[str, str]) -> Response:
    rater = rater_of(request, token, store)
    answers = {q.key: form[f"q-{q.key}"] for q in rater.study.spec.questions if f"q-{q.key}" in form}
    measured = {key: _milliseconds(form.get(f"ms-{key}", "")) for key in answers}
    passed = _ms_since_sent(rater, form.get("assignment", ""), form.get("sent", ""))
    viewport = form.get("viewport", "")
    by_script = all(ms is not None for ms in measured.values())
    ballot = Ballot(
        assignment=form.get("assignment", ""),
        request=form.get("request", ""),
        answers=answers,
        response_ms={key: passed if ms is None else ms for key, ms in measured.items()},
        clock="client" if by_script else "server",
        server_ms=passed,
        decode_ms=_milliseconds(form.get("decode", "")),
        viewport=viewport if VIEWPORT.fullmatch(viewport) else "",
    )
    _large_enough(rater, ballot.viewport)
    receipt = cast(store.database, rater, ballot)
    response = go(request, f"r/{personal_token(rater)}")
    if receipt.through:  # the rater does not wait for the statistics
        response.background = request.app.state.turns.settling(store, rater)
    return response


def _large_enough(rater: Participation, viewport: str) -> None:
    """Raises StudyError where the pictures were shown smaller than the study wants."""
    if least := rater.study.spec.page.min_size:
        shown = VIEWPORT.fullmatch(viewport)
        if not shown or not shown[1] or min(int(shown[2]), int(shown[3])) < least:
            raise StudyError(TOO_SMALL, 409)


def _sent(rater: Participation, assignment: str) -> str:
    """When this screen was sent, in ms; signed, so that nobody says another time."""
    return Signer(rater.study.secret, salt=f"sent {assignment}").sign(str(int(seconds() * 1000))).decode()


def _ms_since_sent(rater: Participation, assignment: str, sent: str) -> int:
    """ms since the screen was sent. Raises StudyError where `_sent` did not write this."""
    try:
        moment = int(Signer(rater.study.secret, salt=f"sent {assignment}").unsign(sent))
    except BadSignature:
        raise StudyError("This page sent an incomplete answer: reload it and answer again.", 409) from None
    return min(max(int(seconds() * 1000) - moment, 0), MAX_MS)


def _last(store: Store, rater: Participation) -> Screen | None:
    """The screen to go back to, where there is one that may be changed."""
    if rater.practised < len(practice_of(rater.study.spec)) or rater.study.spec.by_visitor:
        return None
    return last_screen(store.database, rater)


def _milliseconds(text: str) -> int | None:
    """A count of ms from a form, or None where it is no such thing."""
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def _show(request: Request, rater: Participation, template: str, **values) -> Response:
    return render(request, template, study=rater.study, rater=rater, token=personal_token(rater), **values)


def _practice(request: Request, rater: Participation, answer: str) -> Response:
    spec, pairs = rater.study.spec, practice_of(rater.study.spec)
    pair = pairs[rater.practised]
    expected, because = verdict(spec, pair)
    return _show(
        request,
        rater,
        "practice.html",
        pair=pair,
        step=rater.practised,
        steps=len(pairs),
        answer=answer,
        question_text=spec.questions[0].text,
        expected=expected,
        because=because,
    )


def _pair(request: Request, rater: Participation, screen: Screen) -> Response:
    return _show(
        request,
        rater,
        "pair.html",
        screen=screen,
        nonce=str(uuid.uuid4()),
        sent=_sent(rater, screen.assignment),
        reference=_reference(request, rater, screen),
        undo=screen.step > 0 and not screen.answers,
        changing=len(screen.answers) == len(screen.questions),
    )


def _reference(request: Request, rater: Participation, screen: Screen) -> str:
    has_reference = any(stimulus.prompt == screen.prompt for stimulus in rater.study.spec.references)
    return f"{root(request)}i/{screen.left}/reference" if has_reference else ""


def _thanks(request: Request, store: Store, rater: Participation) -> Response:
    if revealed := reveal(store.database, rater):
        return _show(request, rater, "reveal.html", revealed=revealed)
    if not has_remarked(store.database, rater):
        return _show(request, rater, "questionnaire.html")
    receipt, offer = last_receipt(store.database, rater), offer_of(request)
    offered = offer if offer and offer.token == rater.study.token else None
    return _show(request, rater, "thanks.html", receipt=receipt, offered=offered, turk=_turk(store, rater))


def _turk(store: Store, rater: Participation) -> dict[str, str] | None:
    """Where Mechanical Turk wants an external question's form: the site that its link named, and the assignment."""
    entry = entry_of(store.database, rater) if rater.channel == "mturk" else {}
    if entry.get("turkSubmitTo") not in TURK_SITES or not entry.get("assignmentId"):
        return None
    return {"action": f"{entry['turkSubmitTo']}/mturk/externalSubmit", "assignment": entry["assignmentId"]}
