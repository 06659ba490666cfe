"""Which pairs a rater sees, on which sides, in which order: a pure function of spec, secret and the rater's index.

The spec alone tells nothing of a plan: it holds the hash of the secret, which is published when the study closes.
In an adaptive study the plan has each rater's prompts; the answers so far have the arms (`study.protocol.adaptive`).

A round shows every pair once, cut into blocks of a rater each. Rounds come in twos with the same blocks: the second
mirrors the sides and reverses the order of the first, so that what one rater saw first and left, another saw last
and right. Within a block, arm pairs take turns and each arm pair's sides alternate.
"""

import hashlib
import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from study.protocol.parts import Kind, Mode, Stimulus
from study.protocol.spec import StudySpec


@dataclass(frozen=True)
class Assignment:
    """One showing of one pair to one rater."""

    position: int  # 0.. in the rater's order
    pair: str  # id; a repeat has the id of the pair it repeats
    prompt: str
    left: Stimulus
    right: Stimulus
    kind: Kind
    repeat_of: int | None = None  # position of the first showing
    gold: str = ""  # the expected answer of a gold pair: left or right
    propensity: float = 1.0  # with which the answers so far had this pair chosen; checks do not depend on them


@dataclass(frozen=True)
class Pair:
    """Two images of one prompt, of two arms."""

    id: str
    first: Stimulus
    second: Stimulus


def comparisons(spec: StudySpec) -> tuple[Pair, ...]:
    """Every pair that the study compares, or may: prompts x copies x arm pairs."""
    compared = {unit: spec.arm_pairs for unit in _compared(spec)} if spec.adaptive else _compared(spec)
    return tuple(_pair(spec, *unit, arms) for unit, arm_pairs in compared.items() for arms in arm_pairs)


def quota(spec: StudySpec) -> dict[str, int]:
    """How many raters must answer each pair; in an adaptive study, each unit (prompt, copy), on whichever arms."""
    if not spec.adaptive:
        return {pair.id: spec.raters_per_pair for pair in comparisons(spec)}
    return {_unit(*unit): spec.raters_per_pair * len(arm_pairs) for unit, arm_pairs in _compared(spec).items()}


def part_of_quota(spec: StudySpec, pair: str) -> str:
    """What an answer to this pair counts for."""
    return pair.partition(":")[0] if spec.adaptive else pair


def slots(spec: StudySpec, index: int, secret: str = "") -> list[str]:
    """The units (prompt, copy) of a rater's comparisons in an adaptive study: those of the block of this place."""
    return [pair.id.partition(":")[0] for pair, _ in _block(spec, index, secret)]


def _compared(spec: StudySpec) -> dict[tuple[int, int], tuple[tuple[str, str], ...]]:
    """Prompt and copy to the pairs of arms that are compared on it.

    In a sparse design the pairs take turns over the prompts, round by round of a tournament: each pair is asked on as
    many prompts as any other (or one more), and on a prompt no arm comes much more often than another.
    """
    units = [(i, copy) for i, p in enumerate(spec.prompts) for copy in range(len(spec.copies[p.text, spec.arms[0]]))]
    count = spec.pairs_per_prompt
    if count is None:
        return dict.fromkeys(units, spec.arm_pairs)
    order = _tournament(spec.arms)
    turns = ({order[(i * count + j) % len(order)] for j in range(count)} for i in range(len(units)))
    return {unit: tuple(p for p in spec.arm_pairs if p in turn) for unit, turn in zip(units, turns, strict=True)}


