"""Do votes become a better model? Raters of known taste vote, a training follows, fresh raters judge.

python -m benchmarks.preference_loop [--out runs/preference-loop]

For each crowd: four bundled models' images of 40 prompts, 720 votes => preference => `l2-lpips` is finished with it =>
a fresh study of before against after, on 60 prompts that were neither voted on nor trained on. About an hour; called
again, it goes on where it stopped.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tyro

from benchmarks.loop.asking import Arm, Worths, ask
from benchmarks.loop.tables import tables
from benchmarks.loop.tastes import CROWDS, TASTES, Crowd, worths
from e2ed2.evaluation.benchmark import Prompt
from e2ed2.evaluation.config import Evaluate
from e2ed2.evaluation.emoji import prompts_of
from e2ed2.evaluation.generators import load_generator, sample_all
from e2ed2.evaluation.run import evaluate
from e2ed2.losses.spec import LossSpec
from e2ed2.training.config import RunConfig
from e2ed2.training.metrics import read_metrics
from e2ed2.training.presets import PRESETS
from e2ed2.training.run import train
from study.stats.preference import preference

START = "l2-lpips"
VOTED = ("l2-lpips", "lpips", "l2-lpips-gan", "energy")  # whose images are voted on
SIDE = 128  # pixels
STEPS = 4


@dataclass(frozen=True)
class Loop:
    """Votes, preference, finish, fresh votes: for each crowd, one that votes by lot, and one that is not asked."""

    out: Path = Path("runs/preference-loop")
    """Where all results go; a crowd that is done is not asked again."""
    crowds: tuple[str, ...] = tuple(crowd.name for crowd in CROWDS)
    prompts: int = 40
    """Number of prompts, from training captions, that are voted on first."""
    raters_per_pair: int = 3
    fresh: int = 60
    """Number of prompts in the fresh study: things in styles in which no training saw them."""
    fresh_raters_per_pair: int = 10
    updates: int = 60
    """Most updates of a fine-tuning: the preference's judge may end it earlier."""
    batch_size: int = 8
    lr: float = 3e-4
    weight: float = 0.1
    """Weight of the preference in the loss."""
    anchor: float = 0.3
    """Weight in the loss of the distance to the starting model."""
    captions: int = 200
    """Number of captions on which retrieval and FD are measured, before and after."""
    seed: int = 0


@dataclass(frozen=True)
class Scale:
    """The unit of what raters see: a standard deviation among the images of one prompt that are voted on first."""

    spread: dict[str, float]  # of each taste

    @classmethod
    def of(cls, found: Sequence[Worths]) -> "Scale":
        """`found`: of each arm, in the order of the prompts."""
        return cls(
            {taste: float(np.stack([one[taste] for one in found]).std(axis=0, ddof=1).mean()) for taste in TASTES}
        )

    def __call__(self, found: Worths) -> Worths:
        return {taste: found[taste] / self.spread[taste] for taste in TASTES}


def main() -> None:
    options = tyro.cli(Loop)
    rounds = [one_round(options, crowd) for crowd in CROWDS if crowd.name in options.crowds]
    print(tables(rounds))


def one_round(options: Loop, crowd: Crowd) -> dict[str, Any]:
    """The outcome of one crowd's votes, read from its file if that exists."""
    folder = options.out / slug(crowd)
    file = folder / "round.json"
    if file.is_file():
        return json.loads(file.read_text())
    print(f"== {crowd.name}", flush=True)
    prompts = prompts_of("train", options.prompts, options.seed)
    arms, scale = voted(options, prompts)
    if crowd.asked:
        asked(prompts, arms, crowd, folder / "votes", options.raters_per_pair, options.seed)
        learned(folder)
    preferred = finished(options, crowd, folder)
    found = {
        "crowd": crowd.name,
        "accuracy": accuracy(folder) if crowd.asked else None,
        "fresh": fresh_votes(options, crowd, scale, folder),
        "before": figures(options, START),
        "after": figures(options, str(preferred)),
        "course": course(folder / "preferred"),
    }
    file.write_text(json.dumps(found, indent=1) + "\n")
    return found


def slug(crowd: Crowd) -> str:
    return re.sub(r"\W+", "-", crowd.name)


def voted(options: Loop, prompts: Sequence[Prompt]) -> tuple[list[Arm], Scale]:
    """The bundled models' images, each prompt from the same noise, and the scale that they make."""
    images = [sampled(model, prompts, options.seed) for model in VOTED]
    found = [worths(one, [prompt.concept for prompt in prompts]) for one in images]
    scale = Scale.of(found)
    return [
        Arm(name, *made) for name, made in zip(VOTED, zip(images, map(scale, found), strict=True), strict=True)
    ], scale


