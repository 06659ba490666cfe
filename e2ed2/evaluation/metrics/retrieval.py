"""Does a picture show what its caption says? A retrieval head, trained on real pictures only."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from e2ed2.assets import RETRIEVAL_HEAD
from e2ed2.evaluation.features.held_out import SIZE
from e2ed2.evaluation.metrics.ceilings import CEILINGS, Ceilings, existing
from e2ed2.evaluation.metrics.figure import Figures, rate
from e2ed2.models.minilm import MiniLM
from e2ed2.tensors import save_tensors

TEMPERATURE = 40.0  # inverse, of the cosines
HIDDEN = 512
STYLES = ("emojione", "flat", "fluent", "noto", "openmoji", "twemoji")


class RetrievalHead(nn.Module):
    """Held-out features to MiniLM's space, and to the drawing style."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(SIZE))
        self.register_buffer("std", torch.ones(SIZE))
        self.dropout = nn.Dropout(0.3)  # there are fewer pictures than weights
        self.concept = nn.Sequential(
            nn.Linear(SIZE, HIDDEN), nn.GELU(), nn.Dropout(0.3), nn.Linear(HIDDEN, MiniLM.width)
        )
        self.style = nn.Linear(SIZE, len(STYLES))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, 5120]` => unit vectors in caption space `[B, 384]`, logits of the styles `[B, 6]`."""
        x = self.dropout((features - self.mean) / self.std)
        return F.normalize(self.concept(x), dim=-1), self.style(x)


def spread(names: Tensor) -> Tensor:
    """Unit vectors relative to the mean name: what all names have in common distinguishes none of them."""
    return F.normalize(names - names.mean(dim=0), dim=-1)


def fit_head(
    features: Tensor, concepts: Tensor, styles: Tensor, names: Tensor, epochs: int = 80, seed: int = 0
) -> RetrievalHead:
    """Cross-entropy of the right name among all (`names` `[K, 384]`, unit length), and of the right style.

    The seed has no purpose beside it: the bundled head, by which the stored results were measured, was fitted so.

    Args:
        features: `[N, 5120]` of real pictures.
        concepts: `[N]` rows of `names`.
        styles: `[N]` positions in `STYLES`.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = RetrievalHead()
        head.mean.copy_(features.mean(dim=0))
        head.std.copy_(features.std(dim=0) + 1e-3)
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.1)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, epochs)
        names = spread(names)
        for _ in range(epochs):
            for rows in torch.randperm(len(features)).split(256):
                concept, style = head(features[rows])
                loss = F.cross_entropy(TEMPERATURE * concept @ names.T, concepts[rows])
                loss = loss + F.cross_entropy(style, styles[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            decay.step()
    return head.eval().requires_grad_(False)


def align(head: RetrievalHead, features: Tensor, right: Tensor, styles: Tensor | None, names: Tensor) -> Figures:
    """Shares of pictures for which a right name is the nearest of all (`top1`), or among the five nearest (`top5`).

    Also the share whose drawing style is recognised (`style`), if the captions name one.

    Args:
        right: `[N, K]`, which of the K names are right for a picture.
    """
    concept, style = head(features)
    hits = right.gather(1, (concept @ spread(names).T).topk(5).indices)
    rates = {"top1": rate(hits[:, 0]), "top5": rate(hits.any(dim=1))}
    return rates if styles is None else rates | {"style": rate(style.argmax(dim=1) == styles)}


def save_head(head: RetrievalHead, ceilings: Ceilings, file: Path = RETRIEVAL_HEAD) -> None:
    """Save the head with its rates on real drawings, without which its figures mean little."""
    file.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half() for name, value in head.state_dict().items()}
    save_tensors(weights, file, {CEILINGS: json.dumps(ceilings)})


def load_head(file: Path = RETRIEVAL_HEAD) -> RetrievalHead:
    head = RetrievalHead()
    head.load_state_dict({name: value.float() for name, value in load_file(existing(file)).items()})
    return head.eval().requires_grad_(False)
