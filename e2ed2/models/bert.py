"""BERT's encoder (Devlin et al. 2019), bit for bit equal to transformers' with the same weights.

Transformers' own takes five seconds to import, and everything that reads a prompt would have to wait.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

UNUSED = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")


class Bert(nn.Module):
    """The names of its modules are those in the weights' file."""

    def __init__(self, config: dict[str, int | float]):
        """`config`: the contents of transformers' `config.json`."""
        super().__init__()
        width, epsilon = int(config["hidden_size"]), config["layer_norm_eps"]
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": _table(config["vocab_size"], width),
                "token_type_embeddings": _table(config["type_vocab_size"], width),
                "position_embeddings": _table(config["max_position_embeddings"], width),
                "LayerNorm": nn.LayerNorm(width, epsilon),
            }
        )
        heads, inner = int(config["num_attention_heads"]), int(config["intermediate_size"])
        layers = [Layer(width, heads, inner, epsilon) for _ in range(int(config["num_hidden_layers"]))]
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})

    @classmethod
    def load(cls, folder: Path) -> "Bert":
        with torch.device("meta"):  # skips random weights, which would be overwritten
            model = cls(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        weights = {name: value for name, value in load_file(folder / "model.safetensors").items() if name not in UNUSED}
        model.load_state_dict(weights, assign=True)
        return model.eval()

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Token ids `[B, L]` and a mask of the real ones `[B, L]` => states `[B, L, D]`."""
        parts = self.embeddings
        place = torch.arange(tokens.shape[1], device=tokens.device)
        states = parts["word_embeddings"](tokens) + parts["token_type_embeddings"](torch.zeros_like(tokens))
        states = parts["LayerNorm"](states + parts["position_embeddings"](place))
        hidden = torch.finfo(states.dtype).min
        seen = torch.zeros_like(mask, dtype=states.dtype).masked_fill(~mask, hidden)[:, None, None, :]
        layers: Any = self.encoder["layer"]
        for layer in layers:
            states = layer(states, seen)
        return states


def _table(rows: float, width: int) -> nn.Embedding:
    """An embedding without random weights: drawing them on the device `meta` would import torch's compiler."""
    return nn.Embedding.from_pretrained(torch.empty(int(rows), width))


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int, epsilon: float):
        super().__init__()
        self.heads = heads
        own = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"self": own, "output": _Output(width, width, epsilon)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = _Output(inner, width, epsilon)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        own: Any = self.attention["self"]
        q, k, v = (own[name](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in ("query", "key", "value"))
        scores = (q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5 + seen
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
        x = self.attention["output"](mixed, x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class _Output(nn.Module):
    def __init__(self, inner: int, width: int, epsilon: float):
        super().__init__()
        self.dense = nn.Linear(inner, width)
        self.LayerNorm = nn.LayerNorm(width, epsilon)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + residual)
