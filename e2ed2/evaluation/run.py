"""One model at one number of steps on one split, as a JSON file with every choice that changes a number."""

import hashlib
import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from e2ed2.errors import UserError
from e2ed2.evaluation.features.held_out import ENCODER, HeldOutEncoder, deepest
from e2ed2.evaluation.metrics.retrieval import STYLES, align, load_head
from e2ed2.evaluation.metrics.variety import diversity_ratio, nearest_distance
from e2ed2.evaluation.prompts import Prompt, drawings, prompts_of
from e2ed2.files import runs_folder
from e2ed2.inference.pipeline import E2ED2Pipeline
from e2ed2.inference.request import Request, available_models, load, paint
from e2ed2.models.minilm import TextEncoder
from e2ed2.models.weights import WEIGHTS

KID = {
    "kid_subsets": 50,
    "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3,
    "kid_kernel_poly_gamma": None,
    "kid_kernel_poly_coef0": 1,
    "rng_seed": 2020,
    "verbose": False,
}
PRC = {"prc_neighborhood": 3, "prc_batch_size": 10_000, "save_cpu_ram": False, "verbose": False}


@dataclass(frozen=True)
class Evaluate:
    """Measure a model: distance to real pictures, alignment, variety, cost. Called again, it goes on."""

    model: str
    """A bundled model's name, or a model's folder."""
    label: str = ""
    """What the file calls the model; as above where empty."""
    steps: int = 4
    split: str = "combo"
    """`train`, `combo` (a seen thing in an unseen style), `concept` (an unseen thing) or `visitor` (own words)."""
    limit: int = 500
    """Prompts at most."""
    seed: int = 0
    """Of the choice of prompts; prompt number i is painted with seed + i."""
    captions: int = 24
    """Captions without a style for the diversity ratio, four samples each; 0 leaves the ratio out."""
    nearest: int = 100
    """Pictures whose nearest training drawing is looked for; 0 leaves the distance out."""
    out: Path = Path("evaluation.json")
    device: str = ""
    """cpu, cuda, cuda:1 or mps; the best there is by default, or $E2ED2_DEVICE."""

    def __post_init__(self) -> None:
        check_limit(self.limit)


def check_limit(limit: int) -> None:
    """Each picture needs that many others as neighbours."""
    fewest = PRC["prc_neighborhood"] + 1
    if limit < fewest:
        raise UserError(f"A limit of {limit} is too small for precision and recall: choose at least {fewest}.")


