"""What the figures say about the paper's claims, in plain sentences: each holds, does not hold, or is inconclusive."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from e2ed2.assets import CHECKPOINTS
from e2ed2.evaluation.shown import table
from e2ed2.models.components import WEIGHTS, digest
from e2ed2.training.metrics import read_metrics

# What the paper says, from its abstract and captions; nothing else may be called its claim.
PAPER = {
    "Fig. 1": "single-step training leaves a gap between training and sampling, which training the whole trajectory "
    "end to end closes",
    "Fig. 3": "LPIPS improves perceptual quality, and a GAN on top adds high-frequency detail at a slight cost in "
    "following the words; L2, LPIPS and GAN together balance best",
    "Fig. 4": "sharing parameters between steps consistently reaches a lower loss than independent parameters, and "
    "steadies training",
}
BASELINES = {
    "single-step": "the start of the end-to-end models, so at less work than theirs",
    "single-step-long": "trained on from there{share}",
}
EQUAL_WORK = f"""At equal work, over seeds. The paper claims (Fig. 1): {PAPER["Fig. 1"]}. We ask of it: does training
end to end give better pictures than training single steps, for the same work? A small transformer on the bundled codec
and coarse path (`python -m e2ed2.evaluation.experiments.equal_work`); work is counted in floating-point operations.
"""
LADDER = ("l1", "l2", "l2-lpips", "l2-lpips-gan")
Distances = dict[tuple[str, int], float]  # model and number of steps => FD on training captions


def verdict(fd: Distances, names: list[str], most: dict[str, int], work: dict[str, float]) -> str:
    """The best end-to-end model against the baselines.

    Args:
        work: floating-point operations of each training, without its start's; of some it may not be known.
    """
    ours = {name: fd[name, most[name]] for name in names if name not in BASELINES}
    baselines = [name for name in names if name in BASELINES]
    if not baselines or not ours:
        return "A single-step and an end-to-end model are to be measured first.\n"
    best = min(ours, key=ours.__getitem__)
    lines = [
        f"- Of the end-to-end models `{best}` is nearest to the drawings: FD {ours[best]:.1f} at {most[best]} steps."
    ]
    for baseline in baselines:
        counts = sorted(steps for name, steps in fd if name == baseline)
        figures = (f"{fd[baseline, steps]:.1f} at {steps}" for steps in counts)
        shares = (f"{ours[best] / fd[baseline, steps]:.2f} at {steps}" for steps in counts)
        known = {baseline, best} <= work.keys()
        share = f", for {work[baseline] / work[best]:.2f} times the work of `{best}`" if known else ""
        lines.append(
            f"- `{baseline}` ({BASELINES[baseline].format(share=share)}): FD {', '.join(figures)} steps."
            f" `{best}` reaches {', '.join(shares)} times that FD."
        )
    return "\n".join(lines) + "\n"


def equal_work(found: dict[str, Any]) -> str:
    """Both trainings at a reduced size, from the same start for the same work, over seeds."""
    if not found:
        return "At equal work, over seeds: run `python -m e2ed2.evaluation.experiments.equal_work` first.\n"
    parts = [EQUAL_WORK]
    for loss, result in found.items():
        arms = result["arms"]
        if result["settings"].get("coarse") != digest(CHECKPOINTS / "coarse" / WEIGHTS):
            parts.append(f"`{loss}` was measured on an earlier codec and coarse path than the bundled ones.\n")
        counts = list(arms["single-step"])
        rows = [[name, *(_spread(figures[steps]["fd"]) for steps in counts)] for name, figures in arms.items()]
        parts.append(f"End to end with the loss `{loss}`, {_work(result)}. FD, mean over seeds and 95% interval:\n")
        parts.append(table(["training", *(f"{steps} step{'s' * (steps != '1')}" for steps in counts)], rows))
        parts += [f"- {_paired(arms, steps)}" for steps in counts]
        parts.append("")
    return "\n".join(parts)


def _work(result: dict[str, Any]) -> str:
    flop, seeds, captions = result["flop"], len(result["settings"]["seeds"]), result["settings"]["captions"]
    return (
        f"{seeds} seeds, a start of {flop['start'] / 1e12:.0f} TFLOP,"
        f" then {flop['end-to-end'] / 1e12:.0f} end to end or {flop['single-step'] / 1e12:.0f} single-step"
        f", {captions} captions a figure"
    )


def _spread(figure: dict[str, Any]) -> str:
    return f"{figure['mean']:.1f} ± {figure['half_width']:.1f}"


def _paired(arms: dict[str, Any], steps: str) -> str:
    """Does the paper's claim hold at this number of steps? Both arms of a seed share their start."""
    ratio, low, high = equal_ratio(arms, steps)
    taken = f"{steps} step{'s' * (steps != '1')}"
    return f"{taken}: end to end has {ratio:.2f} times the FD ({low:.2f} to {high:.2f}): {judged(low, high)}."


