"""docs/results.md: tables of the evaluation's JSON files, and what they say about the paper's claims."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.evaluation.emoji import COLOUR, WORDS
from e2ed2.evaluation.generators import fingerprint
from e2ed2.evaluation.metrics.ceilings import Ceilings
from e2ed2.evaluation.report.ablations import losses, sharing
from e2ed2.evaluation.report.claims import equal_work, verdict
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
    ablations: dict[str, Any]


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
        alignment(of, names, most, found),
        "## Does the end-to-end training help? (Fig. 1)\n",
        verdict(fd, names, most, {name: cost["flop"] for name, (_, cost) in trainings(names).items()}),
        equal_work(found.equal_work),
        "## Which loss? (Fig. 3)\n",
        losses(found.ablations),
        "## Shared or independent steps? (Fig. 4)\n",
        sharing(found.ablations),
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


def alignment(of: dict, names: list[str], most: dict[str, int], found: Found) -> str:
    """Captions as the models learned them, then what people type, which real drawings have no figures for."""
    ceilings = {
        kind: {split: {"alignment": rates} for split, rates in by.items()} for kind, by in found.aligned.items()
    }
    pictures: dict[str, dict[str, Result]] = {
        name: {split: result for (model, steps, split), result in of.items() if (model, steps) == (name, most[name])}
        for name in names
    }
    learned = [*firsts("train", "combo", "concept"), ("train", "style", "style (train)")]
    read = [*firsts(*(f"{name}, read" for name in WORDS)), (COLOUR, "colour", "the colour asked for")]
    return "\n".join([rates(ceilings | pictures, learned), rates(pictures, read), rates(pictures, firsts(*WORDS))])


def firsts(*splits: str) -> list[tuple[str, str, str]]:
    """Split, rate and heading: the thing found first, or among five."""
    return [(split, key, f"{split} {key.replace('top', 'top-')}") for split in splits for key in ("top1", "top5")]


def rates(pictures: dict[str, dict[str, Result]], columns: list[tuple[str, str, str]]) -> str:
    """Rows and columns that nothing was measured for are left out."""
    shown = [one for one in columns if any(one[0] in by for by in pictures.values())]
    rows = [
        [name, *(spread(by.get(split, {}), f"alignment.{key}", ".2f") for split, key, _ in shown)]
        for name, by in pictures.items()
    ]
    return table(["pictures", *(head for *_, head in shown)], [row for row in rows if any(row[1:])])


def by_steps(of: dict, names: list[str]) -> str:
    counts = sorted({steps for _, steps, split in of if split == "train"})
    rows = []
    for name in names:
        cells = []
        for steps in counts:
            result = of.get((name, steps, "train"))
            cells.append(fd_and_hits(result) if result else "")
        rows.append([name, *cells])
    return table(["model", *(f"{steps} step{'s' * (steps > 1)}" for steps in counts)], rows)


def fd_and_hits(result: Result) -> str:
    """Without the share of hits where an earlier retrieval head judged: it could not be compared."""
    hits = result["alignment"].get("top1")
    return f"{result['distance']['fd']:.3f}" + (f" ({hits:.2f})" if hits is not None else "")


def trainings(names: list[str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Settings and cost of each training whose curve, at least, is bundled."""
    runs = {name: CHECKPOINTS / name / "run.json" for name in names}
    found = {name: json.loads(file.read_text()) for name, file in runs.items() if file.is_file()}
    return {name: (upgraded(run["config"]), run["cost"]) for name, run in found.items()}


def costs(names: list[str]) -> str:
    rows = []
    for name, (config, cost) in trainings(names).items():
        trainer, loss = config["trainer"], config["objective"].get("loss", "of one step")
        samples = f"{trainer['updates'] * trainer['batch_size'] * trainer['accumulate']:,}"
        took = f"{cost['seconds'] / 60:.1f}"
        rows.append([name, loss, samples, f"{cost['flop'] / 1e15:.2f}", took, cost.get("machine", "")])
    note = "\nBeside the codec, the coarse path and, for the others, `single-step`: see [training.md](training.md)."
    longer = [name for name, (config, _) in trainings(names).items() if config["objective"].get("init") == name]
    more = "".join(f" `{name}` went on from its own former training, whose work its card tells." for name in longer)
    return table(["model", "loss", "samples", "PFLOP", "minutes", "on"], rows) + note + more + "\n"
