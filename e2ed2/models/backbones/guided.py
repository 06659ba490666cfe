"""A backbone with classifier-free guidance (Ho and Salimans 2022), as the teacher of one that needs none."""

from typing import Any

from torch import Tensor, nn

from e2ed2.models.backbones.backbone import Backbone
from e2ed2.types import TextEmbedding


class Guided(nn.Module):
    """`x_0 = plain + scale (x_0 of the caption - plain)`, where `plain` is of the empty caption.

    Whatever a network predicts, x_0 is linear in it at a given x_t, so this is the guidance of the pipelines.
    """

    def __init__(self, backbone: Backbone, empty: TextEmbedding, scale: float):
        """`empty`: the embedding of the empty caption, one row."""
        super().__init__()
        self.backbone, self.scale = backbone.requires_grad_(False).eval(), scale
        self.path = backbone.path
        self.tokens = nn.Buffer(empty.tokens, persistent=False)
        self.mask = nn.Buffer(empty.mask, persistent=False)
        self.pooled = nn.Buffer(empty.pooled, persistent=False)

    def condition(self, z: Tensor, text: TextEmbedding) -> None:
        """None, as for the backbone."""

    def forward(self, x: Tensor, t: Tensor, text: TextEmbedding, conditioning: Any = None, step: int = 0) -> Tensor:
        none = TextEmbedding(self.tokens, self.mask, self.pooled).repeat(len(x))
        plain = self.backbone(x, t, none)
        return plain + self.scale * (self.backbone(x, t, text) - plain)

    def train(self, mode: bool = True) -> "Guided":
        """Always in evaluation mode."""
        return super().train(False)
