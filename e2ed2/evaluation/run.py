"""One model, or one folder of images, on one benchmark, as a JSON file with every choice that changes a number."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from e2ed2.data.config import is_bundled
from e2ed2.data.emoji import Concepts, bundled_words
from e2ed2.errors import UserError
from e2ed2.evaluation.benchmark import Benchmark, Sampled
from e2ed2.evaluation.config import Evaluate
from e2ed2.evaluation.emoji import Emoji
from e2ed2.evaluation.features.held_out import ENCODER, HeldOutEncoder
from e2ed2.evaluation.generators import (
    Generator,
    ImageFolder,
    Read,
    fingerprint,
    load_generator,
    ours,
    read_images,
    sample_for,
)
from e2ed2.evaluation.metrics.ceilings import head_digest
from e2ed2.evaluation.metrics.cost import cost
from e2ed2.evaluation.metrics.figure import Figures
from e2ed2.evaluation.metrics.kernel import KID
from e2ed2.evaluation.metrics.nearest import CANDIDATES
from e2ed2.evaluation.metrics.precision_recall import PRC
from e2ed2.evaluation.own import own_benchmark
from e2ed2.evaluation.results import Result, as_result, check_out, read_result, write_result
from e2ed2.inference.request import model_path
from e2ed2.models.minilm import MiniLM
from e2ed2.reading.captions import captions_of, knows_colours, readable
from e2ed2.reading.identity import reader_digest
from e2ed2.reading.reader import Reader, load_head


def evaluate(options: Evaluate, read: Read | None = None) -> Result:
    """All figures, the settings and the choices behind them; also written to `options.out`.

    Args:
        read: what a model is given instead of each prompt; the figures stay those of the prompt as it was asked.

    Raises:
        UserError: there is no such model, folder, split or data set, or too little in it.
    """
    check_out(options.out)  # report mistakes before the work
    subject, encoder = subject_of(options), HeldOutEncoder(options.device)
    read = reader_for(options.model) if options.read else read
    benchmark = benchmark_of(options, encoder)
    sampled = sample_for(benchmark, subject, encoder, options.seed, read)
    figures: Figures = {}
    for metric in benchmark.metrics:
        figures |= metric(sampled)
    if not isinstance(subject, ImageFolder):
        figures |= cost_of(subject)
    settings, choices = settings_of(options, benchmark), choices_of(subject, benchmark, sampled) | judges_of(options)
    result = as_result(settings, choices, figures) | {"ceilings": benchmark.ceilings}
    write_result(result, options.out)
    return result


def reader_for(model: str) -> Read:
    """The captions that the pages would give this model for pictures of a prompt, in their default styles.

    Raises:
        UserError: it has not learned the captions that prompts are read as.
    """
    if not ours(folder := model_path(model)) or not readable(folder):
        raise UserError(f"{model} has not learned the captions that prompts are read as: leave --read out.")
    reader = Reader(load_head(), Concepts(bundled_words(), MiniLM()))
    colours = knows_colours(folder)
    return lambda prompt, seeds: [one or prompt for one in captions_of(reader(prompt, colours), seeds)]


def cost_of(generator: Generator) -> Figures:
    return cost(lambda: generator(["red apple"], [0]))


def subject_of(options: Evaluate) -> Generator:
    if options.images:
        return read_images(Path(options.images))
    if options.model:
        return load_generator(options.model, options.steps, options.device, options.guidance)
    raise UserError("Name a model to judge, for example l2-lpips, or a folder of pictures: --images FOLDER.")


def benchmark_of(options: Evaluate, encoder: HeldOutEncoder) -> Benchmark:
    """A folder's pictures may be of any of the prompts; a model gets `captions` of them."""
    captions = None if options.images else options.captions
    if not is_bundled(options.data.path):
        return own_benchmark(encoder, options.data, captions, options.seed, options.nearest)
    return Emoji(options.split, captions, options.seed, options.variety, options.nearest).benchmark(encoder)


def settings_of(options: Evaluate, benchmark: Benchmark) -> dict[str, Any]:
    """The command's options, as JSON has them; pages and reports go by model, steps and split.

    Only the file's name is kept: where it was when it was made is nobody's business.
    """
    own = {} if is_bundled(options.data.path) else {"split": benchmark.name}
    elsewhere = {"steps": 0} if options.images else {}  # unknown
    return asdict(options) | {"model": options.called, "out": options.out.name} | own | elsewhere


def judges_of(options: Evaluate) -> dict[str, str]:
    """Fingerprints of the retrieval head and the reader, if used: different ones would give different figures."""
    head = head_digest() if is_bundled(options.data.path) else ""
    return {"head": head, "reader": reader_digest() if options.read else ""}


def choices_of(subject: Generator, benchmark: Benchmark, sampled: Sampled) -> dict[str, Any]:
    return {
        "encoder": ENCODER,
        "kid": KID,
        "prc": PRC,
        "nearest_of": CANDIDATES,
        "images": len(sampled.images),
        "real": len(benchmark.references),
        "weights": subject.fingerprint,
        "left_out": benchmark.left_out,
    }


def up_to_date(wanted: Evaluate) -> bool:
    """Whether the file already has exactly these figures, of this model, by these judges."""
    if not wanted.out.is_file():
        return False
    result = read_result(wanted.out)
    decisive = ("steps", "split", "captions", "read", "seed", "variety", "nearest")
    settings = {name: getattr(wanted, name) for name in decisive}
    choices = judges_of(wanted) | {"weights": fingerprint(model_path(wanted.model), wanted.steps)}
    return holds(result["settings"], settings) and holds(result["choices"], choices)


def holds(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(found.get(name) == value for name, value in wanted.items())
