"""Features for FID as clean-fid computes them (Parmar et al. 2022), with the layers of torch-fidelity's Inception."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

SIDE = 299
WIDTH = 2048
RESIZE = "centre crop, Lanczos; then bicubic with antialiasing to 299, a channel at a time in float32, clipped"


class Inception:
    """Pictures to the 2048 pooled features."""

    def __init__(self, weights: Path, device: torch.device):
        self.layers, self.device = layers_of(weights).to(device).eval(), device

    @torch.no_grad()
    def __call__(self, pictures: Sequence[Image.Image]) -> Tensor:
        """`N` RGB pictures => `[N, 2048]` on the CPU."""
        images = torch.stack([clean(picture) for picture in pictures]).to(self.device)
        return self.layers((images - 128) / 128).flatten(1).float().cpu()


def layers_of(weights: Path) -> nn.Module:
    """All layers but the classifier, in execution order. The file's hash has been checked."""
    network = FeatureExtractorInceptionV3("inception", [str(WIDTH)], feature_extractor_weights_path=str(weights))
    return nn.Sequential(*list(network.children())[:-1])


def clean(picture: Image.Image) -> Tensor:
    """`[3, 299, 299]` in [0, 255], not rounded."""
    channels = [
        np.asarray(channel.convert("F").resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for channel in picture.split()
    ]
    return torch.from_numpy(np.stack(channels)).clamp(0, 255)


def square(picture: Image.Image, side: int) -> Image.Image:
    """The central square, resized to `side` pixels with Lanczos; the picture unchanged if `side` is 0."""
    if not side:
        return picture.convert("RGB")
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    cropped = picture.convert("RGB").crop((left, top, left + short, top + short))
    return cropped.resize((side, side), Image.Resampling.LANCZOS)
