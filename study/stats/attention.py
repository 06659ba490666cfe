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

SIDES = ("left", "tie", "right")
HITS = {"gold": 0.95, "identical": 0.6, "repeat": 0.6}  # chance that somebody who looks hits a check of this kind


def attention(answers: pd.DataFrame) -> pd.Series:
    """By rater. In arrays: this is asked for whenever a rater finishes, and tables of pandas take their time."""
    who, names = pd.factorize(answers["rater"], sort=True)
    given = pd.Index(SIDES).get_indexer(answers["answer"])
    chance = np.full((len(names), 3), 0.5)  # half an answer more of each keeps the shares from 0 and 1
    np.add.at(chance, (who, given), 1)
    chance /= chance.sum(1, keepdims=True)
    row, wanted, again = _checks(answers, given)
    shares = chance[who[row]]
    twice = 2 * shares[:, 0] * shares[:, 2] + shares[:, 1] ** 2
    blind = np.where(again, twice, shares[range(len(row)), wanted])
    kinds = answers["kind"].to_numpy(object)[row]
    looks = np.array([HITS[kind] for kind in kinds])
    ratio = np.log(np.where(given[row] == wanted, looks / blind, (1 - looks) / (1 - blind)))
    shown = pd.factorize(answers["assignment"])[0][row]
    _, place, questions = np.unique(shown, return_inverse=True, return_counts=True)
    return pd.Series(np.bincount(who[row], ratio / questions[place], len(names)), names)


def _checks(answers: pd.DataFrame, given: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of answers to checks, the answer that hits each, and whether that is the one of its first showing."""
    kinds, gold, questions = (answers[name].to_numpy(object) for name in ("kind", "gold", "question"))
    shown, first = (answers[name].to_numpy(object) for name in ("assignment", "repeat_of"))
    before = dict(zip(zip(shown, questions, strict=True), given, strict=True))
    checks = []
    for row, kind in enumerate(kinds):
        if kind == "repeat":
            if (first[row], questions[row]) in before:  # its sides are exchanged
                checks.append((row, 2 - before[first[row], questions[row]], True))
        elif kind == "identical" or gold[row] in SIDES:
            checks.append((row, 1 if kind == "identical" else SIDES.index(gold[row]), False))
    row, wanted, again = np.array(checks, int).reshape(-1, 3).T
    return row, wanted, again.astype(bool)
