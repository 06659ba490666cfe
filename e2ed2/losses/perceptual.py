"""LPIPS (Zhang et al. 2018), with weights that come from the package registry.

torchvision's AlexNet is a download from elsewhere, so the backbone and the linear heads are those of
ST-LPIPS (Ghildyal and Liu 2022), read from the package `stlpips-pytorch` and put into `lpips.LPIPS`.
"""

import hashlib
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import lpips
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from e2ed2.errors import UserError

Net = Literal["alex", "vgg"]

SHA256 = {
    "alex": "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    "vgg": "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
}


class PerceptualLoss(nn.Module):
    """LPIPS distance between two batches of images, each `[B, 3, H, W]` in [-1, 1], H and W >= 32.

    `net="alex"` is for training. `"vgg"` is held out for evaluation: never train on it.
    """

    def __init__(self, net: Net = "alex"):
        super().__init__()
        self.distance = without_weights(net)
        self.distance.load_state_dict(renamed(load_weights(net), self.distance.state_dict()), assign=True)
        for name in [name for name, _ in self.distance.named_children() if name.startswith("lin") and name != "lins"]:
            delattr(self.distance, name)  # a second name for `lins`: a checkpoint would warn about it
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Distance of each pair, `[B]`, >= 0; 0 for equal images."""
        return self.distance(images, targets).flatten()

    def features(self, images: Tensor) -> list[Tensor]:
        """The network's layers, `[B, C, h, w]` each, scaled to unit length at every place."""
        return [lpips.normalize_tensor(layer) for layer in self.distance.net(self.distance.scaling_layer(images))]

    def embedding(self, images: Tensor, grid: int = 4) -> Tensor:
        """Features `[B, D]` whose squared distance is LPIPS, except that each layer is averaged over `grid` x `grid`
        parts of the picture: that much layout is kept, and D is 1,152 grid^2 whatever the picture's size (AlexNet).
        """
        parts, heads = [], list[Any](self.distance.lins)
        for layer, head in zip(self.features(images), heads, strict=True):
            weights = head.model[-1].weight.clamp(min=0).sqrt().view(1, -1, 1, 1)
            parts.append(F.adaptive_avg_pool2d(layer * weights, grid).flatten(1) / grid)
        return torch.cat(parts, dim=1)

    def train(self, mode: bool = True) -> "PerceptualLoss":
        """Always in evaluation mode: the metric is a constant."""
        return super().train(False)


def without_weights(net: Net) -> lpips.LPIPS:
    """Shapes only: torchvision would draw 138 million weights of VGG, most of them of layers that LPIPS drops."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", UserWarning)  # lpips still calls torchvision by its former argument names
        distance = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    distance.scaling_layer = lpips.ScalingLayer()
    return distance


def renamed(weights: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """ST-LPIPS's weights under LPIPS's names.

    Its blur filters (`filt`) shift the layer numbers but not the layers' order, and LPIPS lists its linear
    heads twice (`lin0`, `lins.0`).
    """
    layers = [key for key in weights if key.startswith("net.") and not key.endswith("filt")]
    names = [key for key in wanted if key.startswith("net.")]
    backbone = {name: weights[layer] for name, layer in zip(names, layers, strict=True)}
    heads = {key: weights[key.replace("lins.", "lin")] for key in wanted if key.startswith("lin")}
    constants = {key: value for key, value in wanted.items() if key.startswith("scaling_layer")}
    return backbone | heads | constants


@cache
def load_weights(net: Net) -> dict[str, Tensor]:
    """State dict for `lpips.LPIPS(net=net)`. The file is trusted by its hash."""
    spec = find_spec("stlpips_pytorch")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("The perceptual weights are missing: run `pip install -r requirements.txt`.")
    file = Path(spec.submodule_search_locations[0]) / "weights" / "vST0.0" / f"{net}_shift_tolerant.pth"
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != SHA256[net]:
        raise UserError(
            f"{file} is not the file this project was tested with: "
            "reinstall `stlpips-pytorch` as requirements.txt pins it."
        )
    return torch.load(file, map_location="cpu", weights_only=True)
