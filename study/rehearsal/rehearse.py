"""`python -m study rehearse NAME`: simulated raters go through the real pages before money is spent.

They visit a copy of the study over HTTP, within this process and on a simulated clock. The copy has the study's
spec, secrets and pictures, lies in a temporary folder, and is deleted with everything that they did.
"""

import heapq
import json
import math
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from httpx import ASGITransport, AsyncClient
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import select

from study.clock import clock
from study.errors import StudyError
from study.protocol.balanced import rater_count
from study.protocol.parts import Stopping
from study.protocol.spec import StudySpec
from study.rehearsal.browser import Browser
from study.rehearsal.copying import copy_study
from study.rehearsal.people import KINDS, Crowd
from study.rehearsal.pilot import Pilot, pilot, sentences, table
from study.rehearsal.visit import AGENT, Visit, go_through
from study.rehearsal.waiting import run
from study.reporting.export import export_study
from study.reporting.report import build
from study.simulation.crowd import World
from study.simulation.power import strengths
from study.store.store import Store
from study.store.studies import StudyInfo, close_study, find_study
from study.store.tables import Rater
from study.web import create_app

MOST = 2000  # people of a rehearsal


@dataclass(frozen=True)
class People:
    """How many raters of each kind come, in random order."""

    careful: int = 30
    lapsing: int = 10
    """They click through three pairs in ten without looking."""
    left_clickers: int = 10
    speeders: int = 10
    """A quarter of a second per answer, every other one after a glance."""
    copiers: int = 10
    """The answer to a screen's first question is their answer to all."""
    colluding_pairs: int = 5
    """The first of the two tells the second which letter to click for which prompt."""

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 0 or not 0 < sum(vars(self).values()) <= MOST:
            raise StudyError(f"A rehearsal needs at least one rater, and at most {MOST}.")


@dataclass(frozen=True)
class Rehearse:
    """Send simulated raters through the pages of a study. Nothing of the study itself is touched."""

    name: Annotated[str, tyro.conf.Positional]
    version: int | None = None
    """The newest by default."""
    people: Annotated[People, tyro.conf.arg(name="")] = field(default_factory=People)
    as_planned: bool = False
    """Keep the study's own number of places and turn late-comers away; by default there is room for everyone."""
    win_rate: float = 0.6
    """How often careful raters prefer the first arm to each other arm, leaving ties out."""
    world: Annotated[World, tyro.conf.arg(name="raters-are")] = field(default_factory=World)
    """How much they differ; the strengths follow from `win_rate`."""
    every: float = 60.0
    """Mean seconds between the arrivals of two raters."""
    hourly: float = 12.0
    """What raters are paid per hour."""
    fee: float = 1 / 3
    """The platform's fee, as a share of the pay."""
    studies: int = 100
    """How many studies are simulated for the power; 0 skips it."""
    seed: int = 0
    out: Path | None = None
    """Write the report on the simulated answers and pilot.json to this folder."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.win_rate < 1:
            raise StudyError("The win rate must be at least 0.5 and less than 1.")
        if self.every < 0 or self.hourly < 0 or self.fee < 0 or self.studies < 0 or self.seed < 0:
            raise StudyError("Seconds, pay, fee, studies and seed cannot be negative.")


def main(arguments: list[str]) -> None:
    options = tyro.cli(Rehearse, prog="python -m study rehearse", args=arguments)
    store = Store.open()
    study = find_study(store.database, options.name, options.version)
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        rehearsal, stopped = rehearsed(store, study, options, Path(temporary))
    if stopped:
        console.print("Interrupted: these are the results of the visits that had finished.")
    console.print(table(rehearsal))
    for sentence in sentences(rehearsal, options.hourly, options.fee):
        console.print(sentence, soft_wrap=True)
    console.print(f"The study is as it was; all that they did is {f'in {options.out}' if options.out else 'deleted'}.")
    if stopped:
        raise SystemExit(130)


def rehearsed(store: Store, study: StudyInfo, options: Rehearse, folder: Path) -> tuple[Pilot, bool]:
    """The pilot's figures, and whether Ctrl-C ended it early."""
    rest = (options.win_rate,) * (len(study.spec.arms) - 1)
    world = replace(options.world, strengths=strengths(study.spec.arms, rest, options.world))
    copy, tried = copy_study(store, study, folder, **_room(study.spec, options))
    visits, stopped = arrivals(options, world), False
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Raters who are through", total=len(visits))
        try:
            run(send(copy, tried, visits, lambda visit: progress.advance(task)))
        except KeyboardInterrupt:
            stopped = True
    over = [visit for visit in visits if visit.ended]
    excluded = _excluded(copy, tried)
    rehearsal = pilot(
        study.name, study.spec, over, excluded, world, options.hourly, options.fee, 0 if stopped else options.studies
    )
    if options.out and not stopped:
        _keep(copy, tried, rehearsal, options.out)
    copy.database.engine.dispose()
    return rehearsal, stopped


