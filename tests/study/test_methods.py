"""The section for a paper and the card: every number from the export, words that TeX and a hub can read."""

import json
import re

import pytest

from study.reporting.methods import CITED, Methods, latex, write
from study.simulation.crowd import World
from tests.study.simulated import raters_of, spec_and_images, votes_of, write_export

WINDOWS = ["1440x900@1 530x530"] * 6 + ["390x844@2 217x217"] * 4


def entry(assignment: str, question: str, viewport: str) -> str:
    return json.dumps({"answer": "left", "assignment": assignment, "question": question, "viewport": viewport})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An export of 12 raters, one of whom left, on two arms with awkward names."""
    spec, images = spec_and_images(("ours_100%", "base & line"), prompts=12)
    world = World({"ours_100%": 0.5, "base & line": 0.0})
    folder = write_export(tmp_path_factory.mktemp("methods") / "export", spec, images, votes_of(spec, world, 12))
    raters = raters_of(votes_of(spec, world, 12))
    raters.loc[0, ["status", "channel"]] = ["abandoned", "prolific"]
    raters.to_parquet(folder / "raters.parquet", index=False)
    rows = votes_of(spec, world, 12).head(len(WINDOWS)).to_dict("records")
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
        "12 raters gave consent from 2026-05-01 to 2026-05-01",
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
