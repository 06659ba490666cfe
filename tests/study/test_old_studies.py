"""Studies of earlier versions: their specs keep their hashes, their databases open, and their votes still verify."""

import json
from dataclasses import replace

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text, update

from study.protocol.parts import CheckShares, Exclusions
from study.protocol.spec import StudySpec
from study.reporting.export import export_study
from study.reporting.verify import verify_export
from study.store.store import Store
from study.store.studies import close_study, find_study, list_studies
from study.store.tables import Study
from tests.study.specs import make_spec
from tests.study.voting import rater, vote_all

MIGRATIONS = "study/migrations"
SINCE = (
    "kind",
    "full_url",
    "golden",
    "commitment",
    "pairs_per_prompt",
    "image_format",
    "image_quality",
    "references",
    "page",
    "design",
    "hypotheses",
    "analysis",
)  # fields that specs of the first version do not have
RULES = ("min_attention", "min_median_pace_ms", "max_side_run")  # of exclusion, that they do not have


def first_version(spec: StudySpec) -> str:
    values = {name: value for name, value in json.loads(spec.text).items() if name not in SINCE}
    values["exclusions"] = {name: limit for name, limit in values["exclusions"].items() if name not in RULES}
    values["questions"] = [{"key": question.key, "text": question.text} for question in spec.questions]
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def old_database(file, *specs: StudySpec) -> None:
    """As the first migration alone left it."""
    engine = create_engine(f"sqlite:///{file}")
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for number, spec in enumerate(specs, 1):
            row = {"id": number, "name": spec.name, "spec": first_version(spec), "token": f"t{number}"}
            connection.execute(
                text(
                    "INSERT INTO study (id, name, version, spec, spec_hash, reason, token, secret, created)"
                    " VALUES (:id, :name, 1, :spec, '', '', :token, 's', '2026-01-01')"
                ),
                row,
            )
    engine.dispose()


def test_a_spec_that_was_read_keeps_its_bytes_and_its_hash():
    old = first_version(make_spec())
    spec = StudySpec.from_json(old)
    assert spec.to_json() == old
    assert spec.hash != make_spec().hash
    assert StudySpec.from_json(spec.to_json()).hash == spec.hash
    assert spec.image_name("0") == "images/0.png"
    changed = replace(spec, seed=1, exclusions=Exclusions(), image_format="webp")
    assert changed.hash == make_spec(seed=1).hash


def test_the_shares_of_checks_are_hashed_by_their_first_name_and_read_by_either():
    spec = make_spec()
    assert spec.hash == "cdbf9cb8963450584f33382d9485b29b185cd86e07fdf00fdefdc2114b6df209"  # from before the new name
    assert json.loads(spec.text)["placebos"]["gold"] == spec.checks.gold == 0.1
    assert StudySpec.from_json(spec.text) == StudySpec.from_json(spec.text.replace("placebos", "checks")) == spec


def test_a_rule_that_an_old_spec_does_not_name_is_none():
    spec = StudySpec.from_json(first_version(make_spec()))
    assert {name: getattr(spec.exclusions, name) for name in RULES} == dict.fromkeys(RULES)
    assert spec.exclusions.min_gold_pass_rate == 0.5
    assert {question.gold for question in spec.questions} == {"intact"}


def test_an_old_database_opens_and_its_studies_have_their_kinds(tmp_path):
    visited = make_spec(prompts=1, degraded=(), gold_of=(), checks=CheckShares(0, 0, 0, 0))
    old_database(tmp_path / "study.db", make_spec(), replace(visited, name="visitors-0123"))
    store = Store.open(tmp_path, f"sqlite:///{tmp_path}/study.db")
    assert [study.name for study in list_studies(store.database)] == ["toy"]
    assert [study.name for study in list_studies(store.database, by_visitors=True)] == ["visitors-0123"]
    assert find_study(store.database, "visitors-0123").spec.by_visitor
    store.database.engine.dispose()


def test_a_study_of_before_goes_on_closes_and_verifies(sqlite_store, make_study, tmp_path):
    study = make_study(sqlite_store, checks=CheckShares(0, 0, 0, 0))
    old = first_version(study.spec)
    with sqlite_store.database.write() as session:
        session.execute(update(Study).values(spec=old, spec_hash="", plan_secret=""))
    study = find_study(sqlite_store.database, study.name)
    assert study.spec.to_json() == old
    vote_all(sqlite_store, rater(sqlite_store, study))
    close_study(sqlite_store, study.name)
    export_study(sqlite_store, find_study(sqlite_store.database, study.name), tmp_path / "out")
    found = verify_export(tmp_path / "out")
    assert found.problems == ()
    assert (found.votes, found.images) == (12, len(study.spec.image_hashes))
    assert not (tmp_path / "out" / "plan.json").exists()
