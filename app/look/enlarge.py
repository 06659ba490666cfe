"""A picture for use elsewhere: larger, and without its white background."""

import numpy as np
from PIL import Image, ImageFilter

SIDES = (128, 256, 512)  # px; the models make the first
WHITE = 236  # a background's darkest channel, of 255
COLOUR = 120  # how much darker than white a channel of a drawing's own is at least
SEAM = 2  # px at the first side: how far a drawing's soft edge reaches into it


def enlarged(image: Image.Image, side: int) -> Image.Image:
    """At least `side` pixels wide; edges are as sharp as in the small picture, no sharper."""
    if side <= image.width:
        return image
    scale = side / image.width
    large = image.resize((side, round(scale * image.height)), Image.Resampling.LANCZOS)
    return large.filter(ImageFilter.UnsharpMask(radius=scale, percent=80, threshold=0))


def transparent(image: Image.Image) -> Image.Image:
    """RGBA: the white that reaches the border is gone; white inside the drawing, as of an eye, stays.

    In the seam between the two, a colour is taken for a drawing's over white: as much of it stays as is not white.
    """
    from scipy.ndimage import binary_dilation  # a second to import, for which the first page need not wait

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
    """Of the white pixels, those of regions that reach the border."""
    from scipy.ndimage import label

    regions, _ = label(white)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return np.isin(regions, np.unique(border[border > 0]))
