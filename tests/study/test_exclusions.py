"""Who is left out: the checks, what they say of looking and of clicking, and the rules that read them."""

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.study_exclusions import crowds, left_out, planned
from study.errors import StudyError
from study.images.importing import import_images
from study.images.sources import gold_from_manifest, sources_from_folders
from study.protocol.balanced import plan
from study.protocol.choices import parse_questions
from study.protocol.parts import DEFAULT_QUESTIONS, DEGRADED, CheckShares, Exclusions, Question
from study.protocol.spec import StudySpec
from study.protocol.times import own_times
from study.reporting.export import export_study
from study.reporting.verify import verify_export
from study.simulation.power import design
from study.stats import exclude
from study.stats.attention import attention
from study.store import creating
from tests.study.conftest import picture
from tests.study.specs import make_spec
from tests.study.test_stats import table
from tests.study.voting import rater, vote_all


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


@pytest.fixture(scope="module")
def behaved() -> dict[str, pd.DataFrame]:
    return crowds(planned(30, 3), raters=150)


@pytest.mark.parametrize("kind", ["always left", "always right", "always tie", "random A or B", "random A, tie or B"])
def test_the_default_rules_catch_nine_in_ten_who_do_not_look(behaved, kind):
    assert left_out(behaved[kind]) >= 0.9


@pytest.mark.parametrize("kind", ["careful, 0% lapses", "careful, 1% lapses", "careful, 3% lapses"])
def test_the_default_rules_keep_the_careful(behaved, kind):
    assert left_out(behaved[kind]) <= 0.02


