"""`python -m e2ed2 data check | show | cache | pairs`."""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from e2ed2.data.config import CacheOptions, DataConfig, PairOptions
from e2ed2.errors import UserError

PROG = "python -m e2ed2 data"
KINDS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")  # of a contact sheet
WRITTEN: dict[str, type] = {"cache": CacheOptions, "pairs": PairOptions}  # actions that write shards
# Options of a set by the names that `train` and messages give them: --data.skip-bad for --skip-bad.
AS_IN_TRAINING = re.compile(
    rf"^--data\.(?=(no[-_])?({'|'.join(one.name.replace('_', '[-_]') for one in fields(DataConfig))})(=|$))"
)


@dataclass(frozen=True)
class Look:
    """Look at a training set: `check` reports whether it can be used, `show` also draws a contact sheet.

    `cache` encodes it, and `pairs` has a backbone sample its captions, once for all trainings; each has a --help of its
    own. Options of the set may also be called as `train` calls them: --data.caption-column."""

    action: Annotated[Literal["check", "show"], tyro.conf.Positional] = "show"
    where: Annotated[str | None, tyro.conf.Positional] = None
    """The set, as for --path."""
    data: Annotated[DataConfig, tyro.conf.arg(name="")] = field(default_factory=DataConfig)
    out: Path = Path("contact-sheet.png")
    """The file for the contact sheet that `show` draws."""
    limit: int = 96
    """Maximum number of pictures on the contact sheet of `show`."""

    def __post_init__(self) -> None:
        if self.action == "check" and (self.out, self.limit) != (Look.out, Look.limit):
            raise UserError("`check` draws no contact sheet: leave --out and --limit out, or give `show`.")
        if self.limit < 1:
            raise UserError(f"A contact sheet of {self.limit} pictures shows nothing: choose --limit 1 or more.")
        if self.out.suffix.lower() not in KINDS:
            raise UserError(f"{self.out} is no picture's name: choose one that ends in {', '.join(KINDS)}.")


def data_command(arguments: list[str]) -> None:
    arguments = [AS_IN_TRAINING.sub("--", word) for word in arguments]
    if arguments and arguments[0] in WRITTEN:
        return shards_command(arguments[0], arguments[1:])
    options = tyro.cli(Look, prog=PROG, args=arguments)
    from e2ed2.data.check import check
    from e2ed2.data.from_disk import open_pictures
    from e2ed2.data.sheet import contact_sheet
    from e2ed2.models.minilm import MiniLM

    pictures = open_pictures(options.data.at(options.where))
    print("\n".join(check(pictures, MiniLM())))
    if options.action == "show":
        contact_sheet(pictures, options.limit).save(options.out)
        print(f"contact sheet: {options.out}")


def shards_command(action: str, arguments: list[str]) -> None:
    options: Any = tyro.cli(WRITTEN[action], prog=f"{PROG} {action}", args=arguments)
    from accelerate import PartialState

    if action == "pairs":
        from e2ed2.data.pairs import write_pairs as write
    else:
        from e2ed2.data.caching import write_cache as write
    written, left_out = write(options)
    if not PartialState().is_main_process:
        return
    names = f"; {left_out} were left out: {options.out}/shard-*.jsonl say which and why" if left_out else ""
    print(f"{written} pictures in {options.out}{names}.")
    side = f" --data.resolution {options.data.resolution}"
    print(f"Train on them with --data.path {options.out}{side}")
