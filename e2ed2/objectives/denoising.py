"""What the three objectives of the denoiser share: their parts, their batches, what they train and write."""

from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from e2ed2.data.batches import BatchOptions
from e2ed2.data.from_disk import captioned_batches
from e2ed2.data.pictures import PictureSet
from e2ed2.errors import UserError
from e2ed2.models.coarse_to_fine import CoarseToFineDenoiser, build_denoiser, independent_copies
from e2ed2.models.components import write_index
from e2ed2.models.config import DenoiserConfig
from e2ed2.models.minilm import MiniLM
from e2ed2.models.references import model_folder
from e2ed2.models.weights import load_coarse, load_codec, load_denoiser, save_model
from e2ed2.objectives.denoiser_config import DenoisingConfig
from e2ed2.objectives.objective import Objective, trained


class DenoiserObjective(Objective):
    """Trains a denoiser on latents."""

    sees_images: bool  # whether the batches need pixels
    sees_words: bool  # whether they need the captions' token states

    def __init__(self, denoiser: Any, codec: Any, config: Any):
        super().__init__()
        self.model, self.config = denoiser, config
        self.codec = codec.requires_grad_(False)

    @classmethod
    def of(cls, config: Any, resolution: int) -> Self:
        codec = load_codec(model_folder(config.init or config.codec_from))
        denoiser = start_denoiser(config)
        grid, factor = denoiser.latent_shape[-1], codec.factor
        if resolution != grid * factor:
            raise UserError(
                f"A resolution of {resolution} does not fit the denoiser's {grid} by {grid} latents of "
                f"{factor} by {factor} pixels: choose --data.resolution {grid * factor}."
            )
        return cls(denoiser.train(), codec, config)

    def batches(self, pictures: PictureSet, size: int, seed: int, device: torch.device, once: bool = False) -> Any:
        config = self.config
        options = BatchOptions(
            size,
            seed,
            config.styled_share,
            config.text_noise,
            with_images=self.sees_images,
            with_words=self.sees_words,
            device=device,
        )
        codec, precompute = self.codec.to(device).eval(), config.precompute and not once
        return captioned_batches(pictures, MiniLM().to(device), codec, options, precompute)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The coarse path learns at a rate of its own: a full one destroys what it has learnt."""
        parts = [(self.model.coarse, lr * self.config.coarse_lr_share), (self.model.transformers, lr)]
        return [{"params": params, "lr": rate} for part, rate in parts if (params := trained(part))]

    def blocks(self) -> list[nn.Module]:
        return [block for transformer in self.model.transformers for block in transformer.blocks]

    def write(self, folder: Path, pictures: PictureSet) -> None:
        save_model(self.model, folder / "denoiser")
        save_model(self.codec, folder / "codec")
        write_index(folder)


def start_denoiser(config: DenoisingConfig) -> CoarseToFineDenoiser:
    """What the training starts from. Raises UserError: it has other sizes than those asked for."""
    sizes = config.denoiser
    denoiser = load_denoiser(model_folder(config.init)) if config.init else build_denoiser(sizes, MiniLM.width)
    check_sizes(sizes, denoiser)
    if config.init and sizes.sharing == "independent":
        denoiser = independent_copies(denoiser, sizes.steps)
    if config.init and sizes.choice != DenoiserConfig.choice:
        denoiser.choose(sizes.choice, sizes.kept)
    if config.coarse_from:
        load_coarse(denoiser, model_folder(config.coarse_from))
    if config.noises_each() > 1 and denoiser.coarse.choice == "none":
        raise UserError(
            "nearest-of goes by the noise's choice, and this model makes none: add --denoiser.choice one-hot."
        )
    denoiser.coarse.requires_grad_(config.coarse_lr_share > 0)
    return denoiser


def check_sizes(asked: DenoiserConfig, denoiser: CoarseToFineDenoiser) -> None:
    """Raises UserError: a size is asked for, which is not the one of the model that the training starts from."""
    for name in ("channels", "grid", "width", "depth", "heads", "coarse_width", "choices"):
        size, own = getattr(asked, name), denoiser.config[name]
        if size not in (own, getattr(DenoiserConfig, name)):
            option = name.replace("_", "-")
            raise UserError(f"--init brings a denoiser whose {option} is {own}: leave --denoiser.{option} out.")
