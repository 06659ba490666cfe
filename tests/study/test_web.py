"""The rater's pages over HTTP: entry, blindness, refusals, mounts; without a script."""

import base64
import hashlib
import html
import io
import re
import socket
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image
from sqlalchemy import select

from study.rehearsal.visit import hash_of
from study.store.frames import read_tables
from study.store.raters import invite, people
from study.store.store import Store
from study.store.studies import close_study
from study.store.tables import StoredAssignment
from study.web import create_app, serve
from study.web.practice import DRAWN
from tests.study.voting import rater

PID = "5f1e2d3c4b5a69788796a5b4"
SECRETS = ("secretarm", "secretarmone", "secretfile", "secretmetadata", "secretstudy", "degraded", ".webp")


@pytest.fixture
def store(sqlite_store) -> Store:
    return sqlite_store


@pytest.fixture
def study(store, make_study):
    return make_study(store, "secretstudy", contact="study@example.org")


class Browser:
    """Follows forms and images as a browser without a script does, and keeps all that it was sent."""

    def __init__(self, app, base: str = "http://testserver"):
        self.client = TestClient(app, base_url=base)
        self.seen: list[Response] = []
        self.url = ""

    def get(self, url: str, status: int = 200) -> str:
        return self._keep(self.client.get(self._resolve(url)), status)

    def submit(self, status: int = 200, **fields: str) -> str:
        """The page's form, its hidden fields and `fields`."""
        form = re.search(r"<form[^>]*>.*?</form>", self.page, re.S)[0]
        action = re.search(r'<form[^>]*action="([^"]*)"', form)
        found = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)
        hidden = {name: html.unescape(value) for name, value in found}
        target = self._resolve(action[1]) if action else self.url
        return self._keep(self.client.post(target, data=hidden | fields), status)

    def link(self, text: str) -> str:
        return self.get(re.search(rf'<a[^>]*href="([^"]*)"[^>]*>{text}</a>', self.page)[1])

    def undo(self) -> str:
        return self._keep(self.client.post(re.sub(r"/(back)?$", "", self.url) + "/back"), 200)

    def images(self) -> list[Response]:
        found = [self.client.get(self._resolve(url)) for url in re.findall(r'<img src="([^"]*)"', self.page)]
        self.seen += found
        return found

    def begin(self, url: str) -> str:
        """Consent, instructions, practice: up to the first pair."""
        self.get(url)
        self.submit()
        self.submit()
        for _ in DRAWN:
            self.images()
            self.submit(answer="left")
            self.submit()
        return self.page

    def answers(self, answer: str = "left") -> dict[str, str]:
        return {name: answer for name in re.findall(r'type="radio" name="(q-[^"]*)"', self.page)}

    def vote(self, answer: str = "left", status: int = 200, **fields: str) -> str:
        return self.submit(status, **(self.answers(answer) | fields))

    def _resolve(self, url: str) -> str:
        return str(self.client.base_url.join(self.url).join(url))

    def _keep(self, response: Response, status: int) -> str:
        assert response.status_code == status, response.text
        self.seen += [*response.history, response]
        self.url, self.page = str(response.url), response.text
        return self.page


@pytest.fixture
def browser(store) -> Browser:
    return Browser(create_app(store))


def test_a_rater_without_a_script_goes_from_consent_to_the_completion_code(browser, store, study):
    browser.begin(f"/join/{study.token}")
    for step in range(1, 8):
        assert f"{step} of 7" in browser.page
        browser.vote()
    assert "Thank you" in browser.page
    ((_, status, code, _),) = people(store.database, study)
    assert code in browser.page
    assert status == "finished"
    tables = read_tables(store.database, study)
    *given, finished = tables.revisions
    assert given[-1]["hash"] in browser.page
    assert {r["clock"] for r in given} == {"server"}
    assert finished["entry"] == "finished"
    assert len(tables.votes) == 21


def play(browser: Browser, study) -> list[Response]:
    """Everything that a rater's browser is sent from consent to thanks, pauses and mistakes among it."""
    browser.begin(f"/join/{study.token}")
    while "Thank you" not in browser.page:
        browser.images()
        browser.link("Pause")
        browser.get(browser.url.removesuffix("/pause"))
        browser.vote()
    browser.get("/nothing", 404)
    return browser.seen


