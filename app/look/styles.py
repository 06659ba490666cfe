"""The six styles, each shown by one of its artist's drawings."""

from io import BytesIO

import pyarrow.parquet as pq
from PIL import Image

from app.look.files import data_url
from e2ed2.assets import EMOJI

THING = "cat face"
SIDE = 40  # px


def style_css() -> str:
    """CSS that puts a drawing beside each choice of a style."""
    rows = pq.read_table(EMOJI, columns=["image", "style"], filters=[("caption", "=", THING)]).to_pylist()
    drawings = {row["style"]: Image.open(BytesIO(row["image"]["bytes"])).convert("RGB") for row in rows}
    return "\n".join(
        f'#style label:has(input[value="{style}"]) {{ --drawing: url("{data_url(drawing, SIDE)}"); }}'
        for style, drawing in sorted(drawings.items())
    )
