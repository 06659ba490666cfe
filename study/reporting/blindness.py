"""What a certificate says, in words."""

from collections.abc import Mapping
from typing import Any

from study.reporting.words import counted, percent

CERTIFICATE = "certificate.json"


def blindness_in_words(certificate: Mapping[str, Any]) -> str:
    """A sentence or two for a report and for a paper; "" without a certificate."""
    if not certificate:
        return ""
    best = max(certificate["attacks"], key=lambda one: one["accuracy"])
    low, high = (percent(best["interval"][end]) for end in ("low", "high"))
    text = (
        f"An attacker saw {counted(certificate['showings'], 'pair')} as raters' browsers get them (addresses, headers, "
        "sizes, times, order, elements of the page, metadata), and learnt from these to tell the arms apart. On pairs "
        f"of unseen prompts or raters the best of {len(certificate['attacks'])} classifiers was right in "
        f"{percent(best['accuracy'])} ({low} to {high}; chance is "
        f"{percent(certificate['chance'])})"
    )
    if certificate["passed"]:
        return f"{text}: nothing but the pixels gives the arms away."
    return f"{text}: the pages gave the arms away, so raters may have known which arm made which picture."
