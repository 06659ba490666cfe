"""The Results page's tables."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd

from app.look.tables import scrolling
from app.pages.results.figures import MEASURES
from study.store.visitors import Chosen

# `element` is Gradio's. A click on a column's head sorts by it, a second click in reverse.
SORT = """element.addEventListener("click", (event) => {
    const head = event.target.closest("th button")?.closest("th");
    if (!head) return;
    const up = head.ariaSort !== "ascending", at = head.cellIndex, body = head.closest("table").tBodies[0];
    for (const one of head.parentNode.cells) one.ariaSort = "none";
    head.ariaSort = up ? "ascending" : "descending";
    const value = (row) => row.cells[at].dataset.value ?? row.cells[at].textContent.trim();
    const order = (one, other) => {
        const [a, b] = [value(one), value(other)];
        if (!a || !b) return !a - !b;
        return (up ? 1 : -1) * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
    };
    body.append(...[...body.rows].sort(order));
})"""


def by_steps(table: pd.DataFrame, split: str | None, measure: str) -> str:
    """One figure for one kind of prompts: a row per model, a column per number of steps, the best in bold."""
    part = table[table["split"] == split].dropna(subset=[measure]) if len(table) else table
    if part.empty:
        return ""
    wide = part.pivot_table(index="model", columns="steps", values=measure)
    best = wide.stack().max() if MEASURES[measure].better > 0 else wide.stack().min()
    head = "".join(_head(text) for text in ("model", *(f"{int(steps)} step{'s' * (steps > 1)}" for steps in wide)))
    rows = "".join(
        f'<tr><th scope="row">{model}</th>{"".join(_figure(value, best) for value in row)}</tr>'
        for model, row in zip(wide.index, wide.to_numpy(), strict=True)
    )
    one = MEASURES[measure]
    note = f"{one.meaning}. {'More' if one.better > 0 else 'Less'} is better; the best is in bold."
    said = f'<p class="note">{escape(measure)}: {escape(note, quote=False)}</p>'
    numbers = f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return said + scrolling(numbers, "Figures")


def _head(text: str) -> str:
    return f'<th scope="col" aria-sort="none"><button type="button">{text}</button></th>'


def _figure(value: float, best: float) -> str:
    if pd.isna(value):
        return "<td></td>"
    number = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f'<td data-value="{value}">{f"<strong>{number}</strong>" if value == best else number}</td>'


def html_table(table: pd.DataFrame) -> str:
    """The table as HTML; on a narrow screen it scrolls on its own."""
    numbers = table.to_html(
        index=False, border=0, classes="figures", na_rep="", float_format=lambda value: f"{value:.3g}"
    )
    return scrolling(numbers, "Figures")


def csv_file(table: pd.DataFrame, folder: Path) -> str:
    """All measurements as a CSV file."""
    file = folder / "results.csv"
    table.to_csv(file, index=False)
    return str(file)


def chosen_table(chosen: Sequence[Chosen]) -> str:
    """Votes on pairs that visitors chose; the better one of each pair comes first."""
    ordered = [one if one.wins >= one.losses else one.turned() for one in chosen]
    rows = [(one.arm, one.other, one.wins, one.ties, one.losses) for one in ordered]
    return html_table(
        pd.DataFrame(rows, columns=["one", "the other", "the one is better", "tie", "the other is better"])
    )
