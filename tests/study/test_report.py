"""The report: its figures follow from the votes alone, its page stands alone, nothing in it can run."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

from study.errors import StudyError
from study.protocol.parts import DEFAULT_QUESTIONS, CheckShares, Exclusions, Hypothesis, Stopping
from study.protocol.spec import StudySpec
from study.reporting.export import export_study
from study.reporting.report import _fragile, build, differences, page_now, read, recompute
from study.reporting.words import fragile, interim, verdicts
from study.simulation.crowd import World, truth
from study.stats import exclude, results
from study.stats.answers import comparisons
from study.stats.fragility import fragility
from study.stats.intervals import holm
from study.store.studies import close_study, find_study
from tests.study.simulated import raters_of, spec_and_images, votes_of, write_export
from tests.study.voting import rater, vote_all

EVIL = "</script><img src=x onerror=\"document.title='taken'\"><b>"  # the name of an arm
TWO = World({"ours": 0.8, EVIL: 0.0}, side=0.2, halo=0.3)
THREE = World({"first": 0.9, "second": 0.3, "third": 0.0})


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Folder of an export of 24 raters, some of them spammers, and its report beside it."""
    spec, images = spec_and_images(("ours", EVIL))
    folder = tmp_path_factory.mktemp("two") / "export"
    write_export(folder, spec, images, votes_of(spec, replace(TWO, spammers=0.2), 24))
    build(folder, folder)
    return folder


@pytest.fixture
def three():
    """Results for three arms: a ranking."""
    spec, _ = spec_and_images(("first", "second", "third"), prompts=20)
    votes = votes_of(spec, THREE, 24)
    return results(votes, raters_of(votes), spec, resamples=0)


def record(folder):
    return json.loads((folder / "results.json").read_text())


def test_the_report_finds_what_was_planted(two):
    won, tied, _ = truth(TWO, "ours", EVIL)
    kept = record(two)["results"]["kept"]["questions"]["overall"]
    (preference,) = kept["preferences"]
    low, high = preference["win_rate_ties_half"]["interval"].values()
    assert low < won + tied / 2 < high
    assert kept["p_holm"][0] < 0.05


def test_spammers_are_left_out_and_the_flow_adds_up(two):
    flow = record(two)["results"]["flow"]
    votes = pd.read_parquet(two / "votes.parquet")
    assert 0 < len(flow["excluded"]) < 12
    assert flow["answers"] == len(votes)
    assert flow["kept_answers"] == (~votes["rater"].isin(flow["excluded"])).sum()
    page = (two / "report.html").read_text()
    assert "With and without the rules" in page
    assert "passed fewer than 50% of the gold pairs" in page


def test_every_figure_follows_from_the_export_alone(two, tmp_path):
    assert differences(two, two / "results.json") == []
    changed = json.loads((two / "results.json").read_text())
    changed["results"]["kept"]["questions"]["overall"]["preferences"][0]["wins"] += 1
    (tmp_path / "results.json").write_text(json.dumps(changed))
    (told,) = differences(two, tmp_path / "results.json")
    assert "/results/kept/questions/overall/preferences/0/wins" in told


def test_the_order_of_the_rows_changes_no_figure(two):
    export = StudySpec.from_json((two / "spec.json").read_text())
    votes = pd.read_parquet(two / "votes.parquet").sample(frac=1, random_state=3)
    again = results(votes, raters_of(votes), export, resamples=0)
    assert record(two)["results"]["kept"]["answers"] == again.kept.answers
    wins = [q.preferences[0].wins for q in again.kept.questions.values()]
    assert wins == [q["preferences"][0]["wins"] for q in record(two)["results"]["kept"]["questions"].values()]


def test_the_pictures_are_the_strongest_and_the_most_divided(two):
    shown = record(two)["pictures"]
    assert all(len(shown[group]) == 3 for group in ("clearest", "against", "divided"))
    leans = [(p["wins"] - p["losses"]) / (p["wins"] + p["losses"] + p["ties"] + 2) for p in shown["clearest"]]
    assert leans == sorted(leans, reverse=True)
    assert all(p["wins"] > p["losses"] for p in shown["clearest"])
    assert all(p["wins"] < p["losses"] for p in shown["against"])
    assert all(p["wins"] and p["losses"] for p in shown["divided"])
    page = (two / "report.html").read_text()
    assert len(re.findall(r'src="data:image/webp;base64,', page)) == 18 + 3 * 2 * 2  # and two pairs a category
    linked = re.findall(r'<a href="#(category-\d)">(\w+)</a>', page)
    assert sorted(name for _, name in linked) == ["animals", "places", "things"]
    assert all(f'<h3 id="{id}">{name}</h3>' in page for id, name in linked)
    assert len(page) < 3_000_000  # most of it the library that draws the charts, packed


