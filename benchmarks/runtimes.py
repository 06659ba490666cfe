"""One picture from words to PNG otherwise than by torch in float32: how much quicker, how different.

By other runtimes, and by torch with the products of the denoiser in int8 (dynamic quantisation, torch.ao).

python -m pip install onnxruntime openvino    # neither is needed for anything else; one that is missing is left out
python -m benchmarks.runtimes [--model l2] [--repeats 25]

Seconds are of the processor. The graphs are those of `export web`, in float32.
"""

import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
import torch
import tyro
from PIL import Image
from torch import nn

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.path import step
from e2ed2.inference.model import Model, to_image
from e2ed2.inference.sampling import load

CAPTION, STEPS = "red apple, flat style", 4
Values = dict[str, np.ndarray]
Run = Callable[[str, Values], list[np.ndarray]]  # (a graph's name, what it may read) => what it gives


@dataclass(frozen=True)
class Options:
    model: str = "l2"
    repeats: int = 25


def graphs_of(model: str) -> dict[str, bytes]:
    from e2ed2.web.parts import graph_of, parts_of

    pipeline = load(model)  # one of its own: exporting changes it
    parts = parts_of(pipeline, None)
    return {part.name: graph_of(part, pipeline.text_encoder.max_tokens).SerializeToString() for part in parts}


def by_onnxruntime(graphs: dict[str, bytes]) -> Run:
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = {name: runtime.InferenceSession(graph, options) for name, graph in graphs.items()}
    read = {name: {one.name for one in session.get_inputs()} for name, session in sessions.items()}
    return lambda name, values: sessions[name].run(None, {key: values[key] for key in read[name]})


def by_openvino(graphs: dict[str, bytes]) -> Run:
    core: Any = import_module("openvino").Core()
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    models = {name: core.compile_model(core.read_model(graph), "CPU", options) for name, graph in graphs.items()}
    read = {name: {one.get_any_name() for one in model.inputs} for name, model in models.items()}

    def run(name: str, values: Values) -> list[np.ndarray]:
        found = models[name]({key: values[key] for key in read[name]})
        return [found[place] for place in range(len(models[name].outputs))]

    return run


def in_int8(model: str) -> Callable[[], Image.Image]:
    """Weights in int8, what they are multiplied with rounded to int8 at each product."""
    pipeline = load(model)
    with warnings.catch_warnings(action="ignore"):  # that another package is to replace it
        quantization: Any = torch.ao.quantization  # which a type checker counts as deprecated, too
        pipeline.denoiser = quantization.quantize_dynamic(pipeline.denoiser, {nn.Linear}, dtype=torch.qint8)
    return painted(pipeline)


def painted(pipeline: Model) -> Callable[[], Image.Image]:
    return lambda: pipeline.images([CAPTION], STEPS, [torch.Generator().manual_seed(0)])[0]


RUNTIMES = {"onnxruntime": by_onnxruntime, "openvino": by_openvino}


def painter(pipeline: Model, run: Run) -> Callable[[], Image.Image]:
    """The chain, its parts by another runtime."""
    path, several = pipeline.denoiser.path, pipeline.denoiser.only_steps
    encoder: Any = pipeline.text_encoder

    def paint() -> Image.Image:
        z = torch.randn(1, *pipeline.denoiser.latent_shape, generator=torch.Generator().manual_seed(0))
        values = {"z": z.numpy(), "ids": np.array([encoder.tokenizer.encode(CAPTION).ids])}
        values["tokens"], values["pooled"] = run("text", values)
        values["coarse"], values["choice"] = run("coarse", values)
        x = z
        for i, (t, s) in enumerate(path.jumps(uniform_levels(STEPS))):
            given = values | {"x": x.numpy(), "t": np.array([t], np.float32)}
            x = step(path, x, torch.from_numpy(run(f"step-{i if several else 0}", given)[0]), t, s)
        return to_image(torch.from_numpy(run("decoder", {"latents": x.numpy()})[0])[0])

    return paint


def by_others(pipeline: Model, model: str) -> dict[str, Callable[[], Image.Image]]:
    """By each runtime that is installed; how long it takes to make ready is printed."""
    found = [name for name in RUNTIMES if find_spec(name)]
    if not found:
        print("No other runtime is installed: `python -m pip install onnxruntime openvino` brings two.")
        return {}
    started = time.process_time()
    graphs = graphs_of(model)
    print(f"making the graphs: {time.process_time() - started:.1f} s")
    ways = {}
    for name in found:
        started = time.process_time()
        ways[name] = painter(pipeline, RUNTIMES[name](graphs))
        print(f"{name} reads them: {time.process_time() - started:.1f} s")
    return ways


def seconds(paint: Callable[[], Image.Image]) -> float:
    started = time.process_time()
    paint().save(io.BytesIO(), "PNG")
    return time.process_time() - started


def main() -> None:
    options = tyro.cli(Options)
    pipeline = load(options.model)
    ways = {"torch": painted(pipeline), "torch, int8": in_int8(options.model)} | by_others(pipeline, options.model)
    ours = np.asarray(ways["torch"]()).astype(int)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, paint in ways.items():
            taken[name].append(seconds(paint))
    for name, paint in ways.items():
        off = np.abs(np.asarray(paint()).astype(int) - ours)
        quicker = median(taken["torch"]) / median(taken[name])
        print(f"{name:12} {1e3 * median(taken[name]):6.1f} ms, {quicker:.2f} times as fast; ", end="")
        print(f"{off.max()} of 255 off at most, {off.mean():.2g} in the mean, {(off > 0).mean():.4%} of the values")


if __name__ == "__main__":
    main()
