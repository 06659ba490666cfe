"""Fig. 3 and 4 of the paper on our data, over several seeds: terms of the loss, and parameter sharing between steps.

From one small single-step model of each seed every variant is trained end to end, on the same pictures and noise,
for as many updates.

python -m e2ed2.evaluation.experiments.ablations    # resumes where it stopped; writes assets/results/ablations.json
"""

import json
from collections.abc import Callable
from itertools import pairwise
from math import log
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import tyro

from e2ed2.assets import RESULTS
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.emoji import chosen, drawings, prompts_of
from e2ed2.evaluation.experiments.small import OverSeeds, finish_config, measured, over_seeds, start_of, trained
from e2ed2.evaluation.generators import load_generator
from e2ed2.evaluation.metrics.detail import detail_ratio
from e2ed2.training.metrics import Logged, read_metrics
from e2ed2.training.presets import PRESETS

OUT = RESULTS / "ablations.json"
LOSSES = ("l1", "l2", "lpips", "l2-lpips", "l2-lpips-gan")  # Fig. 3
SHARED, INDEPENDENT = "shared-twin", "independent"  # Fig. 4
STEPS = 4
LOOKED_AT = 200  # pictures whose detail is measured


@exit_on_user_error()
def main() -> None:
    options = tyro.cli(OverSeeds, description=__doc__)
    variants: dict[str, list[dict[str, float]]] = {name: [] for name in (*LOSSES, SHARED, INDEPENDENT)}
    sharing = []
    for seed in options.seeds:
        start, _ = start_of(options, seed)
        folders = {
            name: trained(finish_config(options, PRESETS[name], seed, start), options.runs / f"{name}-{seed}")[0]
            for name in variants
        }
        for name, folder in folders.items():
            variants[name].append(measured(options, folder, STEPS) | {"detail": detail(folder)})
        sharing.append(compared(read_metrics(folders[INDEPENDENT]), read_metrics(folders[SHARED])))
    spread = {name: over_seeds(figures) for name, figures in variants.items()}
    results = {"settings": options.settings(), "variants": spread, "sharing": over_seeds(sharing)}
    OUT.write_text(json.dumps(results, indent=2) + "\n")
    print(OUT)


def detail(folder: Path) -> float:
    """The detail of pictures of training captions, as a ratio to that of their drawings."""
    prompts = [prompt.text for prompt in prompts_of("train", LOOKED_AT)]
    real = drawings("train")
    images = load_generator(str(folder), STEPS)(prompts, range(len(prompts)))
    return detail_ratio(np.stack([np.asarray(one) for one in images]), real.images[chosen(len(real), LOOKED_AT, 0)])


def compared(independent: list[Logged], shared: list[Logged]) -> dict[str, float]:
    """Independent over shared, natural logarithms: the loss and its terms late, and the gradient's unsteadiness."""
    measures = {name: late(name) for name in ("loss", "l2", "lpips")} | {"unsteadiness": unsteadiness}
    return {name: log(of(independent) / of(shared)) for name, of in measures.items()}


def late(term: str) -> Callable[[list[Logged]], float]:
    """A function that gives the term's mean over the last quarter of the logged updates."""
    return lambda lines: mean(numbers(lines, term)[len(lines) * 3 // 4 :])


def unsteadiness(lines: list[Logged]) -> float:
    """How much the logarithm of the gradient's norm changes from one logged update to the next, after the warm-up."""
    norms = numbers(lines, "grad_norm")[len(lines) // 10 :]
    return stdev(log(after / before) for before, after in pairwise(norms))


def numbers(lines: list[Logged], name: str) -> list[float]:
    return [value for line in lines if (value := line.value(name)) is not None]


if __name__ == "__main__":
    main()