def leaks(responses: list[Response], secrets: set[str]) -> set[str]:
    """Secrets in any address, header, page or image byte, as they are or in base64 or URL encoding."""
    forms = {
        form.lower(): secret
        for secret in secrets
        for form in (secret.encode(), quote(secret).encode(), base64.b64encode(secret.encode()).rstrip(b"="))
    }
    sent = [b"\n".join([str(r.url).encode(), str(r.headers).encode(), r.content]).lower() for r in responses]
    return {secret for form, secret in forms.items() if any(form in part for part in sent)}


def secrets_of(store: Store, study, folders: Path) -> set[str]:
    """Names, paths, and hashes of the originals and of what is stored."""
    originals = [file.read_bytes() for arm in study.spec.arms for file in (folders / arm).iterdir()]
    hashes = {hashlib.new(kind, data).hexdigest() for data in originals for kind in ("md5", "sha1", "sha256")}
    stored = {s.sha256 for s in study.spec.images}
    return {*SECRETS, *hashes, *stored, study.spec.hash, study.secret, str(store.library.folder), str(folders)}


@pytest.mark.parametrize("mode", ["joint", pytest.param("separate", marks=pytest.mark.slow)])
def test_nothing_that_a_rater_is_sent_tells_an_arm(browser, store, make_study, folders, mode):
    study = make_study(store, "secretstudy", mode=mode)
    seen = play(browser, study)
    assert len(seen) > 50
    assert leaks(seen, secrets_of(store, study, folders)) == set()
    images = [r for r in seen if "/i/" in str(r.url)]
    assert len({tuple(sorted(i.headers.keys())) for i in images}) == 1
    for response in seen:
        assert not {"etag", "last-modified", "content-disposition"} & {name.lower() for name in response.headers}
        kept = "private, max-age=3600" if "/i/" in str(response.url) else "no-store"
        assert response.headers["cache-control"] == kept
    for response in images:
        with Image.open(io.BytesIO(response.content)) as image:
            assert (image.format, image.mode, image.size) == ("WEBP", "RGB", (64, 64))
            assert set(image.info) == {"loop", "background"}
        chunks = re.findall(rb"EXIF|XMP |ICCP", response.content)
        assert chunks == []
    sizes = [len(image.content) for image in images]
    assert sizes[::2] == sizes[1::2]  # of the two pictures of each pair
    stored = {store.library.path(s.sha256).stat().st_size for s in study.spec.images}
    assert len(stored) > 1
    assert len({str(r.url) for r in images}) == 14  # a name of its own for each showing and side, the same image or not


def test_a_picture_has_a_new_name_each_time_and_all_of_a_prompt_are_as_long(browser, store, make_study, monkeypatch):
    study = make_study(store, "secretstudy", raters_per_pair=8)
    for number in range(10):
        rater(store, study, f"rater {number}")
    read, names, lengths = [], defaultdict(list), defaultdict(set)
    prompts = {stimulus.sha256: stimulus.prompt for stimulus in study.spec.images}
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: read.append(file) or whole(file))
    with store.database.read() as session:
        shown = session.execute(select(StoredAssignment.left_token, StoredAssignment.right_token)).all()
    for name in (name for both in shown for name in both):
        body = browser.client.get(f"/i/{name}").content
        names[hash_of(body)].append(name)
        lengths[prompts[hash_of(body)]].add(len(body))
    assert len(read) == 2 * sum(map(len, names.values()))  # both pictures of the pair, whichever is asked for
    assert {len(of_prompt) for of_prompt in lengths.values()} == {1}
    for many in names.values():
        parts = [{name[i : i + 6] for i in range(len(name) - 5)} for name in many]
        assert not any(one & other for one, other in combinations(parts, 2))


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param("secretarmone", marks=pytest.mark.slow),
        "c2VjcmV0YXJtb25l",
        pytest.param("secretfile3.png", marks=pytest.mark.slow),
    ],
)
def test_the_search_for_leaks_finds_what_is_planted(browser, store, make_study, folders, planted):
    study = make_study(store, "secretstudy", title=f"Better? {planted}")
    assert leaks(play(browser, study), secrets_of(store, study, folders)) & {"secretarm", "secretarmone", "secretfile"}


