"""What `study verify` finds: any change of any file, and with a signature or what somebody kept, a forged whole."""

import codecs
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from study.errors import StudyError
from study.protocol.balanced import commitment
from study.protocol.parts import Exclusions
from study.reporting.export import export_study, read_export, spreadsheet
from study.reporting.manifest import MANIFEST, add_to_manifest, manifest_hash, read_manifest
from study.reporting.report import build
from study.reporting.verify import _moved_answers, copy_problems, verify_export
from study.store.chain import chain_hash
from study.store.frames import Tables
from study.store.remarks import keep_remarks
from study.store.signing import Key
from study.store.studies import close_study, find_study
from study.store.votes import last_receipt
from tests.study.forging import forge
from tests.study.specs import make_spec
from tests.study.stores import open_store
from tests.study.voting import rater, vote_all

RATERS = 3


@pytest.fixture(scope="module")
def reports(make_study, tmp_path_factory) -> Path:
    """Reports of one study with their exports, while it was open and when it was closed; and the public key."""
    folder = tmp_path_factory.mktemp("reports")
    store = open_store(folder / "data")
    study = make_study(store, mode="randomised", exclusions=Exclusions.none())
    for i in range(RATERS):
        vote_all(store, rater(store, study, f"r{i}"), lambda screen: "right" if screen.step % 3 else "left")
    vote_all(store, rater(store, study, "left over"), limit=2)  # the plan has no place for this one
    for state in ("open", "closed"):
        if state == "closed":
            (folder / "key").write_text(close_study(store, study.name))
        export_study(store, find_study(store.database, study.name), folder / state)
        build(folder / state, folder / state, store.key)
    store.database.engine.dispose()
    return folder


@pytest.fixture
def report(reports, tmp_path) -> Path:
    """A copy of the report of the study that is still open."""
    return shutil.copytree(reports / "open", tmp_path / "report")


@pytest.fixture
def closed(reports, tmp_path) -> Path:
    return shutil.copytree(reports / "closed", tmp_path / "closed")


@pytest.fixture
def key(reports) -> str:
    return (reports / "key").read_text()


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


def alike(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    """The table in all its forms, and the manifest anew."""
    return lambda folder: forge(folder, **{name: change(pd.read_parquet(folder / f"{name}.parquet"))})


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
        if "entry" in line and line["entry"] == "closed":
            line["detail"] = "decided"
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
    "times of raters": table("raters", lambda raters: raters.assign(finished=raters["started"])),
    "raters removed": table("raters", lambda raters: raters[1:]),
    "positions reversed": table("votes", lambda votes: votes.assign(position=99 - votes["position"])),
    "modes exchanged": table(
        "votes", lambda votes: votes.assign(mode=votes["mode"].map({"joint": "separate", "separate": "joint"}))
    ),
    "report.html": edit("report.html", "<h1>", "<h1>Ours is preferred: "),
    "results.json": edit("results.json", '"level": 0.95', '"level": 0.99'),
    "revisions": edit("revisions.jsonl", '"answer": "left"', '"answer": "right"'),
}


