"""Scores of how well pictures fit prompts: each is imported, and its weights loaded, on demand.

CLIP (Hessel et al. 2021) and PickScore (Kirstain et al. 2023) are CLIP models of transformers, in folders; HPSv2 (Wu et
al. 2023) and ImageReward (Xu et al. 2023) are packages of their own, whose old requirements call for another
environment.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from e2ed2.errors import UserError
from e2ed2.evaluation.protocols.clip_score import ClipScore
from e2ed2.evaluation.protocols.config import CLIP
from e2ed2.evaluation.protocols.files import CLIP_FROM, needed

Score = Callable[[Sequence[Image.Image], Sequence[str]], Tensor]  # (N pictures, N prompts) => [N], larger is better
PICK = "PickScore_v1"
PICK_FROM = "huggingface.co/yuvalkirstain/PickScore_v1"
VERSIONS = {"hpsv2": "v2.1", "imagereward": "ImageReward-v1.0"}
PACKAGES = {"hpsv2": ("hpsv2", "hpsv2"), "imagereward": ("ImageReward", "image-reward")}  # import, install


def score_of(name: str, weights: Path, device: torch.device) -> Score:
    """
    Args:
        name: clip, pickscore, hpsv2 or imagereward.
        weights: the folder that the models are in.

    Raises:
        UserError: its package or its weights are missing; the message says what goes where.
    """
    if name == "clip":
        return ClipScore(needed(weights / CLIP, f"all files of {CLIP_FROM}"), device)
    if name == "pickscore":
        return PickScore(needed(weights / PICK, f"all files of {PICK_FROM}"), device)
    package = imported(name)
    return hps(package) if name == "hpsv2" else image_reward(package, weights, device)


class PickScore(ClipScore):
    """A CLIP model fine-tuned on people's choices: the cosine times the learned temperature."""

    prefix = ""

    def __call__(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> Tensor:
        return super().__call__(pictures, prompts) * self.model.logit_scale.exp().item()


def imported(name: str) -> Any:
    """The package of a score. Raises UserError: it is not installed."""
    module, package = PACKAGES[name]
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f"{name} is not installed ({error}): run `pip install {package}` in an environment of its own, and judge "
            "there the pictures that this command wrote, or leave the score out."
        ) from error


def hps(package: Any) -> Score:
    def score(pictures: Sequence[Image.Image], prompts: Sequence[str]) -> Tensor:
        version = VERSIONS["hpsv2"]
        pairs = zip(pictures, prompts, strict=True)
        return torch.tensor([float(package.score(picture, text, hps_version=version)[0]) for picture, text in pairs])

    return score


def image_reward(package: Any, weights: Path, device: torch.device) -> Score:
    model = package.load(VERSIONS["imagereward"], device=device, download_root=str(weights / "ImageReward"))

    def score(pictures: Sequence[Image.Image], prompts: Sequence[str]) -> Tensor:
        return torch.tensor([float(model.score(text, one)) for one, text in zip(pictures, prompts, strict=True)])

    return score
