"""What the three objectives of the denoiser share: their parts, their batches, what they train and write."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from e2ed2.data.batches import CaptionedBatches
from e2ed2.data.captions import caption_pool
from e2ed2.data.pictures import Pictures
from e2ed2.errors import UserError
from e2ed2.models.coarse_to_fine import CoarseToFineDenoiser, DenoiserConfig, independent_copies
from e2ed2.models.codec import Codec
from e2ed2.models.components import write_index
from e2ed2.models.minilm import MiniLM
from e2ed2.models.references import model_folder
from e2ed2.models.weights import load_coarse, load_codec, load_denoiser, save_model
from e2ed2.objectives.objective import Objective, ObjectiveConfig, trained


class DenoiserObjective(Objective):
    """Trains a denoiser on latents."""

    sees_images: bool  # whether the batches need pixels
    sees_words: bool  # whether they need the captions' token states

    def __init__(self, denoiser: CoarseToFineDenoiser, codec: Codec, config: "DenoisingConfig"):
        super().__init__()
        self.model, self.config = denoiser, config
        self.codec = codec.requires_grad_(False)

    def batches(
        self, pictures: Pictures, size: int, seed: int, device: torch.device, once: bool = False
    ) -> CaptionedBatches:
        config = self.config
        precompute = config.precompute and not once
        return CaptionedBatches(
            pictures,
            caption_pool(pictures, MiniLM(), precompute),
            self.codec.to(device).eval(),
            size,
            seed,
            config.styled_share,
            config.text_noise,
            with_images=self.sees_images,
            with_words=self.sees_words,
            device=device,
            precompute=precompute,
        )

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The coarse path learns at a rate of its own: a full one destroys what it has learnt."""
        parts = [(self.model.coarse, lr * self.config.coarse_lr_share), (self.model.transformers, lr)]
        return [{"params": params, "lr": rate} for part, rate in parts if (params := trained(part))]

    def write(self, folder: Path, pictures: Pictures) -> None:
        save_model(self.model, folder / "denoiser")
        save_model(self.codec, folder / "codec")
        write_index(folder)


@dataclass(frozen=True)
class DenoisingConfig(ObjectiveConfig):
    init: str = ""
    """A model's folder to start from; its denoiser, and its codec too."""
    codec_from: str = ""
    """A model's folder to take the codec from, where there is no `init`."""
    coarse_from: str = ""
    """A model's folder to take the coarse path from, instead of that of `init`."""
    coarse_lr_share: float = 0.1
    """Learning rate of the coarse path, as a share of the transformer's; 0 keeps it as it is."""
    styled_share: float = 0.7
    """Of the captions that name a drawing style, where the data has styles."""
    text_noise: float = 0.6
    """Most noise on the caption embeddings, as a share of their root mean square."""
    precompute: bool = True
    """Embed all captions and encode all pictures first, and keep both on disk; otherwise those of each batch when it
    comes, which starts at once and suits a short training."""
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)

    def __post_init__(self) -> None:
        if not (0 <= self.styled_share <= 1 and self.coarse_lr_share >= 0):
            raise UserError("styled-share must be from 0 to 1, and coarse-lr-share at least 0.")
        if self.text_noise < 0:
            raise UserError(f"text-noise is {self.text_noise}: choose 0 or more.")
        if not (self.init or self.codec_from):
            raise UserError("A denoiser needs a codec: name a model's folder with --codec-from or --init.")

    def parts(self, resolution: int) -> tuple[CoarseToFineDenoiser, Codec]:
        codec = load_codec(model_folder(self.init or self.codec_from))
        denoiser = self.start_denoiser()
        grid, factor = denoiser.latent_shape[-1], codec.factor
        if resolution != grid * factor:
            raise UserError(
                f"A resolution of {resolution} does not fit the denoiser's {grid} by {grid} latents of "
                f"{factor} by {factor} pixels: choose --data.resolution {grid * factor}."
            )
        return denoiser.train(), codec

    def start_denoiser(self) -> CoarseToFineDenoiser:
        denoiser = load_denoiser(model_folder(self.init)) if self.init else self.denoiser.build(MiniLM.width)
        if self.init and self.denoiser.sharing == "independent":
            denoiser = independent_copies(denoiser, self.denoiser.steps)
        if self.init and self.denoiser.choice == "one-hot":
            denoiser.choose_one()
        if self.coarse_from:
            load_coarse(denoiser, model_folder(self.coarse_from))
        denoiser.coarse.requires_grad_(self.coarse_lr_share > 0)
        return denoiser

    def start(self) -> str:
        if self.init:
            return f"`{self.init}`" + (f" with the coarse path of `{self.coarse_from}`" if self.coarse_from else "")
        return "random weights" + (f" beside the coarse path of `{self.coarse_from}`" if self.coarse_from else "")
