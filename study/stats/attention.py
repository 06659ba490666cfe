"""Whether a rater looked at the pictures, from the answers to check pairs.

Somebody who looks hits most checks. Blind clicks hit them too, by chance: a rater whose answers are left, tie and right
in the shares l, t and r hits

    a gold pair                         with l or r, as the right answer is left or right
    an identical pair (a tie)           with t
    a repeat, mirrored (the same again) with 2 l r + t t

The log of (chance of what was answered, if the rater looks) / (chance, if the rater clicks blindly), summed over the
checks, is the rater's attention, in nats: 0 without checks, below 0 where they speak of clicks. Where a pair has
several questions their mean counts, since one click often answers them all.
"""

import numpy as np
import pandas as pd

HITS = {"gold": 0.95, "identical": 0.6, "repeat": 0.6}  # chance that somebody who looks hits a check of this kind
MIRRORED = {"left": "right", "tie": "tie", "right": "left"}


def attention(answers: pd.DataFrame) -> pd.Series:
    """By rater."""
    chance = _shares(answers)
    checks = pd.concat([_known(answers), _repeats(answers)])
    left, tie, right = chance.loc[checks["rater"]].to_numpy().T
    wanted = [checks["wanted"] == side for side in ("left", "tie", "right")]
    blind = np.select(wanted, [left, tie, right], 2 * left * right + tie**2)
    looks = checks["kind"].map(HITS).to_numpy(float)
    hit = checks["hit"].to_numpy(bool)
    ratio = np.log(np.where(hit, looks / blind, (1 - looks) / (1 - blind)))
    by_pair = checks.assign(ratio=ratio).groupby(["rater", "assignment"])["ratio"].mean()
    return by_pair.groupby("rater").sum().reindex(chance.index, fill_value=0.0)


def _shares(answers: pd.DataFrame) -> pd.DataFrame:
    """By rater: of left, tie, right; half an answer more of each keeps them from 0 and 1."""
    counts = pd.crosstab(answers["rater"], answers["answer"]).reindex(columns=list(MIRRORED), fill_value=0) + 0.5
    return counts.div(counts.sum(axis=1), axis=0)


def _known(answers: pd.DataFrame) -> pd.DataFrame:
    """Answers to gold and identical pairs, with the one that was wanted."""
    wanted = np.where(answers["kind"] == "identical", "tie", answers["gold"])
    rows = answers.assign(wanted=wanted)[wanted != ""]
    return rows.assign(hit=rows["answer"] == rows["wanted"])


def _repeats(answers: pd.DataFrame) -> pd.DataFrame:
    """Second showings, whose first one was answered too."""
    key = ["assignment", "question"]
    again = answers[answers["kind"] == "repeat"]
    first = answers.set_index(key)["answer"].rename("before")
    rows = again.join(first, on=["repeat_of", "question"], how="inner")
    return rows.assign(wanted="again", hit=rows["before"].map(MIRRORED) == rows["answer"])
