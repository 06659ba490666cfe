"""Every use of randomness in a training: each purpose has its own stream of numbers.

One seed for two purposes gives the same numbers twice: caption noise that is picture noise, crops that go with
strengths. So a generator is seeded by a hash of the seed, the purpose and the indices, never by arithmetic on them.
A picture's own seed is another matter: it is what the user typed, and is used as it is. Where bundled weights or stored
results come from draws made before there were purposes, they stay: `tests/e2ed2/test_seeds.py` lists each use without a
purpose, with its reason, and fails if there is another.
"""

import hashlib
from dataclasses import dataclass

import torch

PURPOSES = (
    "weights",  # initial ones
    "order",  # of the images in an epoch
    "crop",  # of a codec's images, and their mirroring
    "latent noise",  # of a codec, and its strength
    "zoomed square",  # of a codec's images, which LPIPS sees enlarged
    "caption",  # which one of an image's
    "caption noise",  # and its strength
    "image noise",  # the start of the chain
    "paired noise",  # of which a teacher makes a picture that is kept
    "style code",  # of the coarse path
    "time",  # of single-step training
    "step count",  # T of end-to-end training
    "backprop steps",  # through how many of them its gradient goes
    "decoded window",  # of the latents
    "judged square",  # of the decoded window
    "judged noise",  # on latents that a critic judges, and its level
    "discriminator noise",
    "raters",  # the half whose votes the judge of a preference learns from
    "votes",  # which of them a member of a preference learns from
    "folds",  # of what a preference's accuracy leaves out
    "reading",  # which of the likely names a prompt is read as
    "style",  # of the artist, if none is requested
    "style order",  # of the artists, if pictures are to differ
    "colour",  # in which a thing is shown
    "held-out colour",  # of each thing
)


def number(seed: int, purpose: str, *indices: int) -> int:
    """A 63-bit seed for this purpose. Raises ValueError: the purpose is not listed."""
    if purpose not in PURPOSES:
        raise ValueError(f"{purpose!r} is not in seeds.PURPOSES: list it, so that the tests compare it with the others")
    words = "/".join([str(seed), purpose, *map(str, indices)])
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) >> 1


def stream(seed: int, purpose: str, *indices: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator used for this purpose and these indices only."""
    return torch.Generator(device).manual_seed(number(seed, purpose, *indices))


@dataclass(frozen=True)
class UpdateSeeds:
    """The streams of one update on one process."""

    seed: int
    update: int
    process: int = 0
    device: torch.device | str = "cpu"

    def stream(self, purpose: str) -> torch.Generator:
        return stream(self.seed, purpose, self.update, self.process, device=self.device)

    def on_cpu(self, purpose: str) -> torch.Generator:
        """A stream for values that Python needs, such as where to crop, without waiting for a GPU."""
        return stream(self.seed, purpose, self.update, self.process)

    def shared(self, purpose: str) -> torch.Generator:
        """A stream that is the same on every process, on the CPU, so that nothing has to wait for a GPU."""
        return stream(self.seed, purpose, self.update)
