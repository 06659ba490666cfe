"""The studies behind the pages: the ready one, its results, and who gets to the admin pages. No browser."""

import io
import shutil
import zipfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.engine.services import Services
from app.server import build_app, build_site
from app.studies.pictures import PictureOrder, Wanted, paint_order
from app.studies.ready import Studies
from app.ui import build_ui
from e2ed2.errors import UserError
from study.errors import StudyError
from study.reporting.verify import verify_export
from study.store.store import Store
from study.store.studies import list_studies
from study.store.tables import StoredAssignment, StoredStimulus
from study.store.votes import cast, next_screen
from tests.study.voting import ballot, rater, vote_all

SECRET = "a-secret-of-the-tests"
ORDER = {"models": ("l2", "l2-lpips"), "steps": (1,), "prompts": (Wanted("apple", "red apple"),)}


def opened(folder: Path) -> Store:
    return Store.open(folder, f"sqlite:///{folder}/study.db")


@pytest.fixture
def store(painted, tmp_path):
    """A store with the ready study, to vote in."""
    store = opened(shutil.copytree(painted, tmp_path / "data"))
    yield store
    store.database.engine.dispose()


@pytest.fixture
def studies(store, checkpoints) -> Studies:
    made = Studies(store, checkpoints)
    made.prepare().join()
    return made


def site(studies: Studies, secret: str = "") -> TestClient:
    """The site without the demo, which takes seconds to build."""
    return TestClient(build_site(studies, secret), follow_redirects=False)


def test_the_ready_study_is_made_once_for_the_same_models(studies, store, checkpoints, tmp_path):
    (made,) = list_studies(store.database)
    assert made.spec.arms == ("l2", "l2-lpips")
    assert len(made.spec.stimuli) == 2 * len(made.spec.prompts)
    again = Studies(store, checkpoints)
    again.prepare().join()
    assert again.offer().token == studies.offer().token == made.token
    others = shutil.copytree(checkpoints, tmp_path / "others")
    shutil.copytree(others / "l2", others / "l1")
    retrained = Studies(store, others)
    retrained.prepare().join()
    assert retrained.offer().token != studies.offer().token
    assert len(list_studies(store.database)) == 2


def test_with_one_model_there_is_a_sentence_and_no_study(store, checkpoints, tmp_path):
    lonely = shutil.copytree(checkpoints, tmp_path / "lonely", ignore=shutil.ignore_patterns("l2-lpips"))
    studies = Studies(store, lonely)
    studies.prepare().join()
    page = site(studies).get("/study/")
    assert page.status_code == 404
    assert "at least two models" in page.text
    assert (studies.offer().token, studies.found()) == ("", None)


def test_a_study_that_cannot_be_painted_is_told_in_the_log_and_on_the_page(store, checkpoints, tmp_path, capsys):
    broken = shutil.copytree(checkpoints, tmp_path / "broken")
    for file in broken.glob("l2/denoiser/*.safetensors"):
        file.write_bytes(b"damaged")
    studies = Studies(store, broken)
    studies.prepare().join()
    assert "could not be made: " in capsys.readouterr().err
    page = site(studies).get("/study/")
    assert page.status_code == 404
    assert "could not be made" in page.text


def test_results_are_the_win_rates_of_every_arm(studies, store):
    (study,) = list_studies(store.database)
    nothing = studies.found()
    assert (nothing.raters, nothing.answers) == (0, 0)
    prefers = {s.sha256: s.arm for s in study.spec.images}

    def favourite(screen) -> str:
        with store.database.read() as session:
            row = session.get(StoredAssignment, screen.assignment)
            left = session.get(StoredStimulus, row.left_id).sha256
        return row.gold or ("left" if prefers[left] == "l2-lpips" else "right")

    vote_all(store, rater(store, study), favourite)
    found = studies.found()
    assert found.raters == 1
    assert found.answers == 3 * 6  # three questions on six comparisons
    for question in found.questions:
        best, worst = question.standings
        assert (best.arm, best.win_rate, worst.win_rate) == ("l2-lpips", 1.0, 0.0)
        assert best.low < 1.0 == best.high
        assert best.answers == 6


def test_every_arm_is_painted_from_the_same_noise_and_named(checkpoints, tmp_path):
    order = PictureOrder(("l2", "l2-lpips"), (1, 2), (Wanted("apple", "red apple", "fruit"),), copies=2, seed=5)
    sources = list(paint_order(order, tmp_path, checkpoints))
    assert len(sources) == order.pictures == 8
    assert {s.arm for s in sources} == {"l2, 1 step", "l2, 2 steps", "l2-lpips, 1 step", "l2-lpips, 2 steps"}
    assert {(s.prompt, s.category) for s in sources} == {("apple", "fruit")}
    first = [s.file.read_bytes() for s in sources]
    assert first == [s.file.read_bytes() for s in paint_order(order, tmp_path, checkpoints)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": ("l2",)}, "two arms"),
        ({"steps": ()}, "two arms"),
        ({"steps": (1, 9)}, "from 1 to 4"),
        ({"prompts": ()}, "at least one prompt"),
        ({"prompts": ORDER["prompts"] * 2}, "twice"),
        ({"copies": 0}, "at least 1"),
        ({"copies": 5000}, "at most"),
        ({"prompts": (Wanted("x", "a" * 201),)}, "200"),
    ],
)
def test_an_order_that_cannot_be_says_why(changes, words):
    with pytest.raises((StudyError, UserError), match=words):
        PictureOrder(**ORDER | changes)


