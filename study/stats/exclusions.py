"""Whose answers are left out, by rules fixed before the first vote."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.protocol.spec import Exclusions

RULES = {
    "min_gold_pass_rate": "passed fewer than {limit:.0%} of the gold pairs",
    "min_median_response_ms": "took less than {limit:g} ms for half of the answers",
    "max_identical_strict": "saw a difference in more than {limit:.0%} of the identical pairs",
}


@dataclass(frozen=True)
class Rule:
    name: str
    """Of the field in the spec."""
    limit: float
    broken_by: tuple[str, ...]
    """Raters, sorted; one rater may break several rules."""

    @property
    def words(self) -> str:
        """What raters who broke it did."""
        return RULES[self.name].format(limit=self.limit)


@dataclass(frozen=True)
class Flow:
    """From all raters who answered to those who count."""

    raters: tuple[str, ...]
    answers: int
    rules: tuple[Rule, ...]
    excluded: tuple[str, ...]
    """Raters who broke a rule, sorted."""
    kept_answers: int


def exclude(answers: pd.DataFrame, rules: Exclusions) -> tuple[pd.DataFrame, Flow]:
    """The answers of raters who broke no rule, and the flow.

    A rater without gold pairs (or identical pairs) cannot break the rule on them.
    """
    by_rater = _behaviour(answers)
    broken = [
        _rule("min_gold_pass_rate", rules.min_gold_pass_rate, by_rater["gold"], below=True),
        _rule("min_median_response_ms", rules.min_median_response_ms, by_rater["response"], below=True),
        _rule("max_identical_strict", rules.max_identical_strict, by_rater["strict"], below=False),
    ]
    found = tuple(rule for rule in broken if rule)
    out = sorted({rater for rule in found for rater in rule.broken_by})
    kept = answers[~answers["rater"].isin(out)]
    return kept, Flow(tuple(sorted(by_rater.index)), len(answers), found, tuple(out), len(kept))


def _behaviour(answers: pd.DataFrame) -> pd.DataFrame:
    """By rater: share of gold pairs passed, of identical pairs not called a tie (`nan` without any), median ms."""
    gold, same = answers["kind"] == "gold", answers["kind"] == "identical"
    marks = pd.DataFrame(
        {
            "rater": answers["rater"],
            "gold": np.where(gold, answers["answer"] == answers["gold"], np.nan),
            "strict": np.where(same, answers["answer"] != "tie", np.nan),
        }
    )
    means = marks.groupby("rater")[["gold", "strict"]].mean()
    return means.assign(response=answers.groupby("rater")["response_ms"].median())


def _rule(name: str, limit: float | None, values: pd.Series, below: bool) -> Rule | None:
    if limit is None:
        return None
    broken = values.index[values < limit] if below else values.index[values > limit]
    return Rule(name, float(limit), tuple(sorted(map(str, broken))))