def checks(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Answers of one rater: (kind, answer, gold, id of the first showing)."""
    kinds, answers, gold, first = zip(*rows, strict=True)
    shown = table([("ann", i, "a", "b", answer) for i, answer in enumerate(answers)])
    return shown.assign(kind=kinds, gold=gold, repeat_of=first)


def test_attention_is_the_likelihood_ratio_of_looking():
    left = ("comparison", "left", "", "")
    answers = checks(left, left, left, ("gold", "left", "left", ""), ("gold", "right", "left", ""))
    share_left = (4 + 0.5) / (5 + 1.5)  # a hit is likely for whoever always clicks left, so it says little
    expected = log(0.95 / share_left) + log(0.05 / (1 - share_left))
    assert attention(answers)["ann"] == pytest.approx(expected)
    answers = checks(left, ("identical", "tie", "", ""), ("repeat", "right", "", "s0"))
    shares = [1.5 / 4.5] * 3
    assert attention(answers)["ann"] == pytest.approx(log(0.6 / shares[1]) + log(0.6 / (3 * shares[0] ** 2)))


def test_a_click_that_answers_three_questions_counts_once():
    one = checks(("gold", "right", "left", ""), ("comparison", "left", "", ""))
    three = pd.concat([one.assign(question=key) for key in "abc"], ignore_index=True)
    few, many = attention(one)["ann"], attention(three)["ann"]
    assert few < many + 1 < 0  # the shares are known better, no more


def test_without_checks_nobody_is_suspect():
    assert attention(checks(("comparison", "left", "", "")))["ann"] == 0


@pytest.mark.parametrize(("answers", "out"), [("lllll", True), ("llltl", False), ("llllrl", False), ("ttttt", False)])
def test_a_run_on_one_side_is_counted_for_each_question_in_the_order_of_answering(answers, out):
    sides = {"l": "left", "r": "right", "t": "tie"}
    rows = checks(*(("comparison", sides[answer], "", "") for answer in answers))
    other = rows.assign(question="other", answer="right", position=rows["position"] * 2).iloc[:3]
    _, flow = exclude(
        pd.concat([rows, other]).sample(frac=1, random_state=0), replace(Exclusions.none(), max_side_run=4)
    )
    assert bool(flow.excluded) is out


# How long answers take


def test_an_answer_takes_the_time_since_the_one_before_on_its_screen():
    given = [("s", "c", 780, None), ("s", "a", 260, None), ("s", "b", 520, None), ("other", "d", 900, None)]
    assert own_times(given) == {"a": 260, "b": 260, "c": 260, "d": 900}


def test_a_page_cannot_claim_more_time_than_the_server_saw_pass():
    assert own_times([("s", "a", 8000, 90), ("s", "b", 16000, 90)]) == {"a": 90, "b": 0}


@pytest.mark.parametrize(("mode", "quick"), [("joint", True), ("separate", False)])
def test_pace_is_the_time_of_a_screen_by_its_answers(mode, quick):
    """Nine answers in 1.2 s each three, or, one on a screen, in 1.2 s each."""
    pairs = checks(*[("comparison", side, "", "") for side in ("left", "right", "tie")])
    took = (1200.0, 0.0, 0.0) if mode == "joint" else (1200.0, 1200.0, 1200.0)
    answers = pd.concat([pairs.assign(question=key, answer_ms=ms) for key, ms in zip("abc", took, strict=True)])
    _, flow = exclude(answers.assign(mode=mode), replace(Exclusions.none(), min_median_pace_ms=500.0))
    assert bool(flow.excluded) is quick


# Which picture of a gold pair is right


def test_each_question_has_its_own_right_answer_to_a_gold_pair(store, make_study, tmp_path):
    asked = ["best:intact=Which is better?", "worst:spoilt=Which is worse?", "older:none=Which is older?"]
    study = make_study(store, questions=parse_questions(asked))
    vote_all(store, rater(store, study))
    votes = export_study(store, study, tmp_path).votes
    gold = votes[votes["kind"] == "gold"]
    right = gold.groupby("question")["gold"].agg(list)
    intact = np.where(gold[gold["question"] == "best"]["right"] == DEGRADED, "left", "right").tolist()
    assert right["best"] == intact
    assert right["worst"] == ["left" if side == "right" else "right" for side in intact]
    assert set(right["older"]) == {""}
    assert verify_export(tmp_path).problems == ()
    votes["gold"] = votes["gold"].mask((votes["kind"] == "gold") & (votes["question"] == "older"), "left")
    votes.to_parquet(tmp_path / "votes.parquet", index=False)
    assert verify_export(tmp_path).problems


def test_honest_answers_to_a_question_for_the_worse_picture_count(store, make_study):
    study = make_study(store, questions=parse_questions(["worst:spoilt=Which is worse?"]), exclusions=Exclusions())
    votes = crowd_of(study.spec, lambda gold: gold)
    assert exclude(votes, study.spec.exclusions)[1].excluded == ()
    assert (
        len(exclude(crowd_of(study.spec, {"left": "right", "right": "left"}.get), study.spec.exclusions)[1].excluded)
        == 4
    )


def crowd_of(spec: StudySpec, choose) -> pd.DataFrame:
    """Four raters who answer gold pairs as `choose` has it, and call all else a tie."""
    shown = design(spec, 4)
    answers = [choose(gold) if gold else "tie" for gold in shown["gold"]]
    return shown.assign(answer=answers, response_ms=2000.0)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("overall=Which image is better overall?", DEFAULT_QUESTIONS[0]),
        ("overall:none=Which image is better overall?", Question("overall", "Which image is better overall?", "none")),
        ("worse: spoilt = Worse?", Question("worse", "Worse?", "spoilt")),
        ("own=Why: a=b?", Question("own", "Why: a=b?", "none")),
    ],
)
def test_a_question_says_its_gold(text, question):
    assert parse_questions([text]) == (question,)


def test_a_question_without_gold_is_told_and_a_wrong_one_refused():
    (note,) = make_spec(questions=(Question("own", "Older?", "none"),)).notes
    assert "do not check the answers to own" in note
    assert make_spec().notes == ()
    assert make_spec(questions=(Question("own", "Older?", "none"),), checks=CheckShares(gold=0)).notes == ()
    with pytest.raises(StudyError, match="own:intact="):
        parse_questions(["own:good=Better?"])


def test_right_answers_take_turns():
    spec = make_spec(checks=CheckShares(0, 0, 0, 0.4))
    for index in range(10):
        gold = [a.gold for a in plan(spec, index) if a.kind == "gold"]
        assert sorted(gold) == ["left", "left", "right", "right"]


# Gold pairs of one's own


@pytest.fixture
def gold_file(tmp_path) -> Path:
    """Two pairs of another size than the study's images, of which one has a prompt of its own."""
    for number, name in enumerate(("good", "bad", "fine", "poor")):
        picture(50 + number, (32, 48)).save(tmp_path / f"{name}.png")
    file = tmp_path / "gold.csv"
    file.write_text("prompt,better,worse\na <picture> & number 1,good.png,bad.png\nanother,fine.png,poor.png\n")
    return file


def test_own_gold_pairs_replace_the_spoilt_copies(store, folders, gold_file, tmp_path):
    arms = {arm: folders / arm for arm in ("secretarmone", "secretarmtwo")}
    sources, gold = sources_from_folders(arms, folders / "prompts.txt"), gold_from_manifest(gold_file)
    study = creating.make_study(store, "own", sources, gold, raters_per_pair=1, checks=CheckShares(0, 0, 0, 0.25))
    assert [s.file for s in study.spec.golden] == ["good.png", "fine.png"]
    assert [s.file for s in study.spec.degraded] == ["bad.png", "poor.png"]
    assert StudySpec.from_json(study.spec.to_json()) == study.spec
    vote_all(store, rater(store, study))
    votes = export_study(store, study, tmp_path / "out").votes
    shown = votes[votes["kind"] == "gold"]
    assert {*shown["left"], *shown["right"]} == {"golden", "degraded"}
    assert set(shown["prompt"]) == {"a <picture> & number 1", "another"}
    assert (shown["gold"] == np.where(shown["left"] == "golden", "left", "right")).all()
    assert verify_export(tmp_path / "out").problems == ()
    assert len(exclude(crowd_of(study.spec, lambda gold: gold), study.spec.exclusions)[1].excluded) == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prompt,better\na,b.png\n", "needs prompt, better, and worse"),
        ("prompt,better,worse\n", "lists no gold pair"),
        ("prompt,better,worse\na,good.png,none.png\n", "none.png is missing"),
        ("prompt,better,worse\na,good.png,large.png\n", "The images of gold pair 1 differ in size"),
    ],
)
def test_a_mistake_in_own_gold_pairs_is_told(store, folders, gold_file, text, told):
    picture(1).save(gold_file.with_name("large.png"))
    gold_file.write_text(text)
    arms = {arm: folders / arm for arm in ("secretarmone", "secretarmtwo")}
    with pytest.raises(StudyError, match=told):
        import_images(sources_from_folders(arms, folders / "prompts.txt"), store.library, gold_from_manifest(gold_file))
