"""What was claimed before the first vote: frozen, answered first, and never by looking often."""

import json
from dataclasses import replace

import pytest

from study.errors import StudyError
from study.protocol.choices import Plan
from study.protocol.parts import Hypothesis
from study.protocol.spec import StudySpec
from study.reporting.export import export_study
from study.reporting.verify import verify_export
from study.reporting.words import claimed
from study.simulation.crowd import World
from study.stats import results
from study.stats.intervals import holm
from tests.study.simulated import raters_of, spec_and_images, votes_of
from tests.study.specs import make_spec
from tests.study.voting import rater, vote_all

CLAIMS = (Hypothesis("ours", "theirs", "overall"), Hypothesis("theirs", "ours", "aesthetic"))


def found(strength: float = 2.0, closed: bool = False, **options):
    spec, _ = spec_and_images(("ours", "theirs"), hypotheses=CLAIMS, **options)
    votes = votes_of(spec, World({"ours": strength, "theirs": 0.0}), 24)
    return results(votes, raters_of(votes), spec, resamples=0, closed=closed)


def test_each_claim_has_its_answer_corrected_for_the_claims_alone():
    out = found()
    assert [one.answer for one in out.registered] == ["supported", "contradicted"]
    nets = [out.kept.questions[key].preferences[0].net for key in ("overall", "aesthetic")]
    assert [one.p for one in out.registered] == holm([net.p for net in nets])
    assert out.registered[0].net.value == nets[0].value
    assert out.registered[1].net.value == -nets[1].value
    assert out.registered[1].net.interval.low == -nets[1].interval.high
    assert claimed(out.registered[0], out.reached).headline == "Yes"
    assert claimed(out.registered[1], out.reached).headline == "No, the other way round"
    assert [one.answer for one in found(0.0).registered] == ["undecided", "undecided"]


def test_before_the_end_no_claim_is_answered_and_closed_early_only_by_what_holds_at_any_look():
    out = found(raters_per_pair=13)
    assert claimed(out.registered[0], out.reached).headline == "Not over yet"
    early = found(raters_per_pair=13, closed=True)
    sure = 0 not in early.evidence["overall"].new_prompts
    assert claimed(early.registered[0], early.reached).headline == ("Yes" if sure else "Not decided")
    weak = found(0.8, raters_per_pair=13, closed=True)
    assert weak.kept.questions["overall"].preferences[0].net.p < 0.05  # for a single look
    assert weak.registered[0].answer == "undecided"


def test_it_is_frozen_and_exported_with_its_time(sqlite_store, make_study, tmp_path):
    claim = Hypothesis("secretarmone", "secretarmtwo", "overall")
    study = make_study(sqlite_store, hypotheses=(claim,), analysis="As the report has it.")
    assert StudySpec.from_json(study.spec.to_json()).hypotheses == (claim,)
    assert replace(study.spec, hypotheses=()).hash != study.spec.hash
    for answered in (False, True):
        if answered:
            vote_all(sqlite_store, rater(sqlite_store, study), limit=1)
        export_study(sqlite_store, study, tmp_path)
        said = json.loads((tmp_path / "registration.json").read_text())
        assert said["spec"] == study.spec.hash
        assert bool(said["first_answer"]) == answered
        assert said["time"] <= said["first_answer"] or not answered
        assert verify_export(tmp_path).problems == ()


def test_options_become_hypotheses(tmp_path):
    (tmp_path / "plan.txt").write_text("Two-sided.\n")
    changes = Plan(hypothesis=("a > b on overall",), analysis=tmp_path / "plan.txt").changes()
    assert changes["hypotheses"] == (Hypothesis("a", "b", "overall"),)
    assert changes["analysis"] == "Two-sided."
    assert str(changes["hypotheses"][0]) == "a > b on overall"
    assert "hypotheses" not in Plan().changes()


@pytest.mark.parametrize("text", ["a > b", "a on overall", "> b on overall", "a > on overall"])
def test_what_is_no_hypothesis_is_refused(text):
    with pytest.raises(StudyError, match="write it like ours > other on overall"):
        Hypothesis.parsed(text)


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        (Hypothesis("arm0", "none", "overall"), "needs two of the arms arm0, arm1"),
        (Hypothesis("arm0", "arm0", "overall"), "needs two of the arms"),
        (Hypothesis("arm0", "arm1", "none"), "is not one of the questions"),
    ],
)
def test_a_claim_about_what_the_study_has_not_is_refused(claim, told):
    with pytest.raises(StudyError, match=told):
        make_spec(hypotheses=(claim,))
