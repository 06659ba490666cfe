"""What a certificate says, in words."""

from collections.abc import Mapping
from typing import Any

from study.reporting.words import counted, percent

CERTIFICATE = "certificate.json"


def told_apart(certificate: Mapping[str, Any]) -> str:
    """A sentence or two for a report and for a paper; "" without a certificate."""
    if not certificate:
        return ""
    best = max(certificate["attacks"], key=lambda one: one["accuracy"])
    low, high = (percent(best["interval"][end]) for end in ("low", "high"))
    text = (
        f"An attacker saw {counted(certificate['showings'], 'pair')} as raters' browsers get them (addresses, headers, "
        "sizes, times, order, elements of the page, metadata), and learnt to tell the arms from all that. On pairs of "
        f"unseen prompts or raters the best of {len(certificate['attacks'])} classifiers was right in "
        f"{percent(best['accuracy'])} ({low} to {high}; chance is "
        f"{percent(certificate['chance'])})"
    )
    if certificate["passed"]:
        return f"{text}: nothing but the pixels tells the arms."
    return f"{text}: the pages told the arms apart, and raters may have known whose picture is whose."
