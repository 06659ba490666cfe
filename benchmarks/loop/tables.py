"""What the loop found, as four tables in Markdown."""

from collections.abc import Callable, Sequence
from typing import Any

Round = dict[str, Any]
Cell = Callable[[Round], str]


def tables(rounds: Sequence[Round]) -> str:
    """A round's `accuracy` is None, and its `course` empty, where nobody was asked."""
    taught = [one for one in rounds if one["accuracy"]]
    judged = [one | {"fresh": fresh} for one in rounds for fresh in one["fresh"]]
    return "\n\n".join(
        [
            table(
                "What the votes taught (share of decided answers foretold; 0.5 is chance)",
                taught,
                {
                    "prompts left out": lambda one: share(one["accuracy"]["prompts"]),
                    "raters left out": lambda one: share(one["accuracy"]["raters"]),
                    "two people agree": lambda one: number(one["accuracy"]["agreement"]),
                    "possible": lambda one: number(one["accuracy"]["ceiling"]),
                },
            ),
            table(
                "How the training went (at its first and its last measurement)",
                taught,
                {
                    "updates": lambda one: str(one["course"][-1]["update"]),
                    "reward": lambda one: there("reward", one),
                    "judge": lambda one: there("judge", one),
                    "anchor": lambda one: there("anchor", one),
                },
            ),
            table(
                "What fresh raters say of fresh prompts: after against before",
                judged,
                {
                    "judged by": lambda one: one["fresh"]["judge"],
                    "wins": lambda one: interval(one["fresh"]["win_rate"]),
                    "answers": lambda one: str(one["fresh"]["answers"]),
                }
                | {f"moved in {name}": moved(name) for name in judged[0]["fresh"]["moved"]},
            ),
            table(
                "What it cost (on captions of the training set)",
                rounds,
                {
                    "right thing first": lambda one: change("top1", one),
                    "FD": lambda one: change("fd", one),
                    "KID": lambda one: change("kid", one, 4),
                },
            ),
        ]
    )


def table(title: str, rounds: Sequence[Round], columns: dict[str, Cell]) -> str:
    lines = [f"| crowd | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {one['crowd']} | {' | '.join(cell(one) for cell in columns.values())} |" for one in rounds]
    return "\n".join([f"{title}:", "", *lines])


def number(value: float | None, digits: int = 2) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"


def interval(three: Sequence[float]) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*three)


def share(accuracy: dict[str, float]) -> str:
    return interval([accuracy["value"], accuracy["low"], accuracy["high"]])


def there(name: str, one: Round) -> str:
    return " => ".join(number(line[name], 3) for line in (one["course"][0], one["course"][-1]))


def moved(taste: str) -> Cell:
    return lambda one: f"{one['fresh']['moved'][taste]:+.2f}"


def change(name: str, one: Round, digits: int = 2) -> str:
    return " => ".join(number(one[when][name], digits) for when in ("before", "after"))
