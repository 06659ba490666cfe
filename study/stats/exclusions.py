"""Whose answers are left out, by rules fixed before the first vote."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.protocol.parts import Exclusions
from study.stats.answers import own_ms
from study.stats.attention import attention

RULES = {
    "min_gold_pass_rate": "passed fewer than {limit:.0%} of the gold pairs",
    "min_median_response_ms": "took less than {limit:g} ms for half of the answers",
    "min_median_pace_ms": "took less than {limit:g} ms an answer on half of the screens",
    "max_identical_strict": "saw a difference in more than {limit:.0%} of the identical pairs",
    "min_attention": "answered the checks as blind clicks would (log odds of looking below {limit:g})",
    "max_side_run": "chose the picture on one side more than {limit:g} times in a row",
}


@dataclass(frozen=True)
class Rule:
    name: str
    """The name of the field in the spec."""
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

    A rater without checks of a kind cannot break the rule on them.
    """
    by_rater = _behaviour(answers)
    applied = tuple(_rule(name, limit, by_rater[name]) for name in RULES if (limit := getattr(rules, name)) is not None)
    out = sorted({rater for rule in applied for rater in rule.broken_by})
    kept = answers[~answers["rater"].isin(out)]
    return kept, Flow(tuple(sorted(by_rater.index)), len(answers), applied, tuple(out), len(kept))


def _behaviour(answers: pd.DataFrame) -> pd.DataFrame:
    """By rater, a column for each rule: what it limits (`nan` without checks of the kind)."""
    checked, same = answers["gold"].fillna("") != "", answers["kind"] == "identical"
    marks = pd.DataFrame(
        {
            "rater": answers["rater"],
            "min_gold_pass_rate": np.where(checked, answers["answer"] == answers["gold"], np.nan),
            "max_identical_strict": np.where(same, answers["answer"] != "tie", np.nan),
        }
    )
    return (
        marks.groupby("rater")
        .mean()
        .assign(
            min_median_response_ms=answers.groupby("rater")["response_ms"].median(),
            min_median_pace_ms=_pace(answers),
            min_attention=attention(answers),
            max_side_run=_side_runs(answers),
        )
    )


def _pace(answers: pd.DataFrame) -> pd.Series:
    """By rater: median over screens of the mean time of their answers."""
    one_question = answers["question"].where(answers["mode"] == "separate", "")
    screens = own_ms(answers).groupby([answers["rater"], answers["assignment"], one_question]).mean()
    return screens.groupby("rater").median()


def _side_runs(answers: pd.DataFrame) -> pd.Series:
    """By rater: most answers in a row for one side, to one question."""
    who, names = pd.factorize(answers["rater"], sort=True)
    question, given = pd.factorize(answers["question"])[0], answers["answer"].to_numpy(object)
    order = np.lexsort((answers["position"].to_numpy(), question, who))
    who, question, given = who[order], question[order], given[order]
    starts = np.flatnonzero(np.append(True, _differ(who) | _differ(question) | _differ(given)))
    lengths, sided = np.diff(np.append(starts, len(who))), given[starts] != "tie"
    longest = np.zeros(len(names), int)
    np.maximum.at(longest, who[starts][sided], lengths[sided])
    return pd.Series(longest, names)


def _differ(values: np.ndarray) -> np.ndarray:
    """Whether each value differs from the one before it, `[n - 1]`."""
    return values[1:] != values[:-1]


def _rule(name: str, limit: float, values: pd.Series) -> Rule:
    broken = values.index[values < limit] if name.startswith("min") else values.index[values > limit]
    return Rule(name, float(limit), tuple(sorted(map(str, broken))))
