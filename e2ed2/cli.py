"""`python -m e2ed2 train | sample | inspect | evaluate | data | export`.

A command imports the modules that do its work, including torch, only after its options have been validated.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from e2ed2.data.commands import data_command
from e2ed2.data.styles import check_style
from e2ed2.device import Device
from e2ed2.errors import STOPPED_EARLY, UserError, exit_on_user_error
from e2ed2.evaluation.config import Evaluate
from e2ed2.evaluation.protocols.config import Protocol, SideBySide
from e2ed2.export import export_command
from e2ed2.files import runs_folder
from e2ed2.inference.request import Request, check_guidance, is_stock, model_path, slug
from e2ed2.objectives.names import option_of
from e2ed2.progress import say
from e2ed2.training.config import RunConfig
from e2ed2.training.idle import left_as_it_is, refuse_idle
from e2ed2.training.options import refuse_unread, with_new_names
from e2ed2.training.presets import ABOUT, PRESETS, check_start

if TYPE_CHECKING:
    from PIL.Image import Image

    from e2ed2.models.base import TextEncoder


@exit_on_user_error()
def main() -> None:
    commands = {
        "train": train_command,
        "sample": sample_command,
        "inspect": inspect_command,
        "evaluate": evaluate_command,
        "data": data_command,
        "export": export_command,
    }
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in commands:
        print(
            "usage: python -m e2ed2 {train,sample,inspect,evaluate,data,export} ...   (each with --help)",
            file=sys.stderr,
        )
        raise SystemExit(0 if name in ("-h", "--help") else 2)
    try:
        commands[name](sys.argv[2:])
    except KeyboardInterrupt:
        say("Stopped: what is finished is kept, and the same command does the rest.", sys.stderr)
        raise SystemExit(130) from None


@dataclass(frozen=True)
class Train:
    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    out: Path
    """The run's folder; the same command resumes it."""
    name: str = ""
    """Instead of --out: a name below the data folder's `runs`; `own/NAME` appears on the app's pages."""
    dry_run: bool = False
    """Describe the run, and write nothing."""
    device: Device = ""

    def __post_init__(self) -> None:
        if Path(self.name).is_absolute() or ".." in Path(self.name).parts:
            raise UserError(
                f"The name {self.name!r} leads out of the data folder: choose another, or give --out FOLDER."
            )

    @property
    def folder(self) -> Path:
        return runs_folder() / self.name if self.name else self.out


def train_command(arguments: list[str]) -> None:
    """Train; Ctrl-C at any time ends the command with one line and exit code 130."""
    try:
        stopped = train_as_asked(arguments)
    except KeyboardInterrupt:
        stopped = STOPPED_EARLY
    if stopped:
        say(stopped)
        raise SystemExit(130)


def train_as_asked(arguments: list[str]) -> str:
    """Train, or describe the run. Returns the message if it was stopped; empty if it was not."""
    options = train_options(with_new_names(arguments))
    check_start(options.config.objective)
    if options.dry_run:
        from e2ed2.training.describe import describe_run

        say(describe_run(options.config, options.device))
        return ""

    from e2ed2.training.run import train

    if not train(options.config, options.folder, options.device):
        return "Stopped and saved: the same command resumes."
    say(f"Finished: the model is in {options.folder / 'model'}")
    return ""


def train_options(arguments: list[str]) -> Train:
    if preset := PRESETS.get(arguments[0] if arguments else ""):
        refuse_unread(preset.objective, arguments[1:])
    presets = {name: (ABOUT[name], Train(preset, runs_folder() / name)) for name, preset in PRESETS.items()}
    options = tyro.extras.overridable_config_cli(
        presets,
        prog="python -m e2ed2 train",
        description="Train a model: a preset, then what is to differ. --out FOLDER is the run's folder (by default "
        "`runs/PRESET` in the data folder); --dry-run says what the run would be and writes nothing. Each preset has "
        "its own --help.",
        args=arguments,
    )
    refuse_idle(options.config, arguments)
    for note in left_as_it_is(options.config, arguments):
        say(note, sys.stderr)
    if options.name and "out" in map(option_of, arguments):
        raise UserError("--name and --out are both the run's folder: leave one of them out.")
    return options


