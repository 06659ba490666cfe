"""Every figure of a study, from its answers."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from study.errors import StudyError
from study.protocol.balanced import part_of_quota, quota
from study.protocol.spec import StudySpec
from study.stats.agreement import (
    Agreement,
    Checks,
    Consistency,
    Halo,
    SideBias,
    agreement,
    checks,
    consistency,
    halo,
    halo_of_one_screen,
    side_bias,
)
from study.stats.answers import checked, comparisons
from study.stats.davidson import Ranking, corrected_together, ranking
from study.stats.evalues import Evidence, evidence
from study.stats.exclusions import Flow, exclude
from study.stats.fragility import Fragility, fragility
from study.stats.intervals import RESAMPLES, Estimate, holm
from study.stats.pooling import Pooling, pooling
from study.stats.preference import Preference, preference
from study.stats.registered import Registered, registered


@dataclass(frozen=True)
class Answered:
    """Every figure of one question."""

    preferences: tuple[Preference, ...]
    """Every pair of arms, in the spec's order."""
    p_holm: tuple[float, ...]
    """One p-value for each net preference, corrected over all pairs of arms and questions (Holm 1979)."""
    fragility: tuple[Fragility, ...]
    """How fragile each net preference is, among the raters that count; empty in the analysis of everyone."""
    ranking: Ranking | None
    """Three arms or more."""
    no_ranking: str
    """Why there is none."""
    categories: dict[str, tuple[Preference, ...]]
    """Every pair of arms within each category of prompts, where there are several."""
    pooling: Pooling | None
    """The same for two arms, drawn towards each other; None for more arms, for everyone, or below three categories."""
    agreement: Agreement
    consistency: Consistency
    side: SideBias
    checks: Checks


@dataclass(frozen=True)
class Analysis:
    raters: int
    answers: int
    """To comparisons."""
    questions: dict[str, Answered]
    """By key, in the spec's order."""
    halo: dict[str, Halo]
    """By mode; empty with one question."""
    halo_of_one_screen: Estimate | None
    """Joint minus separate; None where one mode was used."""


@dataclass(frozen=True)
class Reached:
    """How far a study is, by the answers that count."""

    pairs: int
    """Comparisons that it has; in an adaptive study prompts (and copies)."""
    complete: int
    """How many of these have all the answers that were planned."""
    decided: bool
    """Its rule was to stop on the evidence, and the evidence is in."""
    closed: bool
    """Nobody new takes part."""

    @property
    def early(self) -> bool:
        """Ended by hand before its plan was full: what holds for one planned look does not hold here."""
        return self.closed and not self.over

    @property
    def over(self) -> bool:
        """Before that, whoever looks at p-values again and again finds a winner too often."""
        return self.decided or self.complete == self.pairs


@dataclass(frozen=True)
class Results:
    """The results as the rules of the spec have them, and what they would be without."""

    flow: Flow
    shown: dict[str, int]
    """Pairs that were answered, by kind, by everyone."""
    kept: Analysis
    everyone: Analysis
    evidence: dict[str, Evidence]
    """By question, for two arms, of the raters that count; empty for more arms."""
    reached: Reached
    registered: tuple[Registered, ...]
    """What became of each hypothesis of the spec, by the answers that count."""


def results(
    answers: pd.DataFrame, raters: pd.DataFrame, spec: StudySpec, resamples: int = RESAMPLES, closed: bool = False
) -> Results:
    """Every figure of a study. The same tables and spec give the same figures, to the last digit.

    Args:
        answers: one row for each current answer (`study.export` describes the columns).
        raters: `rater` and `status`.
        spec: as it was frozen.
        resamples: of the bootstrap that checks the intervals.
        closed: nobody new takes part.

    Raises:
        StudyError: an unknown label, an arm or question that the spec does not have, no answers at all.
    """
    _check(answers, spec)
    answers = answers.sort_values(["rater", "position", "question"], kind="stable", ignore_index=True)
    kept, flow = exclude(answers, spec.exclusions)
    if kept[kept["kind"] == "comparison"].empty:
        broken = "; ".join(f"{len(rule.broken_by)} {rule.words}" for rule in flow.rules if rule.broken_by)
        raise StudyError(f"The rules leave out every rater so far ({broken}): wait for more raters.")
    done = set(raters.loc[raters["status"] == "finished", "rater"].astype(str))
    live = {}
    if len(spec.arms) == 2:
        live = {q.key: evidence(comparisons(kept, q.key), *spec.arms, done) for q in spec.questions}
    shown = answers.drop_duplicates("assignment")["kind"].value_counts().to_dict()
    reached = _reached(kept, spec, live, closed)
    counted = analyse(kept, spec, resamples)
    preferences = {key: question.preferences for key, question in counted.questions.items()}
    looked = live if spec.stopping.rule != "quota" or not reached.over else None
    claims = registered(spec.hypotheses, preferences, looked)
    return Results(flow, shown, counted, analyse(answers, spec, 0), live, reached, claims)


