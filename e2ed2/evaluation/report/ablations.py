"""What the ablations over seeds say about Fig. 3 and 4 of the paper."""

from dataclasses import dataclass
from typing import Any

from e2ed2.evaluation.metrics.ceilings import Ceilings, head_digest
from e2ed2.evaluation.report.claims import PAPER, earlier
from e2ed2.evaluation.report.ratios import (
    DISTANCES,
    WORDS,
    Verdict,
    distances,
    judge_above,
    judge_below,
    judge_nearer,
    mean_of,
    paired,
    ratio_of,
    times,
    times_each,
)
from e2ed2.evaluation.report.tables import number
from e2ed2.evaluation.shown import table

COMMAND = "python -m e2ed2.evaluation.experiments.ablations"
SHARED, INDEPENDENT = "shared-twin", "independent"  # of Fig. 4; the other variants are of Fig. 3
EARLIER_HEAD = (
    "The right thing was looked for by an earlier retrieval head, which knew fewer of the soft pictures: compare these"
    " shares with each other only. "
)
DIGITS = 3  # of ratios: shared and independent steps are near each other
DECIMALS = {"kid": 3, "fd": 1, "top1": 3, "detail": 2}
COLUMNS = {"kid": "KID", "fd": "FD", "top1": "right thing first", "detail": "detail, of the drawings'"}


@dataclass(frozen=True)
class Finding:
    claim: str  # of the paper
    figure: str  # what was found, with its 95% interval over seeds
    verdict: Verdict


def losses(found: dict[str, Any], ceiling: dict[str, Any], aligned: Ceilings) -> str:
    """Fig. 3 in Markdown: every loss from the same starts, and what each of the paper's sentences comes to.

    Args:
        ceiling: how far real drawings are from all of them.
        aligned: what the retrieval head makes of these.
    """
    if not found:
        return f"Run `{COMMAND}` first.\n"
    variants = found["variants"]
    names = [name for name in variants if name not in (SHARED, INDEPENDENT)]
    rows = [[f"`{name}`", *(mean_of(variants[name][key], DECIMALS[key]) for key in COLUMNS)] for name in names]
    return "\n".join(
        [
            f"The paper claims: {PAPER['Fig. 3']}. {_made(found)} Detail is the mean absolute Laplacian of the pictures"
            f" over that of the drawings: 1 is as much, less is softer. {_judged(found)}Mean and 95% interval:\n",
            table(["loss", *COLUMNS.values()], [*_ceilings(found, ceiling, aligned), *rows]),
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
    nearer = distances(two, found["variants"]["l2"])
    detail = paired(three["detail"], two["detail"])
    words = paired(three["top1"], two["top1"])
    return [
        Finding(
            "LPIPS improves perceptual quality",
            f"`l2-lpips` has {times_each(nearer, DIGITS)} of `l2`, both distances to drawings",
            judge_nearer(nearer),
        ),
        Finding(
            "A GAN on top adds high-frequency detail",
            f"`l2-lpips-gan` has {times(detail, DIGITS)} the detail of `l2-lpips`",
            judge_above(detail),
        ),
        Finding(
            "That GAN costs a little in following the words",
            f"with it {times(words, DIGITS)} as many pictures show the right thing first"
            + ("" if judged_today(found) else ", as an earlier retrieval head saw it"),
            judge_below(words),
        ),
    ]


def sharing(found: dict[str, Any]) -> str:
    """Fig. 4 in Markdown."""
    if not found:
        return f"Run `{COMMAND}` first.\n"
    shared, own = (found["variants"][name] for name in (SHARED, INDEPENDENT))
    return "\n".join(
        [
            f"The paper claims: {PAPER['Fig. 4']}. {_made(found)} Both always take four steps, one with a network for"
            " each, one with the same for all.\n",
            *map(_line, sharing_findings(found)),
            f"- Pictures of independent steps have {times_each(distances(own, shared), DIGITS)} of shared ones.",
            "",
        ]
    )


def sharing_findings(found: dict[str, Any]) -> list[Finding]:
    """The sentences of Fig. 4."""
    if not found:
        return []
    ratio = {name: ratio_of(figure["values"]) for name, figure in found["sharing"].items()}
    lower = [log > 0 for log in found["sharing"]["loss"]["values"]]
    return [
        Finding(
            "Sharing parameters between steps consistently reaches a lower loss than independent parameters",
            f"independent steps have {times(ratio['loss'], DIGITS)} the loss of shared ones over the last quarter of"
            f" the updates, {times(ratio['l2'], DIGITS)} its l2 and {times(ratio['lpips'], DIGITS)} its lpips; sharing"
            f" has the lower loss in {sum(lower)} of {len(lower)} seeds",
            _consistently(judge_above(ratio["loss"]), lower),
        ),
        Finding(
            "Sharing parameters steadies training",
            f"the gradient of independent steps changes {times(ratio['unsteadiness'], DIGITS)} as much from one logged"
            " update to the next",
            judge_above(ratio["unsteadiness"]),
        ),
    ]


def _consistently(verdict: Verdict, seeds: list[bool]) -> Verdict:
    """The verdict, but "open" if it holds on average and not for every seed."""
    return "open" if verdict == "holds" and not all(seeds) else verdict


def _ceilings(found: dict[str, Any], ceiling: dict[str, Any], aligned: Ceilings) -> list[list[str]]:
    """Rows of real drawings: FD over as many of them as pictures were judged, and the rates of the head that judged."""
    as_many, today = found["settings"]["captions"] == ceiling["captions"], judged_today(found)
    rows = []
    for kind, by in ceiling["pictures"].items():
        far = by["train"]["distance"]
        fd, top1 = far["fd"] if as_many else None, aligned[kind]["train"]["top1"] if today else None
        rows.append([kind, number(far["kid"], 3), number(fd, 1), number(top1, 3), ""])
    return rows


def _made(found: dict[str, Any]) -> str:
    settings = found["settings"]
    where = "an earlier" if earlier(found) else "the bundled"
    seeds, updates, captions = len(settings["seeds"]), settings["finish_updates"], settings["captions"]
    return (
        f"Here small transformers on {where} codec and coarse path, {seeds} seeds: each from the same starts, on"
        f" the same pictures and noise, for {updates} updates (`{COMMAND}`); four steps, {captions} captions a figure."
    )


def _judged(found: dict[str, Any]) -> str:
    return "" if judged_today(found) else EARLIER_HEAD


def judged_today(found: dict[str, Any]) -> bool:
    """Whether the currently bundled retrieval head judged the results."""
    return found["settings"].get("head") == head_digest()


def _line(one: Finding) -> str:
    return f"- {one.claim}: {one.figure}: {WORDS[one.verdict]}."


def _best(variants: dict[str, Any], names: list[str]) -> str:
    kid, fd = (min(names, key=lambda name: variants[name][key]["mean"]) for key in DISTANCES)
    most = max(names, key=lambda name: variants[name]["top1"]["mean"])
    nearest = f"`{kid}` has the lowest mean KID" + (" and FD" if kid == fd else f", `{fd}` the lowest mean FD")
    return f"Of the {len(names)} losses {nearest}, `{most}` the right thing first most often."
