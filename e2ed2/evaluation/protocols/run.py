"""One model on one benchmark of the field, as a JSON file with every choice that changes a number."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from e2ed2.data.cache import cached
from e2ed2.data.decode import decode
from e2ed2.errors import UserError
from e2ed2.evaluation.generators import BATCH, Generator, ImageFolder, kept, load_generator, read_images
from e2ed2.evaluation.metrics.figure import SURE, Figure, Figures
from e2ed2.evaluation.metrics.frechet import Gaussian
from e2ed2.evaluation.protocols.clip_score import PREFIX, ClipScore
from e2ed2.evaluation.protocols.config import Protocol
from e2ed2.evaluation.protocols.files import Files, find_files, listing, sha256
from e2ed2.evaluation.protocols.inception import RESIZE, Inception, square
from e2ed2.evaluation.results import Result, as_result, check_out, write_result
from e2ed2.inference.device import pick_device
from e2ed2.progress import track

Item = TypeVar("Item")


def measure(options: Protocol) -> Result | None:
    """The figures, also written to `options.out`; None for a shard, which samples its part and measures nothing.

    Raises:
        UserError: something that the benchmark needs is missing, or the model is.
    """
    files = find_files(options)
    check_out(options.out)
    subject = subject_of(options)
    jobs = [(prompt, options.seed + number) for number, prompt in enumerate(files.prompts)]
    if isinstance(subject, ImageFolder):
        jobs = jobs_of(subject, files.prompts)
    part, parts = options.part
    if options.shard:
        for _ in pictures_of(subject, jobs, part, parts):
            pass
        return None
    device = pick_device(options.device)
    inception = Inception(files.inception, device)
    real = reference(files, inception, options.about.side)
    clips = {folder.name: ClipScore(folder, device) for folder in files.clips}
    features, scores = [], {name: [] for name in clips}
    for prompts, pictures in pictures_of(subject, jobs):
        squares = [square(picture, options.about.side) for picture in pictures]
        features.append(inception(squares))
        for name, clip in clips.items():
            scores[name].append(clip(squares, prompts))
    figures: Figures = {"distance.fid": Figure(real.distance(torch.cat(features).double().numpy()))}
    figures |= {f"alignment.{name}": mean_of(torch.cat(parts)) for name, parts in scores.items()}
    result = as_result(settings_of(options), choices_of(options, files, subject, len(jobs)), figures) | {"ceilings": {}}
    write_result(result, options.out)
    return result


def subject_of(options: Protocol) -> Generator:
    if options.images:
        return read_images(Path(options.images))
    return load_generator(options.model, options.steps, options.device, options.guidance)


def jobs_of(images: ImageFolder, prompts: list[str]) -> list[tuple[str, int]]:
    """Each prompt with the place of its picture. Raises UserError: a prompt has none."""
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


def pictures_of(
    generator: Generator, jobs: list[tuple[str, int]], part: int = 0, parts: int = 1
) -> Iterator[tuple[list[str], list[Image.Image]]]:
    """Prompts and their pictures, a batch at a time; what an earlier call sampled is read again."""
    for group in track(batches(jobs)[part::parts], "sampling and measuring"):
        yield [prompt for prompt, _ in group], kept(generator, group)


def batches(items: list[Item]) -> list[list[Item]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def reference(files: Files, inception: Inception, side: int) -> Gaussian:
    """Of all reference pictures; kept on disk."""

    def statistics() -> dict[str, torch.Tensor]:
        features = [
            inception([square(decode(file, file.name), side) for file in group])
            for group in track(batches(files.references), "looking at the references")
        ]
        gaussian = Gaussian.of(torch.cat(features).double().numpy())
        arrays = {"mean": gaussian.mean, "root": gaussian.root, "variance": np.array(gaussian.variance)}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}

    key = [listing(files.references).encode(), sha256(files.inception).encode(), f"{side} {RESIZE}".encode()]
    found = cached("references", key, statistics)
    return Gaussian(found["mean"].numpy(), found["root"].numpy(), float(found["variance"]))


def mean_of(values: torch.Tensor) -> Figure:
    """With its 95% interval over prompts."""
    mean, spread = float(values.mean()), float(values.std()) / len(values) ** 0.5
    return Figure(mean, mean - SURE * spread, mean + SURE * spread)


def settings_of(options: Protocol) -> dict[str, Any]:
    elsewhere = {"steps": 0} if options.images else {}  # nobody told us
    names = {"model": options.called, "split": options.benchmark, "data": str(options.data), "out": options.out.name}
    return asdict(options) | names | elsewhere


def choices_of(options: Protocol, files: Files, subject: Generator, count: int) -> dict[str, Any]:
    whole = not options.limit or count == options.about.prompts
    guidance = getattr(subject, "options", {}).get("guidance_scale")
    return {
        "protocol": f"{options.benchmark}-clean-{options.about.side}" + ("" if whole else f"-rehearsal-{count}"),
        "images": count,
        "real": len(files.references),
        "references": listing(files.references),
        "prompts": sha256(files.captions),
        "inception": sha256(files.inception),
        "resize": RESIZE if options.about.side else RESIZE.partition("; then ")[2],
        "side": options.about.side,
        "clip": [folder.name for folder in files.clips],
        "clip_prefix": PREFIX,
        "seeds": f"{options.seed} + the prompt's number, on the CPU",
        "guidance": "the pipeline's own" if guidance is None else guidance,
        "weights": subject.fingerprint,
        "left_out": "" if whole else f"A rehearsal on {count} prompts: not to be compared with {options.benchmark}.",
    }