def _room(spec: StudySpec, options: Rehearse) -> dict[str, object]:
    """Changes to the spec that make room for everybody."""
    if options.as_planned:
        return {}
    people = sum(vars(options.people).values()) + options.people.colluding_pairs
    blocks = rater_count(spec) // spec.raters_per_pair
    raters = max(spec.raters_per_pair, math.ceil(people / blocks))
    return {"raters_per_pair": raters, "open_cap": None, "stopping": Stopping()}


def arrivals(options: Rehearse, world: World) -> list[Visit]:
    """All visits in the order of arrival; colluding raters come one right after the other."""
    rng = np.random.default_rng(options.seed)
    crowd = Crowd(world, rng)
    kinds = [kind for kind in KINDS for _ in range(getattr(options.people, kind))]
    people = [(kind, person) for kind in rng.permutation(kinds) for person in KINDS[kind](crowd)]
    times = time.time() + rng.exponential(options.every, len(people)).cumsum()
    return [Visit(str(kind), person, float(begin)) for (kind, person), begin in zip(people, times, strict=True)]


async def send(store: Store, study: StudyInfo, visits: Sequence[Visit], finished: Callable[[Visit], None]) -> None:
    """Make the visits, one request after the other in the order of their simulated times.

    Args:
        finished: called with each visit that has ended.
    """
    app = create_app(store, joins_a_minute=10 * MOST)
    async with AsyncExitStack() as clients:
        queue: list[tuple[float, int, AsyncIterator[float]]] = []
        for number, visit in enumerate(visits):
            client = AsyncClient(
                transport=ASGITransport(app, raise_app_exceptions=False),
                base_url="http://rehearsal",
                headers={"User-Agent": AGENT},
            )
            browser = Browser(await clients.enter_async_context(client))
            queue.append((visit.began, number, go_through(visit, browser, f"/join/{study.token}", study.spec)))
        moment = 0.0
        with clock(lambda: moment):
            while queue:
                moment, number, steps = heapq.heappop(queue)
                try:
                    heapq.heappush(queue, (moment + await anext(steps), number, steps))
                except StopAsyncIteration:
                    visits[number].ended = moment
                    finished(visits[number])


def _excluded(store: Store, study: StudyInfo) -> dict[str, str]:
    """Rater to the rules that were broken."""
    with store.database.read() as session:
        rows = session.execute(select(Rater.id, Rater.excluded).where(Rater.study_id == study.id))
        return {rater: rules for rater, rules in rows}


def _keep(store: Store, study: StudyInfo, rehearsal: Pilot, out: Path) -> None:
    """The report on the copy, closed and with the study's certificate, as on any study."""
    close_study(store, study.name)
    export_study(store, find_study(store.database, study.name, study.version), out)
    build(out, out, store.key)
    record = asdict(rehearsal)
    record["told"] = record.pop("messages")  # the file keeps its first name, for whoever reads it
    (out / "pilot.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
