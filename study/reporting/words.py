"""Results in words: first for everyone, then for a paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from study.protocol.spec import StudySpec
from study.stats.analysis import Analysis, Answered, Reached, Results
from study.stats.davidson import Difference, Ranking
from study.stats.evalues import Evidence
from study.stats.fragility import Fragility
from study.stats.intervals import ALPHA, Estimate, Interval
from study.stats.preference import Preference
from study.stats.registered import Registered


@dataclass(frozen=True)
class Verdict:
    """What one question says."""

    headline: str
    detail: str
    sure: str
    """very sure, sure, fairly sure, not sure."""


def percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f}%" if share in (0, 1) else f"{100 * share:.1f}%"


def with_interval(e: Estimate, as_percent: bool = True) -> str:
    """`61.2% (55.0% to 66.9%)`."""
    if math.isnan(e.value):
        return "not known"
    show = percent if as_percent else "{:.2f}".format
    return f"{show(e.value)} ({show(e.interval.low)} to {show(e.interval.high)})"


def p_value(p: float) -> str:
    return "p is not known" if math.isnan(p) else "p\u00a0<\u00a00.001" if p < 0.001 else f"p\u00a0=\u00a0{p:.3f}"


def certainty(p: float) -> str:
    limits = ((0.001, "very sure"), (0.01, "sure"), (ALPHA, "fairly sure"))
    return next((word for limit, word in limits if p < limit), "not sure")


def verdict(question: Answered) -> Verdict:
    """The verdict on one question, with the arms in the order of the spec."""
    if question.ranking:
        return _of_ranking(question.ranking)
    if len(question.preferences) > 1:
        return Verdict("No ranking", question.no_ranking, "not sure")
    return _of_two(question.preferences[0], question.p_holm[0])


def at_any_time(e: Evidence, arms: Sequence[str], alpha: float) -> Verdict:
    """The verdict on two arms that holds however often one looks."""
    arm, other = arms
    if not e.raters:
        return Verdict("No answers yet", "No rater has finished.", "")
    better = arm if e.interval.low + e.interval.high >= 0 else other
    head = "No clear winner"
    if 0 not in e.new_prompts:
        head = f"{better} is preferred"
    elif e.highest >= 1 / alpha:
        head = f"{better} is preferred on these prompts"
    here, wider = (f"{part.low:.2f} and {part.high:.2f}" for part in (e.interval, e.new_prompts))
    text = (
        f"By {counted(e.raters, 'rater')} who finished, the net preference for {arm} over {other} (from -1 to 1) lies "
        f"between {here} on these prompts, and between {wider} on new prompts like these: each with 95% confidence, "
        "however often one looks."
    )
    return Verdict(head, text, "at any look")


def verdicts(spec: StudySpec, results: Results) -> dict[str, Verdict]:
    """By question. Before the study is over, only what is true at any look."""
    if results.reached.over and spec.stopping.rule == "quota":
        return {key: verdict(question) for key, question in results.kept.questions.items()}
    if len(spec.arms) > 2:
        head = "Closed early" if results.reached.early else "Not over yet"
        nothing = Verdict(head, "With more than two arms nothing can be said before the end.", "")
        return dict.fromkeys(results.kept.questions, nothing)
    at_any_look = {
        key: at_any_time(results.evidence[key], spec.arms, spec.stopping.alpha) for key in results.kept.questions
    }
    if results.reached.over or results.reached.early:
        return at_any_look
    return {key: replace(one, headline="Not over yet", sure="") for key, one in at_any_look.items()}


def interim(reached: Reached, unit: str = "pair") -> str:
    """For the top of a report; "" when the study is over.

    Args:
        unit: what the quota counts: `StudySpec.quota_unit`.
    """
    if reached.over:
        return ""
    if reached.early:
        return (
            f"Closed early, when {reached.complete} of {counted(reached.pairs, unit)} had all their raters. The "
            "verdict holds however often anyone looked before closing; the intervals and p-values below do not."
        )
    return (
        f"Interim: {reached.complete} of {counted(reached.pairs, unit)} have all their raters. There is no verdict "
        "before the end: the intervals and p-values below assume one look, and repeated looks find winners too often."
    )


def claimed(one: Registered, reached: Reached) -> Verdict:
    """What became of a hypothesis. Before the study is over, nothing."""
    h, interval = one.hypothesis, with_interval(one.net, as_percent=False)
    if not (reached.over or reached.early):
        return Verdict("Not over yet", f"“{h}” is answered when the study is over.", "")
    head = {"supported": "Yes", "contradicted": "No, the other way round", "undecided": "Not decided"}[one.answer]
    text = f"“{h}”: the net preference for {h.better} over {h.worse} is {interval}; {p_value(one.p)}."
    return Verdict(head, text, one.answer)


def fragile(fragility: Fragility) -> str:
    """What would change a verdict on two arms; "" where nobody has answered."""
    ways = [
        f"reversing {counted(fragility.answers, 'answer')}" if fragility.answers else "",
        f"leaving out {counted(fragility.raters, 'rater')}" if fragility.raters else "",
        f"leaving out {counted(fragility.prompts, 'prompt')}" if fragility.prompts else "",
    ]
    possible = [way for way in ways if way]
    if not possible:
        return ""
    listed = " or ".join([", ".join(possible[:-1]), possible[-1]] if len(possible) > 1 else possible)
    what = "would leave no clear winner" if fragility.preferred else "would make a clear winner"
    return f"How fragile this is: {listed} {what}."


def _of_two(p: Preference, p_holm: float) -> Verdict:
    if not p.net.n:
        return Verdict("No answers yet", "Nobody has compared the two arms on this question.", "not sure")
    sure = certainty(p_holm)
    better, worse = (p.arm, p.other) if p.net.value >= 0 else (p.other, p.arm)
    rate = p.win_rate_ties_half
    low, high = rate.interval.low, rate.interval.high
    if p.net.value < 0:
        low, high = 1 - high, 1 - low
    value = rate.value if p.net.value >= 0 else 1 - rate.value
    counts = f"{p.wins} for {p.arm}, {p.losses} for {p.other}, {counted(p.ties, 'tie')}"
    if sure == "not sure":
        text = (
            f"Counting a tie as half, {better} wins {percent(value)} of the comparisons, and anything from "
            f"{percent(low)} to {percent(high)} fits the answers ({counts}; {p_value(p_holm)})."
        )
        return Verdict("No clear winner", text, sure)
    text = (
        f"Counting a tie as half, {better} wins {percent(value)} of the comparisons with {worse} (95% interval "
        f"{percent(low)} to {percent(high)}; {counts}; {p_value(p_holm)})."
    )
    return Verdict(f"{better} is preferred", text, sure)


def _of_ranking(ranking: Ranking) -> Verdict:
    order = list(ranking.strengths)
    clear = [d for d in ranking.differences if d.p_holm < ALPHA]
    first = [d for d in ranking.differences if d.arm == order[0]]
    sure = certainty(max((d.p_holm for d in first), default=1.0))
    head = f"{order[0]} is preferred" if sure != "not sure" else "No clear winner"
    text = f"From best to worst: {', '.join(order)}. {len(clear)} of {len(ranking.differences)} differences are clear."
    if len(clear) < len(ranking.differences):
        shared = "; ".join(f"{rank} {', '.join(arms)}" for rank, arms in _ranks(order, clear).items())
        text += f" Ranks (1 plus the number of arms that are clearly better): {shared}."
    if ranking.fit.separated:
        text += " An arm, or a side, won everything it could, so the distances are only roughly known."
    return Verdict(head, text, sure)


def _ranks(order: Sequence[str], clear: Sequence[Difference]) -> dict[int, list[str]]:
    """Arms by the rank that they share, the best one first."""
    ranks: dict[int, list[str]] = {}
    for arm in order:
        ranks.setdefault(1 + sum(d.other == arm for d in clear), []).append(arm)
    return dict(sorted(ranks.items()))


def halo(analysis: Analysis) -> list[str]:
    """How far the answers of one rater to several questions are one answer."""
    lines = []
    for mode, part in analysis.halo.items():
        where = "on one screen" if mode == "joint" else "in separate passes"
        if math.isnan(part.all_same.value):
            lines.append(f"Asked {where}, no rater has answered several questions on a pair yet.")
            continue
        same, alpha = with_interval(part.all_same), with_interval(part.alpha, False)
        lines.append(
            f"Asked {where}, a rater gave all questions on a pair the same answer in {same} of the cases; "
            f"alpha between the questions is {alpha}."
        )
    if analysis.halo_of_one_screen:
        e = analysis.halo_of_one_screen
        what, by = ("raises", e) if e.value > 0 else ("lowers", negative(e))
        sure = "" if 0 not in e.interval else ", which may be chance"
        lines.append(f"One screen {what} that alpha by {with_interval(by, False)} against separate passes{sure}.")
    return lines


def negative(e: Estimate) -> Estimate:
    return replace(e, value=-e.value, interval=Interval(-e.interval.high, -e.interval.low))


def counted(count: int, thing: str) -> str:
    """`1 rater`, `2 raters`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
