"""A small model of what people prefer: a score of an image and its caption for each question of a study."""

import math
from pathlib import Path
from typing import NamedTuple, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from e2ed2.errors import UserError
from e2ed2.models.components import as_damaged
from e2ed2.models.minilm import MiniLM
from e2ed2.models.saved import CONFIG, ModelMixin, register_to_config
from e2ed2.preference.features import ImageFeatures
from e2ed2.tensors import save_tensors

HEAD = "head.safetensors"
EDGE = 3.0
LEAST = 0.02  # least spread among images of one prompt, in standard deviations of all, for a feature to count
JOINT = 0.2  # prior standard deviation, in log odds, of the form that joins image and caption
RANK = 8  # rank of that form


class Answers(NamedTuple):
    """B answers, as tensors."""

    left: Tensor  # [B, size] features of the left images, standardised
    right: Tensor  # [B, size]
    pooled: Tensor  # [B, width] embeddings of the captions
    question: Tensor  # [B]
    answer: Tensor  # [B], 0 left, 1 tie, 2 right


class Head(nn.Module):
    """Scores of M members: linear in the image, and bilinear in image and caption.

    Answers follow Davidson (1970) with a side term, as in the study's own ranking: with d the difference of the scores
    and the side, left : tie : right = exp(d / 2) : exp(tie) : exp(-d / 2). Raters share one noise.
    """

    image_start: Tensor
    caption_start: Tensor

    def __init__(self, size: int, width: int, questions: int, members: int, generator: torch.Generator | None = None):
        """`generator`: draws the initial weights of the members; torch's own by default."""
        super().__init__()
        self.size, self.rank = size, (rank := RANK)
        self.linear = nn.Parameter(torch.zeros(members, questions, size))
        self.register_buffer("image_start", torch.randn(members, rank, size, generator=generator) / math.sqrt(size))
        self.register_buffer("caption_start", torch.randn(members, rank, width, generator=generator))
        self.image = nn.Parameter(self.image_start.clone())
        self.caption = nn.Parameter(self.caption_start.clone())
        self.joint = nn.Parameter(torch.zeros(members, questions, rank))
        self.tie = nn.Parameter(torch.zeros(members, questions))
        self.side = nn.Parameter(torch.zeros(members, questions))

    def forward(self, features: Tensor, pooled: Tensor) -> Tensor:
        """`[B, size]` standardised features and `[B, width]` captions => scores `[M, B, Q]`, log odds."""
        alone = torch.einsum("bf,mqf->mbq", features, self.linear)
        image = torch.einsum("bf,mrf->mbr", features, self.image)
        caption = torch.einsum("bt,mrt->mbr", pooled, self.caption)
        return alone + torch.einsum("mbr,mqr->mbq", image * caption, self.joint)

    def log_likelihood(self, answers: Answers) -> Tensor:
        """The log likelihood of each answer, `[M, B]`."""
        scores = self(answers.left, answers.pooled) - self(answers.right, answers.pooled)
        row = torch.arange(len(answers.question), device=scores.device)
        difference = scores[:, row, answers.question] + self.side[:, answers.question]
        logits = torch.stack([difference / 2, self.tie[:, answers.question], -difference / 2], dim=-1)
        return F.log_softmax(logits, dim=-1)[:, row, answers.answer]

    def log_prior(self) -> Tensor:
        """`[M]`, up to a constant: normal weights with which scores would have variance 1, but `JOINT` squared for the
        form that joins image and caption: what a caption has to do with it is learned last.

        What joins image and caption starts from random projections, and is drawn to those, not to zero.
        """
        parts = (
            self.size * self.linear.square().sum(dim=(1, 2)),
            self.size * (self.image - self.image_start).square().sum(dim=(1, 2)),
            (self.caption - self.caption_start).square().sum(dim=(1, 2)),
            self.rank * (self.joint / JOINT).square().sum(dim=(1, 2)),
        )
        return -torch.stack(parts).sum(dim=0) / 2


