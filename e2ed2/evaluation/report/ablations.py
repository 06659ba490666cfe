"""What the ablations over seeds say about Fig. 3 and 4 of the paper."""

import math
from dataclasses import dataclass
from typing import Any

from e2ed2.evaluation.report.claims import PAPER, WORDS, Ratio, Verdict, judge_above, judge_below, ratio_of
from e2ed2.evaluation.shown import table

COMMAND = "python -m e2ed2.evaluation.experiments.ablations"
LOSSES = ("l1", "l2", "lpips", "l2-lpips", "l2-lpips-gan")
DECIMALS = {"fd": 1, "kid": 3, "top1": 3, "detail": 2}
COLUMNS = {"fd": "FD", "kid": "KID", "top1": "right thing first", "detail": "detail, of the drawings'"}


@dataclass(frozen=True)
class Finding:
    claim: str  # of the paper
    figure: str  # what was found, with its 95% interval over seeds
    verdict: Verdict


def losses(found: dict[str, Any]) -> str:
    """Fig. 3 in Markdown: every loss from the same starts, and what each of the paper's sentences comes to."""
    if not found:
        return f"Run `{COMMAND}` first.\n"
    variants = found["variants"]
    names = [name for name in LOSSES if name in variants]
    rows = [[f"`{name}`", *(_spread(variants[name][key], DECIMALS[key]) for key in COLUMNS)] for name in names]
    return "\n".join(
        [
            f"The paper claims: {PAPER['Fig. 3']}. {_made(found)} Detail is the mean absolute Laplacian of the pictures"
            " over that of the drawings: 1 is as much, less is softer. Mean and 95% interval:\n",
            table(["loss", *COLUMNS.values()], rows),
            *map(_line, loss_findings(found)),
            f"- L2, LPIPS and GAN together balance best: balance has no measure of its own. {_best(variants, names)}",
            "",
        ]
    )


def loss_findings(found: dict[str, Any]) -> list[Finding]:
    """The sentences of Fig. 3 that figures can judge."""
    if not found:
        return []
    two, three = (found["variants"][name] for name in ("l2-lpips", "l2-lpips-gan"))
    fd = _ratio(two["fd"], found["variants"]["l2"]["fd"])
    detail = _ratio(three["detail"], two["detail"])
    words = _ratio(three["top1"], two["top1"])
    return [
        Finding(
            "LPIPS improves perceptual quality",
            f"`l2-lpips` has {_times(fd)} the distance to drawings (FD) of `l2`",
            judge_below(fd),
        ),
        Finding(
            "a GAN on top adds high-frequency detail",
            f"`l2-lpips-gan` has {_times(detail)} the detail of `l2-lpips`",
            judge_above(detail),
        ),
        Finding(
            "that GAN costs a little in following the words",
            f"with it {_times(words)} as many pictures show the right thing first",
            judge_below(words),
        ),
    ]


def sharing(found: dict[str, Any]) -> str:
    """Fig. 4 in Markdown."""
    if not found:
        return f"Run `{COMMAND}` first.\n"
    shared, own = (found["variants"][name]["fd"] for name in ("shared-twin", "independent"))
    fd = _ratio(own, shared)
    return "\n".join(
        [
            f"The paper claims: {PAPER['Fig. 4']}. {_made(found)} Both always take four steps, one with a network for"
            " each, one with the same for all.\n",
            *map(_line, sharing_findings(found)),
            f"- Pictures of independent steps have {_times(fd)} the FD of shared ones.",
            "",
        ]
    )


def sharing_findings(found: dict[str, Any]) -> list[Finding]:
    """The sentences of Fig. 4."""
    if not found:
        return []
    ratio = {name: ratio_of(figure["values"]) for name, figure in found["sharing"].items()}
    return [
        Finding(
            "sharing parameters between steps reaches a lower loss than independent parameters",
            f"independent steps have {_times(ratio['loss'])} the loss of shared ones over the last quarter of the"
            f" updates, {_times(ratio['l2'])} its l2 and {_times(ratio['lpips'])} its lpips",
            judge_above(ratio["loss"]),
        ),
        Finding(
            "sharing parameters steadies training",
            f"the gradient of independent steps changes {_times(ratio['unsteadiness'])} as much from one logged update"
            " to the next",
            judge_above(ratio["unsteadiness"]),
        ),
    ]


def _made(found: dict[str, Any]) -> str:
    settings = found["settings"]
    seeds, updates, captions = len(settings["seeds"]), settings["finish_updates"], settings["captions"]
    return (
        f"Here small transformers on the bundled codec and coarse path, {seeds} seeds: each from the same starts, on"
        f" the same pictures and noise, for {updates} updates (`{COMMAND}`); four steps, {captions} captions a figure."
    )


def _line(one: Finding) -> str:
    return f"- {one.claim[0].upper()}{one.claim[1:]}: {one.figure}: {WORDS[one.verdict]}."


def _best(variants: dict[str, Any], names: list[str]) -> str:
    least = min(names, key=lambda name: variants[name]["fd"]["mean"])
    most = max(names, key=lambda name: variants[name]["top1"]["mean"])
    return f"Of the {len(names)} losses `{least}` has the lowest mean FD, `{most}` the right thing first most often."


def _ratio(ours: dict[str, Any], theirs: dict[str, Any]) -> Ratio:
    """Of one variant over another, paired by seed, and its 95% interval."""
    return ratio_of([math.log(a / b) for a, b in zip(ours["values"], theirs["values"], strict=True)])


def _times(ratio: Ratio) -> str:
    return "{:.3f} times ({:.3f} to {:.3f})".format(*ratio)


def _spread(figure: dict[str, Any], decimals: int) -> str:
    return f"{figure['mean']:.{decimals}f} ± {figure['half_width']:.{decimals}f}"
