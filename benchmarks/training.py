"""What an update of each preset costs, and its share of this machine's matmul rate, measured in the same run.

python -m benchmarks.training [--updates 5] [--presets l2 l2-lpips]
"""

import time
from dataclasses import dataclass

import torch
import tyro

from e2ed2.seeds import UpdateSeeds
from e2ed2.training.adversary import judge, learning
from e2ed2.training.flops import update_flops
from e2ed2.training.presets import PRESETS
from e2ed2.training.run import build


@dataclass(frozen=True)
class Options:
    updates: int = 5
    presets: tuple[str, ...] = ("codec", "coarse", "single-step", "l2", "l2-lpips", "l2-lpips-gan")


def matmul_rate(size: int = 2048, repeats: int = 10) -> float:
    """GFLOP/s of a float32 product of two square matrices."""
    a = torch.randn(size, size)
    a @ a
    started = time.perf_counter()
    for _ in range(repeats):
        a @ a
    return repeats * 2 * size**3 / (time.perf_counter() - started) / 1e9


def main() -> None:
    options = tyro.cli(Options)
    print(f"{'preset':14} {'M trained':>10} {'GFLOP/sample':>13} {'samples/s':>10} {'of matmul rate':>15}")
    for name in options.presets:
        objective, batches = build(PRESETS[name])
        objective.model.train()
        optimizer = torch.optim.AdamW(objective.model.parameters(), lr=0.0, fused=True)
        size = PRESETS[name].trainer.batch_size

        def update(step: int, objective=objective, batches=batches, optimizer=optimizer) -> None:
            seeds = UpdateSeeds(0, step)
            outcome = objective(batches(step, 0, 1), seeds)
            outcome.total().backward()
            if objective.adversary is not None and outcome.judged is not None:
                with learning(objective.adversary):
                    judge(objective.adversary, outcome.judged, seeds).backward()
            optimizer.step()
            optimizer.zero_grad()

        update(0)
        work = update_flops(objective, batches, options.updates) / size / 1e9
        rate, started = matmul_rate(), time.perf_counter()
        for step in range(options.updates):
            update(step)
        speed = options.updates * size / (time.perf_counter() - started)
        trained = sum(p.numel() for p in objective.model.parameters() if p.requires_grad) / 1e6
        print(f"{name:14} {trained:10.2f} {work:13.3f} {speed:10.1f} {work * speed / rate:14.0%}")


if __name__ == "__main__":
    main()
