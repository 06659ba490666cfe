"""Every choice that changes a benchmark's figures: the protocol's, which its id is derived from, and the model's."""

import hashlib
import inspect
import json
from typing import Any

from PIL import Image

from e2ed2.evaluation.generators import ImageFolder, OurModel
from e2ed2.evaluation.protocols.clip_score import PRECISION, PREFIX
from e2ed2.evaluation.protocols.config import Protocol
from e2ed2.evaluation.protocols.files import Files, clip_digest, contents, sha256
from e2ed2.evaluation.protocols.inception import RESIZE
from e2ed2.inference.stock import StockPipeline

SEEDS = "the seed and the prompt's number together, on the CPU"
NOTHING_KNOWN = ("seeds", "guidance", "call", "scheduler", "precision", "device")  # unknown for pictures made elsewhere


def protocol_of(options: Protocol, files: Files) -> dict[str, Any]:
    """The choices that two results must share to be comparable; `protocol` identifies them all."""
    side = options.about.side
    choices: dict[str, Any] = {
        "images": len(files.prompts),
        "real": len(files.references),
        "references": contents(files.references),
        "prompts": sha256(files.captions),
        "inception": sha256(files.inception),
        "resize": RESIZE if side else RESIZE.partition("; then ")[2],
        "side": side,
        "clip": {folder.name: clip_digest(folder) for folder in files.clips},
        "clip_prefix": PREFIX,
        "clip_precision": str(PRECISION).removeprefix("torch."),
        "sampled_from": SEEDS,
    }
    return {"protocol": named(options, choices)} | choices


def named(options: Protocol, choices: dict[str, Any]) -> str:
    """The benchmark's readable name, then a hash of all choices."""
    digest = hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:12]
    rehearsal = f"-rehearsal-{choices['images']}" if options.limit else ""
    return f"{options.benchmark}-clean-{choices['side'] or 'as-it-is'}{rehearsal}-{digest}"


def sampling_of(subject: OurModel | StockPipeline | ImageFolder, seed: int) -> dict[str, Any]:
    """How the pictures were made; unknown for pictures made elsewhere."""
    if isinstance(subject, ImageFolder):
        return dict.fromkeys(NOTHING_KNOWN)
    settings = {"seeds": f"{seed} + the prompt's number, on the CPU", "device": str(subject.pipeline.device)}
    return settings | (ours(subject) if isinstance(subject, OurModel) else theirs(subject))


def ours(model: OurModel) -> dict[str, Any]:
    return {
        "guidance": "none",
        "call": {"num_inference_steps": model.steps},
        "scheduler": {"_class_name": "e2ed2.diffusion.sampler", "levels": "equally far apart, from 1 to 0"},
        "precision": dtype_name(model.pipeline.denoiser.dtype),
    }


def theirs(stock: StockPipeline) -> dict[str, Any]:
    return {
        "guidance": guidance_of(stock),
        "call": stock.options,
        "scheduler": json.loads(stock.pipeline.scheduler.to_json_string()),
        "precision": dtype_name(stock.pipeline.dtype),
    }


def guidance_of(stock: StockPipeline) -> float | str:
    """The guidance scale of the call, or the pipeline's default if the call has none."""
    usual = inspect.signature(stock.pipeline.__call__).parameters.get("guidance_scale")
    return stock.options.get("guidance_scale", usual.default if usual else "none")


def dtype_name(precision: Any) -> str:
    return str(precision).removeprefix("torch.")


class Seen:
    """Accumulates, picture by picture, a hash of all that were measured, and their sizes."""

    def __init__(self) -> None:
        self.digest, self.sizes = hashlib.sha256(), set[tuple[int, int]]()

    def add(self, picture: Image.Image) -> None:
        pixels = picture.convert("RGB")
        self.sizes.add(pixels.size)
        self.digest.update(f"{pixels.size}".encode() + pixels.tobytes())

    def as_choices(self) -> dict[str, Any]:
        smallest, largest = (key(self.sizes, key=lambda size: size[0] * size[1]) for key in (min, max))
        return {"pictures": self.digest.hexdigest(), "sizes": [list(smallest), list(largest)]}