def test_the_page_stands_alone_draws_every_chart_and_runs_nothing_that_an_organiser_typed(open_page, two):
    visit = open_page((two / "report.html").as_uri())
    page = visit.page
    charts = {"outcomes", "win_rates", "categories", "agreement", "evidence", "progress", "response_times"}
    for chart in charts:
        expect(page.locator(f'[data-figure="{chart}"] .main-svg').first).to_be_visible()
    assert {p.get_attribute("data-figure") for p in page.locator("[data-figure]").all()} == charts
    expect(page.locator("main")).to_contain_text(EVIL)
    expect(page).to_have_title("apples: results")
    expect(page.locator("main b")).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("html")).to_have_js_property("scrollWidth", 390)
    visit.assert_clean()


def test_who_has_no_mouse_may_scroll_every_wide_table(two):
    tables = re.findall(r'<div class="scroll"([^>]*)>', (two / "report.html").read_text())
    assert len(tables) == 5
    assert all(re.fullmatch(r' tabindex="0" role="region" aria-label="[\w ]+"', one) for one in tables)


@pytest.mark.slow  # axe looks at every path of every chart
def test_the_page_of_three_arms_ranks_them_and_is_accessible(open_page, tmp_path):
    spec, images = spec_and_images(("first", "second", "third"), prompts=20)
    folder = write_export(tmp_path / "export", spec, images, votes_of(spec, THREE, 24))
    visit = open_page(build(folder, folder).as_uri())
    ranked = record(folder)["results"]["kept"]["questions"]["overall"]["ranking"]["strengths"]
    assert list(ranked) == ["first", "second", "third"]
    expect(visit.page.locator('[data-figure="strengths"] .main-svg').first).to_be_visible()
    visit.assert_accessible()


def test_each_headline_on_two_arms_says_how_fragile_it_is_by_corrected_p_values(two):
    export = read(two)
    found = results(export.votes, export.raters, export.spec, resamples=1)
    page, kept = (two / "report.html").read_text(), exclude(export.votes, export.spec.exclusions)[0]
    for key, question in found.kept.questions.items():
        p, corrected = question.preferences[0].net.p, question.p_holm[0]
        own = fragility(comparisons(kept, key), *export.spec.arms, correction=corrected / p)
        assert question.fragility == (own,)
        assert fragile(own) in page
    corrections = [q.p_holm[0] / q.preferences[0].net.p for q in found.kept.questions.values()]
    assert max(corrections) == pytest.approx(3)
    assert page.count("How fragile this is") == 3


def test_the_page_of_now_is_that_of_a_fresh_export_without_its_files(sqlite_store, make_study, tmp_path, monkeypatch):
    claim = Hypothesis("secretarmone", "secretarmtwo", "overall")
    study = make_study(sqlite_store, hypotheses=(claim,), questions=DEFAULT_QUESTIONS[:1])
    monkeypatch.setattr("study.reporting.report.results", partial(results, resamples=1))
    monkeypatch.setattr("study.reporting.report._packed_plotly", lambda: "")
    monkeypatch.setattr("study.reporting.report._figures", lambda *_: "{}")
    for number in range(2):
        vote_all(sqlite_store, rater(sqlite_store, study, f"ann{number}"))
    close_study(sqlite_store, study.name)
    study = find_study(sqlite_store.database, study.name)
    export_study(sqlite_store, study, tmp_path / "export")
    written = build(tmp_path / "export", tmp_path / "export").read_text("utf-8")
    monkeypatch.setattr(Path, "write_text", None)
    monkeypatch.setattr("shutil.copyfile", None)
    page = page_now(sqlite_store, study)
    assert page == written
    assert "data:image/webp" in page


