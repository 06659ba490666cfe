"""What a preference has learned, as part of a page: how well it predicts votes, what it likes, and where."""

import json
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from app.look.files import data_url
from e2ed2.preference.files import sure

LEARNED_NOTHING = (
    "<p><strong>These votes have taught nothing that is sure</strong>: an interval includes chance. More votes may; no "
    "model can be finished with this.</p>"
)
GROUPS = {"prompts": "of new prompts", "raters": "of new people"}


def accuracy_html(accuracy: dict[str, Any]) -> str:
    """Both accuracies with their intervals on a scale from 0.4 to 1, which marks chance and what people reach."""
    marks = {"chance": accuracy["chance"], "two people agree": accuracy["agreement"], "at best": accuracy["ceiling"]}
    known = {name: value for name, value in marks.items() if value is not None}
    ticks = "".join(f'<i style="left: {_place(value):.1f}%"></i>' for value in known.values())
    rows = "".join(
        f'<tr><th scope="row">{label}</th><td class="wide"><div class="scale" aria-hidden="true">{ticks}'
        f"{_bar(accuracy[group])}</div></td><td>{accuracy[group]['value']:.2f}, "
        f"{accuracy[group]['low']:.2f} to {accuracy[group]['high']:.2f}</td></tr>"
        for group, label in GROUPS.items()
    )
    legend = ", ".join(f"{name} {value:.2f}" for name, value in known.items())
    return (
        f'<h3>Votes that it foretells</h3><table class="figures foretold"><tbody>{rows}</tbody></table>'
        f'<p class="note">Share of decided votes that it has not seen, 95% intervals. The lines: {legend}.</p>'
        + ("" if sure(accuracy) else LEARNED_NOTHING)
    )


def _place(value: float) -> float:
    return 100 * (min(max(value, 0.4), 1.0) - 0.4) / 0.6


def _bar(one: dict[str, float]) -> str:
    low, high = _place(one["low"]), _place(one["high"])
    interval = f'<span style="left: {low:.1f}%; width: {high - low:.1f}%"></span>'
    return f'{interval}<b style="left: {_place(one["value"]):.1f}%"></b>'


def examples_html(folder: Path) -> str:
    """What it likes most and least, embedded in the page: anyone who knows an address could read cached files."""
    file = folder / "examples.json"
    if not file.is_file():
        return ""
    examples = list(enumerate(json.loads(file.read_text())))
    rows = "".join(
        f"<h4>{head}</h4><div>{''.join(_figure(folder, *one) for one in examples if one[1]['most'] == most)}</div>"
        for head, most in (("Liked most, beside others of the same prompt", True), ("Liked least", False))
    )
    return (
        f'<h3>What it likes</h3><section class="likes"><label><input type="checkbox"> Show where it looks: changes at '
        f"what glows would change the score most</label>{rows}</section>"
    )


def _figure(folder: Path, place: int, one: dict[str, Any]) -> str:
    picture, where = (data_url(Image.open(folder / f"{place}{kind}.png")) for kind in ("", "-where"))
    caption = escape(one["caption"])
    return (
        f'<figure><div><img src="{picture}" alt="{caption}"><img class="where" src="{where}" alt=""></div>'
        f"<figcaption>{caption}<br>{one['lead']:+.1f} log odds</figcaption></figure>"
    )
