"""The loop of votes and trainings: a row for each model fine-tuned with a preference learned from votes."""

from collections.abc import Sequence

import pandas as pd

from app.pages.results.tables import html_table
from app.studies.votes import Round
from e2ed2.preference.files import shown

LOOP = (
    "<h3>Models that votes finished</h3><p>What a study's votes taught, how often that foretells votes on new prompts "
    "(0.5 is chance), and how often fresh raters preferred the finished model to its start, on fresh prompts. 95% "
    "intervals. Nobody is told who wins before a study is closed.</p>"
)


def rounds_table(rounds: Sequence[Round]) -> str:
    rows = [
        {
            "model": one.model,
            "start": one.start or "deleted",
            "preference": one.preference,
            "foretells": shown(one.accuracy["prompts"]),
            "wins against its start": _wins(one),
        }
        for one in rounds
    ]
    return LOOP + html_table(pd.DataFrame(rows))


def _wins(one: Round) -> str:
    if one.won:
        won = shown({"value": one.won.win_rate, "low": one.won.low, "high": one.won.high})
        return f"{won}, {one.answers} answers"
    return f"being asked, {one.answers} answers so far" if one.asked else "nobody was asked"