@dataclass(frozen=True)
class Sample:
    """Sample pictures into a folder, each PNG with its settings, and one manifest.jsonl."""

    prompt: tuple[str, ...]
    """One prompt or several."""
    model: str
    """A bundled model's name, a model's folder, or that of any text-to-image pipeline of diffusers."""
    steps: int = 4
    """Sampler steps of each picture, 1 to 50; most models expect 1 to 4."""
    guidance: float | None = None
    """Guidance scale of a diffusers pipeline that takes one: its own by default, and none if it was trained here."""
    seed: int = 0
    """Seed of the first picture of each prompt; the others have the seeds that follow."""
    count: int = 1
    """Pictures of each prompt."""
    style: str = ""
    """Drawing style for prompts that name none: noto, twemoji, flat, fluent, openmoji, emojione; "by seed"; or mixed,
    the default: of several pictures, the first is flat, and the next ones are by the other artists in turn."""
    exactly: bool = False
    """Give the model the prompts unchanged; by default each is read as one of the captions that the model knows."""
    out: Path = Path("samples")
    """The folder to write into."""
    device: Device = ""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UserError(f"A count of {self.count} samples nothing: choose at least 1.")
        if self.exactly and self.style:
            raise UserError("--style is for prompts that are read: leave it out, or leave out --exactly.")
        check_style(self.style)
        check_guidance(self.guidance)
        for prompt in self.prompt:
            for seed in (self.seed, self.seed + self.count - 1):
                Request(prompt, self.model, self.steps, seed)
        if self.stock and self.style:
            raise UserError(f"{self.model} has not learned these styles: leave --style out.")
        if not self.stock and self.guidance is not None:
            raise UserError(f"{self.model} has no guidance: leave --guidance out.")

    @property
    def stock(self) -> bool:
        """Whether the model is a pipeline of diffusers' own. Raises UserError: there is no such model."""
        return is_stock(model_path(self.model))


def sample_command(arguments: list[str]) -> None:
    options = tyro.cli(Sample, prog="python -m e2ed2 sample", args=arguments)
    from e2ed2.inference.saving import save
    from e2ed2.tensors import raise_if_out_of_memory

    with raise_if_out_of_memory("sample on the CPU with --device cpu, or with a smaller model"):
        for request, image, more in sampled(options):
            print(save(image, request, options.out, **more))


def sampled(options: Sample) -> Iterator[tuple[Request, "Image", dict[str, Any]]]:
    """The request for each picture, the picture, and the other settings that determined it."""
    more: dict[str, Any] = {}
    if options.stock:
        from e2ed2.inference.stock import load_stock

        stock = load_stock(model_path(options.model), options.steps, options.guidance, options.device)
        jobs = [job for prompt in options.prompt for job in requests(options, prompt)]
        sample, more = stock.image, {"guidance": stock.options.get("guidance_scale")}
    else:
        from e2ed2.inference.sampling import load, sample_image

        pipeline = load(options.model, device=options.device)
        jobs = [job for prompt in options.prompt for job in sample_jobs(options, prompt, pipeline.text_encoder)]
        sample = partial(sample_image, pipeline)
    for request in jobs:
        yield request, sample(request), more


def sample_jobs(options: Sample, prompt: str, encoder: "TextEncoder") -> list[Request]:
    """One request per picture; what the prompt is read as, and which words are not read, is printed on stderr."""
    from e2ed2.reading.captions import advice_on, captions_of, read

    seeds = range(options.seed, options.seed + options.count)
    reading = None if options.exactly else read(prompt, model_path(options.model), encoder)
    if options.style and reading is None:
        raise UserError(f"{options.model} has not learned these styles: leave --style out.")
    captions = captions_of(reading, seeds, options.style) if reading else [""] * len(seeds)
    notes = encoder.notes(prompt)
    if any(captions):
        notes.append(f"“{prompt}” is read as: {'; '.join(dict.fromkeys(captions))}")
    if reading and (note := advice_on(reading)):
        notes.append(note)
    print(*notes, sep="\n", end="\n" * bool(notes), file=sys.stderr)
    return requests(options, prompt, captions)


