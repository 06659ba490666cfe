"""Who comes in: links that strangers share, frames, forged names, other people's names, floods."""

import re

import pytest
from fastapi.testclient import TestClient

from study.errors import StudyError
from study.protocol.parts import CheckShares
from study.store.raters import people
from study.store.store import Store
from study.store.studies import progress
from study.web import create_app
from study.web.limits import Limit
from tests.study.voting import rater, vote_all

PID, WORKER = "5f1e2d3c4b5a69788796a5b4", "A1B2C3D4E5F6G"


@pytest.fixture
def store(sqlite_store) -> Store:
    return sqlite_store


@pytest.fixture
def study(store, make_study):
    return make_study(store, checks=CheckShares(0, 0, 0, 0), raters_per_pair=1)


def agree(client: TestClient, link: str):
    page = client.get(link)
    return client.post(link, data=dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)))


def test_requests_without_a_cookie_do_not_fill_a_study(store, study):
    app = create_app(store, joins_a_minute=10_000)
    client = TestClient(app)
    for _ in range(60):
        client.cookies.clear()
        assert client.post(f"/join/{study.token}", follow_redirects=False).status_code == 303
    assert progress(store.database, study).raters["started"] == 60
    for i in range(2):
        assert len(vote_all(store, rater(store, study, f"r{i}"))) == 4


def test_an_address_that_comes_too_often_waits_a_minute(store, study):
    client = TestClient(create_app(store, joins_a_minute=3))
    answers = []
    for _ in range(5):
        client.cookies.clear()
        answers.append(client.post(f"/join/{study.token}").status_code)
    assert answers == [200, 200, 200, 429, 429]
    assert "wait a minute" in client.post(f"/join/{study.token}").text
    assert client.get(f"/join/{study.token}").status_code == 200


def test_a_limit_is_for_each_address_and_forgets_after_a_minute():
    now = 0.0
    limit = Limit(2, clock=lambda: now)
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
    assert limit.allows("b")
    now = 61.0
    assert limit.allows("a")


def test_the_limit_can_be_set_and_a_wrong_one_is_one_sentence(store, monkeypatch):
    monkeypatch.setenv("STUDY_JOINS_A_MINUTE", "7")
    assert create_app(store).state.joins.a_minute == 7
    monkeypatch.setenv("STUDY_JOINS_A_MINUTE", "many")
    with pytest.raises(StudyError, match="whole number from 1"):
        create_app(store)


@pytest.mark.parametrize("query", ["", f"?PROLIFIC_PID={PID}", f"?workerId={WORKER}&assignmentId=a"])
def test_a_browser_within_a_frame_keeps_its_cookie(store, study, query):
    """One of another site: browsers keep partitioned cookies there, and by https only."""
    cookie = {}
    for scheme in ("https", "http"):
        client = TestClient(create_app(store), base_url=f"{scheme}://testserver")
        page = client.get(f"/join/{study.token}{query}")
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        if page.url.path.startswith("/join"):
            posted = client.post(f"/join/{study.token}{query}", data=fields, follow_redirects=False)
            cookie[scheme] = posted.headers.get("set-cookie", "")
    assert cookie["https"].endswith("HttpOnly; Max-Age=31536000; Path=/; SameSite=None; Secure; Partitioned")
    if not query:  # the platforms' people are known by then, and bound to the first browser
        assert cookie["http"].endswith("SameSite=Lax")
        assert "Secure" not in cookie["http"]


@pytest.mark.parametrize(
    "query",
    [
        "PROLIFIC_PID=x",
        "PROLIFIC_PID=",
        f"PROLIFIC_PID={PID}%0Aprolific:{PID}%09finished%09PAYME",
        f"PROLIFIC_PID={PID}%1b[2J",
        f"PROLIFIC_PID={PID}00",
        "workerId=a",
        "workerId=A1%09B2C3D4",
    ],
)
def test_a_name_that_no_platform_gives_is_refused(store, study, query):
    client = TestClient(create_app(store))
    for page in (client.get(f"/join/{study.token}?{query}"), client.post(f"/join/{study.token}?{query}")):
        assert page.status_code == 400
        assert "does not say who you are" in page.text
    forged = {"platform": "prolific", "person": f"{PID}\nprolific:x", "entry": ""}
    assert client.post(f"/join/{study.token}", data=forged).status_code == 400
    assert people(store.database, study) == []


def test_the_list_of_people_cannot_be_forged(store, study):
    client = TestClient(create_app(store))
    entry = f"STUDY_ID=s%0Aprolific:{PID}&SESSION_ID=ok&other=1&hitId=%1b[2J"
    client.post(f"/join/{study.token}", data={"platform": "prolific", "person": PID, "entry": entry})
    client.cookies.clear()
    client.post(f"/join/{study.token}")
    rater(store, study, "ann\tfinished\tPAYME\n\u202exyz")
    prolific, opened, invited = people(store.database, study)
    assert (prolific[0], prolific[3]) == (f"prolific:{PID}", "SESSION_ID=ok")
    assert opened[0].startswith("open:")
    assert opened[0][5:] not in client.cookies.get("study_person")  # whoever reads the list gets no cookie from it
    assert invited[0] == r"invite:ann\tfinished\tPAYME\n\u202exyz"


@pytest.mark.parametrize("query", [f"PROLIFIC_PID={PID}", f"workerId={WORKER}&assignmentId=a"])
def test_somebody_elses_name_opens_nothing(store, study, query):
    link = f"/join/{study.token}?{query}"
    own = TestClient(create_app(store))
    mine = agree(own, link).url
    assert own.get(link).url == mine  # the same browser goes on
    thief = TestClient(create_app(store))
    for page in (thief.get(link), thief.post(link)):
        assert page.status_code == 403
        assert "another browser" in page.text
        assert mine.path not in page.text
    assert thief.get(mine.path).status_code == 200  # the personal link is for any device
    assert progress(store.database, study).raters["started"] == 1
