"""Raters without a browser."""

import uuid
from collections.abc import Callable

from study.store.raters import Participation, Person, deal, enrol
from study.store.store import Store
from study.store.studies import StudyInfo
from study.store.votes import Ballot, Receipt, Screen, cast, next_screen


def ballot(screen: Screen, answer: str = "left", **changes) -> Ballot:
    answers = {question.key: answer for question in screen.questions}
    values = {
        "assignment": screen.assignment,
        "request": str(uuid.uuid4()),
        "answers": answers,
        "response_ms": dict.fromkeys(answers, 2345),
        "clock": "client",
        "decode_ms": 20,
        "viewport": "1280x800@2",
    }
    return Ballot(**(values | changes))


def rater(store: Store, study: StudyInfo, name: str = "somebody") -> Participation:
    """Who has agreed and practised, and sees the first pair."""
    came = enrol(store.database, study, Person("invite", name))
    deal(store.database, came)
    return came


def vote_all(
    store: Store, who: Participation, choose: Callable[[Screen], str] = lambda screen: "left", limit: int = 10_000
) -> list[Receipt]:
    receipts = []
    while len(receipts) < limit and (screen := next_screen(store.database, who)):
        receipts.append(cast(store.database, who, ballot(screen, choose(screen))))
    return receipts
