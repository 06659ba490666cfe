"""From answers to figures: tables in, typed results out. Knows no database and no page."""

from study.stats.analysis import Analysis, Results, plain, results
from study.stats.answers import checked
from study.stats.davidson import ranking
from study.stats.evalues import evidence
from study.stats.exclusions import exclude
from study.stats.intervals import Estimate, Interval
from study.stats.preference import preference

__all__ = [
    "Analysis",
    "Estimate",
    "Interval",
    "Results",
    "checked",
    "evidence",
    "exclude",
    "plain",
    "preference",
    "ranking",
    "results",
]