def sampled(model: str, prompts: Sequence[Prompt], seed: int) -> np.ndarray:
    seeds = range(seed, seed + len(prompts))
    return sample_all(load_generator(model, STEPS), [prompt.text for prompt in prompts], seeds, SIDE)


def asked(
    prompts: Sequence[Prompt], arms: Sequence[Arm], crowd: Crowd, folder: Path, raters_per_pair: int, seed: int
) -> pd.DataFrame:
    """The votes of a study; if an earlier call finished it, those."""
    whole = folder / "votes.parquet"
    if not whole.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        votes = ask([prompt.text for prompt in prompts], arms, crowd, folder, raters_per_pair, seed)
        votes.to_parquet(whole)
    return pd.read_parquet(whole)


def learned(folder: Path) -> None:
    """A model of the preference that the votes show, in `folder/liked`."""
    preset = PRESETS["preference"]
    objective = replace(preset.objective, votes=str(folder / "votes" / "export"))
    trained(replace(preset, objective=objective), folder / "liked")


def accuracy(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "liked" / "model" / "accuracy.json").read_text())[0]


def finished(options: Loop, crowd: Crowd, folder: Path) -> Path:
    """The model fine-tuned with what the votes taught, or for as long without."""
    trained(finish(options, str(folder / "liked" / "model") if crowd.asked else ""), folder / "preferred")
    return folder / "preferred" / "model"


def trained(config: RunConfig, run: Path) -> None:
    if not train(config, run):
        raise SystemExit(130)  # Ctrl-C, which the training has told


def finish(options: Loop, liked: str) -> RunConfig:
    preset, loss = PRESETS[START], f"l2:0.3+lpips+anchor:{options.anchor}"
    given: Any = {"init": START, "loss": LossSpec.parse(loss)}
    if liked:
        loss = LossSpec.parse(f"{loss}+preference:{options.weight}")
        given |= {"loss": loss, "preference_from": liked, "patience": 2, "follow_unsure": True}  # votes by lot too
    trainer = replace(
        preset.trainer,
        updates=options.updates,
        batch_size=options.batch_size,
        lr=options.lr,
        held_out_every=max(1, options.updates // 4),
        preview_every=options.updates,
        save_every=options.updates // 2,
    )
    return replace(preset, objective=replace(preset.objective, **given), trainer=trainer)


def fresh_votes(options: Loop, crowd: Crowd, scale: Scale, folder: Path) -> list[dict[str, Any]]:
    """The share of decided answers that the fine-tuned model wins against its start, for each judging crowd."""
    prompts = prompts_of("combo", options.fresh, options.seed + 1)
    seed = options.seed + 10_000
    arms = []
    for name, model in (("before", START), ("after", str(folder / "preferred" / "model"))):
        images = sampled(model, prompts, seed)
        arms.append(Arm(name, images, scale(worths(images, [prompt.concept for prompt in prompts]))))
    moved = {taste: float((arms[1].worths[taste] - arms[0].worths[taste]).mean()) for taste in TASTES}
    found = []
    for judge in crowd.judges:
        votes = asked(prompts, arms, judge, folder / "fresh" / slug(judge), options.fresh_raters_per_pair, seed)
        rate = preference(votes, "after", "before").win_rate_decided
        won = [rate.value, rate.interval.low, rate.interval.high]
        found.append({"judge": judge.name, "win_rate": won, "answers": len(votes), "moved": moved})
    return found


def figures(options: Loop, model: str) -> dict[str, float]:
    """Retrieval and distances on training captions."""
    asked_for = Evaluate(
        model,
        steps=STEPS,
        split="train",
        captions=options.captions,
        variety=0,
        nearest=0,
        out=options.out / "last.json",
    )
    found = evaluate(asked_for)
    return {"top1": found["alignment"]["top1"], "fd": found["distance"]["fd"], "kid": found["distance"]["kid"]}


def course(run: Path) -> list[dict[str, float | None]]:
    """What the preference promised and its judge saw, at each measurement."""
    names = ("reward", "judge", "anchor")
    lines = [line for line in read_metrics(run) if line.value("judge") is not None]
    return [{"update": line.update} | {name: line.value(name) for name in names} for line in lines]


if __name__ == "__main__":
    main()