def test_pages_ask_no_other_host_and_no_script_but_their_own(browser, study):
    browser.begin(f"/join/{study.token}")
    for response in browser.seen:
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        if "text/html" in response.headers.get("content-type", ""):
            links = re.findall(r'(?:src|href|action)="([^"]*)"', response.text)
            assert all(link.startswith(("../", "./")) for link in links), links
            assert not re.search(r"<script(?! src)|style=| on[a-z]+=", response.text)
    assert Path("study/web/static/page.js").stat().st_size < 8000


def test_the_same_form_twice_is_one_vote(browser, store, study):
    browser.begin(f"/join/{study.token}")
    page, url = browser.page, browser.url
    browser.vote()
    for _ in range(3):
        browser.page, browser.url = page, url
        browser.vote()
    assert "2 of 7" in browser.page
    assert len(read_tables(store.database, study).revisions) == 3


def test_undo_shows_the_answers_and_stores_a_change_as_a_revision(browser, store, study):
    browser.begin(f"/join/{study.token}")
    browser.vote("left")
    browser.undo()
    assert browser.page.count(" checked") == 3
    browser.vote("right")
    assert "2 of 7" in browser.page
    assert [r["revision"] for r in read_tables(store.database, study).revisions] == [1, 1, 1, 2, 2, 2]


def test_a_page_names_the_pictures_of_the_next_pair(browser, study):
    """Which the script fetches in advance."""
    browser.begin(f"/join/{study.token}")
    (ahead,) = re.findall(r'data-ahead="([^"]*)"', browser.page)
    browser.vote()
    assert re.findall(r'<img src="([^"]*)"', browser.page) == ahead.split()


def test_who_comes_back_after_the_end_is_thanked_again(browser, store, study):
    """By Back, by the form that was sent last, by the personal link and by the first link."""
    browser.begin(f"/join/{study.token}")
    while "Thank you" not in browser.page:
        page, url = browser.page, browser.url
        browser.vote()
    thanks, link = browser.page, browser.url
    browser.page, browser.url = page, url
    assert browser.vote() == thanks
    assert browser.get(link) == browser.get(f"/join/{study.token}") == thanks
    tables = read_tables(store.database, study)
    assert (len(tables.votes), len(tables.raters)) == (21, 1)
    assert (tables.votes["answer"] == "left").all()


def test_times_that_the_page_claims_are_not_longer_than_the_servers(browser, store, study, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("study.web.session.seconds", lambda: now[0])
    browser.begin(f"/join/{study.token}")
    now[0] += 3
    browser.vote(**{f"ms-{question.key}": "8000" for question in study.spec.questions})
    tables = read_tables(store.database, study)
    assert set(tables.votes["response_ms"]) == {8000}
    assert tables.votes["answer_ms"].sum() == tables.revisions[0]["server_ms"] == 3000


@pytest.mark.parametrize("sent", ["", "1", "another"])
def test_nobody_says_when_a_page_was_sent_but_the_server(browser, store, study, sent):
    browser.begin(f"/join/{study.token}")
    another = re.search(r'name="sent" value="([^"]*)"', browser.page)[1]
    browser.vote()
    browser.vote(status=409, sent=another if sent == "another" else sent)
    assert len(read_tables(store.database, study).votes) == 3


def test_a_personal_link_goes_on_on_another_device(browser, store, study):
    browser.begin(f"/join/{study.token}")
    browser.vote()
    other = Browser(create_app(store))
    other.get(browser.url)
    assert "2 of 7" in other.page
    other.vote()
    browser.get(browser.url)
    assert "3 of 7" in browser.page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/r/forged.token", 403),
        ("/join/unknown", 403),
        ("/i/unknown", 404),
        ("/practice/9/a", 404),
        ("/practice/0/c", 404),
        ("/r/x/practice/0/a", 403),
        ("/", 404),
        ("/static/../app.py", 404),
    ],
)
def test_what_is_not_there_is_one_sentence(browser, study, path, status):
    page = browser.get(path, status)
    assert len(re.findall("<p>", page)) == 1
    assert "Traceback" not in page


def test_a_vote_that_is_not_ones_own_is_refused(browser, store, study):
    browser.begin(f"/join/{study.token}")
    other = Browser(create_app(store))
    other.begin(f"/join/{study.token}")
    theirs = re.search(r'name="assignment" value="([^"]*)"', other.page)[1]
    url, page = browser.url, browser.page
    for status, fields in (
        (409, {"assignment": theirs} | browser.answers()),
        (409, {}),
        (409, browser.answers("both")),
        (409, {"request": "x"} | browser.answers()),
        (409, dict(list(browser.answers().items())[:2])),
    ):
        browser.url, browser.page = url, page
        browser.submit(status, **fields)
        assert len(re.findall("<p>", browser.page)) == 1
    browser.get(url[:-2], 403)
    assert read_tables(store.database, study).votes.empty