def evaluate(options: Evaluate) -> dict[str, Any]:
    """All figures, the settings and the choices behind them; also written to `options.out`."""
    pipeline = load(options.model, device=options.device)
    prompts = prompts_of(options.split, options.limit, options.seed)
    folder = runs_folder() / "evaluation" / fingerprint(options)
    pictures = paint_all(pipeline, options, prompts, folder / "prompts")
    encoder = HeldOutEncoder()
    features = encoder.of(pictures, "the model's pictures")
    training = drawings("train")
    training_features = encoder.of(training.images, "the training drawings")
    real = drawings("combo") if options.split == "combo" else training
    real_features = encoder.of(real.images, "the real drawings")
    result = {
        "settings": asdict(options) | {"model": options.label or options.model, "out": str(options.out)},
        "choices": {
            "encoder": ENCODER,
            "kid": KID,
            "prc": PRC,
            "painted": len(pictures),
            "real": len(real),
            "weights": fingerprint(options),
        },
        "distance": distances(features, real_features),
        "alignment": alignment(features, prompts),
        "diversity_ratio": variety(encoder, pipeline, options, folder / "variety") if options.captions else None,
        "nearest_training_lpips": nearest_distance(
            encoder, pictures[: options.nearest], features[: options.nearest], training.images, training_features
        )
        if options.nearest
        else None,
        "cost": cost(pipeline, options.steps),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    return result


def fingerprint(options: Evaluate) -> str:
    """Of the weights and of the settings that change a picture."""
    folder = available_models().get(options.model, Path(options.model))
    digest = hashlib.sha256(json.dumps([options.steps, options.split, options.seed]).encode())
    for file in sorted({*folder.rglob(WEIGHTS), *folder.parent.glob(f"*/{WEIGHTS}")}):
        digest.update(file.read_bytes())
    return f"{folder.name}-{options.steps}-{options.split}-{digest.hexdigest()[:12]}"


def paint_all(pipeline: E2ED2Pipeline, options: Evaluate, prompts: list[Prompt], folder: Path) -> np.ndarray:
    """uint8 `[N, H, W, 3]`; what an earlier call painted is read again."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for i, prompt in enumerate(track(prompts, "painting")):
        file = folder / f"{i:05d}.png"
        if not file.is_file():
            image = paint(pipeline, Request(prompt.text, options.model, options.steps, options.seed + i))
            partial = file.with_suffix(".partial")
            image.save(partial, "PNG")
            partial.rename(file)
        pictures.append(np.asarray(Image.open(file)))
    return np.stack(pictures)


def distances(features: Tensor, real: Tensor) -> dict[str, float]:
    """Frechet distance, KID, precision and recall in the deepest layer of the held-out encoder.

    In units of the real features' root mean square: KID's polynomial kernel expects numbers about 1.
    """
    scale = deepest(real).square().mean().sqrt()
    ours, theirs = deepest(features) / scale, deepest(real) / scale
    size = min(len(ours), len(theirs), 1000)
    fd = fid_statistics_to_metric(*(fid_features_to_statistics(x.double()) for x in (ours, theirs)), verbose=False)
    kid = kid_features_to_metric(ours, theirs, kid_subset_size=size, **KID)
    prc = prc_features_to_metric(ours, theirs, **PRC)
    return {
        "fd": float(next(iter(fd.values()))),
        "kid": kid["kernel_inception_distance_mean"],
        "precision": float(prc["precision"]),
        "recall": float(prc["recall"]),
    }


def concept_names() -> list[str]:
    """Every concept of the bundled set, seen in training or not."""
    return sorted({name for split in ("train", "combo", "concept") for name in drawings(split).captions})


def alignment(features: Tensor, prompts: list[Prompt]) -> dict[str, float | None]:
    names = concept_names()
    concepts = torch.tensor([names.index(prompt.concept) for prompt in prompts])
    styled = all(prompt.style for prompt in prompts)
    styles = torch.tensor([STYLES.index(prompt.style) for prompt in prompts]) if styled else None
    return asdict(align(load_head(), features, concepts, styles, TextEncoder()(names).pooled))


def variety(
    encoder: HeldOutEncoder, pipeline: E2ED2Pipeline, options: Evaluate, folder: Path, samples: int = 4
) -> float:
    """Diversity ratio over things that at least five artists drew, asked for without a style."""
    training = drawings("train")
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(training.captions):
        rows[name].append(row)
    names = sorted(name for name, of_it in rows.items() if len(of_it) >= 5)
    chosen = np.random.default_rng(options.seed).permutation(names)[: options.captions]
    prompts = [Prompt(str(name), str(name), "") for name in chosen for _ in range(samples)]
    painted = paint_all(pipeline, options, prompts, folder)
    return diversity_ratio(encoder, np.split(painted, len(chosen)), [training.images[rows[name]] for name in chosen])


def cost(pipeline: E2ED2Pipeline, steps: int, repeats: int = 7) -> dict[str, float]:
    """FLOPs and the median time of one picture on this machine, caption and decoding included."""
    with FlopCounterMode(display=False) as counter:
        pipeline("red apple", steps, torch.Generator().manual_seed(0))
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        pipeline("red apple", steps, torch.Generator().manual_seed(0))
        times.append(time.perf_counter() - started)
    return {"gflop": counter.get_total_flops() / 1e9, "seconds": float(np.median(times))}
