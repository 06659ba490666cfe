"""The loop that every training shares: update, average, log, show, save, resume.

Everything random in update k is a function of (seed, purpose, k, process), so that a resumed run repeats exactly
what an uninterrupted one would have done.
"""

import json
import math
import re
import shutil
import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from safetensors import SafetensorError
from torch import Tensor, nn
from torchvision.utils import save_image

from e2ed2.errors import UserError, raise_if_disk_full
from e2ed2.objectives.objective import Batches, Objective, total
from e2ed2.seeds import UpdateSeeds

OURS = re.compile(r"\d{6,}")  # the name of a checkpoint that this trainer may delete
DAMAGED = (RuntimeError, ValueError, OSError, EOFError, LookupError, UnpicklingError, SafetensorError)
SKIPPED = 10  # updates in a row that fp16 may leave out


@dataclass(frozen=True)
class TrainerConfig:
    """How to train, whatever the objective."""

    steps: int = 1000
    """Updates in all."""
    batch_size: int = 32
    """Pictures an update, on each process."""
    lr: float = 1e-3
    warmup: int = 50
    """Updates of linear rise to `lr`; a half cosine to 0 follows."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    adversary_lr: float = 3e-4
    """Of the discriminator, where the loss has one."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema_decay: float = 0.998
    """Of the averaged weights, which previews and the finished model use."""
    seed: int = 0
    log_every: int = 10
    preview_every: int = 250
    save_every: int = 250
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """`auto`: bf16 where the hardware multiplies it faster (recent GPUs; CPUs with AMX or AVX-512 BF16), else none."""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.log_every, self.preview_every, self.save_every) < 1:
            raise UserError("steps, batch-size, log-every, preview-every and save-every must be at least 1.")
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"ema-decay is {self.ema_decay}: choose a number in [0, 1).")
        for name in ("lr", "adversary_lr", "clip"):
            if not (value := getattr(self, name)) > 0:
                raise UserError(f"{name.replace('_', '-')} is {value}: choose a number above 0.")
        if self.warmup < 0 or self.weight_decay < 0:
            raise UserError("warmup and weight-decay must be at least 0.")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed is {self.seed}: choose a whole number from 0 to 2**63 - 1.")

    def learning_rate(self, step: int) -> float:
        """Share of the full learning rate at update `step`, in (0, 1]."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))


def precision(config: TrainerConfig) -> str:
    """What `auto` means on this machine. A CPU without bf16 products is slower in bf16 than in float32."""
    if config.mixed_precision != "auto":
        return config.mixed_precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    can = torch.cpu.get_capabilities()
    return "bf16" if can.get("amx_bf16") or can.get("avx512_bf16") else "no"


class Trainer:
    """Runs one objective in one folder; built again on the same folder, it goes on where it stopped."""

    def __init__(
        self,
        config: TrainerConfig,
        objective: Objective,
        batches: Batches,
        folder: Path,
        accelerator: Accelerator | None = None,
    ):
        self.config = config
        self.batches = batches
        self.folder = folder
        self.accelerator = accelerator or Accelerator(mixed_precision=precision(config))
        self.skipped = 0  # updates in a row that fp16 could not represent
        groups = objective.parameter_groups(config.lr)
        self.full_rates = [group["lr"] for group in groups]
        optimizer = torch.optim.AdamW(groups, betas=config.betas, weight_decay=config.weight_decay, fused=True)
        self.prepare_adversary(objective.adversary)
        self.objective, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self.model = self.accelerator.unwrap_model(self.objective).model
        self.ema = EMAModel(self.model.parameters(), decay=config.ema_decay, foreach=True)
        self.ema.to(self.accelerator.device)
        self.accelerator.register_for_checkpointing(self.ema)
        self.step = 0
        self.resume()

    def prepare_adversary(self, adversary: nn.Module | None) -> None:
        """A discriminator has an optimizer of its own; frozen, it is a part of the objective."""
        self.adversary = adversary
        if adversary is not None:
            rate = self.config.adversary_lr
            optimizer = torch.optim.AdamW(adversary.parameters(), lr=rate, betas=(0.0, 0.99), weight_decay=0.0)
            self.adversary_optimizer = self.accelerator.prepare(optimizer)
            adversary.requires_grad_(False)

    def run(self) -> bool:
        """Train to the end, or to Ctrl-C (after saving). True when the training is finished."""
        with raise_if_disk_full(self.folder), self.progress() as tick, interruptible() as interrupted:
            while self.step < self.config.steps and not interrupted():
                tick(self.train_step())
                if self.step % self.config.preview_every == 0 or self.step == self.config.steps:
                    self.preview()
                if self.step % self.config.save_every == 0:
                    self.save()
        self.save()
        return self.step == self.config.steps

    def train_step(self) -> dict[str, Tensor]:
        """One update. Returns the loss terms and the gradient's norm, scalars on the device."""
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        batch = self.batches(self.step, process, processes)
        seeds = UpdateSeeds(self.config.seed, self.step, process, self.accelerator.device)
        for group, rate in zip(self.optimizer.param_groups, self.full_rates, strict=True):
            group["lr"] = rate * self.config.learning_rate(self.step)
        terms = self.objective(batch, seeds)
        self.optimizer.zero_grad()
        self.accelerator.backward(total(terms))
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.check_finite(terms, norm)
        self.optimizer.step()
        self.ema.step(self.model.parameters())
        if self.adversary is not None:
            terms |= self.train_adversary(self.adversary, seeds)
        self.step += 1
        return {name: term.detach() for name, term in terms.items()} | {"grad_norm": norm}

    def check_finite(self, terms: dict[str, Tensor], norm: Tensor) -> None:
        """fp16 leaves out an update now and then, while its scale is found; one after the other is an error.

        Raises:
            UserError: the loss or its gradient is not finite, before the weights have moved.
        """
        finite = torch.isfinite(norm) and all(torch.isfinite(term).all() for term in terms.values())
        self.skipped = 0 if finite else self.skipped + 1
        if not finite and (self.accelerator.mixed_precision != "fp16" or self.skipped > SKIPPED):
            raise UserError(
                f"The gradient of update {self.step} is not finite ({_readable(terms)}): lower the learning rate"
                f"{', or train in bf16' if self.skipped > SKIPPED else ''}. What was saved before is as it was."
            )

    def train_adversary(self, adversary: nn.Module, seeds: UpdateSeeds) -> dict[str, Tensor]:
        terms = self.accelerator.unwrap_model(self.objective).adversary_terms(seeds)
        self.adversary_optimizer.zero_grad()
        self.accelerator.backward(total(terms))
        parameters = list(adversary.parameters())
        for parameter in parameters:  # outside the wrapped objective, so averaged over processes here
            parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip)
        if not torch.isfinite(norm):
            raise UserError(f"The discriminator's gradient is not finite at update {self.step}: lower adversary-lr.")
        self.adversary_optimizer.step()
        return terms

    @contextmanager
    def averaged(self) -> Generator[nn.Module]:
        """The model with its averaged weights."""
        self.ema.store(self.model.parameters())
        self.ema.copy_to(self.model.parameters())
        self.model.eval()
        try:
            yield self.model
        finally:
            self.ema.restore(self.model.parameters())
            self.model.train()

    def preview(self) -> None:
        if not self.accelerator.is_main_process:
            return
        batch = self.batches.preview()
        with self.averaged() as model:
            images = self.accelerator.unwrap_model(self.objective).preview(model, batch)
        file = self.folder / "previews" / f"{self.step:06d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        save_image(images, file, nrow=len(batch.images), normalize=True, value_range=(-1, 1), padding=1)

    def save(self) -> None:
        """Write `checkpoints/<step>` whole or not at all, then drop the ones before."""
        final = self.folder / "checkpoints" / f"{self.step:06d}"
        if final.exists():
            return
        partial = final.with_suffix(".partial")
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)  # what a full disk left
        self.accelerator.wait_for_everyone()
        with raise_if_disk_full(final, RuntimeError, SafetensorError):
            self.accelerator.save_state(str(partial))
        if self.accelerator.is_main_process:
            partial.rename(final)
            for old in self.checkpoints():
                if old != final:
                    shutil.rmtree(old)
        self.accelerator.wait_for_everyone()

    def checkpoints(self) -> list[Path]:
        """Ours, the newest last. What a person keeps beside them, under another name, is theirs."""
        found = (self.folder / "checkpoints").glob("*")
        return sorted(path for path in found if path.is_dir() and OURS.fullmatch(path.name))

    def resume(self) -> None:
        saved = self.checkpoints()
        if saved:
            try:
                self.accelerator.load_state(str(saved[-1]))
            except DAMAGED as error:
                raise UserError(
                    f"{saved[-1]} cannot be resumed ({error.__class__.__name__}): "
                    "delete it, or train into a new folder."
                ) from error
            self.step = int(saved[-1].name)

    def seconds_before(self) -> float:
        """Wall time of the updates that earlier calls made; lines past the checkpoint are dropped."""
        file = self.folder / "metrics.jsonl"
        if not file.is_file():
            return 0.0
        lines = [line for line in read_metrics(file) if line["step"] <= self.step]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return lines[-1]["seconds"] if lines else 0.0

    @contextmanager
    def progress(self) -> Generator[Any]:
        """Yields a function that takes an update's metrics; shows a bar and appends to `metrics.jsonl`."""
        columns = (  # what is cut off where the terminal is narrow comes last
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.description}"),
        )
        main = self.accelerator.is_main_process
        self.folder.mkdir(parents=True, exist_ok=True)
        started, first, before = time.monotonic(), self.step, self.seconds_before()
        with (
            open(self.folder / "metrics.jsonl", "a", buffering=1) as log,
            Progress(*columns, disable=not main or not sys.stdout.isatty()) as bar,
        ):
            task = bar.add_task("training", total=self.config.steps, completed=self.step)

            def tick(metrics: dict[str, Tensor]) -> None:
                due = self.step % self.config.log_every == 0 or self.step == self.config.steps
                if due and main:
                    pictures = self.config.batch_size * self.accelerator.num_processes
                    seconds = time.monotonic() - started
                    rate = (self.step - first) * pictures / seconds
                    numbers = {name: finite(value.item()) for name, value in metrics.items()}
                    log.write(json.dumps({"step": self.step, "seconds": round(before + seconds, 1)} | numbers) + "\n")
                    said = f"{rate:.1f} samples/s, {_readable(metrics)}"
                    bar.update(task, description=said)
                    if not sys.stdout.isatty():
                        left = (self.config.steps - self.step) * seconds / (self.step - first)
                        done = f"{self.step}/{self.config.steps}, {timedelta(seconds=round(left))} left"
                        print(f"{done}, {said}", flush=True)
                bar.update(task, completed=self.step)

            yield tick


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


def finite(value: float) -> float | None:
    """JSON has no NaN."""
    return round(value, 6) if math.isfinite(value) else None


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; one that a full disk or a power cut left unfinished is not there."""
    lines = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            lines.append(json.loads(line))
    return [line for line in lines if isinstance(line, dict) and {"step", "seconds"} <= set(line)]


def _readable(terms: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {value.item():.4f}" for name, value in terms.items())