def test_one_browser_one_prolific_id_one_worker_take_part_once(store, study):
    query = {
        "prolific": f"PROLIFIC_PID={PID}&STUDY_ID=s&SESSION_ID=t",
        "mturk": "workerId=A1B2C3D4E5&assignmentId=a&hitId=h",
    }
    for entry in ("open", "prolific", "mturk"):
        url = f"/join/{study.token}?{query.get(entry, '')}"
        first = Browser(create_app(store))
        first.get(url)
        first.submit()
        first.get(url)
        assert "How it works" in first.page
        assert PID not in first.url
    assert [person.split(":")[0] for person, *_ in people(store.database, study)] == ["open", "prolific", "mturk"]
    assert people(store.database, study)[1][3] == "STUDY_ID=s&SESSION_ID=t"


def test_a_preview_on_mechanical_turk_enrols_nobody(browser, store, study):
    page = browser.get(f"/join/{study.token}?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=h")
    assert "preview" in page
    assert "<form" not in page
    assert people(store.database, study) == []


@pytest.mark.parametrize(
    ("site", "shown"), [("https://workersandbox.mturk.com", True), ("https://evil.example.org", False)]
)
def test_a_worker_hands_the_task_in_where_mechanical_turk_wants_it(browser, store, study, site, shown):
    browser.begin(f"/join/{study.token}?workerId=A1B2C3D4E5&assignmentId=a7&hitId=h&turkSubmitTo={site}")
    while "Thank you" not in browser.page:
        browser.vote()
    assert (f'action="{site}/mturk/externalSubmit"' in browser.page) is shown
    assert ('name="assignmentId" value="a7"' in browser.page) is shown
    assert "evil.example" not in browser.page


def test_an_invitation_is_for_one_person(browser, store, study):
    link = f"/invite/{study.token}/{invite(study, 'ann')}"
    browser.get(link)
    browser.submit()
    Browser(create_app(store)).get(link)
    assert [person for person, *_ in people(store.database, study)] == ["invite:ann"]
    browser.get(link[:-3], 403)


def test_a_closed_study_says_so(browser, store, study):
    close_study(store, study.name)
    assert "closed" in browser.get(f"/join/{study.token}", 403)


def test_a_study_that_closes_while_somebody_reads_the_consent_says_so(browser, store, study):
    browser.get(f"/join/{study.token}")
    close_study(store, study.name)
    assert "closed" in browser.submit(403)


def test_the_completion_url_is_where_the_platform_wants_its_rater(store, make_study):
    study = make_study(store, completion_url="https://app.prolific.com/submissions/complete?cc=C0DE")
    browser = Browser(create_app(store))
    browser.begin(f"/join/{study.token}?PROLIFIC_PID={PID}")
    while "Thank you" not in browser.page:
        browser.vote()
    assert 'href="https://app.prolific.com/submissions/complete?cc=C0DE"' in browser.page


def test_an_answer_waits_for_no_word_of_the_browser(store, monkeypatch):
    """Else the second part of each is sent 40 ms after the first, on connections that are kept."""
    found = []

    def run(server, sockets: list[socket.socket]) -> None:
        with socket.create_connection(sockets[0].getsockname()):
            accepted, _ = sockets[0].accept()
        found.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        accepted.close()
        sockets[0].close()

    monkeypatch.setattr("uvicorn.Server.run", run)
    serve(store, "127.0.0.1", 0)
    assert found == [1]


def test_the_pages_work_under_another_path(store, study):
    app = FastAPI()
    app.mount("/study", create_app(store))
    browser = Browser(app)
    browser.begin(f"/study/join/{study.token}")
    assert all(image.status_code == 200 for image in browser.images())
    browser.vote()
    browser.undo()
    browser.vote("right")
    assert "2 of 7" in browser.page
    assert browser.client.get("/study/static/style.css").status_code == 200
    browser.get("/study/r/none", 403)
    assert browser.client.get(browser._resolve("../static/style.css")).status_code == 200
