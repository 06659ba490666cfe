"""Features of an encoder that no training here has seen: the VGG of ST-LPIPS."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from e2ed2.assets import EMOJI_FEATURES
from e2ed2.data.cache import cached
from e2ed2.data.pictures import to_tensor
from e2ed2.device import pick_device
from e2ed2.losses.perceptual import SHA256, PerceptualLoss
from e2ed2.progress import track

LAYERS = (2, 3, 4)  # relu3_3, relu4_3, relu5_3
WIDTHS = (256, 512, 512)
CELLS = 2  # features are means over each quarter of a picture: where a thing is says what it is
SIZE = sum(WIDTHS) * CELLS**2
ENCODER = "VGG16 of stlpips-pytorch, relu3_3 + relu4_3 + relu5_3, mean over each quarter, no resize"
CHUNK = 32


class HeldOutEncoder:
    """Pictures to `[N, 5120]`; the last 2048 are those of the deepest layer."""

    def __init__(self, device: str = ""):
        """`device`: the best available one by default, as everywhere."""
        self.device = pick_device(device)

    @property
    def metric(self) -> PerceptualLoss:
        return _vgg(self.device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """`[B, 3, H, W]` in [-1, 1], on any device => features `[B, 5120]`, on the CPU."""
        layers = self.metric.distance.net(self.metric.distance.scaling_layer(images.to(self.device)))
        return torch.cat([F.adaptive_avg_pool2d(layers[i], CELLS).flatten(1) for i in LAYERS], dim=1).cpu()

    def of(self, pictures: np.ndarray, what: str = "pictures") -> Tensor:
        """uint8 `[N, H, W, 3]` => features `[N, 5120]`, as float16 keeps them on disk by the pictures' content."""
        key = [fingerprint(pictures).encode()]
        return cached("features", key, lambda: {"all": self._all(pictures, what).half()})["all"].float()

    def deepest_of(self, pictures: np.ndarray, what: str = "pictures", shipped: Path = EMOJI_FEATURES) -> Tensor:
        """uint8 `[N, H, W, 3]` => `[N, 512]`, what `deepest` gives, as float16 keeps it.

        The features of the bundled drawings ship with the project; those of other pictures are cached on disk.
        """
        key = fingerprint(pictures)
        deep = _shipped(shipped, key)
        if deep is None:
            deep = cached("deepest", [key.encode()], lambda: {"all": deepest(self._all(pictures, what)).half()})["all"]
        return deep.float()

    def _all(self, pictures: np.ndarray, what: str) -> Tensor:
        chunks = range(0, len(pictures), CHUNK)
        batches = (to_tensor(pictures[i : i + CHUNK], self.device) for i in track(chunks, f"looking at {what}"))
        return torch.cat([self(images) for images in batches])

    def distances(self, pairs: list[tuple[np.ndarray, np.ndarray]], what: str = "pairs") -> Tensor:
        """LPIPS of each pair of uint8 `[H, W, 3]` pictures, `[len(pairs)]`, kept on disk like the features."""
        digest = hashlib.sha256()
        for side in (side for pair in pairs for side in pair):
            digest.update(np.ascontiguousarray(side).data)
        key = [ENCODER.encode(), SHA256["vgg"].encode(), digest.digest()]
        return cached("distances", key, lambda: {"distances": self._between(pairs, what)})["distances"]

    @torch.no_grad()
    def _between(self, pairs: list[tuple[np.ndarray, np.ndarray]], what: str) -> Tensor:
        parts = []
        for i in track(range(0, len(pairs), CHUNK), f"comparing {what}"):
            left, right = (to_tensor(np.stack(side), self.device) for side in zip(*pairs[i : i + CHUNK], strict=True))
            parts.append(self.metric(left, right).cpu())
        return torch.cat(parts)


@cache
def _vgg(device: torch.device) -> PerceptualLoss:
    """The network, loaded once per process: loading takes longer than encoding a few pictures."""
    return PerceptualLoss("vgg").to(device)


def fingerprint(pictures: np.ndarray) -> str:
    """A hash of the pictures and of the encoder."""
    digest = hashlib.sha256(f"{ENCODER} {SHA256['vgg']} {pictures.shape}".encode())
    digest.update(np.ascontiguousarray(pictures).data)
    return digest.hexdigest()


def _shipped(file: Path, key: str) -> Tensor | None:
    if not file.is_file():
        return None
    with safe_open(file, "pt") as tensors:
        return tensors.get_tensor(key) if key in tensors.keys() else None  # noqa: SIM118, it is no dict


def deepest(features: Tensor) -> Tensor:
    """The deepest layer's mean over the picture, `[N, 512]`: what the distances between distributions use."""
    return features[:, -WIDTHS[-1] * CELLS**2 :].unflatten(1, (WIDTHS[-1], CELLS**2)).mean(dim=2)
