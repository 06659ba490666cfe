"""The loop that every training shares: update, average, log, show, save, resume.

Everything random in update k is a function of (seed, purpose, k, process), so that a resumed run repeats exactly
what an uninterrupted one would have done.
"""

import shutil
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.utils import save_image

from e2ed2.errors import UserError, raise_if_disk_full
from e2ed2.objectives.objective import Batches, Objective, Outcome, trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.tensors import save_tensors
from e2ed2.training.adversary import Adversary
from e2ed2.training.config import TrainerConfig
from e2ed2.training.gradient_cache import cached_gradient
from e2ed2.training.metrics import Measured, Metrics, read_metrics
from e2ed2.training.precision import accelerator_for, note_rounding
from e2ed2.training.sharding import sharding_of
from e2ed2.training.state import TrainState, checkpoints_in, constants_of
from e2ed2.training.tracking import track
from e2ed2.types import Batch

BEST = "best.safetensors"  # the averaged weights at the objective's best measurement so far
DAMAGED = (RuntimeError, ValueError, OSError, EOFError, LookupError, UnpicklingError, SafetensorError)
SKIPPED = 10  # updates in a row that fp16 may leave out


class Trainer:
    """Runs one objective in one folder; built again on the same folder, it goes on where it stopped."""

    def __init__(
        self,
        config: TrainerConfig,
        objective: Objective,
        batches: Batches,
        folder: Path,
        accelerator: Accelerator | None = None,
        held_out: Batch | None = None,
    ):
        """`held_out`: pictures that are not trained on, to measure the loss on."""
        self.held_out = held_out
        self.config, self.batches, self.folder = config, batches, folder
        self.accelerator = accelerator or accelerator_for(config)
        note_rounding(objective, config, self.accelerator)
        self.skipped = 0  # updates in a row that fp16 could not represent
        self.adversary = None
        if objective.adversary is not None:
            self.adversary = Adversary(objective.adversary, config.adversary_lr, config.clip, self.accelerator)
        self.sharding, constants = sharding_of(config, self.accelerator), constants_of(objective)
        self.objective = self.sharding.prepare(objective)
        groups = objective.parameter_groups(config.lr)
        self.full_rates = [group["lr"] for group in groups]
        optimizer = torch.optim.AdamW(groups, betas=config.betas, weight_decay=config.weight_decay, fused=True)
        self.optimizer = self.accelerator.prepare(optimizer)
        self.state = TrainState(objective, constants, self.sharding, config.ema_decay)
        self.model, self.ema = objective.model, self.state.ema
        self.state.register(self.accelerator, optimizer)
        self.done = 0  # updates
        self.resume()
        lines = [
            line for line in read_metrics(folder) if line.update <= self.done and line.value("held_out") is not None
        ]
        self.watched = [{name: value for name, value in line.numbers.items() if value is not None} for line in lines]
        self.exhausted = self.bare.exhausted(self.watched)

    def run(self) -> bool:
        """Train to the end, or to Ctrl-C (after saving). True when the training is finished."""
        processes, main = self.accelerator.num_processes, self.accelerator.is_main_process
        with (
            raise_if_disk_full(self.folder),
            Metrics(self.folder, self.config, self.done, processes, main) as metrics,
            interruptible() as interrupted,
        ):
            while not (self.finished or interrupted()):
                measured = self.train_step()
                if self.held_out is not None and self.due(self.config.held_out_every):
                    measured = self.measured_apart(measured, self.held_out)
                if line := metrics.add(self.done, measured):
                    track(self.accelerator, line)
                if self.due(self.config.preview_every):
                    self.preview()
                if self.done % self.config.save_every == 0:
                    self.save()
        self.save()
        return self.finished

    @property
    def finished(self) -> bool:
        return self.done >= self.config.updates or self.exhausted

    def due(self, every: int) -> bool:
        """After every so many updates, and after the last."""
        return self.done % every == 0 or self.done == self.config.updates

    def measured_apart(self, measured: Measured, batch: Batch) -> Measured:
        """With the loss on a batch that is not trained on, and what the objective watches there."""
        if self.sharding.takes_part:
            watched = self.watched_of(batch)
            self.watched.append({name: float(value) for name, value in watched.items()})
            for name, value in {"held_out": self.held_out_loss(batch), **watched}.items():
                measured = measured.with_number(name, value)
            if self.bare.best(self.watched) == len(self.watched) - 1:
                self.keep_best()
        exhausted = torch.tensor(float(self.bare.exhausted(self.watched)), device=self.accelerator.device)
        self.exhausted = self.accelerator.reduce(exhausted, "sum").item() > 0  # all processes end at one update
        return measured

    def train_step(self) -> Measured:
        """One update."""
        share = self.config.schedule.share(self.done)
        for group, rate in zip(self.optimizer.param_groups, self.full_rates, strict=True):
            group["lr"] = rate * share
        self.optimizer.zero_grad()
        parts = range(self.config.accumulate)
        if self.bare.caches_gradient:
            whole: Any = [(self.batch(part), self.seeds(part)) for part in parts]
            outcomes = [cached_gradient(self.accelerator, self.objective, whole)]
        else:
            outcomes = [self.accumulate(part) for part in parts]
        norm = self.sharding.clip(self.model, self.config.clip)
        terms = self.means({name: torch.stack([one.terms[name] for one in outcomes]) for name in outcomes[0].terms})
        beside = {"loss": Outcome(terms, outcomes[0].weights).total(), "grad_norm": norm, "lr": self.config.lr * share}
        measured = Measured(terms, outcomes[0].weights, beside)
        self.check_finite(measured)
        self.optimizer.step()
        self.ema.step(self.parts())
        if self.adversary is not None:
            judged = [(one.judged, self.seeds(part)) for part, one in enumerate(outcomes) if one.judged is not None]
            lost = self.means({"discriminator": self.adversary.update(judged)})
            measured = measured.with_number(*lost.popitem())
        self.done += 1
        return measured

    def means(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each one's mean over all batches of the update, on all processes."""
        means = torch.stack([value.float().mean() for value in values.values()])
        if self.accelerator.num_processes > 1:
            means = self.accelerator.reduce(means, "mean")
        return dict(zip(values, means, strict=True))

    def accumulate(self, part: int) -> Outcome:
        """Add one part's share of the gradient; what it sees is what a process of its own would have seen."""
        parts = self.config.accumulate
        last = part == parts - 1
        with nullcontext() if last else self.sharding.no_sync(self.objective):
            outcome = self.objective(self.batch(part), self.seeds(part))
            self.accelerator.backward(outcome.total() / parts)
        return Outcome(outcome.detached(), outcome.weights, outcome.judged)

    def place(self, part: int) -> int:
        """The number of a batch among all that make up an update, over all processes."""
        return self.accelerator.process_index * self.config.accumulate + part

    def batch(self, part: int) -> Batch:
        return self.batches(self.done, self.place(part), self.accelerator.num_processes * self.config.accumulate)

    def seeds(self, part: int) -> UpdateSeeds:
        return UpdateSeeds(self.config.seed, self.done, self.place(part), self.accelerator.device)

    def check_finite(self, measured: Measured) -> None:
        """fp16 leaves out an update now and then, while its scale is found; one after the other is an error.

        Raises:
            UserError: the loss or its gradient is not finite, before the weights have moved.
        """
        finite = all(torch.isfinite(torch.as_tensor(measured.numbers[name])) for name in ("loss", "grad_norm"))
        self.skipped = 0 if finite else self.skipped + 1
        if not finite and (self.accelerator.mixed_precision != "fp16" or self.skipped > SKIPPED):
            raise UserError(
                f"The gradient of update {self.done} is not finite ({measured}): lower the learning rate"
                f"{', or train in bf16' if self.skipped > SKIPPED else ''}. What was saved before is as it was."
            )

    @property
    def bare(self) -> Objective:
        """The objective without what accelerate wraps it in."""
        return self.accelerator.unwrap_model(self.objective)

    @torch.no_grad()
    def held_out_loss(self, batch: Batch) -> Tensor:
        """The loss of the averaged weights, with the same noise each time."""
        with self.averaged():
            return self.bare(batch, UpdateSeeds(0, 0, device=self.accelerator.device)).total()

    def watched_of(self, batch: Batch) -> dict[str, Tensor]:
        with self.averaged():
            return self.bare.watched(batch)

    def parts(self) -> list[nn.Parameter]:
        """What of the trained weights lies on this process."""
        return self.sharding.parts(trained(self.model))

    @contextmanager
    def averaged(self) -> Generator[nn.Module]:
        """The model with its averaged weights."""
        parameters = self.parts()
        self.ema.store(parameters)
        self.ema.copy_to(parameters)
        self.model.eval()
        try:
            yield self.model
        finally:
            self.ema.restore(parameters)
            self.model.train()

    def keep_best(self) -> None:
        """The averaged weights of now are those to write, until there are better ones."""
        partial = self.folder / f"{BEST}.partial"
        with raise_if_disk_full(self.folder, SafetensorError), self.averaged() as model:
            weights = {name: value.contiguous() for name, value in model.named_parameters() if value.requires_grad}
            save_tensors(weights, partial, {"update": str(self.done)})
        partial.rename(self.folder / BEST)

    @contextmanager
    def to_write(self, fresh: Callable[[], Objective]) -> Generator[Objective | None]:
        """With the weights that a finished training leaves: its best ones, or its last. None but on the first process.

        `fresh` builds the objective once more.
        """
        with self.averaged() as model:
            if self.best_update:
                model.load_state_dict(load_file(self.folder / BEST), strict=False)
            yield self.sharding.finished(self.bare, fresh)

    @property
    def best_update(self) -> int:
        """After which the weights were best; 0 where the objective does not say."""
        if not (self.folder / BEST).is_file():
            return 0
        with safe_open(self.folder / BEST, "pt") as file:
            return int(file.metadata()["update"])

    def preview(self) -> None:
        if not self.sharding.takes_part:
            return
        batch = self.batches.preview()
        with self.averaged() as model:
            images = self.bare.preview(model, batch)
        if not self.accelerator.is_main_process:
            return
        file = self.folder / "previews" / f"{self.done:06d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        save_image(images, file, nrow=len(images) // 2, normalize=True, value_range=(-1, 1), padding=1)

    def save(self) -> None:
        """Write `checkpoints/<updates>` whole or not at all, then drop all but the newest `keep`."""
        final = self.folder / "checkpoints" / f"{self.done:06d}"
        if final.exists():
            return
        with self.state.gathered():
            if self.accelerator.is_main_process:  # nothing else is any process's own: all that is random is seeded
                self.write_checkpoint(final)
        self.accelerator.wait_for_everyone()

    def write_checkpoint(self, final: Path) -> None:
        partial = final.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)  # what a full disk left
        with raise_if_disk_full(final, RuntimeError, SafetensorError):
            self.accelerator.save_state(str(partial))
        partial.rename(final)
        for old in checkpoints_in(self.folder)[: -self.config.keep]:
            shutil.rmtree(old)

    def resume(self) -> None:
        saved = checkpoints_in(self.folder)
        if saved:
            try:
                self.accelerator.load_state(str(saved[-1]))
            except DAMAGED as error:
                raise UserError(
                    f"{saved[-1]} cannot be resumed ({error.__class__.__name__}): "
                    "delete it, or train into a new folder."
                ) from error
            self.done = int(saved[-1].name)


@contextmanager
def interruptible() -> Generator[Any]:
    """Ctrl-C and SIGTERM let the update in progress finish; yields a function that says whether one came."""
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda n, _: came.append(n)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
