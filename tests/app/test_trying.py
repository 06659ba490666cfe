"""Before anybody is asked: a study as its raters see it, rehearsed, attacked."""

import os
import re
import sys

import pytest
from fastapi.testclient import TestClient

from app.admin.trials import in_words
from app.admin.trying import CERTIFY, REHEARSE, Trial, Trials
from app.server import build_site
from app.studies.ready import Studies
from study.errors import StudyError
from study.protocol.parts import CheckShares
from study.store.creating import make_study, sources_in
from study.store.studies import progress
from tests.study.conftest import picture
from tests.study.stores import open_store

SECRET = "a-secret-of-the-tests"


@pytest.fixture
def studies(tmp_path, checkpoints):
    store = open_store(tmp_path / "data")
    yield Studies(store, checkpoints)
    store.database.engine.dispose()


@pytest.fixture
def study(studies, tmp_path):
    for number, arm in enumerate(("one", "two")):
        (tmp_path / "pictures" / arm).mkdir(parents=True)
        for i in range(2):
            picture(5 * number + i).save(tmp_path / "pictures" / arm / f"{i}.png")
    rows = [f"{prompt},{arm},{arm}/{i}.png" for arm in ("one", "two") for i, prompt in enumerate("ab")]
    (tmp_path / "pictures" / "manifest.csv").write_text("\n".join(["prompt,arm,file", *rows]) + "\n")
    sources = list(sources_in(tmp_path / "pictures", None))
    where = "https://app.prolific.com/submissions/complete?cc=CODE"
    return make_study(
        studies.store, "first", sources, checks=CheckShares(0, 0, 0, 0), raters_per_pair=2, completion_url=where
    )


def pressed(client: TestClient, page) -> object:
    """The response to the page's first form, submitted unchanged."""
    attributes, form = re.search(r"<form([^>]*)>(.*?)</form>", page.text, re.S).groups()
    action = re.search(r'action="([^"]*)"', attributes)
    fields = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]*)"[^>]*value="([^"]*)"', form))
    return client.post(page.url.join(action[1]) if action else page.url, data=fields)


def test_a_preview_is_the_raters_pages_with_a_banner_and_stores_nothing(studies, study):
    client = TestClient(build_site(studies, SECRET))
    stranger = client.get("/admin/preview/first/1", follow_redirects=False)
    assert stranger.headers["location"].endswith("/admin/login")
    client.post("/admin/login", data={"secret": SECRET})
    page = client.get("/admin/preview/first/1")
    assert "/admin/previews/" in str(page.url)
    seen = [page]
    for _ in range(2):
        seen.append(pressed(client, seen[-1]))
    assert all("Nothing that you answer here is stored" in one.text for one in seen)
    assert "<img" in seen[-1].text
    assert len({str(one.url) for one in seen}) > 1
    source = re.search(r'<img[^>]*src="([^"]*)"', seen[-1].text)[1]
    assert client.get(seen[-1].url.join(source)).headers["content-type"].startswith("image/")
    found = progress(studies.store.database, study)
    assert (found.votes, found.raters["started"]) == (0, 0)
    assert "prolific" not in seen[-1].text
    again = client.get("/admin/preview/first/1")
    assert again.url != page.url  # from the beginning
    assert client.get("/admin/preview/none/1").status_code == 409
    assert client.get("/admin/previews/none/join/x").status_code == 404


def test_a_study_is_tried_out_in_a_process_of_its_own(study, tmp_path, monkeypatch):
    script = tmp_path / "python"
    lines = (
        "#!/bin/sh",
        'echo "Raters who are through  42%" >&2',
        'echo "$*"',
        ': > "$0.begun"',
        'read line < "$0.go"',
    )
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    trials = Trials(tmp_path)
    assert trials.last() is None
    for name in ("begun", "go"):
        os.mkfifo(f"{script}.{name}")
    trials.start(study, REHEARSE)
    with open(f"{script}.begun") as begun:
        begun.read()
    assert in_words(trials.last()) == "The rehearsal of first, version 1: 42%."
    with pytest.raises(StudyError, match="is being tried out"):
        trials.start(study, CERTIFY)
    with open(f"{script}.go", "w") as go:
        go.write("on\n")
    trials.wait()
    assert trials.last().output == "-m study rehearse first --version 1"
    trials.start(study, CERTIFY)
    trials.stop()
    assert not trials.last().going


def test_a_trial_in_words():
    going = Trial("first, version 1", CERTIFY, True, None, "")
    assert in_words(going) == "The certification of first, version 1 begins …"
    assert "being worked out" in in_words(Trial("first", REHEARSE, True, 100, ""))
    assert in_words(Trial("first", REHEARSE, False, 100, "table")) == "The rehearsal of first has ended."


@pytest.mark.slow
def test_a_real_rehearsal_ends_with_its_table(studies, study):
    trials = Trials(studies.store.key.file.parent)
    trials.start(study, REHEARSE)
    trials.wait()
    assert trials.last().percent == 100
    assert "careful" in trials.last().output