class Preference(ModelMixin):
    """A head with the features it reads; members learn from different votes, so they disagree where votes are few."""

    mean: Tensor
    scale: Tensor
    gain: Tensor

    @register_to_config
    def __init__(self, net: str, questions: list[str], members: int, width: int = MiniLM.width, side: int = 128):
        """`side`: height and width in pixels of the images it learned from; others are resized to that."""
        super().__init__()
        self.side = side
        self.features = ImageFeatures("vgg" if net == "vgg" else "alex")
        self.head = Head(self.features.size, width, len(questions), members)
        self.register_buffer("mean", torch.zeros(self.features.size))
        self.register_buffer("scale", torch.ones(self.features.size))
        self.register_buffer("gain", torch.ones(self.features.size))
        self.questions, self.width = list(questions), width

    def measure(self, left: Tensor, right: Tensor) -> None:
        """Standardise by the pairs that were voted on, `[N, size]` each.

        The unit is what images of one prompt differ by, for only that is ever compared: what prompts differ by says
        nothing. Each kind of feature counts alike, however many there are of it. What never differs is left out.
        """
        images = torch.cat([left, right])
        self.mean.copy_(images.mean(dim=0))
        self.scale.copy_(1 / images.std(dim=0).clamp(min=1e-6))
        self.gain.fill_(1)
        apart = (self.standardised(left) - self.standardised(right)).square().mean(dim=0).div(2).sqrt()
        kinds = self.features.kinds
        share = torch.cat([torch.full((size,), self.features.size / len(kinds) / size) for size in kinds]).sqrt()
        self.gain.copy_(torch.where(apart > LEAST, share.to(apart) / apart.clamp(min=LEAST), 0.0))

    def standardised(self, features: Tensor) -> Tensor:
        """Limited to about `EDGE` standard deviations of the images first: what nobody voted on counts no more than
        the rarest."""
        return self.gain * EDGE * torch.tanh((features - self.mean) * self.scale / EDGE)

    def forward(self, images: Tensor, pooled: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` in [-1, 1] and captions `[B, width]` => scores `[M, B, Q]`, log odds."""
        if images.shape[-2:] != (self.side, self.side):
            images = F.interpolate(images, size=(self.side, self.side), mode="bilinear", antialias=True)
        return self.head(self.standardised(self.features(images)), pooled)

    def reward(self, images: Tensor, others: Tensor, pooled: Tensor, question: str = "") -> Tensor:
        """`[B]`: log odds that people prefer each image to the other one of the same caption, `[B, 3, H, W]` both.

        The mean over the members less their standard deviation, so that little can be gained where few votes decide.
        Of one question, or of the mean of all.
        """
        scores = self(images, pooled) - self(others, pooled)
        chosen = scores[..., self.row(question)] if question else scores.mean(dim=-1)
        spread = chosen.var(dim=0, correction=0).add(1e-6).sqrt()  # has a gradient even if all are equal
        return chosen.mean(dim=0) - spread

    def row(self, question: str) -> int:
        """The index of a question among `questions`. Raises UserError: people were not asked that."""
        if question not in self.questions:
            raise UserError(
                f"This preference knows no question {question!r}: choose one of {', '.join(self.questions)}."
            )
        return self.questions.index(question)

    def save(self, folder: Path) -> None:
        """Save the preference without the frozen network, whose weights come with a package."""
        folder.mkdir(parents=True, exist_ok=True)
        self.save_config(folder)
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("features.")}
        save_tensors(own, folder / HEAD)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load a preference. Raises UserError: there is none, or it is damaged."""
        if not (folder / CONFIG).is_file():
            raise UserError(f"No preference at {folder}: learn one with `python -m e2ed2 train preference`.")
        with as_damaged(folder):
            model = cls.from_config(cls.load_config(folder))
            loaded = model.load_state_dict(load_file(folder / HEAD), strict=False)
            if any(not name.startswith("features.") for name in loaded.missing_keys):
                raise ValueError("incomplete")
            return model.eval().requires_grad_(False)
