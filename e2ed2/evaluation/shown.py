"""An evaluation in a terminal, and as Markdown."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from e2ed2.evaluation.results import Result, rows


def show(called: str, result: Result, out: Path) -> None:
    """Print a table of the figures, and where they were written."""
    title = f"{called}, {result['choices']['images']} pictures"
    table = Table("figure", "value", "95% interval", "as right as can be", title=title)
    for row in rows(result):
        table.add_row(*row)
    Console().print(table)
    print(*filter(None, (result["choices"]["left_out"], out)), sep="\n")


def table(columns: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"
