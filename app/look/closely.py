"""Two pictures on top of each other: under a slider, in turn, or as their difference; both zoom to one place."""

from html import escape
from pathlib import Path

from PIL import Image

from app.look.tables import Source

SCRIPT = Path(__file__).with_name("closely.js").read_text()
WAYS = {"slide": "Slider", "flicker": "In turn", "difference": "Difference"}


def closely(left: tuple[str, Image.Image], right: tuple[str, Image.Image], source: Source) -> str:
    """HTML for two named pictures; range inputs, which keys move too, set the split and the zoom. See `SCRIPT`."""
    under, over = (f'<img src="{source(picture)}" alt="{escape(name)}">' for name, picture in (left, right))
    ways = "".join(
        f'<label><input type="radio" name="way" value="{way}"{" checked" if way == "slide" else ""}> {label}</label>'
        for way, label in WAYS.items()
    )
    return (
        f'<div class="closely"><fieldset class="ways"><legend>Seen as</legend>{ways}'
        '<label>Zoom <input type="range" class="zoom" min="1" max="6" step="0.5" value="1"></label></fieldset>'
        f'<div class="slide"><div class="both"><div>{under}</div><div class="over">{over}</div></div>'
        '<input type="range" class="at" min="0" max="100" value="50" '
        'aria-label="How much of the left picture is seen"></div>'
        f'<p class="names"><span>{escape(left[0])}</span><span>{escape(right[0])}</span></p></div>'
    )
