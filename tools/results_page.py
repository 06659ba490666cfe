"""docs/results.md: tables of the evaluation's JSON files, and what they say about the paper's claims."""

import json
import math
from pathlib import Path
from typing import Any

from scipy.stats import ttest_1samp

from e2ed2.generate import CHECKPOINTS

BASELINES = {
    "single-step": "the start of the end-to-end models, so at less work than theirs",
    "single-step-long": "trained on from there for at least the work of any end-to-end finish",
}
EQUAL_WORK_HEAD = """The claim: for the same work, training end to end gives better pictures in few steps than training
single steps. A small transformer (`python -m tools.equal_work`) on the bundled codec and coarse path; work is counted
in floating-point operations.
"""
Result = dict[str, Any]
HEAD = """# Results

Written by `make results` from the JSON files in `docs/results`; [evaluation.md](evaluation.md) says what each figure
means. The models are the bundled ones. FD, KID, precision and recall compare with the training drawings, on captions of
training drawings with their style named ({painted} pictures a figure): compare them with each other only.
"""


def write_page(results: list[Result], real: dict[str, Any], same_work: dict[str, Any], file: Path) -> Path:
    of = {(r["settings"]["model"], r["settings"]["steps"], r["settings"]["split"]): r for r in results}
    names = sorted(model for model, _, split in of if split == "combo")
    most = {name: max(s for model, s, split in of if model == name and split == "combo") for name in names}
    parts = [
        HEAD.format(painted=max(r["choices"]["painted"] for r in results)),
        "## Every model at its most steps\n",
        overview(of, names, most),
        "## What visitors ask for, what was never drawn in that style, what was never drawn\n",
        alignment_table(of, names, most, real),
        "## Does the end-to-end training help?\n",
        verdict(of, names, most),
        "## At equal work, over seeds (Fig. 1)\n",
        EQUAL_WORK_HEAD,
        equal_work(same_work),
        "## Quality against steps\n",
        "FD (smaller is better); in brackets the share of pictures whose thing is found first.\n",
        by_steps(of, names),
        "## What each cost to train\n",
        costs(names),
        "## Pictures\n",
        *(f"- [{name}](sheets/{name}.jpg): a hundred captions of training drawings, not chosen" for name in names),
    ]
    file.write_text("\n".join(parts) + "\n")
    return file


def verdict(of: dict, names: list[str], most: dict[str, int]) -> str:
    """The best end-to-end model against the baselines, in plain words."""
    fd = {key: result["distance"]["fd"] for key, result in of.items() if key[2] == "train"}
    ours = {name: fd[name, most[name], "train"] for name in names if name not in BASELINES}
    baselines = [name for name in names if name in BASELINES]
    if not baselines or not ours:
        return "A single-step and an end-to-end model are to be measured first.\n"
    best = min(ours, key=ours.__getitem__)
    lines = [
        f"- Of the end-to-end models `{best}` is nearest to the drawings: FD {ours[best]:.1f} at {most[best]} steps."
    ]
    for baseline in baselines:
        counts = sorted(steps for name, steps, _ in fd if name == baseline)
        figures = (f"{fd[baseline, steps, 'train']:.1f} at {steps}" for steps in counts)
        shares = (f"{ours[best] / fd[baseline, steps, 'train']:.2f} at {steps}" for steps in counts)
        lines.append(
            f"- `{baseline}` ({BASELINES[baseline]}): FD {', '.join(figures)} steps."
            f" `{best}` has {', '.join(shares)} times that."
        )
    return "\n".join(lines) + "\n"


