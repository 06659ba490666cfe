"""What `study verify` finds: any change of any file, and with what somebody kept, a chain that was made anew or cut."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from study.reporting.export import export_study
from study.reporting.manifest import MANIFEST, manifest_hash
from study.reporting.report import build
from study.reporting.verify import verify_export
from study.store.chain import chain_hash
from study.store.votes import last_receipt
from tests.study.forging import forge
from tests.study.voting import rater, vote_all

RATERS = 3


@pytest.fixture
def report(sqlite_store, make_study, tmp_path) -> Path:
    """A report with its export, of a few raters."""
    study = make_study(sqlite_store, mode="randomised")
    for i in range(RATERS):
        vote_all(
            sqlite_store, rater(sqlite_store, study, f"r{i}"), lambda screen: "right" if screen.step % 3 else "left"
        )
    export_study(sqlite_store.database, sqlite_store.library, study, tmp_path)
    build(tmp_path, tmp_path)
    return tmp_path


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def table(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        change(pd.read_parquet(folder / f"{name}.parquet")).to_parquet(folder / f"{name}.parquet", index=False)

    return rewrite


def cut(folder: Path) -> None:
    """The last rater, gone from the chain, the votes and the raters."""
    votes, raters = (pd.read_parquet(folder / f"{name}.parquet") for name in ("votes", "raters"))
    last = raters["rater"].iloc[-1]
    lines = (folder / "revisions.jsonl").read_text().splitlines(True)
    (folder / "revisions.jsonl").write_text("".join(line for line in lines if last not in line))
    forge(folder, votes=votes[votes["rater"] != last], raters=raters[raters["rater"] != last])


def anew(folder: Path) -> None:
    """Another answer, and all hashes after it."""
    lines = [json.loads(line) for line in (folder / "revisions.jsonl").read_text().splitlines()]
    votes, previous = pd.read_parquet(folder / "votes.parquet"), ""
    first = (votes["assignment"] == lines[0]["assignment"]) & (votes["question"] == lines[0]["question"])
    votes.loc[first, "answer"] = lines[0]["answer"] = "tie"
    for line in lines:
        payload = {name: value for name, value in line.items() if name != "hash"} | {"previous": previous}
        line |= payload | {"hash": (previous := chain_hash(payload))}
    (folder / "revisions.jsonl").write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
    forge(folder, votes=votes)


CHANGES = {
    "votes.csv": edit("votes.csv", "left", "right"),
    "votes.json": edit("votes.json", '"answer":"left"', '"answer":"right"'),
    "raters.csv": edit("raters.csv", "finished", "active"),
    "raters.json": edit("raters.json", "finished", "active"),
    "states of raters": table("raters", lambda raters: raters.assign(status="active")),
    "raters removed": table("raters", lambda raters: raters[1:]),
    "positions reversed": table("votes", lambda votes: votes.assign(position=99 - votes["position"])),
    "modes exchanged": table(
        "votes", lambda votes: votes.assign(mode=votes["mode"].map({"joint": "separate", "separate": "joint"}))
    ),
    "report.html": edit("report.html", "<h1>", "<h1>Ours is preferred: "),
    "results.json": edit("results.json", '"level": 0.95', '"level": 0.99'),
    "revisions": edit("revisions.jsonl", '"answer": "left"', '"answer": "right"'),
}


def test_nothing_is_found_where_nothing_was_changed(report):
    found = verify_export(report, manifest_hash(report))
    assert found.problems == ()
    assert found.manifest == manifest_hash(report)
    assert {"report.html", "results.json", "raters.csv"} < json.loads((report / MANIFEST).read_text()).keys()


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_found(report, change):
    CHANGES[change](report)
    assert verify_export(report).problems


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in ("report.html", "results.json")])
def test_tables_must_agree_even_with_a_new_manifest(report, change):
    CHANGES[change](report)
    forge(report)
    assert verify_export(report).problems


@pytest.mark.parametrize("change", [*CHANGES.values(), cut, anew])
def test_the_manifests_hash_holds_them_all(report, change):
    kept = manifest_hash(report)
    change(report)
    forge(report)
    assert any("these are not the files of then" in problem for problem in verify_export(report, kept).problems)


@pytest.mark.parametrize("change", [cut, anew])
def test_a_receipt_finds_a_chain_that_was_cut_or_made_anew(report, change):
    entry = json.loads((report / "revisions.jsonl").read_text().splitlines()[-1])
    receipt = (entry["number"], entry["hash"])
    assert verify_export(report, receipt=receipt).problems == ()
    change(report)
    assert verify_export(report).problems == ()  # all files agree with one another
    (found,) = verify_export(report, receipt=receipt).problems
    assert "not that of the receipt" in found


@pytest.mark.parametrize("number", [-1, 0, 10_000])
def test_a_receipt_with_a_strange_number_is_in_no_chain(report, number):
    assert verify_export(report, receipt=(number, verify_export(report).head)).problems


def test_a_raters_last_page_shows_what_verify_takes(sqlite_store, make_study, tmp_path):
    study = make_study(sqlite_store)
    who = rater(sqlite_store, study)
    vote_all(sqlite_store, who)
    receipt = last_receipt(sqlite_store.database, who)
    export_study(sqlite_store.database, sqlite_store.library, study, tmp_path)
    assert verify_export(tmp_path, receipt=(receipt.number, receipt.hash)).problems == ()


def test_an_export_without_a_manifest_is_read(report):
    (report / MANIFEST).unlink()
    found = verify_export(report)
    assert (found.problems, found.manifest) == ((), "")
