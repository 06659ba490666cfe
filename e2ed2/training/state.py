"""What a checkpoint holds: what is trained, its average, the optimizers. All else is built again from the settings."""

import hashlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file
from torch import Tensor, nn

from e2ed2.errors import UserError
from e2ed2.objectives.objective import Objective, trained
from e2ed2.training.sharding import Whole

WEIGHTS = "model.safetensors"  # as accelerate calls it
OURS = re.compile(r"\d{6,}")  # the name of a checkpoint that the trainer may delete: the updates made before it
WRAPPED = "module."  # before each name, where several processes train


class TrainState:
    """Registered with the accelerator, which saves and loads the optimizers beside it.

    Older checkpoints hold constants, too, and the averages of all weights: they can still be read.
    """

    def __init__(self, objective: Objective, constants: str, sharding: Whole, ema_decay: float):
        """After the weights are where they are to be; `constants` as they were before that."""
        self.objective, self.model, self.sharding = objective, objective.model, sharding
        self.ema = EMAModel(sharding.parts(trained(self.model)), decay=ema_decay, foreach=True)
        self.names, self.constants = saved_names(objective), constants
        self.taken: dict[str, Any] = {}  # what is about to be written

    def register(self, accelerator: Accelerator, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.ema.to(accelerator.device)
        accelerator.register_for_checkpointing(self)
        accelerator.register_save_state_pre_hook(self.drop_constants)
        accelerator.register_load_state_pre_hook(self.load_weights)
        optimizer.register_state_dict_post_hook(lambda _, state: self.taken.get("optimizer", state))
        optimizer.register_load_state_dict_pre_hook(self.cut_moments)

    @contextmanager
    def gathered(self) -> Generator[None]:
        """Every process takes part; meanwhile the first one can save all, from whichever process it came."""
        weights = {name: value for name, value in self.objective.state_dict().items() if name in self.names}
        averages = self.sharding.joined(self.ema.shadow_params, trained(self.model))
        state = {"weights": weights, "optimizer": self.optimizer.state_dict(), "averages": averages}
        self.taken = self.sharding.whole(state)
        try:
            yield
        finally:
            self.taken = {}

    def drop_constants(self, models: list[nn.Module], weights: list[dict[str, Tensor]], folder: str) -> None:
        """From what accelerate is about to write."""
        for state in weights:
            state.clear()
            state.update(self.taken["weights"])

    def cut_moments(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        """The part of a checkpoint's optimizer that belongs to this process."""
        weights = [one for group in optimizer.param_groups for one in group["params"]]
        moments = {
            number: {name: self.sharding.cut(value, weights[number]) for name, value in values.items()}
            for number, values in state["state"].items()
        }
        return state | {"state": moments}

    def load_weights(self, models: list[nn.Module], folder: str) -> None:
        """In place of accelerate, which would miss the constants."""
        models.clear()
        weights = {name.removeprefix(WRAPPED): value for name, value in load_file(Path(folder) / WEIGHTS).items()}
        if missing := self.names - weights.keys():
            raise ValueError(f"{WEIGHTS} lacks {', '.join(sorted(missing))}")
        own = self.objective.state_dict()
        cut = {name: self.sharding.cut(weights[name], own[name]) for name in self.names}
        self.objective.load_state_dict(cut, strict=False)

    def state_dict(self) -> dict[str, Any]:
        averages = self.taken.get("averages", self.ema.shadow_params)
        return self.ema.state_dict() | {"shadow_params": averages, "constants": self.constants}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UserError: what the run stands on, such as its codec, has changed since."""
        if state.get("constants", self.constants) != self.constants:
            raise UserError(
                "What this run stands on (its codec, or weights that it does not train) has changed since it was "
                "saved: put that back, or train into a new folder."
            )
        every = list(self.model.parameters())
        if "constants" not in state and len(state["shadow_params"]) == len(every):
            averages = zip(state["shadow_params"], every, strict=True)
            state = state | {"shadow_params": [average for average, weights in averages if weights.requires_grad]}
        saved = zip(state["shadow_params"], trained(self.model), strict=True)
        averages = self.sharding.parts([self.sharding.cut(average, weights) for average, weights in saved])
        self.ema.load_state_dict(state | {"shadow_params": averages})
        self.ema.to(every[0].device)  # a checkpoint is read into the CPU's memory


def checkpoints_in(folder: Path) -> list[Path]:
    """A run's, the newest last. What a person keeps beside them, under another name, is theirs."""
    paths = (folder / "checkpoints").glob("*")
    ours = (path for path in paths if path.is_dir() and OURS.fullmatch(path.name))
    return sorted(ours, key=lambda path: int(path.name))  # of a million updates, names are longer


def saved_names(objective: Objective) -> set[str]:
    """The trained weights, the model's buffers, and what the adversary learns."""
    adversary = objective.adversary.learned if objective.adversary else ()
    ours = {id(value) for value in (*trained(objective.model), *objective.model.buffers(), *adversary)}
    named = [*objective.named_parameters(), *objective.named_buffers()]
    return {name for name, value in named if id(value) in ours} & objective.state_dict().keys()


def constants_of(objective: Objective) -> str:
    """A fingerprint of all that a checkpoint leaves out."""
    names = saved_names(objective)
    return digest({name: value for name, value in objective.state_dict().items() if name not in names})


def digest(weights: dict[str, Tensor]) -> str:
    sha = hashlib.sha256()
    for name in sorted(weights):
        sha.update(name.encode())
        sha.update(weights[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
