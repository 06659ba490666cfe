"""What the rest of the project may ask of a model, whichever class it is."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from e2ed2.diffusion import sampler
from e2ed2.types import TextEmbedding


@runtime_checkable
class Denoiser(sampler.Denoiser, Protocol):
    """What the chain needs, and the shape that the chain starts from."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(C, h, w)` of the noise and of the sample."""
        ...

    @property
    def text_width(self) -> int:
        """D of the pooled embedding that goes with it."""
        ...

    @property
    def only_steps(self) -> int | None:
        """The one number of steps that it was made for; None if it takes any."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Captions to embeddings. Frozen: its fingerprint stands for everything that it does."""

    @property
    def width(self) -> int:
        """D, of the token states and of the pooled embedding."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longer captions are cut."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the weights; what is kept of its embeddings is kept under this."""
        ...

    def __call__(self, captions: Sequence[str]) -> TextEmbedding:
        """`B` captions => tokens `[B, L, D]`, mask `[B, L]`, pooled `[B, D]` of unit length; L is the longest's."""
        ...

    def unread(self, caption: str) -> str:
        """The end of a caption that is longer than what is read; empty where all is read."""
        ...

    def unknown(self, caption: str) -> list[str]:
        """The words of a caption that stand for nothing in its vocabulary."""
        ...

    def notes(self, prompt: str) -> list[str]:
        """Sentences about what of a prompt has no effect on the image; none if all of it is read."""
        ...


@runtime_checkable
class Codec(Protocol):
    """Images to latents of zero mean and unit variance per channel, and back."""

    @property
    def factor(self) -> int:
        """Pixels of the side of one latent."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the weights; what is kept of its latents is kept under this."""
        ...

    def encode(self, images: Tensor) -> Tensor:
        """`[B, 3, H, W]` in [-1, 1] => latents `[B, C, H / factor, W / factor]`."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[B, C, h, w]` => images `[B, 3, factor h, factor w]`, about [-1, 1], not clipped."""
        ...
