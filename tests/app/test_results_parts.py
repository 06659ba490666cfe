"""The parts of the Results page: claims, evaluations, their plots and tables, people's votes."""

import json
from dataclasses import replace

import gradio as gr
import pandas as pd
import plotly.graph_objects as go
import pytest

from app.engine.services import Services
from app.look.plots import with_legend
from app.pages.results.claims import Claim, claims, page, ratios_plot
from app.pages.results.figures import (
    VARIETY,
    Net,
    Preferences,
    agreement,
    ceilings,
    measured,
    read,
    splits,
    within,
)
from app.pages.results.page import ResultsPage
from app.pages.results.plots import plot, preferences_plot, variety_plot
from app.pages.results.tables import by_steps, csv_file
from e2ed2.evaluation.metrics.ceilings import head_digest
from e2ed2.evaluation.report.colours import TURNED

TOP1 = "right thing, first guess"
FD = "distance to real drawings (FD)"


def test_each_question_has_an_answer_and_its_intervals(tmp_path):
    """The answer is that of the intervals: below 1 it is yes, above no, across it open."""
    far = {"yes": [50, 51, 49], "no": [150, 151, 149], "open": [50, 150, 100]}
    found = {
        loss: {
            "settings": {"seeds": [0, 1, 2]},
            "arms": {
                arm: {"4": {key: {"values": values} for key in ("kid", "fd")}}
                for arm, values in (("end-to-end", ours), ("single-step", [100, 101, 99]))
            },
        }
        for loss, ours in far.items()
    }
    (tmp_path / "equal_work.json").write_text(json.dumps(found))
    made = claims(tmp_path)
    assert [one.verdict for one in made] == ["holds", "not", "open"]
    assert [one.answer for one in made] == ["Yes", "No", "Inconclusive"]
    assert "0.50 times (0.49 to 0.51) the KID and 0.50 times (0.49 to 0.51) the FD" in made[0].found
    assert "95% interval, 3 seeds" in made[0].found
    html = page(made[:1])
    assert html.index("Gaussian noise to the final picture") < html.index("We ask: does training end to end")
    assert "<h3>We ask: " in html  # the paper's own words stand above it, small
    assert html.index("The paper’s abstract and Fig. 1") < html.index("(loss yes)?")
    kid, fd, *_ = ratios_plot(found).data
    assert (kid.name, fd.name) == ("loss yes, KID", "loss yes, FD")
    assert kid.x == pytest.approx((0.5,), abs=0.01)
    assert kid.error_x.array[0] > 0
    assert claims(tmp_path / "nowhere") == []


def test_a_sentence_of_the_paper_holds_or_not():
    html = page([Claim("Fig. 3", "LPIPS improves", "holds", "so far"), Claim("Fig. 4", "Sharing", "not", "not so")])
    assert html.index("Holds here") < html.index("Does not hold here")
    assert "We ask" not in html


@pytest.fixture
def evaluations(tmp_path) -> pd.DataFrame:
    """Three models; the lower the distance, the better the alignment; a broken file and a file of something else."""
    for rank, model in enumerate(("l1", "l2", "energy")):
        for steps in (1, 4):
            data = {
                "settings": {"model": model, "steps": steps, "split": "combo"},
                "choices": {"images": 299},
                "distance": {"fd": 10.0 - rank},
                "alignment": {"top1": 0.1 + rank / 10, "style": None},
                "cost": {"gflop": float(steps), "seconds": 0.1},
            }
            (tmp_path / f"{model}-{steps}.json").write_text(json.dumps(data))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text("[]")
    return read(tmp_path)


