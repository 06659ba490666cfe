"""Pictures of a data set, at a glance."""

import numpy as np
from PIL import Image

from e2ed2.data.pictures import Pictures


def contact_sheet(pictures: Pictures, limit: int, columns: int = 12) -> Image.Image:
    """Evenly spaced pictures of the set, at most `limit`, in rows of `columns`."""
    picked = np.unique(np.linspace(0, len(pictures) - 1, min(limit, len(pictures))).astype(int))
    side = pictures.images.shape[1]
    rows = -(-len(picked) // columns)
    sheet = Image.new("RGB", (columns * side, rows * side), "white")
    for place, i in enumerate(picked):
        sheet.paste(Image.fromarray(pictures.images[i]), (place % columns * side, place // columns * side))
    return sheet
