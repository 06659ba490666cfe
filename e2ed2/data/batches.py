"""Which pictures update k sees: a pure function of (seed, k), so that resuming needs no saved order."""

import torch
from torch import Tensor
from torch.nn import functional as F

from e2ed2.data.pictures import Pictures
from e2ed2.types import Batch


def rows(step: int, batch_size: int, count: int, seed: int) -> Tensor:
    """Indices of update `step`, `[batch_size]`: a new permutation of `count` pictures each epoch."""
    first = step * batch_size
    positions = torch.arange(first, first + batch_size)
    picked = torch.empty(batch_size, dtype=torch.long)
    for epoch in (positions // count).unique().tolist():
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        here = positions // count == epoch
        picked[here] = torch.randperm(count, generator=generator)[positions[here] % count]
    return picked


class CropBatches:
    """Random square crops with random mirroring, for the codec."""

    def __init__(self, pictures: Pictures, batch_size: int, seed: int, crop: int = 64):
        self.pictures, self.batch_size, self.seed, self.crop = pictures, batch_size, seed, crop

    def __call__(self, step: int, process: int = 0, processes: int = 1) -> Batch:
        mine = slice(process * self.batch_size, (process + 1) * self.batch_size)
        picked = rows(step, self.batch_size * processes, len(self.pictures), self.seed)[mine]
        images = self.pictures.tensor(picked)
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + step) * 1_009 + process)
        space = images.shape[-1] - self.crop
        lefts, tops = torch.randint(0, space + 1, (2, len(images)), generator=generator).tolist()
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        crops = [image[:, y : y + self.crop, x : x + self.crop] for image, x, y in zip(images, lefts, tops, strict=True)]
        crops = torch.stack([crop.flip(-1) if flip else crop for crop, flip in zip(crops, mirrored, strict=True)])
        return Batch(images=crops)

    def preview(self, count: int = 12) -> Batch:
        return Batch(images=self.pictures.tensor(torch.arange(count) * (len(self.pictures) // count)))
