"""An evaluation in a terminal."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2ed2.evaluation.results import Result, rows


def show(called: str, result: Result, out: Path) -> None:
    """A table of its figures, and where they were written."""
    title = f"{called}, {result['choices']['images']} pictures"
    table = Table("figure", "value", "95% interval", "as right as can be", title=title)
    for row in rows(result):
        table.add_row(*row)
    Console().print(table)
    print(*filter(None, (result["choices"]["left_out"], out)), sep="\n")
