"""`python -m study certify NAME`: whether anything but its pixels gives away which arm made a picture.

An attacker visits a copy of the study over HTTP, as raters' browsers do, and learns to tell the arms from addresses,
headers, sizes, times, order, elements of the page, and what files say besides their pixels. Where the attacker stays at
chance the study passes.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from study.clock import now
from study.errors import StudyError
from study.protocol.parts import Exclusions, Stopping
from study.protocol.spec import StudySpec
from study.rehearsal.attack import ALARM, CHANCE, Attack, attacks
from study.rehearsal.copying import copy_study
from study.rehearsal.waiting import run
from study.rehearsal.watching import serving, watch
from study.reporting.words import percent
from study.stats.intervals import exact
from study.store.certificates import keep_certificate
from study.store.store import Store
from study.store.studies import StudyInfo, find_study
from study.web import create_app

LEAST, MOST = 60, 20_000  # showings


@dataclass(frozen=True)
class Certify:
    """Attack the pages of a study as a rater's browser sees them; the result is kept with the study."""

    name: Annotated[str, tyro.conf.Positional]
    version: int | None = None
    """The newest by default."""
    showings: int = 400
    """How many pairs of two arms the attacker sees. With more, smaller leaks are noticed."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not LEAST <= self.showings <= MOST:
            raise StudyError(f"An attacker needs at least {LEAST} showings, and at most {MOST}.")
        if self.seed < 0:
            raise StudyError("The seed cannot be negative.")


@dataclass(frozen=True)
class Certificate:
    study: str
    version: int
    spec: str
    time: str
    showings: int
    chance: float
    attacks: tuple[Attack, ...]
    passed: bool
    noticed_from: float
    """The least accuracy, over these showings, that would have failed the study."""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Certify, prog="python -m study certify", args=arguments)
    store, console = Store.open(), Console()
    study = find_study(store.database, options.name, options.version)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Pairs that the attacker saw", total=options.showings)
        try:
            certificate = certify(
                store, study, options.showings, options.seed, on_progress=lambda n: progress.update(task, completed=n)
            )
        except KeyboardInterrupt:
            raise StudyError("Interrupted: nothing was certified, and the study is unchanged.") from None
    keep_certificate(store.database, study, plain(certificate))
    console.print(table(certificate))
    console.print(verdict(certificate), soft_wrap=True)
    if not certificate.passed:
        raise SystemExit(1)


def certify(
    store: Store,
    study: StudyInfo,
    showings: int,
    seed: int = 0,
    around: Callable[[Any], Any] = lambda app: app,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Certificate:
    """Attacks a copy of the study; the study itself is only read.

    Args:
        around: what stands between the application and the attacker, such as a proxy.
        on_progress: how many showings there are so far.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy, attacked = copy_study(store, study, Path(folder), **_room(study.spec, showings))
        try:
            with serving(around(create_app(copy, joins_a_minute=MOST))) as address:
                responses = run(watch(address, attacked, showings, seed, on_progress))
        finally:
            copy.database.engine.dispose()
    tried = attacks(responses, seed)
    return Certificate(
        study.name,
        study.version,
        study.spec.hash,
        now().isoformat(timespec="seconds"),
        len(responses),
        CHANCE,
        tried,
        not any(one.caught for one in tried),
        _noticed_from(min(one.showings for one in tried), len(tried)),
    )


def _room(spec: StudySpec, showings: int) -> dict[str, Any]:
    """A place of its own for each visitor. They answer at once, and whoever the rules leave out makes room: all would
    sit in one place, with the same sides in the same order."""
    more = {"raters_per_pair": spec.raters_per_pair + showings, "open_cap": None}
    return more | {"stopping": Stopping(), "exclusions": Exclusions.none()}


def _noticed_from(showings: int, tries: int) -> float:
    level = 1 - 2 * ALARM / tries
    hits = range(math.ceil(CHANCE * showings), showings + 1)
    return next(hit for hit in hits if exact(hit, showings, level).low > CHANCE) / showings


def plain(certificate: Certificate) -> dict[str, Any]:
    """As JSON."""
    return asdict(certificate) | {"attacks": [asdict(one) | {"accuracy": one.accuracy} for one in certificate.attacks]}


def table(certificate: Certificate) -> Table:
    view = Table("attacker", "on unseen", "right", "accuracy", "95% interval", "tells the arms")
    for one in certificate.attacks:
        interval = f"{percent(one.interval.low)} to {percent(one.interval.high)}"
        right = f"{one.right} of {one.showings}"
        view.add_row(one.model, one.unseen, right, percent(one.accuracy), interval, "yes" if one.caught else "no")
    return view


def verdict(certificate: Certificate) -> str:
    if certificate.passed:
        return (
            "Passed: no attacker did better than chance; the study would have failed from "
            f"{percent(certificate.noticed_from)} on. The certificate is stored with {certificate.study} "
            f"version {certificate.version} and shown in its report."
        )
    return "Not passed: something other than the pixels gives the arms away. Check addresses, headers, sizes and times."
