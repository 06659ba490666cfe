"""What a rehearsal found: whom the rules leave out, minutes, cost, and power; in numbers and in words."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.table import Column, Table

from study.protocol.balanced import rater_count
from study.protocol.spec import StudySpec
from study.rehearsal.people import KINDS
from study.rehearsal.visit import Visit
from study.reporting.words import counted, percent
from study.simulation.crowd import World
from study.simulation.power import large, simulate
from study.stats.intervals import Interval, exact

HONEST = ("careful", "copiers")  # who looks at the pictures, whatever else they do


@dataclass(frozen=True)
class Kind:
    """Raters of one kind. Counts."""

    name: str
    came: int
    finished: int
    left_out: int
    """How many of those who finished the rules leave out."""
    interval: Interval
    """95% interval of the chance of being left out (Clopper & Pearson)."""
    rules: dict[str, int]
    """How many broke each; one rater may break several."""


@dataclass(frozen=True)
class Pilot:
    study: str
    spec: str
    """Hash of the study's own spec."""
    kinds: tuple[Kind, ...]
    minutes: tuple[float, float, float]
    """5%, median and 95% of the finished sessions."""
    messages: dict[str, int]
    """Messages of pages on which something did not work, and how often each was shown."""
    raters_needed: int
    """How many raters like these must finish to fill the study."""
    cost: float
    """What these people cost, including the platform's fee."""
    power: tuple[float, float] | None
    """With careful raters only; with this crowd as the rules leave it. None if the study is too large to simulate."""


def pilot(
    study: str,
    spec: StudySpec,
    visits: Sequence[Visit],
    excluded: dict[str, str],
    world: World,
    hourly: float,
    fee: float,
    studies: int,
) -> Pilot:
    """What the finished visits show.

    Args:
        spec: of the study itself, not of the copy that had room for everybody.
        excluded: rater to the rules that were broken, comma-separated.
        hourly: pay; fee: the platform's, as a share of it.
        studies: simulated for the power.
    """
    done = [visit for visit in visits if visit.finished]
    kinds = tuple(_kind(name, visits, excluded) for name in KINDS if name in {visit.kind for visit in visits})
    minutes = [(visit.ended - visit.began) / 60 for visit in done]
    low, middle, high = np.quantile(minutes, (0.05, 0.5, 0.95)) if minutes else (math.nan,) * 3
    useful = sum(not excluded.get(visit.rater) for visit in done)
    needed = math.ceil(rater_count(spec) * len(done) / useful) if useful else 0
    cost = needed * float(np.mean(minutes)) / 60 * hourly * (1 + fee) if minutes else math.nan
    slipped = sum(not excluded.get(visit.rater) for visit in done if visit.kind not in HONEST)
    messages = sum((visit.messages for visit in visits), Counter())
    return Pilot(
        study,
        spec.hash,
        kinds,
        (float(low), float(middle), float(high)),
        dict(messages.most_common()),
        needed,
        cost,
        _power(spec, world, slipped / useful if useful else 0.0, studies),
    )


def _kind(name: str, visits: Sequence[Visit], excluded: dict[str, str]) -> Kind:
    of_kind = [visit for visit in visits if visit.kind == name]
    done = [visit for visit in of_kind if visit.finished]
    broken = [excluded[visit.rater] for visit in done if excluded.get(visit.rater)]
    rules = Counter(rule for rules in broken for rule in rules.split(", "))
    return Kind(name, len(of_kind), len(done), len(broken), exact(len(broken), len(done)), dict(rules.most_common()))


def _power(spec: StudySpec, world: World, spoilt: float, studies: int) -> tuple[float, float] | None:
    raters = rater_count(spec)
    if not studies or large(spec):
        return None
    with_them = replace(world, spammers=min(spoilt, 0.99))
    careful, real = (min(simulate(spec, crowd, raters, studies).power) for crowd in (world, with_them))
    return careful, real


def table(rehearsal: Pilot) -> Table:
    view = Table("raters", "came", "finished", "left out", "should be", Column("by which rules", overflow="fold"))
    for kind in rehearsal.kinds:
        share = f"{kind.left_out} ({percent(kind.interval.low)} to {percent(kind.interval.high)})"
        rules = "\n".join(f"{rule} {count}" for rule, count in kind.rules.items())
        should = "no" if kind.name in HONEST else "yes"
        view.add_row(kind.name.replace("_", " "), str(kind.came), str(kind.finished), share, should, rules)
    return view


def sentences(rehearsal: Pilot, hourly: float, fee: float) -> list[str]:
    low, middle, high = rehearsal.minutes
    lines = [f"“{sentence}”: {counted(count, 'time')}." for sentence, count in rehearsal.messages.items()]
    if math.isnan(middle) or not rehearsal.raters_needed:
        return [*lines, "Nobody whose answers count finished, so time, cost and power are unknown."]
    lines.append(f"A session takes {middle:.1f} minutes (median; 90% of them {low:.1f} to {high:.1f}).")
    lines.append(
        f"With raters like these, {rehearsal.raters_needed} must finish to fill the study. That costs "
        f"{rehearsal.cost:.2f}, at {hourly:g} an hour plus a fee of {percent(fee)}."
    )
    if rehearsal.power:
        careful, real = rehearsal.power
        lines.append(
            f"The study then finds the difference with a chance of {percent(real)}; if all raters were careful, of "
            f"{percent(careful)}."
        )
    else:
        lines.append("Its power was not simulated (--studies is 0, or it is large: see python -m study simulate).")
    return lines
