"""Single-step against end to end for the same work: how much work, and what the figures allow to say."""

import pytest

from tools.equal_work import interval, matched_updates, summary
from tools.results_page import equal_work


def found(ours: list[float], theirs: list[float]) -> dict:
    arms = {
        name: {
            str(steps): figures
            for steps, figures in summary([{4: {"fd": fd, "kid": 0.1, "top1": 0.5}} for fd in values]).items()
        }
        for name, values in (("single-step", theirs), ("end-to-end", ours))
    }
    flop = {"start": 3e12, "end-to-end": 2e12, "single-step": 2e12}
    return {"l2": {"settings": {"seeds": list(range(len(ours)))}, "flop": flop, "arms": arms}}


def test_the_other_arm_never_gets_less_work():
    assert matched_updates(100.0, 10.0) == 10
    assert matched_updates(101.0, 10.0) == 11


def test_the_interval_is_that_of_students_t():
    spread = interval([1.0, 2.0, 3.0])
    assert spread["mean"] == 2.0
    assert spread["half_width"] == pytest.approx(2.484, abs=1e-3)  # 4.3027 / sqrt(3)
    assert interval([1.0])["half_width"] is None


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([50.0, 51.0, 49.0], [70.0, 72.0, 69.0], "the claim holds"),
        ([70.0, 72.0, 69.0], [50.0, 51.0, 49.0], "the claim does not hold"),
        ([60.0, 50.0, 70.0], [61.0, 66.0, 55.0], "it cannot be told"),
    ],
)
def test_the_page_claims_no_more_than_the_seeds_show(ours, theirs, said):
    page = equal_work(found(ours, theirs))
    assert said in page
    assert "3 seeds" in page
