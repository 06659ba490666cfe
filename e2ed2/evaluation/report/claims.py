"""What the figures say about the paper's claims, in plain sentences: each holds, does not hold, or is inconclusive."""

from typing import Any

from e2ed2.assets import CHECKPOINTS
from e2ed2.evaluation.report.ratios import WORDS, Ratio, judge_below, mean_of, paired, times
from e2ed2.evaluation.shown import table
from e2ed2.models.components import WEIGHTS, digest

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
        if earlier(result):
            parts.append(f"`{loss}` was measured on an earlier codec and coarse path than the bundled ones.\n")
        counts = list(arms["single-step"])
        rows = [[name, *(mean_of(figures[steps]["fd"], 1) for steps in counts)] for name, figures in arms.items()]
        parts.append(f"End to end with the loss `{loss}`, {_work(result)}. FD, mean over seeds and 95% interval:\n")
        parts.append(table(["training", *(f"{steps} step{'s' * (steps != '1')}" for steps in counts)], rows))
        parts += [f"- {_paired(arms, steps)}" for steps in counts]
        parts.append("")
    return "\n".join(parts)


def earlier(result: dict[str, Any]) -> bool:
    """Was an experiment over seeds made with another coarse path than the bundled one?"""
    return result["settings"].get("coarse") != digest(CHECKPOINTS / "coarse" / WEIGHTS)


def _work(result: dict[str, Any]) -> str:
    flop, seeds, captions = result["flop"], len(result["settings"]["seeds"]), result["settings"]["captions"]
    return (
        f"{seeds} seeds, a start of {flop['start'] / 1e12:.0f} TFLOP,"
        f" then {flop['end-to-end'] / 1e12:.0f} end to end or {flop['single-step'] / 1e12:.0f} single-step"
        f", {captions} captions a figure"
    )


def _paired(arms: dict[str, Any], steps: str) -> str:
    """Does the paper's claim hold at this number of steps? Both arms of a seed share their start."""
    found = equal_ratio(arms, steps)
    taken = f"{steps} step{'s' * (steps != '1')}"
    return f"{taken}: end to end has {times(found, 2)} the FD: {WORDS[judge_below(found)]}."


def equal_ratio(arms: dict[str, Any], steps: str) -> Ratio:
    """FD of the end-to-end arm over that of the single-step one at that number of steps, and its 95% interval."""
    return paired(arms["end-to-end"][steps]["fd"], arms["single-step"][steps]["fd"])
