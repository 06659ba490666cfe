"""Ratios that say whether the code wastes anything, each measured within one run.

python -m benchmarks.ratios [--only chain memory prompt batches] [--repeats 5]

Times are of the processor (CPU seconds of this process), so that other work on the machine distorts them little; memory
is the peak of a process of its own, above what it had before.
"""

import io
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
import tyro
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.memory import risen
from e2ed2.losses.spec import LossSpec
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.config import RunConfig
from e2ed2.training.presets import PRESETS

GOALS = {"chain": "<= 1.05", "memory": "<= 1.15", "prompt": "<= 2", "batches": ">= 3"}
Name = Literal["chain", "memory", "prompt", "batches"]


@dataclass(frozen=True)
class Options:
    only: tuple[Name, ...] = ("chain", "memory", "prompt", "batches")
    repeats: int = 5
    batch: int = 32
    model: str = "l2"


def seconds(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def config_of(steps: int, batch: int, checkpointed: bool = False) -> RunConfig:
    """Squared error of the latents, whose cost is next to nothing."""
    preset = PRESETS["l2"]
    objective = replace(
        preset.objective,
        loss=LossSpec.parse("l2"),
        sampling_steps=(steps,),
        checkpointed=checkpointed,
        precompute=False,
    )
    return replace(preset, objective=objective, trainer=replace(preset.trainer, batch_size=batch, mixed_precision="no"))


def chain(options: Options) -> float:
    """An end-to-end update of four steps over four single-step ones, with gradients, without the optimizer."""
    from e2ed2.training.run import build

    single = replace(PRESETS["single-step"], trainer=replace(PRESETS["single-step"].trainer, batch_size=options.batch))
    single = replace(single, objective=replace(single.objective, precompute=False, init="single-step", codec_from=""))
    updates = []
    for config in (config_of(4, options.batch), replace(single, objective=replace(single.objective, coarse_from=""))):
        objective, batches = build(config)
        updates.append(gradient_of(objective, batches(0, 0, 1)))
    pairs = []
    for _ in range(options.repeats):
        whole = seconds(updates[0])
        pairs.append(whole / sum(seconds(updates[1]) for _ in range(4)))
    return median(pairs)


def gradient_of(objective: Any, batch: Any) -> Callable[[], None]:
    def update() -> None:
        objective.zero_grad()
        objective(batch, UpdateSeeds(0, 0)).total().backward()

    update()  # the first is slower than the rest
    return update


def peak_of(config: RunConfig, told: Any) -> None:
    """Peak MB of an update above what was there."""
    from e2ed2.training.run import build
    from e2ed2.training.trainer import Trainer

    with TemporaryDirectory() as folder:
        trainer = Trainer(config.trainer, *build(config), Path(folder))
        told.put(risen(trainer.train_step))


def memory(options: Options) -> float:
    """Peak memory of eight steps over that of one, each step recomputed in the backward pass."""
    context, found = multiprocessing.get_context("spawn"), []
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # what is freed is given back at once, so that a peak is a peak
    for steps in (8, 1):
        told = context.Queue()
        process = context.Process(target=peak_of, args=(config_of(steps, 4 * options.batch, True), told))
        process.start()
        found.append(told.get())
        process.join()
    print(f"  T = 8: {found[0]:,.0f} MB, T = 1: {found[1]:,.0f} MB, {4 * options.batch} pictures")
    return found[0] / found[1]


def prompt(options: Options) -> float:
    """From words to the bytes of a PNG in four steps, over its FLOPs at this machine's matmul rate."""
    from benchmarks.training import matmul_rate

    call = painting(options, 1)
    with FlopCounterMode(display=False) as counter:
        call()
    floor = counter.get_total_flops() / 1e9 / matmul_rate(torch.float32)
    taken = median(seconds(call) for _ in range(4 * options.repeats))
    print(f"  {counter.get_total_flops() / 1e9:.2f} GFLOP: at least {1e3 * floor:.0f} ms, taken {1e3 * taken:.0f} ms")
    return taken / floor


def batches(options: Options) -> float:
    """Pictures a second, 64 at a time over one by one."""
    together, alone = painting(options, 64), painting(options, 1)
    together()
    alone()
    pairs = [64 * median(seconds(alone) for _ in range(8)) / seconds(together) for _ in range(options.repeats)]
    return median(pairs)


def painting(options: Options, count: int) -> Callable[[], None]:
    from e2ed2.inference.sampling import load

    pipeline, words = load(options.model), ["red apple, flat style"] * count

    def call() -> None:
        generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
        for image in pipeline.images(words, 4, generators):
            image.save(io.BytesIO(), "PNG")

    return call


def main() -> None:
    options = tyro.cli(Options)
    measures: dict[str, Callable[[Options], float]] = {one.__name__: one for one in (chain, memory, prompt, batches)}
    for name in options.only:
        print((measures[name].__doc__ or "").splitlines()[0], flush=True)
        print(f"  {measures[name](options):.2f} (goal {GOALS[name]})", flush=True)


if __name__ == "__main__":
    main()