def test_a_model_that_is_gone_is_one_sentence(checkpoints, tmp_path):
    with pytest.raises(StudyError, match="no model 'l9'"):
        next(paint_order(PictureOrder(**ORDER | {"models": ("l2", "l9")}), tmp_path, checkpoints))


def test_a_model_of_two_steps_is_in_no_study_of_four(with_independent, store, tmp_path):
    studies = Studies(store, with_independent)
    studies.prepare().join()
    assert studies.found()
    assert all(study.spec.arms == ("l2", "l2-lpips") for study in list_studies(store.database))
    order = PictureOrder(**ORDER | {"models": ("l2", "independent"), "steps": (4,)})
    with pytest.raises(StudyError, match="independent was made for 2 steps only"):
        next(paint_order(order, tmp_path, with_independent))


def test_the_bare_address_leads_to_the_ready_study_and_keeps_the_query(store, checkpoints, studies):
    early = site(Studies(store, checkpoints)).get("/study/")
    assert early.status_code == 503
    assert early.headers["refresh"]
    assert "painting the pictures" in early.text
    client = site(studies)
    bare = client.get("/study?PROLIFIC_PID=x&SESSION_ID=a%26b")
    assert bare.headers["location"] == "study/?PROLIFIC_PID=x&SESSION_ID=a%26b"
    front = client.get("/" + bare.headers["location"])
    token = studies.offer().token
    assert front.headers["location"] == f"./join/{token}?PROLIFIC_PID=x&SESSION_ID=a%26b"
    assert "I agree and take part" in client.get(f"/study/join/{token}").text


def test_without_a_secret_there_are_no_admin_pages(studies):
    client = site(studies)
    for path in ("/admin/login", "/admin/report/x/1", "/admin/export/x/1", "/admin/config"):
        assert "Secret" not in client.get(path).text
        assert client.get(path).status_code in (404, 307)


def test_strangers_see_nothing_of_the_admin_pages(studies, store):
    (study,) = list_studies(store.database)
    client = site(studies, SECRET)
    assert client.get("/admin").headers["location"] == "admin/"
    assert client.get("/admin/").headers["location"] == "login"
    for path in ("/admin/config", "/admin/gradio_api/info", "/admin/gradio_api/file=/etc/hostname"):
        assert client.get(path).status_code == 401, path
    asked = {"data": [None], "fn_index": 0, "session_hash": "x"}
    assert client.post("/admin/gradio_api/queue/join", json=asked).status_code == 401
    for path in (f"/admin/report/{study.name}/1", f"/admin/export/{study.name}/1"):
        assert client.get(path).headers["location"] == "/admin/login"
    for cookie in ("organiser", "organiser.x.y", ""):
        assert client.get("/admin/config", cookies={"study_admin": cookie}).status_code == 401
    demo = build_ui(Services(studies.checkpoints), studies)
    assert demo.app is None  # none of the servers is made that Gradio would throw away
    client = TestClient(build_app(demo, studies, SECRET))
    public = client.get("/config").text + client.get("/gradio_api/info").text
    assert study.name not in public
    assert "New study" not in public
    wrong = client.post("/admin/login", data={"secret": "no"})
    assert wrong.status_code == 403
    assert "set-cookie" not in wrong.headers


def test_secrets_cannot_be_tried_out(studies):
    client = site(studies, SECRET)
    tried = [client.post("/admin/login", data={"secret": f"guess {i}"}) for i in range(11)]
    assert [page.status_code for page in tried] == [403] * 10 + [429]
    assert "wait a minute" in tried[-1].text
    right = client.post("/admin/login", data={"secret": SECRET}, follow_redirects=False)
    assert right.status_code == 429  # not even the right one, else a try would tell


def test_the_secret_opens_report_and_export(studies, store, tmp_path):
    (study,) = list_studies(store.database)
    client = site(studies, SECRET)
    signed = client.post("/admin/login", data={"secret": SECRET})
    assert signed.headers["location"] == "./"
    assert "HttpOnly" in signed.headers["set-cookie"]
    assert client.get("/admin/config").status_code == 200
    early = client.get(f"/admin/report/{study.name}/1")
    assert early.status_code == 409
    assert "wait for the first answers" in early.text
    who = rater(store, study)
    cast(store.database, who, ballot(next_screen(store.database, who)))
    packed = client.get(f"/admin/export/{study.name}/1")
    zipfile.ZipFile(io.BytesIO(packed.content)).extractall(tmp_path)
    assert verify_export(tmp_path / f"{study.name}-1").problems == ()
    assert client.get("/admin/report/none/1").status_code == 409
    assert client.get("/admin/export/none/1").status_code == 409
