"""docs/results.md: tables of the evaluation's JSON files, and what they say about the paper's claims."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.evaluation.generators import fingerprint
from e2ed2.evaluation.metrics.ceilings import Ceilings
from e2ed2.evaluation.report.ablations import losses, sharing
from e2ed2.evaluation.report.alignment import alignment, coloured
from e2ed2.evaluation.report.claims import counted_steps, equal_work, verdict
from e2ed2.evaluation.report.costs import costs, trainings
from e2ed2.evaluation.report.ratios import DISTANCE_DIGITS
from e2ed2.evaluation.report.tables import number, spread
from e2ed2.evaluation.results import prompts_label
from e2ed2.evaluation.shown import table
from e2ed2.inference.request import STEPS

Result = dict[str, Any]
HEAD = """# Results

Written by `make results` from the JSON files in `assets/results`; [evaluation.md](evaluation.md) says what each figure
means. The models are the bundled ones{others}. KID, FD, precision and recall compare with the training drawings, on
captions of training drawings with their style named ({count} pictures a figure): compare them with each other only. KID
does not depend on how many pictures there are, as FD does, and so comes first. Each model was trained once: another
seed may differ by more than the intervals.
"""
OLDER = """
**Measured on other weights** than those bundled now ([training.md](training.md) says what has changed since): {names}.
"""
CEILING = """The first two rows are as many real drawings, as they are and through the codec: no model on it can be
expected to do better, and the FD of so few pictures is not zero even then. The times were measured in one go, on two
cores of one machine (`python -m e2ed2.evaluation.report.run --times`), except for models that are not bundled. The
diversity ratio is of captions without a style, exactly as they are; “as the pages read it”, of the four pictures that
the pages make of such a prompt, each by another artist.
"""
READ = "visitor, read"  # the split
STEPWISE = """KID / FD (smaller is better); in brackets the share of pictures whose thing the head finds first. It is
{real drawings:.2f} of the drawings themselves, {through the codec:.2f} of those that went through the codec.
"""


@dataclass(frozen=True)
class Found:
    """Everything that was measured, from the JSON files."""

    models: list[Result]
    aligned: Ceilings  # what the retrieval head makes of real drawings, as they are and through the codec
    ceiling: dict[str, Any]  # distances of equal numbers of real drawings from all of them, likewise
    equal_work: dict[str, Any]
    ablations: dict[str, Any]
    colours: dict[str, Any]  # share of right pictures by colour, and the rates of turned drawings


def write_page(found: Found, file: Path) -> Path:
    """Raises UserError: figures are of unequal numbers of pictures, which FD does not bear."""
    check_equal(found)
    of = {(r["settings"]["model"], r["settings"]["steps"], prompts_label(r["settings"])): r for r in found.models}
    names = sorted({model for model, _, split in of if split == "train"})
    most = {name: max(s for model, s, _ in of if model == name and s <= STEPS[-1]) for name in names}
    distances = {(model, steps): r["distance"] for (model, steps, split), r in of.items() if split == "train"}
    pictures = {name: {split: r for (*one, split), r in of.items() if one == [name, most[name]]} for name in names}
    bundled = [name for name in names if (CHECKPOINTS / name / "denoiser").is_dir()]
    parts = [
        HEAD.format(
            others="".join(f", and `{name}`, which is not bundled" for name in names if name not in bundled),
            count=max(r["choices"]["images"] for r in found.models),
        ),
        *older(found.models, bundled),
        "## Every model at its most steps\n",
        overview(of, names, most, found.ceiling),
        CEILING,
        "## What visitors ask for, what was never drawn in that style, what was never drawn\n",
        alignment(pictures, found.aligned),
        "## Colours that no training showed\n",
        coloured(pictures, found.colours),
        "## Does the end-to-end training help? (Fig. 1)\n",
        verdict(distances, names, most, {name: cost["flop"] for name, (_, cost) in trainings(names).items()}),
        equal_work(found.equal_work),
        "## Which loss? (Fig. 3)\n",
        losses(found.ablations, found.ceiling, found.aligned),
        "## Shared or independent steps? (Fig. 4)\n",
        sharing(found.ablations),
        "## Quality against steps\n",
        STEPWISE.format(**{kind: by["train"]["top1"] for kind, by in found.aligned.items()}),
        by_steps(of, names),
        "## What each cost to train\n",
        costs(names),
        "## Pictures\n",
        *(f"- [{name}](sheets/{name}.jpg): a hundred captions of training drawings, not chosen" for name in bundled),
    ]
    file.write_text("\n".join(parts) + "\n")
    return file


def older(models: list[Result], bundled: list[str]) -> list[str]:
    """Warnings for bundled models whose weights are not those that were measured."""
    names = {
        result["settings"]["model"]
        for result in models
        if result["settings"]["model"] in bundled
        and result["choices"]["weights"]
        != fingerprint(CHECKPOINTS / result["settings"]["model"], result["settings"]["steps"])
    }
    return [OLDER.format(names=", ".join(f"`{name}`" for name in sorted(names)))] if names else []


def check_equal(found: Found) -> None:
    counts = {result["choices"]["images"] for result in found.models if result["settings"]["split"] == "train"}
    counts.add(found.ceiling.get("captions", found.ceiling.get("limit")))
    if len(counts) > 1:
        listed = " and ".join(map(str, sorted(counts)))
        raise UserError(
            f"Figures of {listed} pictures cannot stand in one table: measure all models, and the ceiling "
            "(`python -m e2ed2.evaluation.experiments.ceiling`), with the same --captions."
        )


def overview(of: dict, names: list[str], most: dict[str, int], ceiling: dict[str, Any]) -> str:
    results = [of[name, most[name], "train"] for name in names]
    endless = any("fd_infinite" in result["distance"] for result in results)
    keys = [f"distance.{key}" for key in ("kid", "fd", *["fd_infinite"] * endless, "precision", "recall")]

    def distance(result: Result) -> list[str]:
        return [spread(result, key, ".4g") for key in keys]

    rows = [[name, "", *distance(figures["train"]), *[""] * 5] for name, figures in ceiling["pictures"].items()]
    for name, result in zip(names, results, strict=True):
        cost, read = result["cost"], of.get((name, most[name], READ), {})
        rows.append(
            [
                name,
                most[name],
                *distance(result),
                number(result["diversity_ratio"], 2),
                number(read.get("diversity_ratio"), 2),
                number(result["nearest_training_lpips"], 3),
                f"{cost['gflop']:.2f}",
                f"{1000 * cost['seconds']:.0f}",
            ]
        )
    columns = [
        "model",
        "steps",
        "KID",
        "FD",
        *["FD, endless pictures"] * endless,
        "precision",
        "recall",
        "diversity ratio",
        "as the pages read it",
        "nearest drawing",
        "GFLOP",
        "ms a picture",
    ]
    return table(columns, rows)


def by_steps(of: dict, names: list[str]) -> str:
    counts = sorted({steps for _, steps, split in of if split == "train"})
    rows = [
        [name, *(_near_and_right(of[name, n, "train"]) if (name, n, "train") in of else "" for n in counts)]
        for name in names
    ]
    return table(["model", *map(counted_steps, counts)], rows)


def _near_and_right(result: Result) -> str:
    """The distance and, unless an earlier retrieval head judged (not comparable), the share of hits."""
    far = " / ".join(f"{result['distance'][key]:.{digits}f}" for key, digits in DISTANCE_DIGITS.items())
    hits = result["alignment"].get("top1")
    return far + (f" ({hits:.2f})" if hits is not None else "")