def test_before_the_end_there_is_no_verdict(tmp_path, two):
    spec, images = spec_and_images(("ours", "theirs"), prompts=20, raters_per_pair=13)
    folder = write_export(tmp_path / "out", spec, images, votes_of(spec, World({"ours": 3.0, "theirs": 0.0}), 12))
    page = build(folder, folder).read_text()
    assert "0 of 20 pairs have all their raters" in page
    assert "Not over yet" in page
    assert not re.search(r"ours is preferred|ery sure", page)
    assert "however often one looks" in page
    assert "How fragile" not in page
    assert "Interim" not in (two / "report.html").read_text()


def test_a_study_that_was_closed_early_says_what_holds_at_any_look():
    spec, _ = spec_and_images(("ours", "theirs"), raters_per_pair=13)
    votes = votes_of(spec, World({"ours": 3.0, "theirs": 0.0}), 24)
    found = results(votes, raters_of(votes), spec, resamples=0, closed=True)
    assert (found.reached.over, found.reached.early) == (False, True)
    assert verdicts(spec, found)["overall"].headline == "ours is preferred"
    assert {one.sure for one in verdicts(spec, found).values()} == {"at any look"}
    assert interim(found.reached).startswith("Closed early, when 0 of 40 pairs")


def test_a_study_that_stops_on_the_evidence_takes_its_verdict_from_it():
    spec, _ = spec_and_images(("ours", "theirs"), raters_per_pair=50, stopping=Stopping("e-value"))
    votes = votes_of(spec, World({"ours": 3.0, "theirs": 0.0}), 24)
    found = results(votes, raters_of(votes), spec, resamples=0)
    assert (found.reached.decided, found.reached.over, found.reached.complete) == (True, True, 0)
    assert {one.sure for one in verdicts(spec, found).values()} == {"at any look"}
    assert verdicts(spec, found)["overall"].headline == "ours is preferred"
    assert _fragile(spec, found) == {}  # which is by p-values
    quota = replace(spec, stopping=Stopping())
    assert verdicts(quota, results(votes, raters_of(votes), quota, resamples=0))["overall"].headline == "Not over yet"


def test_rankings_find_what_was_planted_and_are_corrected_over_arms_and_questions_together(three):
    answered = three.kept.questions.values()
    assert list(three.kept.questions["overall"].ranking.strengths) == ["first", "second", "third"]
    raw = [d.estimate.p for q in answered for d in q.ranking.differences]
    assert [d.p_holm for q in answered for d in q.ranking.differences] == holm(raw)
    assert len(raw) == 9


def test_figures_of_another_version_are_not_compared(two, tmp_path):
    old = json.loads((two / "results.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps({name: old[name] for name in old if name != "figures"}))
    (told,) = differences(two, tmp_path / "results.json")
    assert "another version" in told


def test_pairs_of_one_arm_and_gold_pairs_are_counted():
    spec, _ = spec_and_images(("ours", "theirs"), checks=CheckShares(0.1, 0, 0.1, 0.2))
    votes = votes_of(spec, World({"ours": 0.5, "theirs": 0.0}), 24)
    twins = votes["kind"] == "identical"
    votes.loc[twins, "kind"] = "same_arm"
    found = results(votes, raters_of(votes), spec, resamples=0)
    gold, same = votes[votes["kind"] == "gold"], votes[twins]
    assert found.shown == {"comparison": 480, "gold": 96, "same_arm": 48, "repeat": 48}
    for key, answered in found.everyone.questions.items():
        of_gold, of_same = (rows[rows["question"] == key] for rows in (gold, same))
        assert answered.checks.gold.value == pytest.approx((of_gold["answer"] == of_gold["gold"]).mean())
        assert answered.checks.same_arm_ties.value == pytest.approx((of_same["answer"] == "tie").mean())


def test_no_answers_and_rules_that_leave_nobody_are_one_sentence(tmp_path):
    spec, _ = spec_and_images(("ours", EVIL), prompts=4)
    votes = votes_of(spec, TWO, 4)
    with pytest.raises(StudyError, match="wait for the first answers"):
        results(votes[:0], raters_of(votes), spec)
    strict = replace(spec, exclusions=Exclusions(min_median_response_ms=1e9))
    with pytest.raises(StudyError, match=r"every rater so far .*4 took less than 1e\+09 ms.*: wait"):
        results(votes, raters_of(votes), strict)
    with pytest.raises(StudyError, match="no complete export"):
        recompute(tmp_path)
