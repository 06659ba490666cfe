"""The section for a paper and the card: every number from the export, words that TeX and a hub can read."""

import json
import re
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from study.protocol.spec import StudySpec
from study.reporting.methods import CITED, Methods, latex, paragraphs, write
from study.reporting.report import read
from study.simulation.crowd import World
from study.stats import exclude, results
from tests.study import recomputed
from tests.study.simulated import raters_of, spec_and_images, votes_of, write_export

WINDOWS = ["1440x900@1 530x530"] * 6 + ["390x844@2 217x217"] * 4


def entry(assignment: str, question: str, viewport: str) -> str:
    return json.dumps({"answer": "left", "assignment": assignment, "question": question, "viewport": viewport})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An export of 12 raters, one of whom left, on two arms with awkward names."""
    spec, images = spec_and_images(("ours_100%", "base & line"), prompts=12)
    world = World({"ours_100%": 0.5, "base & line": 0.0})
    votes = votes_of(spec, world, 12)
    votes["answer"] = votes["answer"].mask(
        votes["rater"] == votes["rater"].iloc[-1], "left"
    )  # whom the rules leave out
    folder = write_export(tmp_path_factory.mktemp("methods") / "export", spec, images, votes)
    raters = raters_of(votes)
    raters.loc[0, ["status", "channel"]] = ["abandoned", "prolific"]
    raters.loc[1, "started"] = "2026-05-03T10:00:00+00:00"
    raters.to_parquet(folder / "raters.parquet", index=False)
    rows = votes.head(len(WINDOWS)).to_dict("records")
    lines = [entry(row["assignment"], row["question"], one) for row, one in zip(rows, WINDOWS, strict=True)]
    changed = entry(rows[0]["assignment"], rows[0]["question"], "200x200@1 50x50")  # before the one that stands
    withdrawn = [entry(f"withdrawn {i}", "overall", "300x300@1 90x90") for i in range(50)]
    (folder / "revisions.jsonl").write_text("\n".join([changed, *lines, *withdrawn, json.dumps({"entry": "finished"})]))
    return folder


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("written")
    files = write(Methods(str(folder), out, pay="3 EUR", ethics="board 7"), folder)
    return {file.name: file.read_text("utf-8") for file in files}


def test_the_section_says_who_came_when_and_on_what(written):
    text = written["methods.md"]
    for words in (
        "12 raters gave consent from 2026-05-01 to 2026-05-03",
        "11 raters by an open link, 1 rater on Prolific",
        "11 finished, 1 left before the end",
        "They were paid 3 EUR",
        "approved by board 7",
        "“Which image is better overall?”; “Which image is more pleasing to look at?”",
        "40.0% of the answers came from windows narrower than 700",
        "1440 by 900 CSS pixels",
        "images measured 530 CSS pixels",
        "practised on three drawn pairs",
        "Krippendorff's alpha",
    ):
        assert words in text


def test_times_agreement_and_counts_are_those_of_the_export(folder, written):
    """Recomputed from the tables row by row."""
    votes, spec = pd.read_parquet(folder / "votes.parquet"), StudySpec.read(folder / "spec.json")
    seconds = [row["response_ms"] / 1000 for row in votes.to_dict("records")]
    low, half, high = (f"{q:.1f}" for q in np.quantile(seconds, (0.05, 0.5, 0.95)))
    text, card = written["methods.md"], written["README.md"]
    assert f"Half of the answers took less than {half} s, 90% between {low} and {high} s." in text
    excluded = set(exclude(votes, spec.exclusions)[1].excluded)
    assert excluded
    for question in spec.questions:
        given = defaultdict(list)
        for row in recomputed.kept(votes, excluded, question.key):
            given[row["pair"]].append({"left": row["left"], "right": row["right"]}.get(row["answer"], "tie"))
        alpha = recomputed.alpha([one for one in given.values() if len(one) > 1])
        assert f"{question.key} {alpha:.2f} (" in text
    assert f"12 raters gave {len(votes)} answers on ours_100%, base & line for 12 prompts." in card
    assert f"The rules leave out {len(excluded)} rater{'s' if len(excluded) > 1 else ''};" in card
    kinds = Counter(row["kind"] for row in votes.to_dict("records"))
    asked = {kind: count / len(spec.questions) for kind, count in kinds.items()}
    assert f"In addition to {asked['comparison']:.0f} comparisons" in text
    assert f"{asked['gold']:.0f} gold pairs ({100 * asked['gold'] / asked['comparison']:.1f}%)" in text


def test_the_certificate_is_quoted(folder):
    export = read(folder)
    tried = {"accuracy": 0.52, "interval": {"low": 0.43, "high": 0.61}}
    certificate = {"showings": 120, "attacks": [tried], "chance": 0.5, "passed": True}
    found = results(export.votes, export.raters, export.spec, resamples=0)
    with_it, without = (paragraphs(replace(export, certificate=one), found, [], "", "") for one in (certificate, {}))
    (told,) = set(with_it) - set(without)
    assert "right in 52.0% (43.0% to 61.0%; chance is 50.0%): nothing but the pixels" in told


def test_tex_holds_what_tex_can_read_and_cites_what_the_bibliography_has(written):
    text = written["methods.tex"]
    assert r"ours\_100\%, base \& line" in text
    assert not re.search(r"(?<!\\)[%&#_$](?![^{]*})", text.replace("\\cite", ""))
    cited = set(re.findall(r"\\cite\{(\w+)\}", text))
    assert {"cameron2011", "holm1979", "otani2023", "krippendorff2011"} <= cited <= CITED.keys()
    assert set(re.findall(r"^@\w+\{(\w+),", written["methods.bib"], re.M)) == CITED.keys()
    assert written["methods.bib"].count("{") == written["methods.bib"].count("}")


@pytest.mark.parametrize(
    ("text", "tex"), [("a_b & 5%", r"a\_b \& 5\%"), ("x^2\\", r"x\textasciicircum{}2\textbackslash{}")]
)
def test_special_characters_are_escaped(text, tex):
    assert latex(text) == tex


def test_the_card_names_the_tables(written):
    head = json.loads(written["README.md"].split("---")[1])  # JSON is YAML
    assert [one["data_files"] for one in head["configs"]] == ["votes.parquet", "raters.parquet"]
    assert "- `answer_ms`" in written["README.md"] or "- `response_ms`" in written["README.md"]


def test_what_nobody_recorded_is_left_to_be_filled_in(folder, tmp_path):
    (text, *_) = (file.read_text("utf-8") for file in write(Methods(str(folder), tmp_path), folder))
    assert "is not recorded [fill in]" in text
