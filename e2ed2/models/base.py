"""The interfaces of a model's parts that the rest of the project relies on."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from e2ed2.diffusion import sampler
from e2ed2.types import TextEmbedding


@runtime_checkable
class Denoiser(sampler.Denoiser, Protocol):
    """The sampler's interface, plus the shape that the chain starts from."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(C, h, w)` of the noise and of the sample."""
        ...

    @property
    def text_width(self) -> int:
        """D of the pooled embedding that it expects."""
        ...

    @property
    def only_steps(self) -> int | None:
        """The only number of steps that it supports; None if it supports any."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Captions to embeddings. Frozen: its fingerprint identifies everything that it does."""

    @property
    def width(self) -> int:
        """D of the token states and of the pooled embedding."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longer captions are truncated."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of the weights; the key under which its embeddings are cached."""
        ...

    def __call__(self, captions: Sequence[str]) -> TextEmbedding:
        """`B` captions => tokens `[B, L, D]`, mask `[B, L]`, pooled `[B, D]` of unit length; L is the longest's."""
        ...

    def unread(self, caption: str) -> str:
        """The part of a caption beyond the maximum length; empty if all of it is read."""
        ...

    def unknown(self, caption: str) -> list[str]:
        """The words of a caption that are not in its vocabulary."""
        ...

    def notes(self, prompt: str) -> list[str]:
        """Sentences about parts of a prompt that have no effect on the image; none if all of it is read."""
        ...


@runtime_checkable
class Codec(Protocol):
    """Images to latents of zero mean and unit variance per channel, and back."""

    @property
    def factor(self) -> int:
        """Pixels per latent along each side."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of the weights; the key under which its latents are cached."""
        ...

    def encode(self, images: Tensor) -> Tensor:
        """`[B, 3, H, W]` in [-1, 1] => latents `[B, C, H / factor, W / factor]`."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[B, C, h, w]` => images `[B, 3, factor h, factor w]`, about [-1, 1], not clipped."""
        ...
