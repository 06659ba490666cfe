"""What a preference sees of a picture: a frozen network's features, and coarse colours by place."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from e2ed2.losses.perceptual import Net, PerceptualLoss

SQUARES = 4  # per side, whose mean colours are features


class ImageFeatures(nn.Module):
    """`[B, 3, H, W]` in [-1, 1], H and W >= 32 => `[B, size]`; a constant that passes the gradient.

    Of each channel of each layer of LPIPS's network its mean and its standard deviation over the places, and the mean
    colours of 4 x 4 squares.
    """

    def __init__(self, net: Net = "alex"):
        super().__init__()
        self.perceptual = PerceptualLoss(net)
        channels = self.perceptual.distance.chns
        self.kinds = [*channels, *channels, 3 * SQUARES**2]  # the number of features of each kind, in order
        self.size = sum(self.kinds)

    def forward(self, images: Tensor) -> Tensor:
        layers = self.perceptual.features(images)
        spread = [layer.flatten(2).var(dim=2, correction=0).add(1e-8).sqrt() for layer in layers]
        means = [layer.mean(dim=(2, 3)) for layer in layers]
        return torch.cat([*means, *spread, F.adaptive_avg_pool2d(images, SQUARES).flatten(1)], dim=1)
