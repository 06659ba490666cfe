"""Markdown tables."""

from typing import Any


def table(columns: list[str], rows: list[list[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
