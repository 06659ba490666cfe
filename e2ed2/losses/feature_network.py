"""Frozen networks whose features a discriminator's heads look at: by name, from a folder or a hub."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from e2ed2.errors import UserError
from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.losses.spec import OFFLINE_CRITIC
from e2ed2.models.hub import network_place

LAYERS = 4  # layers of a transformer, evenly spaced
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, for networks that do not state their own
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, RuntimeError)


class AlexNetFeatures(nn.Module):
    """The five layers that LPIPS compares."""

    def __init__(self) -> None:
        super().__init__()
        self.network = PerceptualLoss()
        heads: Any = self.network.distance.lins
        self.widths: list[int] = [head.model[-1].in_channels for head in heads]

    def forward(self, images: Tensor) -> list[Tensor]:
        """`[B, 3, H, W]` in [-1, 1] => features `[B, C, h, w]` of each layer."""
        return self.network.features(images)


class TransformerFeatures(nn.Module):
    """Hidden states of a vision transformer of transformers (DINOv2, CLIP's image tower), as maps."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: Any, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD):
        super().__init__()
        self.network, config = network, network.config
        depth = config.num_hidden_layers
        self.layers = sorted({round(depth * (i + 1) / LAYERS) for i in range(LAYERS)})
        self.widths = [config.hidden_size] * len(self.layers)
        self.grid = min(config.image_size, 224) // config.patch_size
        self.side = self.grid * config.patch_size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """`[B, 3, H, W]` in [-1, 1] => features `[B, C, h, w]` of each layer."""
        pixels = F.interpolate((images + 1) / 2, size=(self.side, self.side), mode="bilinear", antialias=True)
        size = {} if self.side == self.network.config.image_size else {"interpolate_pos_encoding": True}
        states = self.network((pixels - self.mean) / self.std, output_hidden_states=True, **size).hidden_states
        patches = [states[layer][:, -(self.grid**2) :] for layer in self.layers]  # after class and register tokens
        return [one.mT.unflatten(2, (self.grid, self.grid)) for one in patches]


def feature_network(name: str) -> AlexNetFeatures | TransformerFeatures:
    """`alexnet`, or a vision transformer by its folder or its id on a hub; frozen.

    Raises:
        UserError: there is none, or it has no hidden states of patches.
    """
    if name == OFFLINE_CRITIC:
        return AlexNetFeatures().requires_grad_(False)
    place = network_place(name, "vision transformer")
    try:
        from transformers import AutoModel

        network: Any = AutoModel.from_pretrained(place, torch_dtype=torch.float32)
        network = getattr(network, "vision_model", network).eval()  # the image half of CLIP
        features = TransformerFeatures(network, *normalisation(place)).requires_grad_(False)
        with torch.no_grad():
            features(torch.zeros(1, 3, 64, 64))
        return features
    except BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"There is no vision transformer {name!r} ({reason}): give its folder or its id on a hub, such as "
            f"facebook/dinov2-small, or {OFFLINE_CRITIC}, which is here."
        ) from error


def normalisation(place: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the pixels that a network was trained on."""
    from transformers import AutoImageProcessor

    try:
        processor: Any = AutoImageProcessor.from_pretrained(place)
        return tuple(processor.image_mean), tuple(processor.image_std)
    except BROKEN:  # no such file beside the weights
        return MEAN, STD
