"""Figures by loops and definitions, for tests: nothing of `study.stats` is used."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import t


def two_way(influences: Sequence[float], raters: Sequence, prompts: Sequence) -> tuple[float, float]:
    """Variance (Cameron, Gelbach & Miller 2011, never below a single way) and Satterthwaite's degrees of freedom."""
    parts, sizes = [], []
    for names in (raters, prompts, list(zip(raters, prompts, strict=True))):
        sums: dict = defaultdict(float)
        for name, influence in zip(names, influences, strict=True):
            sums[name] += influence
        parts.append(sum(one**2 for one in sums.values()) * len(sums) / (len(sums) - 1))
        sizes.append(len(sums))
    variance = max(parts[0] + parts[1] - parts[2], parts[0], parts[1])
    df = variance**2 / (parts[0] ** 2 / (sizes[0] - 1) + parts[1] ** 2 / (sizes[1] - 1))
    return variance, max(df, min(sizes[:2]) - 1)


def share(hits: Sequence[float], raters: Sequence, prompts: Sequence) -> tuple[float, float, float]:
    """A rate whose null is one half, and Wilson's interval with the effective sample size, floored by the clusters."""
    n, p = len(hits), sum(hits) / len(hits)
    variance, df = two_way([(hit - p) / n for hit in hits], raters, prompts)
    size, t2 = p * (1 - p) / variance, t.ppf(0.975, df) ** 2
    centre = (p + t2 / (2 * size)) / (1 + t2 / size)
    half = (t2 * p * (1 - p) / size + t2**2 / (4 * size**2)) ** 0.5 / (1 + t2 / size)
    surest = 0.025 ** (1 / min(len(set(raters)), len(set(prompts))))
    return p, min(centre - half, surest), max(centre + half, 1 - surest)


def alpha(answers: Iterable[Sequence[str]]) -> float:
    """Krippendorff's, nominal, of each pair's answers, by coincidences."""
    seen: Counter = Counter()
    for given in answers:
        for i, one in enumerate(given):
            for j, other in enumerate(given):
                if i != j:
                    seen[one, other] += 1 / (len(given) - 1)
    n = sum(seen.values())
    of = {label: sum(count for (one, _), count in seen.items() if one == label) for label in {one for one, _ in seen}}
    observed = sum(count for (one, other), count in seen.items() if one != other)
    expected = sum(of[a] * of[b] for a in of for b in of if a != b) / (n - 1)
    return 1 - observed / expected


def posterior_means(effects: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The posterior means of normal effects with flat priors on mean and spread, by summing over a grid of both."""
    total, sums = 0.0, np.zeros(len(effects))
    rest = effects - np.linspace(-3, 3, 601)[:, None]
    for spread in np.linspace(0.0, 2.0, 201):
        inverse = np.linalg.inv(errors + spread**2 * np.eye(len(effects)))
        weights = np.sqrt(np.linalg.det(inverse)) * np.exp(-((rest @ inverse) * rest).sum(1) / 2)
        total += weights.sum()
        sums += weights @ (effects - rest + spread**2 * rest @ inverse)
    return sums / total


def kept(votes: pd.DataFrame, excluded: set[str], question: str) -> list[dict]:
    """Comparisons of raters that count on one question, row by row."""
    rows = votes.to_dict("records")
    counting = (r for r in rows if r["rater"] not in excluded and r["kind"] == "comparison")
    return [r for r in counting if r["question"] == question]
