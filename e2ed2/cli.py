"""`python -m e2ed2 train | sample | inspect | evaluate | data`."""

import hashlib
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from e2ed2.errors import UserError


def main() -> None:
    """Run the command; a user's mistake is one sentence and exit code 2."""
    commands = {"train": train_command, "sample": sample_command, "inspect": inspect_command,
                "evaluate": evaluate_command, "data": data_command}  # fmt: skip
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in commands:
        print("usage: python -m e2ed2 {train,sample,inspect,evaluate,data} ...   (each with --help)", file=sys.stderr)
        raise SystemExit(0 if name in ("-h", "--help") else 2)
    try:
        commands[name](sys.argv[2:])
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def train_command(arguments: list[str]) -> None:
    from e2ed2.config import PRESETS, RunConfig
    from e2ed2.train import train

    presets = {name: (preset.loss if preset.objective == "end_to_end" else preset.objective, preset)
               for name, preset in PRESETS.items()}  # fmt: skip
    name = next((word for word in arguments if word in presets), "run")
    out, arguments = _take_out(arguments, Path("runs") / name)
    dry_run = "--dry-run" in arguments
    config = tyro.extras.overridable_config_cli(
        presets, prog="python -m e2ed2 train", args=[word for word in arguments if word != "--dry-run"]
    )
    if config.objective != "end_to_end" and config.loss != RunConfig.loss:
        raise UserError(f"A training of kind {config.objective} has a loss of its own: leave --loss out.")
    if dry_run:
        from e2ed2.inspection import describe_run

        print(describe_run(config))
    elif train(config, out):
        print(f"Finished: the model is in {out / 'model'}")
    else:
        print("Stopped and saved: the same command goes on.")
        raise SystemExit(130)


def _take_out(arguments: list[str], default: Path) -> tuple[Path, list[str]]:
    """`--out FOLDER`, and the other arguments."""
    if "--out" not in arguments:
        return default, arguments
    at = arguments.index("--out")
    if at + 1 == len(arguments):
        raise UserError("--out needs a folder.")
    return Path(arguments[at + 1]), arguments[:at] + arguments[at + 2 :]


@dataclass(frozen=True)
class Sample:
    """Paint pictures into a folder, each PNG with its settings, and one manifest.jsonl."""

    prompt: tuple[str, ...]
    """One prompt or several."""
    model: str
    """A bundled model's name, or a model's folder."""
    steps: int = 4
    seed: int = 0
    """Of the first picture of each prompt; the next have the seeds that follow."""
    count: int = 1
    out: Path = Path("samples")


def sample_command(arguments: list[str]) -> None:
    from e2ed2.generate import Settings, load, paint, png_info

    options = tyro.cli(Sample, prog="python -m e2ed2 sample", args=arguments)
    if options.count < 1:
        raise UserError(f"A count of {options.count} paints nothing: choose at least 1.")
    first = [Settings(prompt, options.model, options.steps, options.seed) for prompt in options.prompt]
    jobs = [replace(settings, seed=options.seed + i) for settings in first for i in range(options.count)]
    pipeline = load(options.model)
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "manifest.jsonl", "a") as manifest:
        for settings in jobs:
            image = paint(pipeline, settings)
            key = hashlib.sha256(json.dumps(asdict(settings)).encode()).hexdigest()[:12]
            file = options.out / f"{_slug(settings.prompt)}-{settings.seed}-{key}.png"
            image.save(file, pnginfo=png_info(settings))
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            manifest.write(json.dumps(asdict(settings) | {"file": file.name, "sha256": sha256}) + "\n")
            print(file)


def _slug(prompt: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in prompt.lower()).split())[:40] or "picture"


def inspect_command(arguments: list[str]) -> None:
    from e2ed2.inspection import describe_model

    @dataclass(frozen=True)
    class Inspect:
        """Say what a model is: its parts, parameters, FLOPs a picture."""

        model: Annotated[str, tyro.conf.Positional]

    print(describe_model(tyro.cli(Inspect, prog="python -m e2ed2 inspect", args=arguments).model))


def evaluate_command(arguments: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from e2ed2.evaluation.evaluate import Evaluate, evaluate

    options = tyro.cli(Evaluate, prog="python -m e2ed2 evaluate", args=arguments)
    result = evaluate(options)
    table = Table("figure", "value", title=f"{options.model}, {options.steps} steps, {options.split}")
    for group in ("distance", "alignment", "cost"):
        for name, value in result[group].items():
            table.add_row(f"{group}: {name}", "-" if value is None else f"{value:.4g}")
    for name in ("diversity_ratio", "nearest_training_lpips"):
        table.add_row(name.replace("_", " "), "-" if result[name] is None else f"{result[name]:.4g}")
    Console().print(table)
    print(options.out)


def data_command(arguments: list[str]) -> None:
    from e2ed2.data.pictures import DataConfig, load_pictures
    from e2ed2.data.sheet import contact_sheet

    @dataclass(frozen=True)
    class Show:
        """Count the pictures and draw a contact sheet of some."""

        action: Annotated[str, tyro.conf.Positional] = "show"
        data: Annotated[DataConfig, tyro.conf.arg(name="")] = field(default_factory=DataConfig)
        out: Path = Path("contact-sheet.png")
        limit: int = 96

    options = tyro.cli(Show, prog="python -m e2ed2 data", args=arguments)
    if options.action != "show":
        raise UserError(f"Unknown action {options.action!r}: the only one is `data show`.")
    pictures = load_pictures(options.data)
    contact_sheet(pictures, options.limit).save(options.out)
    styles = ", ".join(f"{style or 'no style'} {count}" for style, count in sorted(Counter(pictures.styles).items()))
    print(f"{len(pictures)} pictures, {len(set(pictures.captions))} captions; {styles}")
    print(f"contact sheet: {options.out}")
