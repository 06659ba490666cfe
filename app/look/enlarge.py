"""Prepares a picture for use elsewhere: larger, and without its white background."""

import numpy as np
from PIL import Image, ImageFilter

SIDES = (128, 256, 512)  # px; the first is the models' own size
WHITE = 236  # the least that every channel of a background pixel has, of 255
COLOUR = 120  # how much darker than white some channel of a drawing's own colour is at least
SEAM = 2  # px at the first of `SIDES`: how far a drawing's soft edge reaches into the drawing


def enlarged(image: Image.Image, side: int) -> Image.Image:
    """At least `side` pixels wide; edges are as sharp as in the small picture, no sharper."""
    if side <= image.width:
        return image
    scale = side / image.width
    large = image.resize((side, round(scale * image.height)), Image.Resampling.LANCZOS)
    return large.filter(ImageFilter.UnsharpMask(radius=scale, percent=80, threshold=0))


def transparent(image: Image.Image) -> Image.Image:
    """The picture in RGBA without the white that reaches the border; white inside the drawing, as in an eye, stays.

    In the seam between the two, a colour is treated as the drawing's over white, and keeps only the part that is not
    white.
    """
    from scipy.ndimage import binary_dilation  # takes a second to import: the first page need not wait for it

    colours = np.asarray(image.convert("RGB"), dtype=np.float32)
    darkest = colours.min(axis=2)
    outside = _background(darkest >= WHITE)
    seam = binary_dilation(outside, iterations=max(1, round(SEAM * image.width / SIDES[0])))
    alpha = np.where(seam, np.clip((255 - darkest) / COLOUR, 0, 1), 1.0)
    alpha[outside] = np.where(darkest[outside] >= (WHITE + 255) / 2, 0, alpha[outside])
    share = np.maximum(alpha, 1 / 255)[..., None]
    rest = np.clip((colours - 255 * (1 - share)) / share, 0, 255)
    return Image.fromarray(np.dstack([rest, 255 * alpha]).round().astype(np.uint8), "RGBA")


def _background(white: np.ndarray) -> np.ndarray:
    """The white pixels whose region reaches the border."""
    from scipy.ndimage import label

    regions, _ = label(white)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return np.isin(regions, np.unique(border[border > 0]))