SAME_EVERYWHERE = {
    "states of raters": alike("raters", lambda raters: raters.assign(status="active")),
    "raters removed": alike("raters", lambda raters: raters[1:]),
    "times of raters": alike("raters", lambda raters: raters.assign(finished=raters["started"])),
    "positions reversed": alike("votes", lambda votes: votes.assign(position=99 - votes["position"])),
    "positions exchanged": alike("votes", lambda votes: votes.assign(position=votes["position"][::-1].to_numpy())),
    "modes exchanged": alike(
        "votes", lambda votes: votes.assign(mode=votes["mode"].map({"joint": "separate", "separate": "joint"}))
    ),
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
    assert any("these are not the original files" in problem for problem in verify_export(report, kept).problems)


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
    export_study(sqlite_store, study, tmp_path)
    assert verify_export(tmp_path, receipt=(receipt.number, receipt.hash)).problems == ()


def test_no_text_of_an_export_is_written_or_read_as_the_machine_has_it(sqlite_store, make_study, tmp_path, monkeypatch):
    study, encodings = make_study(sqlite_store), set()
    keep_remarks(sqlite_store.database, who := rater(sqlite_store, study), {"comment": "schön"})
    monkeypatch.setattr("io.text_encoding", lambda encoding, *_: encodings.add(encoding) or encoding)
    for _ in range(2):  # into the same folder again
        export_study(sqlite_store, study, tmp_path / "new" / "out")
        assert verify_export(tmp_path / "new" / "out").problems == ()
    assert encodings == {"ascii", "utf-8", "utf-8-sig"}
    remarks = (tmp_path / "new" / "out" / "remarks.csv").read_text("utf-8-sig")
    assert remarks == f"rater,key,words\n{who.id},comment,schön\n"


def test_an_export_without_a_manifest_is_read(report):
    (report / MANIFEST).unlink()
    assert "signature.json is not a signature of this manifest" in verify_export(report).problems[0]
    (report / "signature.json").unlink()
    found = verify_export(report)
    assert (found.problems, found.manifest) == ((), "")


@pytest.mark.parametrize("change", SAME_EVERYWHERE.values(), ids=SAME_EVERYWHERE)
def test_the_chain_has_states_positions_and_modes(report, change):
    change(report)
    assert verify_export(report).problems


def test_a_closed_study_is_signed_and_its_secret_published(closed, key):
    found = verify_export(closed, key=key)
    assert found.problems == ()
    assert found.key == key
    assert found.closing == f"entry {found.revisions} of {found.revisions}, signed when the study was closed"
    assert commitment(json.loads((closed / "plan.json").read_text())["secret"]) == read_export(closed).spec.commitment


def test_each_study_draws_from_a_secret_of_its_own(sqlite_store, make_study):
    one, other = (make_study(sqlite_store, name) for name in ("one", "other"))
    assert one.plan_secret != other.plan_secret
    assert len(bytes.fromhex(one.plan_secret)) == 32
    assert [study.spec.commitment for study in (one, other)] == [commitment(s.plan_secret) for s in (one, other)]


def test_before_that_nothing_tells_the_plan(report, closed):
    secret = json.loads((closed / "plan.json").read_text())["secret"].encode()
    assert not any(secret in file.read_bytes() for file in report.rglob("*") if file.is_file())
    assert not (report / "plan.json").exists()
    assert verify_export(report).closing.startswith("none")


@pytest.mark.parametrize("change", [cut, anew])
def test_the_signed_head_finds_a_chain_that_was_cut_or_made_anew(closed, change):
    change(closed)
    (found,) = [problem for problem in verify_export(closed).problems if "cut or made anew" in problem]
    assert found


@pytest.mark.parametrize(
    "change",
    [*(pytest.param(one, marks=pytest.mark.slow) for one in (*CHANGES.values(), *SAME_EVERYWHERE.values())), cut, anew],
)
def test_whoever_has_no_key_cannot_sign_again(closed, key, change, tmp_path):
    change(closed)
    add_to_manifest(closed, read_manifest(closed), Key(tmp_path / "another"))
    assert any(f"not by {key}" in problem for problem in verify_export(closed, key=key).problems)


@pytest.mark.parametrize("name", ["head.json", "plan.json", "signature.json"])
def test_what_closing_adds_is_missed(closed, key, name):
    (closed / name).unlink()
    manifest = {file: hash for file, hash in read_manifest(closed).items() if file != name}
    (closed / MANIFEST).write_text(json.dumps(manifest))
    assert verify_export(closed, key=key).problems


def test_sides_that_the_plan_does_not_have_are_found(closed):
    plan = json.loads((closed / "plan.json").read_text())
    for one in plan["raters"].values():
        one["seat"] = None if one["seat"] is None else one["seat"] + 1
    (closed / "plan.json").write_text(json.dumps(plan))
    forge(closed)
    assert any("not shown what the plan has" in problem for problem in verify_export(closed).problems)


def test_an_answer_to_a_question_that_nobody_asked_is_told(closed):
    alike("votes", lambda votes: votes.assign(question=votes["question"].replace("overall", "other")))(closed)
    told = verify_export(closed).problems
    assert sum("The answer to 'other' of" in problem for problem in told) > RATERS
    assert sum("The answer to 'overall' of" in problem and "missing" in problem for problem in told) > RATERS


def test_closing_again_signs_what_came_since(sqlite_store, make_study, tmp_path):
    study = make_study(sqlite_store)
    who = rater(sqlite_store, study)
    vote_all(sqlite_store, who, limit=1)
    close_study(sqlite_store, study.name)
    vote_all(sqlite_store, who)
    for number in (4, 4 + 18 + 2, 4 + 18 + 2):  # votes, closed, votes and finished, closed
        export_study(sqlite_store, find_study(sqlite_store.database, study.name), tmp_path)
        assert verify_export(tmp_path).problems == ()
        assert json.loads((tmp_path / "head.json").read_text())["said"]["number"] == number
        close_study(sqlite_store, study.name)


def test_a_broken_key_is_told(tmp_path):
    (tmp_path / "key").write_text("no key")
    with pytest.raises(StudyError, match="holds no key"):
        Key(tmp_path / "key").sign({})


def test_a_spreadsheet_computes_nothing_of_an_export(tmp_path):
    """Prompts may be a stranger's, and office programs run what begins like a formula; Parquet has it as typed."""
    votes = pd.DataFrame({"prompt": ["=cmd|' /C calc'!A0", "@SUM(1)", "-2", "fünf = 5"], "position": [-1, 0, 1, 2]})
    lines = spreadsheet(votes).splitlines()
    assert [line[0] for line in lines[1:]] == ["'", "'", "'", "f"]
    assert lines[1].endswith(",-1")
    raters = pd.DataFrame({"rater": ["a"]})
    for name, table in (("votes", votes), ("raters", raters)):
        (tmp_path / f"{name}.csv").write_text(spreadsheet(table), "utf-8-sig")
        table.to_json(tmp_path / f"{name}.json", orient="records")
    tables = Tables(None, votes, raters, ())
    assert not list(copy_problems(tmp_path, tables))
    votes.to_csv(tmp_path / "votes.csv", index=False)  # as earlier versions wrote it
    assert not list(copy_problems(tmp_path, tables))
    votes.assign(position=0).to_csv(tmp_path / "votes.csv", index=False)
    assert list(copy_problems(tmp_path, tables))


def test_the_tables_of_an_export_open_in_office_programs(reports):
    assert (reports / "open" / "votes.csv").read_bytes().startswith(codecs.BOM_UTF8)


@pytest.mark.parametrize(("positions", "wrong"), [((0, 10, 20), 0), ((0, 10, 22), 1), ((0, -1, -2), 2)])
def test_all_passes_of_a_rater_are_as_long(positions, wrong):
    spec = make_spec(commitment="c")
    seen = [{"rater": "r", "assignment": "a", "question": q.key, "mode": "separate"} for q in spec.questions]
    votes = pd.DataFrame([one | {"position": place} for one, place in zip(seen, positions, strict=True)])
    entries = tuple(one | {"position": 0, "answer": "left"} for one in seen)
    assert len(list(_moved_answers(Tables(spec, votes, votes, entries)))) == wrong
