"""How little would change a verdict, and that it does."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from study.stats.answers import codes
from study.stats.fragility import _p, fragility
from study.stats.preference import preference


def answers(wins: int, losses: int, raters: int = 12, prompts: int = 20) -> pd.DataFrame:
    """Comparisons of a and b, a left, by raters who all see all prompts; wins first by lot."""
    cells = [(f"r{r}", f"p{p}") for r in range(raters) for p in range(prompts)]
    rng = np.random.default_rng(0)
    given = np.array(["left"] * wins + ["right"] * losses + ["tie"] * (len(cells) - wins - losses))
    rng.shuffle(given)
    table = pd.DataFrame(cells, columns=["rater", "prompt"])
    return table.assign(left="a", right="b", answer=given, question="q", kind="comparison")


def test_its_p_is_that_of_the_report():
    table = answers(140, 80)
    outcome = table["answer"].map({"left": 1, "tie": 0, "right": -1}).to_numpy(float)
    mine = _p(outcome, codes(table["rater"], table["prompt"]))
    assert mine == pytest.approx(preference(table, "a", "b", 0).net.p, rel=1e-5)  # whose sums are float32


@pytest.mark.parametrize(("wins", "losses"), [(160, 60), (140, 80), (80, 140), (110, 110), (120, 100)])
def test_as_many_answers_raters_or_prompts_change_the_verdict(wins, losses):
    table = answers(wins, losses)
    before = preference(table, "a", "b", 0)
    found = fragility(table, "a", "b")
    assert found.preferred == (before.net.p < 0.05)
    gained = ("left" if wins >= losses else "right") if not found.preferred else "right" if wins > losses else "left"
    others = table[table["answer"] != gained].index
    # One rater after the other, and one prompt after the other: neither does it with fewer.
    for order in (others, others[np.argsort(table["prompt"][others], kind="stable")]):
        enough = next(n for n in range(1, len(others)) if _verdict(table, order[:n], gained) != found.preferred)
        assert 1 <= found.answers <= enough
    assert found.raters is None or 1 <= found.raters < 12
    assert found.prompts is None or 1 <= found.prompts < 20


def _verdict(table: pd.DataFrame, rows, answer: str) -> bool:
    return bool(
        preference(table.assign(answer=table["answer"].where(~table.index.isin(rows), answer)), "a", "b", 0).net.p
        < 0.05
    )


def sure(table: pd.DataFrame) -> bool:
    """The report's own verdict."""
    return bool(preference(table, "a", "b", 0).net.p < 0.05)


def orders(table: pd.DataFrame, against: str) -> Iterable[pd.Index]:
    """All answers: those that speak for the verdict first, of one rater (or prompt) after the other."""
    worth = {"left": 1, "tie": 0, "right": -1}
    gain = table["answer"].map(worth) * (-1 if against == "left" else 1)
    for who in ("rater", "prompt"):
        support = gain.groupby(table[who]).transform("sum")
        place = table[who].map({name: i for i, name in enumerate(dict.fromkeys(table[who]))})
        for sign in (1, -1):
            columns = pd.DataFrame({"gain": -gain, "support": sign * support, "place": place})
            yield columns.sort_values(["gain", "support", "place"], kind="stable").index


@pytest.mark.parametrize(("wins", "losses", "preferred"), [(42, 20, True), (38, 25, False), (14, 50, True)])
def test_no_fewer_do_it(wins, losses, preferred):
    """By trying all single raters and prompts and all pairs of them, and answer by answer along the orders."""
    table = answers(wins, losses, raters=8, prompts=12)
    found = fragility(table, "a", "b")
    assert found.preferred == sure(table) == preferred
    against = ("right" if preferred else "left") if wins > losses else ("left" if preferred else "right")
    fewest = []
    for order in orders(table, against):
        changed = (table.assign(answer=table["answer"].where(~table.index.isin(order[:n]), against)) for n in range(30))
        fewest.append(next((n for n, one in enumerate(changed) if sure(one) != preferred), 30))
    assert found.answers == min(fewest)
    for who, count in (("rater", found.raters), ("prompt", found.prompts)):
        few = [some for n in (1, 2) for some in combinations(table[who].unique(), n)]
        enough = [some for some in few if sure(table[~table[who].isin(some)]) != preferred]
        assert (count if count and count <= 2 else 3) == min(map(len, enough), default=3)


def test_a_single_rater_who_decides_is_found():
    table = answers(118, 118)
    table.loc[table["rater"].isin(["r0", "r1", "r2"]), "answer"] = "left"
    alone = fragility(table, "a", "b")
    kept = table[~table["rater"].isin(["r0", "r1", "r2"])]
    assert not fragility(kept, "a", "b").preferred
    assert not alone.preferred or alone.raters <= 3


def test_a_correction_for_several_tests_makes_a_verdict_more_fragile():
    table = answers(150, 70)
    assert fragility(table, "a", "b", correction=3).answers < fragility(table, "a", "b").answers
