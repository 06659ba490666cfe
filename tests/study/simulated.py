"""Exports of simulated studies, as `study.export` writes them."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from study.protocol.parts import DEGRADED, CheckShares, Prompt, Stimulus
from study.protocol.spec import StudySpec
from study.simulation.crowd import World, answer
from study.simulation.power import design

SUBJECTS = ("red apple", "blue whale", "old castle", "paper boat", "green train", "sleepy cat")


def picture(prompt: int, arm: int, degraded: bool = False) -> bytes:
    """A small PNG of its own."""
    image = Image.new("RGB", (48, 48), "white")
    draw = ImageDraw.Draw(image)
    colour = tuple(int(c) for c in np.random.default_rng([prompt, degraded]).integers(30, 220, 3))
    (draw.ellipse if arm % 2 else draw.rectangle)((6 + prompt % 7, 6, 42 - arm, 42 - prompt % 5), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def spec_and_images(arms=("ours", "baseline"), prompts=40, **options) -> tuple[StudySpec, dict[str, bytes]]:
    """A spec whose hashes are those of the pictures, by hash."""
    images, stimuli, degraded, gold_of = {}, [], [], []
    asked = [Prompt(f"{SUBJECTS[i % 6]} {i}", ("animals", "things", "places")[i % 3]) for i in range(prompts)]
    for i, prompt in enumerate(asked):
        for j, arm in enumerate((*arms, DEGRADED)):
            data = picture(i, j, arm == DEGRADED)
            images[hashlib.sha256(data).hexdigest()] = data
            stimulus = Stimulus(prompt.text, arm, f"{i}.png", hashlib.sha256(data).hexdigest())
            (degraded if arm == DEGRADED else stimuli).append(stimulus)
        gold_of.append(stimuli[-len(arms)].sha256)
    usual = {
        "pairs_per_rater": 20,
        "checks": CheckShares(0.1, 0, 0.1, 0.1),
        "mode": "randomised",
        "image_format": "png",
    }
    spec = StudySpec(
        "apples", tuple(arms), tuple(asked), tuple(stimuli), tuple(degraded), tuple(gold_of), **(usual | options)
    )
    return spec, images


def votes_of(spec: StudySpec, world: World, raters: int, seed: int = 0) -> pd.DataFrame:
    """Votes as exported: every rater finished."""
    votes = answer(design(spec, raters), world, np.random.default_rng(seed))
    start = pd.Timestamp("2026-05-01T09:00:00Z")
    minutes = votes["rater"].str[-4:].astype(int) * 47 + votes["position"] * 0.3
    times = (start + pd.to_timedelta(minutes, unit="min")).map(pd.Timestamp.isoformat)
    files = {side: "images/" + votes[side] + ".png" for side in ("image_left", "image_right")}
    return votes.assign(time=times, **files)


def raters_of(votes: pd.DataFrame) -> pd.DataFrame:
    by = votes.groupby("rater").agg(mode=("mode", "first"), started=("time", "min"), finished=("time", "max"))
    return by.reset_index().assign(status="finished", channel="open")


def write_export(folder: Path, spec: StudySpec, images: dict[str, bytes], votes: pd.DataFrame) -> Path:
    (folder / "images").mkdir(parents=True)
    for sha256, data in images.items():
        (folder / "images" / f"{sha256}.png").write_bytes(data)
    (folder / "spec.json").write_text(spec.to_json(), "utf-8")
    votes.to_parquet(folder / "votes.parquet", index=False)
    raters_of(votes).to_parquet(folder / "raters.parquet", index=False)
    return folder
