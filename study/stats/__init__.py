"""From answers to figures: tables in, typed results out. Knows no database and no page."""

from study.stats.analysis import Analysis, Study, plain, study
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
    "Study",
    "checked",
    "evidence",
    "exclude",
    "plain",
    "preference",
    "ranking",
    "study",
]
