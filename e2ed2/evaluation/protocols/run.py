"""One model on one benchmark of the field, as a JSON file with every choice that changes a number."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from e2ed2.data.cache import cached
from e2ed2.data.caption_hashes import trained_on
from e2ed2.data.decode import decode
from e2ed2.device import pick_device
from e2ed2.errors import UserError
from e2ed2.evaluation.generators import BATCH, Generator, ImageFolder, load_generator, load_or_sample, read_images
from e2ed2.evaluation.metrics.figure import SURE, Figure, Figures
from e2ed2.evaluation.metrics.frechet import Gaussian
from e2ed2.evaluation.protocols.choices import Seen, protocol_of, sampling_of
from e2ed2.evaluation.protocols.clip_score import ClipScore
from e2ed2.evaluation.protocols.config import Protocol
from e2ed2.evaluation.protocols.files import Files, find_files
from e2ed2.evaluation.protocols.inception import Inception, square
from e2ed2.evaluation.results import Result, as_result, check_out, write_result
from e2ed2.inference.request import model_path
from e2ed2.progress import track

Item = TypeVar("Item")
Batch = tuple[list[str], list[Image.Image]]  # prompts and their pictures


def measure(options: Protocol) -> Result | None:
    """The figures, also written to `options.out`; None for a shard, which samples its part and measures nothing.

    Raises:
        UserError: something that the benchmark needs is missing, or the model is; all of it in one message.
    """
    check_out(options.out)
    files, (subject,) = find_files(options, partial(subject_of, options))
    jobs = [(prompt, options.seed + number) for number, prompt in enumerate(files.prompts)]
    if isinstance(subject, ImageFolder):
        jobs = jobs_of(subject, files.prompts)
    part, parts = options.part
    if options.shard:
        for _ in pictures_of(subject, jobs, part, parts):
            pass
        return None
    judges = judges_of(files, pick_device(options.device))
    choices = protocol_of(options, files) | sampling_of(subject, options.seed)
    figures, seen = figures_of(options, choices, files, judges, pictures_of(subject, jobs))
    choices |= seen.as_choices() | {"weights": subject.fingerprint} | notes_of(options, files)
    result = as_result(settings_of(options), choices, figures) | {"ceilings": {}}
    write_result(result, options.out)
    return result


@dataclass(frozen=True)
class Judges:
    inception: Inception
    clips: dict[str, ClipScore]


def judges_of(files: Files, device: torch.device) -> Judges:
    """Raises UserError: a CLIP model is damaged."""
    return Judges(Inception(files.inception, device), {one.name: ClipScore(one, device) for one in files.clips})


def figures_of(
    options: Protocol, choices: dict[str, Any], files: Files, judges: Judges, pictures: Iterator[Batch]
) -> tuple[Figures, Seen]:
    """FID, a score from each CLIP model, and a record of the pictures that were measured."""
    real = reference(files, judges.inception, choices)
    features, scores, seen = [], {name: [] for name in judges.clips}, Seen()
    for prompts, images in pictures:
        for picture in images:
            seen.add(picture)
        squares = [square(picture, options.about.side) for picture in images]
        features.append(judges.inception(squares))
        for name, clip in judges.clips.items():
            scores[name].append(clip(squares, prompts))
    figures: Figures = {"distance.fid": Figure(real.distance(torch.cat(features).double().numpy()))}
    return figures | {f"alignment.{name}": mean_of(torch.cat(parts)) for name, parts in scores.items()}, seen


def subject_of(options: Protocol) -> Generator:
    if options.images:
        return read_images(Path(options.images))
    return load_generator(options.model, options.steps, options.device, options.guidance)


def jobs_of(images: ImageFolder, prompts: list[str]) -> list[tuple[str, int]]:
    """Each prompt with the place of its picture. Raises UserError: a prompt has no picture."""
    places: dict[str, list[int]] = {}
    for place, text in enumerate(images.texts):
        places.setdefault(text.strip(), []).append(place)
    try:
        return [(prompt, places[prompt].pop(0)) for prompt in prompts]
    except (KeyError, IndexError):
        missing = next(one for one in prompts if not places.get(one))
        raise UserError(
            f"{images.path} has too few pictures of “{missing}”: one for each line of captions.txt."
        ) from None


def pictures_of(generator: Generator, jobs: list[tuple[str, int]], part: int = 0, parts: int = 1) -> Iterator[Batch]:
    """Prompts and their pictures, a batch at a time; pictures that an earlier call sampled are read from disk."""
    for group in track(batches(jobs)[part::parts], "sampling and measuring"):
        yield [prompt for prompt, _ in group], load_or_sample(generator, group)


def batches(items: list[Item]) -> list[list[Item]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def reference(files: Files, inception: Inception, choices: dict[str, Any]) -> Gaussian:
    """The Gaussian of all reference pictures; cached on disk for the same files and the same network."""
    side = choices["side"]

    def statistics() -> dict[str, torch.Tensor]:
        features = [
            inception([square(decode(file, file.name), side) for file in group])
            for group in track(batches(files.references), "looking at the references")
        ]
        gaussian = Gaussian.of(torch.cat(features).double().numpy())
        arrays = {"mean": gaussian.mean, "root": gaussian.root, "variance": np.array(gaussian.variance)}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}

    key = [f"{choices[name]} ".encode() for name in ("references", "inception", "side", "resize")]
    found = cached("references", key, statistics)
    return Gaussian(found["mean"].numpy(), found["root"].numpy(), float(found["variance"]))


def mean_of(values: torch.Tensor) -> Figure:
    """The mean, with its 95% interval over prompts."""
    mean, spread = float(values.mean()), float(values.std()) / len(values) ** 0.5
    return Figure(mean, mean - SURE * spread, mean + SURE * spread)


def settings_of(options: Protocol) -> dict[str, Any]:
    elsewhere = {"steps": 0} if options.images else {}  # unknown
    names = {"model": options.called, "split": options.benchmark, "data": str(options.data), "out": options.out.name}
    return asdict(options) | names | elsewhere


def notes_of(options: Protocol, files: Files) -> dict[str, Any]:
    """Notes that belong with the figures; a count is None if the model's folder does not record its captions."""
    count, notes = len(files.prompts), []
    known = None if options.images else trained_on(files.prompts, model_path(options.model))
    if options.limit:
        notes.append(
            f"A rehearsal on {count:,} prompts and {len(files.references):,} reference pictures: not to be compared "
            f"with {options.benchmark}."
        )
    if known:
        notes.append(f"The model was trained on {known:,} of the {count:,} prompts: this is not zero-shot.")
    return {"prompts_trained_on": known, "left_out": " ".join(notes)}