def _tournament(arms: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs in rounds in which each arm plays once (circle method), as `arm_pairs` orders the two."""
    players: list[str | None] = [*arms, *([None] if len(arms) % 2 else [])]
    place = {arm: number for number, arm in enumerate(arms)}
    order = []
    for _ in range(len(players) - 1):
        half = len(players) // 2
        for one, two in zip(players[:half], players[half:][::-1], strict=True):
            if one is not None and two is not None:
                order.append((one, two) if place[one] < place[two] else (two, one))
        players = [players[0], players[-1], *players[1:-1]]
    return order


def rater_count(spec: StudySpec) -> int:
    """Raters that give every pair its `raters_per_pair`, if all of them finish."""
    return spec.raters_per_pair * _blocks(spec)


def rater_mode(spec: StudySpec, index: int, secret: str = "") -> Mode:
    """Randomised: of raters 2i and 2i + 1 one answers jointly, the other separately."""
    if spec.mode != "randomised":
        return spec.mode
    first_is_joint = rng_of(spec, secret, "mode", index // 2).random() < 0.5
    return "joint" if first_is_joint == (index % 2 == 0) else "separate"


def plan(spec: StudySpec, index: int, pairs: Collection[str] | None = None, secret: str = "") -> tuple[Assignment, ...]:
    """A rater's showings in their order.

    Args:
        index: the rater's number, from 0; from `rater_count(spec)` on the blocks begin again.
        pairs: ids of the comparisons to show instead of the block's own, such as those that others left unanswered;
            in an adaptive study with the propensity of each.
        secret: of the study, whose hash is the spec's commitment; "" where it has none.
    """
    rng = rng_of(spec, secret, "rater", index)
    shown = _block(spec, index, secret) if pairs is None else _leftover(spec, pairs, rng)
    chance: Mapping[str, float] = pairs if isinstance(pairs, Mapping) else {}
    first = [
        Assignment(0, pair.id, left.prompt, left, right, "comparison", propensity=chance.get(pair.id, 1.0))
        for pair, (left, right) in shown
    ]
    for check in _check_pairs(spec, len(first), rng):
        first.insert(rng.randint(0, len(first)), check)
    first = [replace(assignment, position=i) for i, assignment in enumerate(first)]
    return _with_repeats(first, _count(spec.checks.repeat, len(shown)), rng)


def commitment(secret: str) -> str:
    """What a spec says of its secret before that is published."""
    return hashlib.sha256(secret.encode()).hexdigest()


def rng_of(spec: StudySpec, secret: str, *parts: object) -> random.Random:
    """The chance of this part of a study."""
    seeds = (spec.seed, secret) if secret else (spec.seed,)
    return random.Random("/".join(map(str, (*seeds, *parts))))  # a string is hashed whole, with SHA-512


def _blocks(spec: StudySpec) -> int:
    return math.ceil(sum(map(len, _compared(spec).values())) / spec.pairs_per_rater)


def _pair(spec: StudySpec, number: int, copy: int, arms: tuple[str, str]) -> Pair:
    first, second = (spec.copies[spec.prompts[number].text, arm][copy] for arm in arms)
    return Pair(f"{_unit(number, copy)}:{arms[0]}:{arms[1]}", first, second)


def _unit(number: int, copy: int) -> str:
    return f"{number}.{copy}"


def _block(spec: StudySpec, index: int, secret: str) -> list[tuple[Pair, tuple[Stimulus, Stimulus]]]:
    """The pairs of this rater's block, sided and ordered."""
    blocks = _blocks(spec)
    round_number, block = divmod(index, blocks)
    twice, mirrored = divmod(round_number, 2)
    sequence = _sequence(spec, twice, secret)
    start, end = len(sequence) * block // blocks, len(sequence) * (block + 1) // blocks
    shown = [(pair, _sided(pair, swapped ^ bool(mirrored))) for pair, swapped in sequence[start:end]]
    rng_of(spec, secret, "order", twice, block).shuffle(shown)
    return shown[::-1] if mirrored else shown


def _sequence(spec: StudySpec, twice: int, secret: str) -> list[tuple[Pair, bool]]:
    """All pairs, arm pairs taking turns and prompts far apart; and whether the sides are swapped."""
    rng = rng_of(spec, secret, "sequence", twice)
    numbers = rng.sample(range(len(spec.prompts)), len(spec.prompts))
    arm_pairs = rng.sample(spec.arm_pairs, len(spec.arm_pairs))
    copies = [len(spec.copies[prompt.text, spec.arms[0]]) for prompt in spec.prompts]
    units = [(number, copy) for copy in range(max(copies)) for number in numbers if copy < copies[number]]
    turn = {arms: rng.random() < 0.5 for arms in arm_pairs}
    sequence, compared = [], _compared(spec)
    for layer in range(len(arm_pairs)):
        # Goes on where the last layer ended, and skips one when that would bring a unit its arm pair again.
        shift = layer * len(units) + layer * math.gcd(len(units), len(arm_pairs)) // len(arm_pairs)
        for i, (number, copy) in enumerate(units):
            arms = arm_pairs[(shift + i) % len(arm_pairs)]
            if arms not in compared[number, copy]:
                continue
            sequence.append((_pair(spec, number, copy, arms), turn[arms]))
            turn[arms] = not turn[arms]
    return sequence


def _leftover(
    spec: StudySpec, pairs: Collection[str], rng: random.Random
) -> list[tuple[Pair, tuple[Stimulus, Stimulus]]]:
    chosen = [pair for pair in comparisons(spec) if pair.id in pairs]
    rng.shuffle(chosen)
    if spec.adaptive:
        return _in_turns(chosen, rng)
    turn = rng.random() < 0.5
    return [(pair, _sided(pair, (i % 2 == 0) == turn)) for i, pair in enumerate(chosen)]


def _in_turns(chosen: list[Pair], rng: random.Random) -> list[tuple[Pair, tuple[Stimulus, Stimulus]]]:
    """Each pair of arms, which may come often, has its sides in turns."""
    turn: dict[tuple[str, str], bool] = {}
    shown = []
    for pair in chosen:
        arms = (pair.first.arm, pair.second.arm)
        turn[arms] = not turn.get(arms, rng.random() < 0.5)
        shown.append((pair, _sided(pair, turn[arms])))
    return shown


def _sided(pair: Pair, swapped: bool) -> tuple[Stimulus, Stimulus]:
    return (pair.second, pair.first) if swapped else (pair.first, pair.second)


def _count(share: float, comparisons: int) -> int:
    """At least one, where a share is asked for at all."""
    return min(comparisons, max(1, round(share * comparisons))) if share and comparisons else 0


def _check_pairs(spec: StudySpec, comparisons: int, rng: random.Random) -> list[Assignment]:
    shares = spec.checks
    checks = []
    for s in _draw(rng, spec.stimuli, _count(shares.identical, comparisons)):
        checks.append(Assignment(0, f"identical:{_number(spec, s)}", s.prompt, s, s, "identical"))
    twins = [copies for copies in spec.copies.values() if len(copies) > 1]
    for copies in _draw(rng, twins, _count(shares.same_arm, comparisons)):
        left, right = rng.sample(copies, 2)
        id = "-".join(str(number) for number in sorted((_number(spec, left), _number(spec, right))))
        checks.append(Assignment(0, f"same_arm:{id}", left.prompt, left, right, "same_arm"))
    turn = rng.getrandbits(1)  # the right answers take turns: whoever clicks one side fails half of them
    for i, number in enumerate(_draw(rng, range(len(spec.degraded)), _count(shares.gold, comparisons))):
        degraded, intact = spec.degraded[number], spec.gold_of[number]
        good = next(s for s in spec.intact if s.sha256 == intact and s.prompt == degraded.prompt)
        expected = ("left", "right")[(i + turn) % 2]
        left, right = (good, degraded) if expected == "left" else (degraded, good)
        checks.append(Assignment(0, f"gold:{number}", good.prompt, left, right, "gold", gold=expected))
    return checks


def _number(spec: StudySpec, stimulus: Stimulus) -> int:
    return spec.stimuli.index(stimulus)


def _draw(rng: random.Random, choices: Sequence, count: int) -> list:
    return rng.sample(choices, min(count, len(choices)))


def _with_repeats(first: list[Assignment], count: int, rng: random.Random) -> tuple[Assignment, ...]:
    """Comparisons of the first half once more, mirrored, among the last quarter."""
    early = [a for a in first[: math.ceil(len(first) / 2)] if a.kind == "comparison"]
    order: list[Assignment] = list(first)
    for a in _draw(rng, early, count):
        again = replace(a, left=a.right, right=a.left, kind="repeat", repeat_of=a.position, propensity=1.0)
        order.insert(rng.randint(max(len(order) * 3 // 4, a.position + 1), len(order)), again)
    return _numbered(order)


def _numbered(order: list[Assignment]) -> tuple[Assignment, ...]:
    moved = {a.position: i for i, a in enumerate(order) if a.kind != "repeat"}
    return tuple(
        replace(a, position=i, repeat_of=None if a.repeat_of is None else moved[a.repeat_of])
        for i, a in enumerate(order)
    )