def equal_work(found: dict[str, Any]) -> str:
    """Fig. 1 at a reduced size: both trainings from the same start for the same work, over seeds."""
    parts = []
    for loss, result in found.items():
        arms = result["arms"]
        counts = list(arms["single-step"])
        rows = [[name, *(_spread(figures[steps]["fd"]) for steps in counts)] for name, figures in arms.items()]
        parts.append(f"End to end with the loss `{loss}`, {_work(result)}. FD, mean over seeds and 95% interval:\n")
        parts.append(table(["training", *(f"{steps} step{'s' * (steps != '1')}" for steps in counts)], rows))
        parts += [f"- {_paired(arms, steps)}" for steps in counts]
        parts.append("")
    return "\n".join(parts)


def _work(result: dict[str, Any]) -> str:
    flop, seeds = result["flop"], len(result["settings"]["seeds"])
    return (
        f"{seeds} seeds, a start of {flop['start'] / 1e12:.0f} TFLOP,"
        f" then {flop['end-to-end'] / 1e12:.0f} end to end or {flop['single-step'] / 1e12:.0f} single-step"
    )


def _spread(figure: dict[str, Any]) -> str:
    return f"{figure['mean']:.1f} ± {figure['half_width']:.1f}"


def _paired(arms: dict[str, Any], steps: str) -> str:
    """Does the paper's claim hold at this number of steps? Both arms of a seed share their start."""
    ours, theirs = (arms[name][steps]["fd"]["values"] for name in ("end-to-end", "single-step"))
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    test = ttest_1samp(logs, 0)
    low, high = (math.exp(x) for x in test.confidence_interval())
    said = "the claim holds" if high < 1 else "the claim does not hold" if low > 1 else "it cannot be told"
    ratio = math.exp(sum(logs) / len(logs))
    taken = f"{steps} step{'s' * (steps != '1')}"
    return f"{taken}: end to end has {ratio:.2f} times the FD ({low:.2f} to {high:.2f}): {said}."


def overview(of: dict, names: list[str], most: dict[str, int]) -> str:
    rows = []
    for name in names:
        result = of[name, most[name], "train"]
        distance, cost = result["distance"], result["cost"]
        rows.append(
            [name, most[name], *(f"{distance[key]:.4g}" for key in ("fd", "kid", "precision", "recall")),
             _number(result["diversity_ratio"], 2), _number(result["nearest_training_lpips"], 3),
             f"{cost['gflop']:.2f}", f"{1000 * cost['seconds']:.0f}"]
        )  # fmt: skip
    columns = ["model", "steps", "FD", "KID", "precision", "recall", "diversity ratio", "nearest drawing", "GFLOP",
               "ms a picture"]  # fmt: skip
    return table(columns, rows)


def alignment_table(of: dict, names: list[str], most: dict[str, int], real: dict[str, Any]) -> str:
    splits = ("train", "combo", "concept", "visitor")
    columns = ["pictures", *(f"{split} {key}" for split in splits for key in ("top-1", "top-5")), "style (train)"]
    rows = [["real drawings", *_alignment(real, splits), _number(real["train"]["style"], 2)]]
    for name in names:
        found = {split: of[name, most[name], split]["alignment"] for split in splits if (name, most[name], split) in of}
        rows.append([name, *_alignment(found, splits), _number(found["train"]["style"], 2)])
    return table(columns, rows)


def _alignment(found: dict[str, Any], splits: tuple[str, ...]) -> list[str]:
    return [_number(found.get(split, {}).get(key), 2) for split in splits for key in ("top1", "top5")]


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
        run = json.loads((CHECKPOINTS / name / "run.json").read_text())
        trainer, cost = run["config"]["trainer"], run["cost"]
        samples = trainer["steps"] * trainer["batch_size"]
        loss = run["config"]["loss"] if run["config"]["objective"] == "end_to_end" else "of one step"
        rows.append([name, loss, f"{samples:,}", f"{cost['flop'] / 1e15:.2f}", f"{cost['seconds'] / 60:.0f}"])
    note = "\nBeside the codec, the coarse path and, for the others, `single-step`: see [training.md](training.md).\n"
    return table(["model", "loss", "samples", "PFLOP", "minutes"], rows) + note


def table(columns: list[str], rows: list[list[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
