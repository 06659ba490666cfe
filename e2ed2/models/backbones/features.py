"""What a frozen backbone's blocks return, as maps, for the heads of a discriminator."""

from typing import Any

from torch import Tensor, nn

from e2ed2.models.backbones.backbone import Backbone
from e2ed2.types import TextEmbedding

BLOCKS = 4  # each in the middle of a quarter of the network


class BlockFeatures(nn.Module):
    """Frozen; under autocast it is called in the precision of the training."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.path, depth = backbone.path, len(backbone.blocks)
        self.chosen = sorted({depth * (2 * quarter + 1) // (2 * BLOCKS) for quarter in range(BLOCKS)})
        self.widths = [backbone.widths[number] for number in self.chosen]

    def forward(self, x: Tensor, t: Tensor, text: TextEmbedding) -> list[Tensor]:
        """Noised latents `[B, C, h, w]` at levels `[B]`, and captions => a map `[B, D, h', w']` of each block."""
        maps: dict[int, Tensor] = {}

        def keep(number: int) -> Any:
            return lambda block, given, output: maps.__setitem__(number, self.backbone.hidden_map(output, x))

        blocks = self.backbone.blocks
        hooks = [blocks[number].register_forward_hook(keep(number)) for number in self.chosen]
        try:
            self.backbone(x, t, text)
        finally:
            for hook in hooks:
                hook.remove()
        return [maps[number] for number in self.chosen]
