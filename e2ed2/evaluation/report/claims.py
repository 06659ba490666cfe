"""What the figures say about the paper's claims, in plain sentences: each holds, does not hold, or is inconclusive."""

from typing import Any

from e2ed2.assets import CHECKPOINTS
from e2ed2.evaluation.report.ratios import (
    ANSWERS,
    DISTANCE_DIGITS,
    DISTANCES,
    Ratio,
    distances,
    judge_nearer,
    mean_of,
    times_each,
)
from e2ed2.evaluation.shown import table
from e2ed2.models.components import WEIGHTS, digest

# What the paper says, from its abstract and captions; nothing else may be called its claim.
PAPER = {
    "abstract": "train the whole sampling chain from pure Gaussian noise to the final picture; then training is "
    "sampling, nothing leaks, and any loss on the picture can be used",
    "Fig. 1": "(a) single-step training and its gap; (b) end-to-end training of the whole trajectory",
    "Fig. 3": "LPIPS improves perceptual quality, and a GAN on top adds high-frequency detail at a slight cost in "
    "following the words; L2, LPIPS and GAN together balance best",
    "Fig. 4": "sharing parameters between steps consistently reaches a lower loss than independent parameters, and "
    "steadies training",
}
QUESTION = "does training end to end give better pictures than training single steps, for the same work"
BASELINES = {
    "single-step": "the start of the end-to-end models, so at less work than theirs",
    "single-step-long": "trained on from there{share}",
}
EQUAL_WORK = f"""At equal work, over seeds. The paper, in our words:

- abstract: {PAPER["abstract"]};
- Fig. 1: {PAPER["Fig. 1"]}.

We ask: {QUESTION}? A small transformer on the bundled codec and coarse path
(`python -m e2ed2.evaluation.experiments.equal_work`); work is counted in floating-point operations. The answer is yes
or no where KID and FD agree.
"""
Distances = dict[tuple[str, int], dict[str, float]]  # model and number of steps => KID and FD on training captions


def verdict(measured: Distances, names: list[str], most: dict[str, int], work: dict[str, float]) -> str:
    """The end-to-end model of the least KID against the baselines.

    Args:
        work: floating-point operations of each training, without its start's; of some it may not be known.
    """
    ours = {name: measured[name, most[name]] for name in names if name not in BASELINES}
    baselines = [name for name in names if name in BASELINES]
    if not baselines or not ours:
        return "A single-step and an end-to-end model are to be measured first.\n"
    best = min(ours, key=lambda name: ours[name]["kid"])
    far = ", ".join(f"{name} {ours[best][key]:.{DISTANCE_DIGITS[key]}f}" for key, name in DISTANCES.items())
    columns = [cell for name in DISTANCES.values() for cell in (name, f"`{best}` over it")]
    rows = [
        [f"`{name}`", steps, *_beside(measured[name, steps], ours[best])]
        for baseline in baselines
        for name, steps in sorted(measured)
        if name == baseline
    ]
    lines = [f"Of the end-to-end models `{best}` is nearest to the drawings: {far} at {most[best]} steps. Beside it:\n"]
    lines += [f"- `{name}`: {BASELINES[name].format(share=_share(name, best, work))}." for name in baselines]
    return "\n".join([*lines, "", table(["baseline", "steps", *columns], rows)])


def _share(name: str, best: str, work: dict[str, float]) -> str:
    return f", for {work[name] / work[best]:.2f} times the work of `{best}`" if {name, best} <= work.keys() else ""


def _beside(theirs: dict[str, float], ours: dict[str, float]) -> list[str]:
    """Each of their distances, and the ratio of ours to it."""
    pairs = ((f"{theirs[key]:.{DISTANCE_DIGITS[key]}f}", f"{ours[key] / theirs[key]:.2f}") for key in DISTANCES)
    return [cell for pair in pairs for cell in pair]


def equal_work(found: dict[str, Any]) -> str:
    """Both trainings at a reduced size, from the same start for the same work, over seeds."""
    if not found:
        return "At equal work, over seeds: run `python -m e2ed2.evaluation.experiments.equal_work` first.\n"
    parts = [EQUAL_WORK]
    for loss, result in found.items():
        arms = result["arms"]
        if earlier(result):
            parts.append(f"`{loss}` was measured on an earlier codec and coarse path than the bundled ones.\n")
        counts = list(arms["single-step"])
        rows = [
            [name, training, *(mean_of(figures[steps][key], DISTANCE_DIGITS[key]) for steps in counts)]
            for key, name in DISTANCES.items()
            for training, figures in arms.items()
        ]
        parts.append(f"End to end with the loss `{loss}`, {_work(result)}. Mean over seeds and 95% interval:\n")
        parts.append(table(["distance", "training", *map(counted_steps, counts)], rows))
        parts += [f"- {_answer(arms, steps)}" for steps in counts]
        parts.append("")
    return "\n".join(parts)


def counted_steps(steps: str | int) -> str:
    return f"{steps} step{'s' * (int(steps) != 1)}"


def earlier(result: dict[str, Any]) -> bool:
    """Whether an experiment over seeds used a coarse path other than the bundled one."""
    return result["settings"].get("coarse") != digest(CHECKPOINTS / "coarse" / WEIGHTS)


def _work(result: dict[str, Any]) -> str:
    flop, seeds, captions = result["flop"], len(result["settings"]["seeds"]), result["settings"]["captions"]
    return (
        f"{seeds} seeds, a start of {flop['start'] / 1e12:.0f} TFLOP,"
        f" then {flop['end-to-end'] / 1e12:.0f} end to end or {flop['single-step'] / 1e12:.0f} single-step"
        f", {captions} captions a figure"
    )


def _answer(arms: dict[str, Any], steps: str) -> str:
    """The answer to our question at this number of steps."""
    found = equal_ratios(arms, steps)
    return f"{counted_steps(steps)}: end to end has {times_each(found, 2)}: {ANSWERS[judge_nearer(found)]}."


def equal_ratios(arms: dict[str, Any], steps: str) -> dict[str, Ratio]:
    """Distances of the end-to-end arm over those of the single-step one; both arms of a seed share their start."""
    return distances(arms["end-to-end"][steps], arms["single-step"][steps])