def requests(options: Sample, prompt: str, captions: Sequence[str] = ()) -> list[Request]:
    """One request per picture of the prompt; `captions`: what the prompt is read as, for each picture."""
    seeds = range(options.seed, options.seed + options.count)
    read = captions or [""] * len(seeds)
    return [Request(prompt, options.model, options.steps, *pair) for pair in zip(seeds, read, strict=True)]


@dataclass(frozen=True)
class Inspect:
    """Describe a model: its parts, parameters, FLOPs per picture."""

    model: Annotated[str, tyro.conf.Positional]
    device: Device = ""


def inspect_command(arguments: list[str]) -> None:
    options = tyro.cli(Inspect, prog="python -m e2ed2 inspect", args=arguments)
    from e2ed2.training.describe import describe_model

    print(describe_model(options.model, options.device))


DATA = re.compile(r"^--data(?=$|=)")


@dataclass(frozen=True)
class Judge:
    models: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Bundled models by their names, models' folders, or those of any diffusers pipelines."""
    options: Annotated[Evaluate, tyro.conf.arg(name="")] = field(default_factory=Evaluate)
    prompts_to: Path | None = None
    """Write the split's prompts into this folder's metadata.csv, and stop: put another model's pictures beside it,
    under the names that it gives them, and judge them with --images."""


def evaluate_command(arguments: list[str]) -> None:
    given = {word.partition("=")[0] for word in arguments}
    if "--benchmark" in given:
        return measure_command(arguments)
    if "--arms" in given:
        return side_by_side_command(arguments)
    words = [DATA.sub("--data.path", word.removeprefix("--model=")) for word in arguments if word != "--model"]
    command = tyro.cli(Judge, prog="python -m e2ed2 evaluate", description=Evaluate.__doc__, args=words)
    from e2ed2.evaluation.emoji import write_prompts
    from e2ed2.evaluation.run import evaluate
    from e2ed2.evaluation.shown import show

    options = command.options
    if command.prompts_to:
        return print(write_prompts(command.prompts_to, options.split, options.captions, options.seed))
    models = list(dict.fromkeys(command.models))
    jobs = [replace(options, model=model) for model in models] or [options]
    if len(command.models) > 1:  # --out is a folder
        folder = options.out.with_suffix("")
        jobs = [
            replace(job, out=folder / f"{name}-{job.steps}-{job.split}.json")
            for job, name in zip(jobs, unique_names(models), strict=True)
        ]
    for job in jobs:
        show(job.called, evaluate(job), job.out)


def unique_names(models: Sequence[str]) -> list[str]:
    """A unique file name for each model: `runs/a/model` and `runs/b/model` become `model` and `model-2`."""
    names: list[str] = []
    for model in models:
        name, number = slug(Path(model).name), 1
        while (numbered := f"{name}-{number}" if number > 1 else name) in names:
            number += 1
        names.append(numbered)
    return names


def measure_command(arguments: list[str]) -> None:
    options = tyro.cli(Protocol, prog="python -m e2ed2 evaluate", args=arguments)
    from e2ed2.evaluation.protocols.run import measure
    from e2ed2.evaluation.shown import show

    if result := measure(options):
        show(options.called, result, options.out)
    else:
        print(f"Part {options.shard} is sampled: when all are, the same command without --shard measures.")


def side_by_side_command(arguments: list[str]) -> None:
    options = tyro.cli(SideBySide, prog="python -m e2ed2 evaluate", args=arguments)
    from e2ed2.evaluation.protocols.side_by_side import side_by_side

    side_by_side(options)
    print((options.out / "table.md").read_text(), options.out / "grid.jpg", sep="\n")
