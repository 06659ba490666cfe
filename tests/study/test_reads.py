"""Looking changes nothing: whatever a browser, a link preview or a crawler fetches by GET writes no row."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from study.clock import now
from study.errors import StudyError
from study.protocol.parts import CheckShares, Stopping
from study.store.raters import Participation, find_rater, invite, personal_token, set_practised
from study.store.studies import close_study, find_study
from study.store.tables import Base, Rater
from study.store.votes import next_screen
from study.web import create_app
from study.web.entry import router as entry
from study.web.images import router as images
from study.web.practice import DRAWN
from study.web.session import router as session
from tests.study.voting import rater, vote_all

FETCHED = {"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"}
DECIDED = Stopping("e-value", alpha=0.9)


def rows(store) -> dict[str, list]:
    with store.database.read() as read:
        return {table.name: sorted(map(repr, read.execute(select(table)))) for table in Base.metadata.sorted_tables}


def sent_in(page: str) -> str:
    return re.search(r'name="sent" value="([^"]+)"', page)[1]


def away(store, who: Participation) -> None:
    """Abandoned, as the next rater's coming finds."""
    with store.database.write() as write:
        long_ago = now() - timedelta(days=9)
        write.execute(update(Rater).where(Rater.id == who.id).values(status="abandoned", last_seen=long_ago))


def fresh(store, who): ...


def practising(store, who):
    set_practised(store.database, who.id, 1)


def in_the_middle(store, who):
    set_practised(store.database, who.id, len(DRAWN))
    vote_all(store, who, limit=2)


def through(store, who):
    set_practised(store.database, who.id, len(DRAWN))
    vote_all(store, who)


def gone(store, who):
    in_the_middle(store, who)
    away(store, who)


def nothing_left(store, who):
    """Others have answered all of an abandoned rater's pairs."""
    set_practised(store.database, who.id, len(DRAWN))
    vote_all(store, who, limit=1)
    away(store, who)
    with suppress(StudyError):  # until all is answered
        for i in range(9):
            vote_all(store, rater(store, who.study, f"other {i}"))


def closed(store, who):
    in_the_middle(store, who)
    close_study(store, who.study.name)


def addresses(app, study, who: Participation, screen) -> list[str]:
    """Every GET route of the rater's pages, filled in."""
    values = {
        "token": personal_token(who),
        "invitation": invite(study, "somebody"),
        "step": "0",
        "side": "a",
    }
    found = []
    for route in [*entry.routes, *session.routes, *images.routes]:
        if not isinstance(route, APIRoute) or "GET" not in route.methods:
            continue
        token = {"/join": study.token, "/invi": study.token, "/i/{t": screen.left if screen else "none"}
        filled = values | {"token": token.get(route.path[:5], values["token"])}
        found.append(re.sub(r"\{(\w+)\}", lambda name, filled=filled: filled[name[1]], route.path))
    assert len(found) >= 8
    return [
        *found,
        f"/join/{study.token}?PROLIFIC_PID=5f1e2d3c4b5a69788796a5b4&STUDY_ID=s",
        f"/join/{study.token}?workerId=A1B2C3D4E5&assignmentId=a",
    ]


@pytest.mark.parametrize(
    "state",
    [
        fresh,
        in_the_middle,
        gone,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (practising, through, nothing_left, closed)),
    ],
)
def test_a_get_writes_no_row(store, make_study, state: Callable):
    study = make_study(store, checks=CheckShares(0, 0, 0, 0), stopping=DECIDED, raters_per_pair=1)
    who = rater(store, study, "somebody")
    state(store, who)
    client = TestClient(create_app(store))
    before = rows(store)
    for address in addresses(client.app, study, who, next_screen(store.database, who)):
        for headers in ({}, FETCHED):
            assert client.get(address, headers=headers).status_code < 500, address
        client.head(address)
        assert rows(store) == before, address


def test_the_last_answer_finishes_the_rater_and_decides_the_study(store, make_study, monkeypatch):
    """What the thank-you page did when it was looked at."""
    monkeypatch.setattr("study.stopping.e_value", lambda *_: 99.0)
    study = make_study(store, checks=CheckShares(0, 0, 0, 0), stopping=DECIDED)
    who = rater(store, study)
    set_practised(store.database, who.id, len(DRAWN))
    vote_all(store, who, limit=next_screen(store.database, who).steps - 1)
    client = TestClient(create_app(store))
    screen = next_screen(store.database, who)
    link = f"/r/{personal_token(who)}"
    form = {"assignment": screen.assignment, "request": "0" * 32, "sent": sent_in(client.get(link).text)}
    answers = {f"q-{question.key}": "left" for question in study.spec.questions}
    client.post(f"{link}/vote", data=form | answers, follow_redirects=False)
    assert find_rater(store.database, personal_token(who)).status == "finished"
    assert find_study(store.database, study.name).closed


def test_somebody_who_was_away_goes_on_by_a_press(store, make_study):
    study = make_study(store, checks=CheckShares(0, 0, 0, 0))
    who = rater(store, study)
    gone(store, who)
    client, link = TestClient(create_app(store)), f"/r/{personal_token(who)}"
    assert "Welcome back" in client.get(link).text
    assert find_rater(store.database, personal_token(who)).status == "abandoned"
    assert "Pair 3 of 4" in client.post(f"{link}/return").text
    assert find_rater(store.database, personal_token(who)).status == "active"


def test_somebody_who_was_away_too_long_is_thanked(store, make_study):
    study = make_study(store, checks=CheckShares(0, 0, 0, 0), raters_per_pair=1)
    who = rater(store, study)
    nothing_left(store, who)
    link = f"/r/{personal_token(who)}"
    assert "Thank you" in TestClient(create_app(store)).post(f"{link}/return").text
    assert find_rater(store.database, personal_token(who)).status == "finished"


def test_going_back_is_noted_when_it_is_pressed(store, make_study):
    study = make_study(store)
    who = rater(store, study)
    in_the_middle(store, who)
    client, link = TestClient(create_app(store)), f"/r/{personal_token(who)}"
    before = len(rows(store)["event"])
    assert "Change your answer" in client.get(f"{link}/back").text
    assert len(rows(store)["event"]) == before
    assert "Change your answer" in client.post(f"{link}/back").text
    assert len(rows(store)["event"]) == before + 1