def equal_ratio(arms: dict[str, Any], steps: str) -> tuple[float, float, float]:
    """FD of the end-to-end arm over that of the single-step one at that number of steps, and its 95% interval."""
    ours, theirs = (arms[name][steps]["fd"]["values"] for name in ("end-to-end", "single-step"))
    return ratio_of([math.log(a / b) for a, b in zip(ours, theirs, strict=True)])


def losses(fd: Distances, most: dict[str, int]) -> str:
    """What each further term of the loss does to FD."""
    found = {name: fd[name, most[name]] for name in LADDER if name in most}
    if len(found) < 2:
        return "Two models of different losses are to be measured first.\n"
    lines = [
        f"The paper claims: {PAPER['Fig. 3']}. One training each, so a small difference says nothing; FD is a distance"
        " to drawings and measures neither detail nor the words alone.\n"
    ]
    for less, more in pairwise(found):
        said = "better" if found[more] < found[less] else "worse"
        lines.append(f"- `{more}` has {said} FD than `{less}`: {found[more]:.1f} against {found[less]:.1f}.")
    return "\n".join(lines) + "\n"


def sharing(independent: Path, shared: Path) -> str:
    """The losses of the last quarter of two trainings on the same pictures and noise, independent steps or shared."""
    found = sharing_ratios(independent, shared)
    if not found:
        return "Both trainings are to be finished first.\n"
    lines = [
        f"The paper claims: {PAPER['Fig. 4']}. Here is one pair of trainings on the same pictures and noise, with a"
        " network for each step or one for all. Its intervals are of how updates differ, not of how another pair of"
        " trainings would, so it can neither confirm the claim nor refute it.\n"
    ]
    for term, (ratio, low, high), count in found:
        lines.append(
            f"- `{term}` of independent steps is {ratio:.3f} times that of shared ones over the last {count} logged"
            f" updates ({low:.3f} to {high:.3f}): in this pair {lower(low, high)}."
        )
    return "\n".join(lines) + "\n"


def sharing_ratios(independent: Path, shared: Path) -> list[tuple[str, tuple[float, float, float], int]]:
    """Of each term: independent over shared steps with its 95% interval, over so many logged updates, the last quarter.

    Empty while one of the two has no curve.
    """
    ours, theirs = (curve(folder) for folder in (independent, shared))
    logged = sorted(ours.keys() & theirs.keys())
    last = logged[len(logged) * 3 // 4 :]
    terms = ("l2", "lpips") if last else ()
    return [
        (term, ratio_of([math.log(ours[update][term] / theirs[update][term]) for update in last]), len(last))
        for term in terms
    ]


def curve(folder: Path) -> dict[int, dict[str, float]]:
    """The terms of each logged update, without their weights."""
    lines = read_metrics(folder)
    return {line.update: {name: term.value for name, term in line.terms.items() if term.value} for line in lines}


def ratio_of(logs: list[float]) -> tuple[float, float, float]:
    """Geometric mean of paired ratios from their logarithms, and its 95% interval (Student's t)."""
    from scipy.stats import ttest_1samp  # a second to import, for which the pages need not wait

    low, high = ttest_1samp(logs, 0).confidence_interval()
    return math.exp(sum(logs) / len(logs)), math.exp(low), math.exp(high)


def lower(low: float, high: float) -> str:
    """Which of two has the lower loss, by the interval of independent over shared."""
    return (
        "independent steps reach the lower loss" if high < 1 else "shared steps do" if low > 1 else "neither is lower"
    )


def judged(low: float, high: float) -> str:
    """Of a ratio that the claim says is below 1."""
    return "the claim holds here" if high < 1 else "the claim does not hold here" if low > 1 else "inconclusive"
