"""What a training of each preset costs, and its share of this machine's matmul rate at the same precision, in one run.

python -m benchmarks.training [--updates 8] [--presets l2 l2-lpips] [--precision no bf16] [--compile]

Times are of the processor (CPU seconds of this process), so that other work on the machine distorts them little.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
import tyro
from accelerate.state import AcceleratorState, GradientState, PartialState

from e2ed2.objectives.objective import Batches
from e2ed2.training.compiling import compile_network
from e2ed2.training.config import RunConfig
from e2ed2.training.flops import update_flops
from e2ed2.training.precision import accelerator_for
from e2ed2.training.presets import PRESETS
from e2ed2.training.run import build
from e2ed2.training.trainer import Trainer
from e2ed2.types import Batch

KINDS = {"no": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Options:
    updates: int = 8
    presets: tuple[str, ...] = ("codec", "coarse", "single-step", "l2", "l2-lpips", "l2-lpips-gan", "energy")
    precision: tuple[Literal["auto", "no", "bf16"], ...] = ("no", "bf16")
    compile: bool = False
    """As `--trainer.compile` does, before anything is timed."""


def matmul_rate(kind: torch.dtype, size: int = 2048, repeats: int = 10) -> float:
    """GFLOP/s of a product of two square matrices."""
    a = torch.randn(size, size).to(kind)
    a @ a
    started = time.process_time()
    for _ in range(repeats):
        a @ a
    return repeats * 2 * size**3 / (time.process_time() - started) / 1e9


class Drawn:
    """Batches that are ready, as they are in a training that has embedded its captions and encoded its pictures."""

    def __init__(self, batches: Batches, updates: int, parts: int):
        self.pictures = batches.pictures
        self.ready = {
            (update, part): batches(update, part, parts) for update in range(updates) for part in range(parts)
        }
        self.updates = updates

    def __call__(self, update: int, process: int = 0, processes: int = 1) -> Batch:
        return self.ready[update % self.updates, process]


def config_of(name: str, wanted: Literal["auto", "no", "bf16"]) -> RunConfig:
    """Captions of a few updates are embedded, and not all of them first."""
    preset = PRESETS[name]
    objective = replace(preset.objective, **({"precompute": False} if hasattr(preset.objective, "precompute") else {}))
    return replace(preset, objective=objective, trainer=replace(preset.trainer, mixed_precision=wanted))


def measure(name: str, options: Options, wanted: Literal["auto", "no", "bf16"]) -> None:
    config = config_of(name, wanted)
    for state in (AcceleratorState, GradientState, PartialState):  # one precision a process, as accelerate has it
        state._reset_state()
    accelerator = accelerator_for(config.trainer)
    kind = accelerator.mixed_precision
    with TemporaryDirectory() as folder:
        objective, source = build(config)
        batches: Any = Drawn(source, options.updates, config.trainer.accumulate)
        work = update_flops(objective, batches, options.updates) * config.trainer.accumulate
        trainer = Trainer(config.trainer, objective, batches, Path(folder), accelerator)
        if options.compile:
            compile_network(objective, accelerator.device)
        for _ in range(options.updates if options.compile else 1):
            trainer.train_step()  # the first is slower than the rest, and each with another number of steps is compiled
        trainer.done = 0  # the very updates whose work was counted: each draws its number of steps
        rates, seconds = [matmul_rate(KINDS[kind])], 0.0
        for _ in range(options.updates):
            started = time.process_time()
            trainer.train_step()
            seconds += (time.process_time() - started) / options.updates
            rates.append(matmul_rate(KINDS[kind]))
        rate = max(rates)  # the machine's own: others on it make a product slower
    trained = sum(p.numel() for p in objective.model.parameters() if p.requires_grad) / 1e6
    pictures = config.trainer.pictures
    told = kind.replace("no", "float32")
    share = work / seconds / 1e9 / rate
    print(
        f"{name:14} {told:8} {trained:9.2f} {work / pictures / 1e9:13.3f} {pictures / seconds:10.1f} {share:14.0%}",
        flush=True,
    )


def main() -> None:
    options = tyro.cli(Options)
    print(f"{'preset':14} {'':8} {'M trained':>9} {'GFLOP/picture':>13} {'pictures/s':>10} {'of matmul rate':>14}")
    for wanted in options.precision:
        for name in options.presets:
            measure(name, options, wanted)


if __name__ == "__main__":
    main()
