"""docs/results.md: tables of the evaluation's JSON files, and what they say about the paper's claims."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.evaluation.emoji import COLOUR, WORDS
from e2ed2.evaluation.generators import fingerprint
from e2ed2.evaluation.metrics.retrieval import Ceilings
from e2ed2.evaluation.report.claims import equal_work, losses, sharing, verdict
from e2ed2.evaluation.report.tables import number, spread
from e2ed2.evaluation.results import asked
from e2ed2.evaluation.shown import table
from e2ed2.inference.request import STEPS
from e2ed2.training.config import upgraded

Result = dict[str, Any]
HEAD = """# Results

Written by `make results` from the JSON files in `assets/results`; [evaluation.md](evaluation.md) says what each figure
means. The models are the bundled ones{others}. FD, KID, precision and recall compare with the training drawings, on
captions of training drawings with their style named ({count} pictures a figure): compare them with each other only.
"""
OLDER = """
**Measured on other weights** than those bundled now ([training.md](training.md) says what has changed since): {names}.
"""
CEILING = """The first two rows are as many real drawings, as they are and through the codec: no model on it can be
expected to do better, and the FD of so few pictures is not zero even then. The times were measured in one go, on two
cores of one machine (`python -m e2ed2.evaluation.report.run --times`), except for models that are not bundled.
"""


@dataclass(frozen=True)
class Found:
    """Everything that was measured, as the JSON files have it."""

    models: list[Result]
    aligned: Ceilings  # what the retrieval head makes of real drawings, as they are and through the codec
    ceiling: dict[str, Any]  # how far as many real drawings as each model's pictures are from all, likewise
    equal_work: dict[str, Any]


def write_page(found: Found, file: Path) -> Path:
    """Raises UserError: figures are of unequal numbers of pictures, which FD does not bear."""
    check_equal(found)
    of = {(r["settings"]["model"], r["settings"]["steps"], asked(r["settings"])): r for r in found.models}
    names = sorted({model for model, _, split in of if split == "train"})
    most = {name: max(s for model, s, _ in of if model == name and s <= STEPS[-1]) for name in names}
    fd = {(model, steps): r["distance"]["fd"] for (model, steps, split), r in of.items() if split == "train"}
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
        alignment_table(of, names, most, found),
        "## Does the end-to-end training help? (Fig. 1)\n",
        verdict(fd, names, most),
        equal_work(found.equal_work),
        "## Which loss? (Fig. 3)\n",
        losses(fd, most),
        "## Shared or independent steps? (Fig. 4)\n",
        sharing(CHECKPOINTS / "independent", CHECKPOINTS / "shared-twin"),
        "## Quality against steps\n",
        "FD (smaller is better); in brackets the share of pictures whose thing is found first.\n",
        by_steps(of, names),
        "## What each cost to train\n",
        costs(names),
        "## Pictures\n",
        *(f"- [{name}](sheets/{name}.jpg): a hundred captions of training drawings, not chosen" for name in bundled),
    ]
    file.write_text("\n".join(parts) + "\n")
    return file


def older(models: list[Result], bundled: list[str]) -> list[str]:
    """A warning, where a bundled model's weights are not those that were measured."""
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
    keys = [f"distance.{key}" for key in ("fd", *["fd_infinite"] * endless, "kid", "precision", "recall")]

    def distance(result: Result) -> list[str]:
        return [spread(result, key, ".4g") for key in keys]

    rows = [[name, "", *distance(figures["train"]), *[""] * 4] for name, figures in ceiling["pictures"].items()]
    for name, result in zip(names, results, strict=True):
        cost = result["cost"]
        rows.append(
            [
                name,
                most[name],
                *distance(result),
                number(result["diversity_ratio"], 2),
                number(result["nearest_training_lpips"], 3),
                f"{cost['gflop']:.2f}",
                f"{1000 * cost['seconds']:.0f}",
            ]
        )
    columns = [
        "model",
        "steps",
        "FD",
        *["FD, endless pictures"] * endless,
        "KID",
        "precision",
        "recall",
        "diversity ratio",
        "nearest drawing",
        "GFLOP",
        "ms a picture",
    ]
    return table(columns, rows)


def alignment_table(of: dict, names: list[str], most: dict[str, int], found: Found) -> str:
    """Columns that nothing was measured for are left out."""
    splits = ("train", "combo", "concept", *(f"{name}{read}" for name in WORDS for read in ("", ", read")), COLOUR)
    pictures: dict[str, dict[str, Result]] = {
        kind: {split: {"alignment": rates} for split, rates in by.items()} for kind, by in found.aligned.items()
    }
    for name in names:
        keys = {split: (name, most[name], split) for split in splits}
        pictures[name] = {split: of[key] for split, key in keys.items() if key in of}
    measured = [split for split in splits if any(split in by for by in pictures.values())]
    keys = [*((split, key) for split in measured for key in ("top1", "top5")), ("train", "style")]
    keys += [(COLOUR, "colour")] * (COLOUR in measured)
    rows = [
        [name, *(spread(by.get(split, {}), f"alignment.{key}", ".2f") for split, key in keys)]
        for name, by in pictures.items()
    ]
    heads = [f"{split} {key}" for split in measured for key in ("top-1", "top-5")]
    heads += ["style (train)", *["the colour asked for"] * (COLOUR in measured)]
    return table(["pictures", *heads], rows)


def by_steps(of: dict, names: list[str]) -> str:
    counts = sorted({steps for _, steps, split in of if split == "train"})
    rows = []
    for name in names:
        cells = []
        for steps in counts:
            result = of.get((name, steps, "train"))
            cells.append(f"{result['distance']['fd']:.3f} ({result['alignment']['top1']:.2f})" if result else "")
        rows.append([name, *cells])
    return table(["model", *(f"{steps} step{'s' * (steps > 1)}" for steps in counts)], rows)


def costs(names: list[str]) -> str:
    rows = []
    for name in names:
        if not (CHECKPOINTS / name / "run.json").is_file():
            continue  # neither its weights nor its curve are bundled
        run = json.loads((CHECKPOINTS / name / "run.json").read_text())
        config, cost = upgraded(run["config"]), run["cost"]
        trainer, loss = config["trainer"], config["objective"].get("loss", "of one step")
        samples = trainer["updates"] * trainer["batch_size"]
        rows.append([name, loss, f"{samples:,}", f"{cost['flop'] / 1e15:.2f}", f"{cost['seconds'] / 60:.0f}"])
    note = "\nBeside the codec, the coarse path and, for the others, `single-step`: see [training.md](training.md).\n"
    return table(["model", "loss", "samples", "PFLOP", "minutes"], rows) + note
