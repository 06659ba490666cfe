"""The command line as an organiser uses it: a study from folders to a verified report."""

import errno
import io
import json
import os
import re
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select

from study.cli import COMMANDS, main
from study.store.store import Store
from study.store.studies import find_study, list_studies
from study.store.tables import Event
from tests.study.forging import forge
from tests.study.voting import rater, vote_all

DOCUMENTS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs a command in a data folder of its own, and returns what it printed; `status` is the exit code to come."""
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run(*words: object, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["study", *map(str, words)])
        if status:
            with pytest.raises(SystemExit) as exit:
                main()
            assert exit.value.code == status
        else:
            main()
        said = capsys.readouterr()
        return said.err if status else said.out

    return run


@pytest.fixture(scope="module")
def toy(folders, tmp_path_factory) -> tuple[Path, str]:
    """A data folder with a study, and what was said when it was made, a simulation among it."""
    data = tmp_path_factory.mktemp("toy")
    arms = [f"{name}={folders / f'secretarm{name}'}" for name in ("one", "two")]
    words = ["create", "--name", "toy", "--arms", *arms, "--prompts", folders / "prompts.txt", "--pairs-per-rater", 8]
    words += ["--exclusions.min-attention", None, "--exclusions.min-gold-pass-rate", None]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as said:
        patch.setenv("STUDY_DATA", str(data))
        patch.delenv("DATABASE_URL", raising=False)
        patch.setattr(sys, "argv", ["study", *map(str, words)])
        main()
    return data, said.getvalue()


@pytest.fixture
def created(run, toy, tmp_path) -> str:
    data, said = toy
    shutil.copytree(data, tmp_path / "data")
    return said


def test_from_folders_to_a_verified_report(run, created, tmp_path):
    assert "2 arms, 8 prompts, 8 pairs, 3 questions" in created
    assert re.search(r"one wins 60% .* with a chance of \d+%; the 95% interval .* is [01]\.\d\d wide", created)
    store = Store.open()
    for i in range(3):
        vote_all(store, rater(store, find_study(store.database, "toy"), f"ann{i}@example.org"), lambda screen: "left")
    assert "toy version 1, open" in run("list")
    assert re.fullmatch(r"http://127.0.0.1:8000/join/[\w-]+\n", run("links", "toy"))
    (link,) = run("links", "toy", "--invite", "bob", "--url", "https://x.org/study/").splitlines()
    assert link.startswith("bob https://x.org/study/invite/")
    assert "3 raters planned; 3 started, 0 active, 0 silent, 3 finished, 0 dropped, 0 excluded" in run(
        "progress", "toy"
    )
    assert run("people", "toy").startswith("invite:ann0@example.org\tfinished\t")
    out = tmp_path / "report"
    page, manifest = run("report", "toy", "--out", out).splitlines()
    assert page == str(out / "report.html")
    kept = manifest.removeprefix("Manifest: ")
    assert "Every figure of results.json follows from the votes." in run("verify", out, "--manifest", kept)
    assert "these are not the original files" in run("verify", out, "--manifest", "0" * 64, status=2)
    assert "not that of the receipt" in run("verify", out, "--receipt", 1, "0" * 64, status=2)
    assert "99 answers" in run("verify", "toy")
    figures = json.loads((out / "results.json").read_text())
    figures["results"]["kept"]["answers"] += 1
    (out / "results.json").write_text(json.dumps(figures))
    forge(out)
    assert "/results/kept/answers" in run("verify", out, status=2)
    assert "ann0@example.org" not in "".join(f.read_text("utf-8", "ignore") for f in out.iterdir() if f.is_file())


def test_an_amendment_keeps_what_it_does_not_name_and_closing_closes(run, created):
    assert "version 2" in run("amend", "toy", "--reason", "more raters", "--raters-per-pair", 5)
    store = Store.open()
    first, second = list_studies(store.database)
    assert (second.spec.raters_per_pair, second.spec.pairs_per_rater, second.reason) == (5, 8, "more raters")
    assert first.closed
    assert "toy version 2, open: more raters" in run("list")
    run("close", "toy")
    assert "toy version 2, closed" in run("list")


def test_the_old_name_of_the_checks_options_works_with_a_note(run, created, capsys):
    run("amend", "toy", "--reason", "more gold", "--checks.gold", 0.5)
    main_with = ["study", "amend", "toy", "--reason", "less gold", "--placebos.gold", "0.25", "--placebos.repeat=0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", main_with)
        main()
    assert "--placebos.* is now called --checks.*" in capsys.readouterr().err
    first, second, third = (study.spec.checks for study in list_studies(Store.open().database))
    assert (second.gold, second.repeat) == (0.5, first.repeat)
    assert (third.gold, third.repeat) == (0.25, 0)


def test_what_is_no_science_changes_while_the_study_runs(run, created, tmp_path):
    store = Store.open()
    before = find_study(store.database, "toy")
    vote_all(store, rater(store, before, "early"), limit=2)
    run("adjust", "toy", "--contact", "new@example.org", "--completion-url", "https://x.org/done")
    assert "open_cap 3" in run("adjust", "toy", "--open-cap", 3)
    after = find_study(store.database, "toy")
    assert (after.version, after.token, after.spec.hash) == (1, before.token, before.spec.hash)
    assert after.spec.to_json() == before.spec.to_json()
    assert (after.spec.contact, after.spec.completion_url, after.spec.open_cap) == (
        "new@example.org",
        "https://x.org/done",
        3,
    )
    vote_all(store, rater(store, after, "early"))
    run("export", "toy", "--out", tmp_path / "out")
    assert "as they were written" in run("verify", tmp_path / "out")
    assert "must start with https" in run("adjust", "toy", "--full-url", "http://x.org", status=2)
    assert "Say what to change" in run("adjust", "toy", status=2)
    run("amend", "toy", "--reason", "more", "--raters-per-pair", 4)
    assert find_study(store.database, "toy").spec.contact == "new@example.org"
    with store.database.read() as session:
        assert session.scalars(select(func.count()).where(Event.name == "adjusted")).one() == 2


def test_a_rater_is_released_and_withdrawn_by_the_name_that_the_organiser_knows(run, created):
    store = Store.open()
    study = find_study(store.database, "toy")
    vote_all(store, rater(store, study, "ann@example.org"), limit=2)
    assert "go to others" in run("release", "toy", "ann@example.org")
    assert "1 silent" in run("progress", "toy")
    assert "no rater called 'bob'" in run("release", "toy", "bob", status=2)
    assert "Say why" in run("drop", "toy", "ann@example.org", "--reason", " ", status=2)
    assert "the name is erased" in run("drop", "toy", "ann@example.org", "--reason", "withdrew", "--erase")
    assert "1 dropped" in run("progress", "toy")
    assert "ann@example.org" not in run("people", "toy")


@pytest.mark.slow
def test_a_report_counts_versions_of_the_same_science_together_and_lists_what_changed(run, created, tmp_path):
    store = Store.open()
    vote_all(store, rater(store, find_study(store.database, "toy"), "early"))
    run("amend", "toy", "--reason", "more raters", "--raters-per-pair", 4)
    second = find_study(store.database, "toy")
    assert rater(store, second, "early").study.version == 1  # nobody takes part twice
    vote_all(store, rater(store, second, "late"))
    out = tmp_path / "report"
    run("report", "toy", "--out", out)
    record = json.loads((out / "results.json").read_text())
    assert (record["pooled"], record["results"]["flow"]["raters"].__len__()) == ([1], 2)
    assert "raters_per_pair: 3 to 4" in record["deviations"][0]["changed"]
    assert "more raters" in (out / "report.html").read_text()
    run("verify", out)
    forged = out / "versions" / "1" / "votes.csv"
    forged.write_text(forged.read_text().replace("left", "right"))
    assert "votes.csv" in run("verify", out, status=2)
    run("amend", "toy", "--reason", "another question", "--question", "best=Which?")
    vote_all(store, rater(store, find_study(store.database, "toy"), "last"))
    run("report", "toy", "--out", out)
    record = json.loads((out / "results.json").read_text())
    assert (record["pooled"], [one["version"] for one in record["deviations"]]) == ([], [2, 3])
    assert not (out / "versions").exists()


def test_a_second_study_of_that_name_is_refused_before_any_work(run, created, folders, tmp_path):
    rows = [
        f"a,{arm},{folders / f'secretarm{arm}'}/secretfile1.{end}" for arm, end in (("one", "png"), ("two", "webp"))
    ]
    (tmp_path / "table.csv").write_text("\n".join(["prompt,arm,file", *rows]))
    stored = sorted((tmp_path / "data" / "images").rglob("*"))
    told = run("create", "--name", "toy", "--manifest", tmp_path / "table.csv", status=2)
    assert "There is a study 'toy' already" in told
    assert sorted((tmp_path / "data" / "images").rglob("*")) == stored


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["create", "--name", "x"], "Say where the images are"),
        (["create", "--name", "x", "--arms", "a"], "name=folder"),
        (["create", "--name", "x", "--arms", "a=/none", "b=/none"], "is not a folder"),
        (["create", "--name", "x", "--manifest", "/none.csv"], "cannot be read"),
        (["progress", "none"], "no study 'none'"),
        (["report", "none", "--out", "x"], "no study 'none'"),
        (["verify", "none"], "no study 'none'"),
        (["amend", "none", "--reason", "x"], "no study 'none'"),
        (["simulate", "--win-rate", "0.3"], "better arm first"),
        (["simulate", "--spec", "/none.json"], "cannot be read"),
        (["serve", "--port", "1", "--host", "203.0.113.1"], "Cannot listen"),
        (["dance"], "usage: python -m study"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(run, words, told):
    said = run(*words, status=2)
    assert told in said
    assert "Traceback" not in said


def test_a_full_disk_is_one_sentence_and_makes_no_study(run, folders, monkeypatch):
    def full(file, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    arms = [f"{name}={folders / f'secretarm{name}'}" for name in ("one", "two")]
    create = ["create", "--name", "toy", "--arms", *arms, "--prompts", folders / "prompts.txt"]
    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", full)
        assert run(*create, status=2).endswith(
            ".webp: No space left on device. Fix this, then run the same command again.\n"
        )
    assert run("list") == ""
    shown = []
    monkeypatch.setattr("study.commands.making.progress_bar", lambda items, total: shown.append(total) or items)
    assert "8 pairs" in run(*create)
    assert shown == [16, 8]  # a bar for the images, one for the spoilt copies


def test_who_stores_jpegs_without_loss_is_told_what_it_costs(run, tmp_path):
    for arm, shade in (("a", 10), ("b", 200)):
        (tmp_path / arm).mkdir()
        Image.new("L", (16, 16), shade).save(tmp_path / arm / "1.jpg")
    (tmp_path / "prompts.txt").write_text("a shade")
    arms = ["--arms", f"a={tmp_path / 'a'}", f"b={tmp_path / 'b'}", "--prompts", tmp_path / "prompts.txt"]
    assert "--image-quality 95" in run("create", "--name", "without-loss", *arms)
    assert "--image-quality 95" not in run("create", "--name", "with-loss", *arms, "--image-quality", 95)


def test_a_broken_database_is_one_sentence(run, created, tmp_path):
    for file in (tmp_path / "data").glob("study.db*"):
        file.write_bytes(b"no database" * 1000)
    said = run("list", status=2)
    assert said.startswith("The database cannot be opened (file is not a database): check DATABASE_URL")
    assert len(said.splitlines()) == 1


def test_a_report_without_answers_is_one_sentence(run, created, tmp_path):
    assert "wait for the first answers" in run("report", "toy", "--out", tmp_path / "out", status=2)


def test_every_command_is_documented():
    text = "".join((DOCUMENTS / name).read_text() for name in ("study.md", "statistics.md"))
    assert {name for name in COMMANDS if f"python -m study {name}" not in text} == set()


def test_every_fault_of_another_tool_has_its_test():
    named = set(re.findall(r"`(test_\w+)`", (DOCUMENTS / "study.md").read_text()))
    there = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert len(named) > 30
    assert {name for name in named if f"def {name}(" not in there} == set()