def test_evaluations_become_a_table_and_a_line_for_each_model(evaluations, tmp_path):
    assert len(evaluations) == 6
    assert splits(evaluations) == [("known things in a style not seen", "combo")]
    assert measured(evaluations, "combo") == ["distance to real drawings (FD)", "right thing, first guess"]
    figure = plot(evaluations, "combo", FD, "steps")
    assert {trace.name: tuple(trace.y) for trace in figure.data} == {"l1": (10, 10), "l2": (9, 9), "energy": (8, 8)}
    assert plot(evaluations, "combo", "recall", "steps") is None
    assert variety_plot(evaluations) is None  # nobody measured it
    assert read(tmp_path / "nowhere").empty


def test_variety_is_a_bar_for_each_model_at_its_most_steps(evaluations):
    evaluations[VARIETY] = [0.1 * number for number in range(6)]
    (bars,) = variety_plot(evaluations).data
    assert dict(zip(bars.y, bars.x, strict=True)) == {"energy": 0.1, "l1": pytest.approx(0.3), "l2": 0.5}
    assert len(set(bars.marker.color)) == 3


def people_say(**net: float) -> Preferences:
    return Preferences({model: Net(value, value - 0.3, value + 0.2) for model, value in net.items()}, votes=30)


def test_preferences_have_intervals():
    (bars,) = preferences_plot(people_say(energy=0.5, l1=-0.5)).data
    assert bars.y == ("l1", "energy")
    assert bars.error_x.array == pytest.approx([0.2, 0.2])
    assert bars.error_x.arrayminus == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize(
    ("votes", "shown", "words"),
    [
        pytest.param(0, False, "Nobody has voted", marks=pytest.mark.slow),
        pytest.param(1, False, "1 answer so far", marks=pytest.mark.slow),
        (29, False, "too few"),
        (30, True, "30 answers"),
    ],
)
def test_a_few_answers_are_no_conclusion(tmp_path, votes, shown, words):
    people = replace(people_say(l1=1.0, l2=-1.0), votes=votes)
    with gr.Blocks() as demo:
        page = ResultsPage(Services(tmp_path), demo, people=lambda: people, chosen=list, rounds=list)
    answer = page.with_people("train")
    assert words in answer[page.votes]
    assert answer[page.preferences].visible == shown


def test_how_well_a_figure_predicts_the_votes(evaluations):
    people = people_say(l1=-0.5, l2=0.0, energy=0.5)
    table = agreement(evaluations, "combo", people).set_index("figure")
    assert table["rank correlation"].to_dict() == {
        "distance to real drawings (FD)": pytest.approx(1),
        "right thing, first guess": pytest.approx(1),
    }
    turned = agreement(evaluations, "combo", people_say(l1=0.5, l2=0.0, energy=-0.5))
    assert list(turned["rank correlation"]) == pytest.approx([-1, -1])
    assert agreement(evaluations, "combo", people_say(l1=0.1, l2=0.0)).empty  # two say nothing


def test_a_table_of_one_figure_fits_every_screen_and_marks_the_best(evaluations, tmp_path):
    html = by_steps(evaluations, "combo", TOP1)
    assert html.count('<th scope="col"') == 3  # model, one step, four steps
    assert html.index('<div class="scroll" tabindex="0" role="region"') < html.index("<table")
    assert html.count("<strong>0.30</strong>") == 2
    assert "<strong>8.00</strong>" in by_steps(evaluations, "combo", FD)  # less is better
    assert by_steps(evaluations, "combo", "recall") == ""
    assert len(pd.read_csv(csv_file(evaluations, tmp_path))) == 6


