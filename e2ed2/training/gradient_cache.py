"""A loss on hundreds of samples in the memory of a few (gradient caching, Gao et al. 2021).

The samples are made without a gradient, the loss on all of them together gives each its gradient, and each batch is
then sampled again, alone, to pass that on to the weights. By the chain rule it is the gradient of the loss on all.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from e2ed2.objectives.end_to_end import Made
from e2ed2.objectives.objective import Outcome
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import CaptionedBatch, TextEmbedding

Part = tuple[CaptionedBatch, UpdateSeeds]


def cached_gradient(accelerator: Accelerator, objective: Any, parts: Sequence[Part]) -> Outcome:
    """Add the gradient of the loss on the samples of all parts, and of all processes, to the weights'."""
    bare = accelerator.unwrap_model(objective)
    with accelerator.autocast():
        parts = [(bare.targets(batch, seeds), seeds) for batch, seeds in parts]
        samples = [bare.samples(*part) for part in parts]
        x0 = everywhere(accelerator, [one.x0.float() for one in samples]).requires_grad_()
        held = [one.held for one in samples if one.held is not None]
        whole = Made(x0, everywhere(accelerator, held) if held else None)
        outcome = bare.judgement(whole, together(accelerator, [batch for batch, _ in parts]), parts[0][1])
        outcome.total().backward()
    assert x0.grad is not None
    # Times the processes, since gradients are averaged over them.
    mine = x0.grad.chunk(accelerator.num_processes)[accelerator.process_index] * accelerator.num_processes
    pulls = mine.split([len(one.x0) for one in samples])
    for number, ((batch, seeds), pull) in enumerate(zip(parts, pulls, strict=True)):
        last = number == len(parts) - 1
        with nullcontext() if last else accelerator.no_sync(objective):
            accelerator.backward(objective(batch, seeds, pull).total())
    return Outcome(outcome.detached(), outcome.weights, outcome.judged)


def everywhere(accelerator: Accelerator, values: list[Tensor]) -> Tensor:
    """The values of all processes, concatenated."""
    joined = torch.cat(values).detach()
    return accelerator.gather(joined) if accelerator.num_processes > 1 else joined


def together(accelerator: Accelerator, batches: list[CaptionedBatch]) -> CaptionedBatch:
    """All batches as one, captions included; only the first token state of each, since their numbers differ."""

    def joined(*values: Tensor) -> Tensor:
        return everywhere(accelerator, list(values))

    texts = [one.text.first_words() for one in batches]
    text = TextEmbedding(*(joined(*(getattr(one, name) for one in texts)) for name in ("tokens", "mask", "pooled")))
    images, latents = (joined(*(getattr(one, name) for one in batches)) for name in ("images", "latents"))
    named = joined(*(one.named for one in batches))
    captions = [caption for one in batches for caption in one.captions]
    if accelerator.num_processes > 1:
        captions = gather_object(captions)
    return CaptionedBatch(images, latents, text, named, tuple(captions))
