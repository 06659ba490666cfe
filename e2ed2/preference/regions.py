"""Where in an image a preference looks."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from e2ed2.preference.model import Preference

BLUR = 1 / 50  # standard deviation, as a share of an image's side: a single pixel's gradient is mostly noise
GLOW = (255, 96, 0)
THICKEST = 225  # out of 255, the maximum opacity of the glow


def sensitivity(preference: Preference, images: Tensor, pooled: Tensor) -> Tensor:
    """How much the score depends on each place: input gradients, smoothed (Simonyan et al. 2014).

    Args:
        images: `[B, 3, H, W]` in [-1, 1].
        pooled: `[B, width]` embeddings of their captions.

    Returns:
        `[B, H, W]` in [0, 1], the largest of each image 1: the length over the colours of the gradient of the score,
        which is the mean over members and questions.
    """
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(preference(images, pooled).mean(dim=(0, 2)).sum(), images)
    deviation = max(1.0, BLUR * images.shape[-1])
    kernel = 2 * round(3 * deviation) + 1
    smooth = gaussian_blur(gradient.norm(dim=1, keepdim=True), [kernel, kernel], [deviation, deviation])[:, 0]
    return smooth / smooth.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)


def glow(where: Tensor) -> Image.Image:
    """A layer to lay over an image: the more the score depends on a place, `[H, W]` in [0, 1], the less is seen."""
    layer = np.empty((*where.shape, 4), np.uint8)
    layer[..., :3] = GLOW
    layer[..., 3] = (where.cpu().numpy() * THICKEST).astype(np.uint8)
    return Image.fromarray(layer)
