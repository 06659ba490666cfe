"""Markdown tables."""

from typing import Any


def number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def spread(result: dict[str, Any], key: str, form: str) -> str:
    """A figure `group.name` with its 95% interval, where its file has one; empty if it was not measured."""
    group, _, name = key.partition(".")
    value, interval = result.get(group, {}).get(name), result.get("intervals", {}).get(key)
    ends = f" ({' to '.join(format(end, form) for end in interval)})" if interval else ""
    return "" if value is None else f"{value:{form}}{ends}"
