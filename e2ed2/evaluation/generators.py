"""What makes the pictures to be judged: our models, any diffusers pipeline, or a folder of images."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from e2ed2.data.decode import decode
from e2ed2.data.pictures import square
from e2ed2.data.rows import Row
from e2ed2.data.sources import as_unreadable, read_table, records
from e2ed2.errors import UserError
from e2ed2.evaluation.benchmark import Benchmark, Prompt, Sampled
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.metrics.neighbours import FEWEST
from e2ed2.files import runs_folder
from e2ed2.inference.model import Model
from e2ed2.inference.request import is_stock, model_path
from e2ed2.inference.sampling import load
from e2ed2.inference.saving import TABLE
from e2ed2.inference.stock import StockPipeline, load_stock
from e2ed2.models.components import WEIGHTS, digest
from e2ed2.models.saved import CONFIG
from e2ed2.progress import track

BATCH = 32
TEXTS = ("prompt", "caption", "text")
SHARED = ("codec", "coarse")  # parts that neighbouring models may share
DECISIVE = ("*.safetensors", "*.bin", "*config.json")  # files that change a model's pictures

Read = Callable[[str, Sequence[int]], list[str]]  # (prompt, seeds) => the captions of its pictures, one for each seed


class Generator(Protocol):
    @property
    def fingerprint(self) -> str:
        """A hash of everything that determines a picture apart from prompt and seed."""
        ...

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One picture for each prompt, each from its own seed."""
        ...


@dataclass(frozen=True)
class OurModel:
    """A model of this project. Pictures are sampled in batches: they may differ from those of the pages by rounding."""

    pipeline: Model
    steps: int
    fingerprint: str

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        texts = [prompt.strip() for prompt in prompts]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return self.pipeline.images(texts, self.steps, generators)


@dataclass(frozen=True)
class ImageFolder:
    """Pictures made elsewhere; a picture's seed is its row in the table."""

    path: Path
    texts: list[str]  # the prompt of each picture
    rows: list[Row]
    fingerprint: str = ""

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        return [decode(self.rows[seed].image, self.rows[seed].name) for seed in seeds]

    def of(self, benchmark: Benchmark) -> tuple[list[Prompt], list[int]]:
        """The pictures that the benchmark can judge: each one's prompt and place.

        Raises:
            UserError: too few are of its prompts.
        """
        known = {_folded(prompt.text): prompt for prompt in benchmark.prompts}
        if benchmark.any_prompt:
            known = {_folded(text): Prompt(text) for text in self.texts}
        places = [place for place, text in enumerate(self.texts) if _folded(text) in known]
        if others := [text for text in self.texts if _folded(text) not in known]:
            print(
                f"{len(others)} of {len(self.texts)} pictures in {self.path} have prompts that are not of "
                f"{benchmark.name}, such as “{others[0]}”: they are left out.",
                flush=True,
            )
        if len(places) < FEWEST:
            raise UserError(
                f"{len(places)} pictures in {self.path} have a prompt of {benchmark.name} (such as "
                f"“{benchmark.prompts[0].text}”): at least {FEWEST} are needed. Choose another --split, or compare "
                "with pictures of your own: --data FOLDER."
            )
        return [known[_folded(self.texts[place])] for place in places], places


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def load_generator(model: str, steps: int, device: str = "", guidance: float | None = None) -> OurModel | StockPipeline:
    """A bundled model or a training by its name, any of ours by its folder, or any diffusers pipeline by its folder or
    its id on a hub.

    Raises:
        UserError: there is none, it is damaged, it takes no prompt, or no guidance.
    """
    folder = model_path(model)
    mark = fingerprint(folder, steps) + (f"-guidance-{guidance:g}" if guidance is not None else "")
    if not ours(folder):
        return load_stock(folder, steps, guidance, device, mark)
    if guidance is not None:
        raise UserError(f"{model} has no guidance: leave --guidance out.")
    return OurModel(load(model, device=device), steps, mark)


def ours(folder: Path) -> bool:
    return not is_stock(folder)


