"""What the figures allow to say about the paper's claims."""

import re
from pathlib import Path

import pytest

from e2ed2.evaluation.experiments.equal_work import main, matched_updates
from e2ed2.evaluation.experiments.small import interval, over_seeds
from e2ed2.evaluation.report.ablations import judged_today
from e2ed2.evaluation.report.claims import PAPER, equal_ratios, equal_work, verdict
from e2ed2.evaluation.report.costs import trainings
from e2ed2.evaluation.report.page import write_page
from e2ed2.evaluation.report.ratios import DISTANCES, distances, paired, times
from e2ed2.evaluation.report.run import read_found
from e2ed2.evaluation.results import prompts_label


def found(ours: list[float], theirs: list[float], kid: tuple[float, float] = (0.02, 0.02)) -> dict:
    """FD of each seed, and KID as so many times that."""
    arms = {
        name: {"4": over_seeds([{"fd": fd, "kid": share * fd, "top1": 0.5} for fd in values])}
        for name, values, share in (("single-step", theirs, kid[1]), ("end-to-end", ours, kid[0]))
    }
    flop = {"start": 3e12, "end-to-end": 2e12, "single-step": 2e12}
    return {"l2": {"settings": {"seeds": list(range(len(ours))), "captions": 500}, "flop": flop, "arms": arms}}


def test_the_other_arm_never_gets_less_work():
    assert matched_updates(100.0, 10.0) == 10
    assert matched_updates(101.0, 10.0) == 11


def test_the_interval_is_that_of_students_t():
    spread = interval([1.0, 2.0, 3.0])
    assert spread["mean"] == 2.0
    assert spread["half_width"] == pytest.approx(2.484, abs=1e-3)  # 4.3027 / sqrt(3)


def test_one_seed_is_refused_before_any_training(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["equal_work", "--seeds", "0"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "at least two seeds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([50.0, 51.0, 49.0], [70.0, 72.0, 69.0], "yes"),
        ([70.0, 72.0, 69.0], [50.0, 51.0, 49.0], "no"),
        ([60.0, 50.0, 70.0], [61.0, 66.0, 55.0], "inconclusive"),
    ],
)
def test_the_page_claims_no_more_than_the_seeds_show(ours, theirs, said):
    page = equal_work(found(ours, theirs))
    assert f" the FD: {said}." in page
    assert "3 seeds" in page
    assert "500 captions a figure" in page
    assert "earlier codec" in page  # these settings do not say on which they were


def test_distances_that_disagree_settle_nothing():
    page = equal_work(found([50.0, 51.0, 49.0], [70.0, 72.0, 69.0], kid=(0.04, 0.02)))
    assert "has 1.42 times (1.41 to 1.44) the KID and 0.71 times (0.70 to 0.72) the FD: inconclusive." in page
    assert "| KID | single-step | 1.407 ± " in page


def test_a_baseline_says_how_much_it_was_trained():
    measured = {("l2", 4): {"kid": 0.3, "fd": 20.0}, ("single-step-long", 4): {"kid": 0.6, "fd": 25.0}}
    names, most = ["l2", "single-step-long"], {"l2": 4, "single-step-long": 4}
    page = verdict(measured, names, most, {"l2": 2e12, "single-step-long": 3e12})
    assert "for 1.50 times the work of `l2`" in page
    assert "| `single-step-long` | 4 | 0.600 | 0.50 | 25.0 | 0.80 |" in page
    assert "`single-step-long`: trained on from there." in verdict(measured, names, most, {})


def test_the_nearest_model_is_that_of_the_least_kid():
    """FD falls with the number of pictures."""
    fd_of = {"l1": (0.2, 21.0), "l2": (0.3, 20.0), "single-step": (0.6, 25.0)}
    measured = {(name, 4): {"kid": kid, "fd": fd} for name, (kid, fd) in fd_of.items()}
    assert "`l1` is nearest to the drawings: KID 0.200, FD 21.0" in verdict(
        measured, list(fd_of), dict.fromkeys(fd_of, 4), {}
    )


def test_a_figure_of_the_paper_is_never_said_to_answer_our_question():
    """Its Fig. 1 shows two trainings; that training is then sampling stands in the abstract."""
    assert PAPER["Fig. 1"] == "(a) single-step training and its gap; (b) end-to-end training of the whole trajectory"
    page = equal_work(found([50.0, 51.0, 49.0], [70.0, 72.0, 69.0]))
    assert all(text in page for text in (f"abstract: {PAPER['abstract']}", f"Fig. 1: {PAPER['Fig. 1']}", "We ask: "))
    assert "claim" not in page


def test_the_paper_is_quoted_the_right_way_round():
    """Sharing reaches the LOWER loss; the project told it the other way round once."""
    assert PAPER["Fig. 4"].startswith("sharing parameters between steps consistently reaches a lower loss")
    root = Path(__file__).parents[2]
    pages = [
        *root.glob("docs/*.md"),
        root / "README.md",
        *root.glob("app/pages/about/*.py"),
        *root.glob("e2ed2/**/*.py"),
    ]
    wrong = re.compile(r"independent step parameters (reach|have) a lower loss|the claim: independent", re.I)
    assert not [page for page in pages if wrong.search(page.read_text())]


def test_the_page_in_the_repository_is_what_the_figures_give(tmp_path):
    page = write_page(read_found(), tmp_path / "results.md").read_text()
    assert page == (Path(__file__).parents[2] / "docs" / "results.md").read_text()


def test_the_readme_says_what_the_figures_give():
    """Write its table anew where this fails: the files in assets/results have changed."""
    measured, readme = read_found(), (Path(__file__).parents[2] / "README.md").read_text()
    far = {
        (r["settings"]["model"], r["settings"]["steps"]): r["distance"]
        for r in measured.models
        if prompts_label(r["settings"]) == "train"
    }
    ours = far["lpips", 4]
    rows = [[f"{ours[key] / far['single-step-long', steps][key]:.2f}" for key in DISTANCES] for steps in (4, 50)]
    arms = [measured.equal_work[loss]["arms"] for loss in ("lpips", "l2")]
    variants = measured.ablations["variants"]
    ratios = [*(equal_ratios(one, "4") for one in arms), distances(variants["l2-lpips"], variants["l2"])]
    rows += [[times(one[key], 2).replace(" times", "") for key in DISTANCES] for one in ratios]
    assert all(f" | {' | '.join(row)} |\n" in readme for row in rows)
    work = {name: cost["flop"] for name, (_, cost) in trainings(["lpips", "single-step-long"]).items()}
    assert f"with {work['single-step-long'] / work['lpips']:.2f} times its compute" in readme
    gan = [paired(variants["l2-lpips-gan"][key], variants["l2-lpips"][key]) for key in ("detail", "top1")]
    detail, right = (times(one, 2) for one in gan)
    assert detail.replace("times", "times the detail") in readme
    assert right.replace("times", "times as many pictures") in readme
    assert ("an earlier retrieval head" in readme) != judged_today(measured.ablations)
