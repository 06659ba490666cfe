"""Memory of a loss on hundreds of samples: with gradient caching, and with all samples' graphs at once.

python -m benchmarks.gradient_caching [--samples 512 1024 2048] [--micro 32] [--plain 512]

Each figure is the peak of a process of its own, above what it had before the update; seconds are of the processor.
"""

import multiprocessing
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tyro

from benchmarks.memory import risen
from e2ed2.losses.spec import LossSpec
from e2ed2.training.config import RunConfig
from e2ed2.training.presets import PRESETS


@dataclass(frozen=True)
class Options:
    samples: tuple[int, ...] = (512, 1024, 2048)
    """Samples that the loss judges together."""
    micro: int = 32
    """Samples generated at a time."""
    plain: tuple[int, ...] = (512,)
    """Numbers of samples measured without caching too, where memory grows with them."""
    loss: str = "l2+mmd"
    steps: int = 1
    """T of the chain."""


def config_of(options: Options, samples: int, micro: int, cache: bool) -> RunConfig:
    preset = PRESETS["l2"]
    objective = replace(
        preset.objective,
        loss=LossSpec.parse(options.loss),
        sampling_steps=(options.steps,),
        gradient_cache=cache,
        precompute=False,
    )
    trainer = replace(preset.trainer, batch_size=micro, accumulate=samples // micro, mixed_precision="no")
    return RunConfig(objective, preset.data, trainer)


def measure(config: RunConfig, told: Any) -> None:
    """Peak MB above what was there, and CPU seconds, of one update."""
    from e2ed2.training.run import build
    from e2ed2.training.trainer import Trainer

    with TemporaryDirectory() as folder:
        trainer = Trainer(config.trainer, *build(config), Path(folder))
        started = time.process_time()
        told.put((risen(trainer.train_step), time.process_time() - started))


def measured(config: RunConfig) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # what is freed is given back at once, so that a peak is a peak
    told = context.Queue()
    process = context.Process(target=measure, args=(config, told))
    process.start()
    found = told.get()
    process.join()
    return found


def main() -> None:
    options = tyro.cli(Options)
    jobs = [(options.micro, options.micro, True)]
    jobs += [(count, options.micro, True) for count in options.samples] + [(n, n, False) for n in options.plain]
    print(f"{'samples together':>16} {'sampled at a time':>18} {'peak MB of an update':>21} {'CPU s':>6}", flush=True)
    for count, micro, cache in jobs:
        memory, seconds = measured(config_of(options, count, micro, cache))
        how = str(micro) if cache else "all, no caching"
        print(f"{count:16,} {how:>18} {memory:21,.0f} {seconds:6.0f}", flush=True)


if __name__ == "__main__":
    main()