def fingerprint(folder: Path, steps: int) -> str:
    """A hash of the weights (shared ones included), of how they are used, and of the number of steps."""
    beside = {file for part in SHARED for name in (WEIGHTS, CONFIG) if (file := folder.parent / part / name).is_file()}
    files = sorted({*(file for kind in DECISIVE for file in folder.rglob(kind)), *beside})
    content = hashlib.sha256(" ".join([str(steps), *map(digest, files)]).encode())
    return f"{folder.name}-{steps}-{content.hexdigest()[:12]}"


def read_images(folder: Path) -> ImageFolder:
    """A folder of pictures with their prompts: as a data folder has them, or as `sample` writes them.

    Raises:
        UserError: there is no such folder, or no table in it that says what each picture is of.
    """
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder}: give one with pictures and a metadata.csv (columns file_name, prompt)."
        )
    with as_unreadable(str(folder)):
        rows = _sampled(folder) if (folder / TABLE).is_file() else list(read_table(str(folder), "image").rows)
    column = next((name for name in TEXTS if any(row.fields.get(name) for row in rows)), "")
    if not column:
        raise UserError(f"The table in {folder} has no column prompt, caption or text: add what each picture is of.")
    if missing := [row.name for row in rows if not str(row.fields.get(column) or "").strip()]:
        raise UserError(f"{missing[0]} in {folder} has no {column}: fill it in, or take the picture out of the table.")
    return ImageFolder(folder, [str(row.fields[column]) for row in rows], rows)


def _sampled(folder: Path) -> list[Row]:
    lines = records(folder / TABLE)
    if unnamed := [number for number, line in enumerate(lines, 1) if not line.get("file")]:
        raise ValueError(f"line {unnamed[0]} of {TABLE} names no file")
    return [Row(line["file"], folder / line["file"], line) for line in lines]


def sample_for(
    benchmark: Benchmark, generator: Generator, encoder: HeldOutEncoder, seed: int, read: Read | None = None
) -> Sampled:
    """One picture for each of its prompts, the first from `seed`, the next from those that follow.

    Args:
        read: what is sampled instead of a prompt: a reader that turns anybody's words into known captions.
    """

    def pictures(texts: Sequence[str], count: int = 1) -> np.ndarray:
        return sample_all(generator, texts, range(seed, seed + count * len(texts)), benchmark.side, read)

    if isinstance(generator, ImageFolder):
        prompts, places = generator.of(benchmark)
        images, more = sample_all(generator, [prompt.text for prompt in prompts], places, benchmark.side), None
    else:
        prompts, more = benchmark.prompts, pictures
        images = pictures([prompt.text for prompt in prompts])
    return Sampled(prompts, images, encoder.of(images, "the sampled pictures"), more)


def sample_all(
    generator: Generator, prompts: Sequence[str], seeds: Sequence[int], side: int, read: Read | None = None
) -> np.ndarray:
    """As many pictures of each prompt as there are seeds for it.

    Returns:
        uint8 `[len(seeds), side, side, 3]`; batches that an earlier call sampled are read back from disk.
    """
    each = len(seeds) // len(prompts)
    shares = [(prompt, seeds[each * i : each * (i + 1)]) for i, prompt in enumerate(prompts)]
    texts = [text for prompt, own in shares for text in (read(prompt, own) if read else [prompt] * each)]
    images = []
    for start in track(range(0, len(texts), BATCH), "sampling"):
        jobs = list(zip(texts[start : start + BATCH], seeds[start : start + BATCH], strict=True))
        images += [square(image.convert("RGB"), side) for image in load_or_sample(generator, jobs)]
    return np.stack(images)


def load_or_sample(generator: Generator, jobs: list[tuple[str, int]]) -> list[Image.Image]:
    """The pictures of a batch of prompts and seeds: read from an earlier call's files if all exist, else sampled."""
    if not generator.fingerprint:
        return generator(*zip(*jobs, strict=True))
    folder = runs_folder() / "evaluation" / generator.fingerprint
    files = [folder / f"{hashlib.sha256(f'{seed} {text}'.encode()).hexdigest()[:16]}.png" for text, seed in jobs]
    if not all(file.is_file() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        for file, image in zip(files, generator(*zip(*jobs, strict=True)), strict=True):
            partial = file.with_suffix(".partial")
            image.save(partial, "PNG")
            partial.rename(file)
    return [Image.open(file) for file in files]