def test_shares_have_intervals_and_a_ceiling_is_drawn(evaluations, tmp_path, monkeypatch):
    low, high = within(0.5, 150)
    assert (low, high) == (pytest.approx(0.421, abs=0.001), pytest.approx(0.579, abs=0.001))
    bars = plot(evaluations, "combo", TOP1, "steps").data[0].error_y
    assert bars.arrayminus[0] > 0
    four = evaluations[evaluations["steps"] == 4]
    (dots,) = plot(four, "combo", TOP1, "steps").data  # of one number of steps there is no line
    assert tuple(dots.y) == ("l1", "l2", "energy")
    drawn = {"pictures": {"real drawings": {"combo": {"distance": {"fd": 0.5}}}}}
    (tmp_path / "ceiling.json").write_text(json.dumps(drawn))
    assert ceilings("combo", FD, tmp_path) == {"real drawings": 0.5}
    assert ceilings("concept", FD, tmp_path) == {}
    assert ceilings("combo", TOP1, tmp_path).keys() == {"real drawings", "through the codec"}  # of the bundled head
    stand_in = {"real drawings, training captions", "through the codec, training captions"}
    assert ceilings("visitor", TOP1, tmp_path).keys() == stand_in  # nobody drew what people typed
    assert ceilings("colour", TOP1, tmp_path) == {}
    turned = {"head": head_digest(), TURNED: {"alignment": {"top1": 0.6}}}
    (tmp_path / "colours.json").write_text(json.dumps(turned))
    assert ceilings("colour", TOP1, tmp_path) == {TURNED: 0.6}
    (tmp_path / "colours.json").write_text(json.dumps(turned | {"head": "another"}))
    assert ceilings("colour", TOP1, tmp_path) == {}


@pytest.mark.parametrize("steps", [(1, 4), (4,)])
def test_the_names_of_two_ceilings_lie_on_neither_each_other_nor_the_marks(evaluations, steps):
    """Those of lines that go down stand above the plot, towards its middle; of lines across, around the pair."""
    part = evaluations[evaluations["steps"].isin(steps)]
    figure = plot(part, "combo", TOP1, "steps")
    one, other = figure.layout.annotations
    if len(steps) == 1:
        assert {one.yanchor, other.yanchor} == {"bottom"}
        assert abs(one.yshift - other.yshift) >= 12
        assert {one.xanchor, other.xanchor} == {"right"}  # at 0.36, beyond the middle of 0 to 0.37
        assert figure.layout.margin.t >= 58 + 2 * 16  # px: the title ends at 58
    else:
        upper, lower = sorted((one, other), key=lambda name: -name.y)
        assert (upper.yanchor, lower.yanchor) == ("bottom", "top")


def test_a_plot_grows_with_the_names_below_it_and_only_short_ones_share_a_row():
    def named(*names: str):
        return with_legend(go.Figure([go.Scatter(name=name) for name in names]))

    assert named("l1", "l2").layout.height == 400
    assert named(*map(str, range(9))).layout.height == 500
    assert named("single-step-long").layout.legend.entrywidth
    assert named("single-step-long, held out").layout.legend.entrywidth is None


def test_intervals_of_a_file_are_drawn_and_in_the_table(tmp_path):
    data = {
        "settings": {"model": "l2", "steps": 4, "split": "everyday"},
        "choices": {"images": 100},
        "distance": {"fd": 9.0},
        "alignment": {"top1": 0.5},
        "diversity_ratio": 0.7,
        "intervals": {"distance.fd": [7.0, 12.0]},
    }
    (tmp_path / "l2.json").write_text(json.dumps(data))
    table = read(tmp_path)
    bars = plot(table, "everyday", FD, "steps").data[0].error_x
    assert (bars.visible, bars.arrayminus, bars.array) == (True, (2.0,), (3.0,))
    assert not plot(table, "everyday", VARIETY, "steps").data[0].error_x.visible
    assert table[f"{FD}: high end"].tolist() == [12.0]
    assert measured(table, "everyday")[0] == TOP1  # a hundred pictures say little of a distance


def test_a_newcomer_is_told_what_a_figure_means_and_which_way_is_better(evaluations):
    html = by_steps(evaluations, "combo", TOP1)
    assert '<p class="note">right thing, first guess: share of the pictures in which a recogniser sees' in html
    assert "More is better" in html
    assert "Less is better" in by_steps(evaluations, "combo", FD)
    assert "less is better" in page([Claim("Fig. 3", "LPIPS improves", "holds", "so far")])
    assert page([]) == ""