def _reached(kept: pd.DataFrame, spec: StudySpec, live: Mapping[str, Evidence], closed: bool) -> Reached:
    answered = kept[kept["kind"] == "comparison"].groupby(["pair", "rater"])["question"].nunique()
    done = (answered == len(spec.questions)).groupby(lambda key: part_of_quota(spec, key[0])).sum()
    wanted = quota(spec)
    rule = spec.stopping
    decided = rule.rule == "e-value" and live[rule.question or spec.questions[0].key].highest >= 1 / rule.alpha
    return Reached(len(wanted), sum(done.get(part, 0) >= n for part, n in wanted.items()), decided, closed)


def _check(answers: pd.DataFrame, spec: StudySpec) -> None:
    compared = checked(answers)[answers["kind"] == "comparison"]
    if compared.empty:
        raise StudyError("There are no comparisons to report yet: wait for the first answers.")
    strange = ({*compared["left"], *compared["right"]} - {*spec.arms}) | (
        {*answers["question"]} - {q.key for q in spec.questions}
    )
    if strange:
        raise StudyError(f"The spec does not know these arms or questions: {', '.join(sorted(strange))}.")


def analyse(answers: pd.DataFrame, spec: StudySpec, resamples: int) -> Analysis:
    """Every figure, from all these answers."""
    answered = [q.key for q in spec.questions if (answers["question"] == q.key).any()]
    rows = {key: _question(answers[answers["question"] == key], spec.arms, resamples) for key in answered}
    ps = [p.net.p for question in rows.values() for p in question.preferences]
    corrected = iter(holm(ps))
    questions = {key: replace(q, p_holm=tuple(next(corrected) for _ in q.preferences)) for key, q in rows.items()}
    if resamples:
        questions = {key: replace(q, fragility=_fragility(answers, key, q)) for key, q in questions.items()}
    rankings = corrected_together({key: q.ranking for key, q in questions.items() if q.ranking})
    questions = {key: replace(q, ranking=rankings.get(key)) for key, q in questions.items()}
    compared = answers[answers["kind"] == "comparison"]
    return Analysis(compared["rater"].nunique(), len(compared), questions, halo(answers), halo_of_one_screen(answers))


def _fragility(answers: pd.DataFrame, key: str, question: Answered) -> tuple[Fragility, ...]:
    compared = comparisons(answers, key)
    corrected = zip(question.preferences, question.p_holm, strict=True)
    return tuple(fragility(compared, p.arm, p.other, max(holm / p.net.p, 1) if holm else 1) for p, holm in corrected)


def _question(answers: pd.DataFrame, arms: tuple[str, ...], resamples: int) -> Answered:
    compared = answers[answers["kind"] == "comparison"]
    order, problem = None, ""
    if len(arms) > 2:
        try:
            order = ranking(compared, resamples)
        except StudyError as error:
            problem = str(error)
    return Answered(
        _pairs(compared, arms, resamples),
        (),
        (),
        order,
        problem,
        _categories(compared, arms),
        pooling(compared, *arms) if resamples and len(arms) == 2 else None,
        agreement(compared),
        consistency(answers),
        side_bias(answers),
        checks(answers),
    )


def _pairs(compared: pd.DataFrame, arms: tuple[str, ...], resamples: int) -> tuple[Preference, ...]:
    return tuple(preference(compared, arm, other, resamples) for arm, other in combinations(arms, 2))


def _categories(compared: pd.DataFrame, arms: tuple[str, ...]) -> dict[str, tuple[Preference, ...]]:
    if compared["category"].nunique() < 2:
        return {}
    return {str(name) or "no category": _pairs(rows, arms, 0) for name, rows in compared.groupby("category")}


def plain(value: Any) -> Any:
    """Results as JSON holds them: dataclasses become dicts, arrays lists, infinite and unknown numbers None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(part) for name, part in vars(value).items()}
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, np.bool_ | bool):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
