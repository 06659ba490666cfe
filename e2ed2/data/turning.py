"""A drawing's main colour, and the drawing with it turned to another.

In OKLab (Ottosson 2020), where lightness, chroma and hue look about as even as they are.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from e2ed2.data.colours import COLOURS

CONTRAST = 0.8  # how much of the differences of lightness is kept
CLEAR = 0.05  # chroma below which a colour has no hue to speak of
NEIGHBOURS = 30.0  # degrees of hue that belong to one colour
MAIN = 0.3  # least share of a drawing that its main colour covers

FROM_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
FROM_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def to_oklab(image: np.ndarray) -> np.ndarray:
    """uint8 sRGB `[H, W, 3]` => lightness in [0, 1], a and b."""
    srgb = image / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ FROM_RGB.T) @ FROM_LMS.T


def to_srgb(lab: np.ndarray) -> np.ndarray:
    """The inverse; what no screen can show is clipped."""
    linear = ((lab @ np.linalg.inv(FROM_LMS).T) ** 3 @ np.linalg.inv(FROM_RGB).T).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (srgb * 255).round().astype(np.uint8)


@dataclass(frozen=True)
class MainColour:
    """Which pixels of a drawing have its main colour, and what that is."""

    share: np.ndarray  # [H, W] in [0, 1]
    lightness: float
    chroma: float
    hue: float  # degrees


def main_colour(lab: np.ndarray) -> MainColour | None:
    """None where no colour covers enough of the drawing."""
    drawn = ~background(lab)
    chroma, hue = np.hypot(lab[..., 1], lab[..., 2]), np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    share, middle = hued(chroma * drawn, hue)
    if not covers(share, drawn):
        share, middle = drawn * ramp(chroma, CLEAR, 0.6 * CLEAR), 0.0
        if covers(light := share * ramp(lab[..., 0], 0.3, 0.4), drawn):
            share = light  # without the outlines
    if not covers(share, drawn):
        return None
    solid = share > 0.5
    return MainColour(share, float(np.median(lab[..., 0][solid])), float(np.median(chroma[solid])), middle)


def name_of(main: MainColour) -> str:
    """The nearest of `COLOURS`."""
    lightness, chroma, hue = np.array(list(COLOURS.values())).T
    own, each = np.radians(main.hue), np.radians(hue)
    away = (
        (lightness - main.lightness) ** 2
        + (chroma * np.cos(each) - main.chroma * np.cos(own)) ** 2
        + (chroma * np.sin(each) - main.chroma * np.sin(own)) ** 2
    )
    return list(COLOURS)[int(away.argmin())]


def covers(share: np.ndarray, drawn: np.ndarray) -> bool:
    return (share > 0.5).sum() >= MAIN * max(drawn.sum(), 1)


def background(lab: np.ndarray) -> np.ndarray:
    """White that reaches the edge of the picture."""
    white = (lab[..., 0] > 0.975) & (np.hypot(lab[..., 1], lab[..., 2]) < 0.015)
    parts, _ = ndimage.label(white)
    edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    return np.isin(parts, edge[edge > 0])


def hued(chroma: np.ndarray, hue: np.ndarray) -> tuple[np.ndarray, float]:
    """How much each pixel belongs to the commonest hue, and that hue."""
    counts, _ = np.histogram(hue, bins=72, range=(-180, 180), weights=chroma * (chroma > CLEAR))
    commonest = ndimage.uniform_filter1d(counts, 5, mode="wrap").argmax() * 5 - 177.5
    off = (hue - commonest + 180) % 360 - 180
    near = chroma * (abs(off) < NEIGHBOURS)
    middle = commonest + (off * near).sum() / max(near.sum(), 1e-9)
    away = abs((hue - middle + 180) % 360 - 180)
    return ramp(away, 1.5 * NEIGHBOURS, NEIGHBOURS) * ramp(chroma, 0.4 * CLEAR, CLEAR), float(middle)


def ramp(values: np.ndarray, zero: float, one: float) -> np.ndarray:
    return ((values - zero) / (one - zero)).clip(0, 1)


def turned(lab: np.ndarray, main: MainColour, colour: str) -> np.ndarray:
    """The drawing with its main colour turned to that of the name, uint8 `[H, W, 3]`."""
    lightness, chroma, hue = COLOURS[colour]
    own = np.hypot(lab[..., 1], lab[..., 2])
    strength = (own / main.chroma).clip(0.3, 1.3) if main.chroma > CLEAR else np.ones_like(own)
    off = (np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) - main.hue + 180) % 360 - 180
    angle = np.radians(hue + (0.5 * off if main.chroma > CLEAR else 0))
    light = (lightness + CONTRAST * (lab[..., 0] - main.lightness)).clip(0, 1)
    new = np.stack([light, chroma * strength * np.cos(angle), chroma * strength * np.sin(angle)], axis=-1)
    return to_srgb(lab + main.share[..., None] * (new - lab))
