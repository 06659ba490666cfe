"""Which arm is which? Classifiers that learn it from what came with the pictures, if anything tells.

Each learns from one half and is asked about the other: of other prompts (does a size, a header, a name tell the arm?),
and of other raters (is one picture always called the same?). Sides are drawn by lot, so who knows nothing is right half
of the time, and the number of right answers is binomial. With cross-validation, which asks about all pairs, it would
not be: each half is then judged by what the other taught, so that answers are right or wrong together, and honest
studies failed about once in ten times.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from study.rehearsal.watching import Showing
from study.stats.intervals import LEVEL, Interval, exact

CHANCE = 0.5
ALARM = 0.01  # chance that a study that leaks nothing fails, all attacks together
SPLITS = ("prompts", "raters")
PIECES = HashingVectorizer(analyzer="char", ngram_range=(3, 4), n_features=2**10, norm=None, alternate_sign=False)


@dataclass(frozen=True)
class Attack:
    model: str
    unseen: str
    """What the pairs that it was asked about have not in common with those that it learnt from: prompts or raters."""
    showings: int  # that it was asked about
    right: int
    interval: Interval
    """95%, of the accuracy (Clopper & Pearson)."""
    caught: bool
    """Better than chance, by an interval that allows for all attacks together."""

    @property
    def accuracy(self) -> float:
        return self.right / self.showings


def attacks(showings: Sequence[Showing], seed: int = 0) -> tuple[Attack, ...]:
    """Run every attack on the same showings."""
    features, first_is_left = _features(showings), _labels(showings)
    groups = {"prompts": [one.prompt for one in showings], "raters": [one.rater for one in showings]}
    tries = [(split, name) for split in SPLITS if len(set(groups[split])) > 1 for name in _models(seed)]
    tried = []
    for split, name in tries:
        learn, ask = _halves(groups[split], seed)
        guesses = _guesses(_models(seed)[name], features[learn], first_is_left[learn], features[ask])
        right, n = int((guesses == first_is_left[ask]).sum()), len(ask)
        caught = exact(right, n, 1 - 2 * ALARM / len(tries)).low > CHANCE
        tried.append(Attack(name, split, n, right, exact(right, n, LEVEL), caught))
    return tuple(tried)


def _models(seed: int) -> dict[str, Pipeline]:
    few = SelectKBest(k=40)  # most of what is seen are random names
    return {
        "logistic regression": make_pipeline(few, StandardScaler(), LogisticRegression(max_iter=200)),
        "random forest": make_pipeline(few, RandomForestClassifier(40, min_samples_leaf=3, random_state=seed)),
    }


def _labels(showings: Sequence[Showing]) -> np.ndarray:
    """Whether the arm whose name comes first is on the left, `[n]`."""
    return np.array([one.arms[0] < one.arms[1] for one in showings])


def _features(showings: Sequence[Showing]) -> np.ndarray:
    """Left minus right of all that was seen of both; what the page said; and which two arms they are, `[n, k]`."""
    left, right = ([getattr(one, side) for one in showings] for side in ("left", "right"))
    names = sorted({name for one in (*left, *right) for name in one.numbers})
    numbers = np.array(
        [[a.numbers.get(n, 0.0) - b.numbers.get(n, 0.0) for n in names] for a, b in zip(left, right, strict=True)]
    )
    pieces = PIECES.transform([one.words for one in left]) - PIECES.transform([one.words for one in right])
    page = PIECES.transform([one.page for one in showings])
    pairs = sorted({tuple(sorted(one.arms)) for one in showings})
    arms = np.array([[tuple(sorted(one.arms)) == pair for pair in pairs] for one in showings], float)
    place = np.array([[one.position, one.position % 2] for one in showings], float)
    columns = np.hstack([numbers, _that_differ(pieces.toarray()), _that_differ(page.toarray()), arms, place])
    return columns


def _that_differ(table: np.ndarray) -> np.ndarray:
    return table[:, np.ptp(table, 0) > 0]


def _halves(groups: Sequence[object], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, and rows of other groups to be asked about."""
    codes = np.unique(np.array(groups), return_inverse=True)[1]
    return next(GroupShuffleSplit(1, test_size=0.5, random_state=seed).split(codes, groups=codes))


def _guesses(model: Pipeline, features: np.ndarray, labels: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """For each unseen pair, whether the model puts the first arm on the left, `[len(unseen)]`."""
    if len(set(labels)) < 2:  # one arm is always on one side: nothing is left to learn
        return np.full(len(unseen), labels[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn tells of columns that are constant in what it learns from
        return model.fit(features, labels).predict(unseen)
