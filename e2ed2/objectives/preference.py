"""Learning what people prefer from the votes of a study."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from e2ed2.data.config import DataConfig
from e2ed2.data.decode import decode
from e2ed2.data.pictures import Pictures, PictureSet, square, to_tensor
from e2ed2.models.minilm import MiniLM
from e2ed2.objectives.config import PreferenceConfig
from e2ed2.objectives.objective import Objective, Outcome
from e2ed2.preference.accuracy import Foretold, foretold, in_words
from e2ed2.preference.files import ACCURACY, EXAMPLES
from e2ed2.preference.model import Answers, Preference
from e2ed2.preference.regions import glow, sensitivity
from e2ed2.preference.votes import Votes, halves, read_votes
from e2ed2.seeds import UpdateSeeds, stream
from e2ed2.types import VoteBatch

SHOWN = 12  # images liked most, and the same number liked least
EXAMPLES_EACH = 6
CHUNK = 32


class PreferenceObjective(Objective):
    """Learns two preferences together: one to train models on, and a judge that such a training never sees.

    The judge reads another network's features and the votes of the other half of the raters.
    """

    def __init__(self, votes: Votes, config: PreferenceConfig, resolution: int):
        super().__init__()
        self.votes, self.config, self.resolution = votes, config, resolution
        self.model = nn.ModuleDict(
            {
                "preference": Preference("alex", votes.questions, config.members, side=resolution),
                "judge": Preference("vgg", votes.questions, config.members, side=resolution),
            }
        )
        self.text = MiniLM()
        self.found: list[Foretold] = []
        self.voted: VoteBatches | None = None
        mine = halves(len(votes.raters), stream(config.split_seed, "raters"))[votes.rater]
        self.mine = {"preference": mine, "judge": ~mine}

    @classmethod
    def of(cls, config: PreferenceConfig, resolution: int) -> Self:
        return cls(read_votes(Path(config.votes)), config, resolution)

    def pictures(self, data: DataConfig) -> Pictures:
        images = [square(decode(file, file.name), self.resolution) for file in self.votes.files]
        return Pictures(np.stack(images), [self.votes.prompts[row] for row in self.votes.prompt_of_file()])

    def amount(self, pictures: Any) -> int:
        return len(self.votes)

    def held_out(self, data: DataConfig, count: int) -> None:
        """None: the accuracies on left-out answers come with the finished model."""

    def batches(self, pictures: Any, size: int, seed: int, device: torch.device, once: bool = False) -> "VoteBatches":
        self.to(device)
        self.voted = VoteBatches(self, pictures, size, seed, device)
        return self.voted

    def forward(self, batch: VoteBatch, seeds: UpdateSeeds) -> Outcome:
        """Minus the mean log likelihood of each one's half of the votes, and minus the prior divided by all answers."""
        terms, prior = {}, torch.zeros((), device=batch.rows.device)
        for name, part in self.model.items():
            weights = batch.weights[name]
            likelihood = part.head.log_likelihood(batch.answers[name])
            terms[name] = -(weights * likelihood).sum() / weights.sum().clamp(min=1)
            prior = prior - part.head.log_prior().mean() / max(1, int(self.mine[name].sum()))
        return Outcome(terms | {"prior": prior}, {"preference": 1.0, "judge": 1.0, "prior": 1.0})

    @torch.no_grad()
    def preview(self, model: nn.ModuleDict, batch: VoteBatch) -> Tensor:
        """Images liked most among those of their prompt, above those liked least; all questions together."""
        liked: Any = model["preference"]
        order = self.lead(liked, batch.features["preference"], batch.pooled).argsort(descending=True)
        count = min(SHOWN, len(order) // 2)
        return batch.images[torch.cat([order[:count], order[-count:].flip(0)])]

    def lead(self, liked: Preference, features: Tensor, pooled: Tensor) -> Tensor:
        """`[F]`: how much more each image is liked than those of its prompt are on average, in log odds; `features`
        standardised, `pooled` of its caption. All questions together."""
        scores = liked.head(features, pooled).mean(dim=(0, 2))
        prompt = self.votes.prompt_of_file().to(scores.device)
        nothing = torch.zeros(len(self.votes.prompts)).to(scores)
        usual = nothing.scatter_reduce(0, prompt, scores, "mean", include_self=False)
        return scores - usual[prompt]

    def write(self, folder: Path, pictures: Any) -> None:
        for name, part in self.model.items():
            part.save(folder / name)
        self.found = self.foretold()
        (folder / ACCURACY).write_text(json.dumps([one.plain() for one in self.found], indent=2) + "\n")
        self.write_examples(folder / EXAMPLES)

    @torch.no_grad()
    def write_examples(self, folder: Path) -> None:
        """Images that it likes most and least, each with a layer that glows where its score is decided."""
        assert self.voted is not None
        liked: Any = self.model["preference"]
        prompt = self.votes.prompt_of_file()
        pooled = self.voted.pooled[prompt.to(self.voted.device)]
        leads = self.lead(liked, self.voted.features["preference"], pooled)
        order = leads.argsort(descending=True).cpu()
        count = min(EXAMPLES_EACH, len(order) // 2)
        rows = torch.cat([order[:count], order[-count:].flip(0)])
        where = sensitivity(liked, self.voted.pictures.tensor(rows, pooled.device), pooled[rows.to(pooled.device)])
        folder.mkdir(parents=True, exist_ok=True)
        examples = []
        for place, row in enumerate(rows.tolist()):
            Image.fromarray(self.voted.pictures.images[row]).save(folder / f"{place}.png")
            glow(where[place]).save(folder / f"{place}-where.png")
            examples.append(
                {"caption": self.votes.prompts[prompt[row]], "lead": float(leads[row]), "most": place < count}
            )
        (folder / "examples.json").write_text(json.dumps(examples, indent=1, ensure_ascii=False) + "\n")

    def foretold(self) -> list[Foretold]:
        """How well the features of the preference predict left-out answers; all votes are used."""
        assert self.voted is not None
        every = self.voted.answers("preference", torch.arange(len(self.votes)))
        return foretold(self.votes, every, self.config.split_seed)

    def card(self, pictures: PictureSet) -> str:
        return in_words(self.found)


class VoteBatches:
    """Randomly drawn answers, with the features of their images, which are computed once."""

    def __init__(
        self, objective: PreferenceObjective, pictures: Pictures, size: int, seed: int, device: torch.device | str
    ):
        votes = objective.votes
        self.votes, self.pictures, self.size, self.seed, self.device = votes, pictures, size, seed, device
        self.features = {name: features_of(part, pictures, device) for name, part in objective.model.items()}
        for name, part in objective.model.items():
            mine = objective.mine[name]
            part.measure(*(self.features[name][side[mine].to(device)] for side in (votes.left, votes.right)))
            self.features[name] = part.standardised(self.features[name])
        self.pooled = objective.text(votes.prompts).pooled.to(device)
        self.weights = {
            name: resampled(votes, mine, objective.config.members, stream(seed, "votes", part)).to(device)
            for part, (name, mine) in enumerate(objective.mine.items())
        }

    def __call__(self, update: int, process: int = 0, processes: int = 1) -> VoteBatch:
        generator = stream(self.seed, "order", update, process)
        return self.batch(torch.randint(len(self.votes), (self.size,), generator=generator))

    def preview(self) -> VoteBatch:
        batch = self.batch(torch.arange(1))
        images = to_tensor(self.pictures.images).to(self.device)
        pooled = self.pooled[self.votes.prompt_of_file().to(self.device)]
        return VoteBatch(batch.rows, batch.answers, batch.weights, images, self.features, pooled)

    def batch(self, rows: Tensor) -> VoteBatch:
        return VoteBatch(
            rows.to(self.device),
            {name: self.answers(name, rows) for name in self.features},
            {name: weights[:, rows.to(self.device)] for name, weights in self.weights.items()},
        )

    def answers(self, name: str, rows: Tensor) -> Answers:
        votes, features = self.votes, self.features[name]
        return Answers(
            features[votes.left[rows].to(self.device)],
            features[votes.right[rows].to(self.device)],
            self.pooled[votes.prompt[rows].to(self.device)],
            votes.question[rows].to(self.device),
            votes.answer[rows].to(self.device),
        )


@torch.no_grad()
def features_of(preference: Preference, pictures: Pictures, device: torch.device | str) -> Tensor:
    """The images' features, `[F, size]`, not standardised."""
    parts = torch.arange(len(pictures)).split(CHUNK)
    return torch.cat([preference.features(pictures.tensor(part, device)) for part in parts])


def resampled(votes: Votes, mine: Tensor, members: int, generator: torch.Generator) -> Tensor:
    """`[members, N]`: how often each member uses each answer: whole prompts drawn (Poisson), from its own raters."""
    often = torch.poisson(torch.ones(members, len(votes.prompts)), generator=generator)
    return often[:, votes.prompt] * mine.float()
