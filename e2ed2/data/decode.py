"""One way from a file to RGB pixels, for training sets and uploads alike."""

import io
import struct
import warnings
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageCms, ImageOps

from e2ed2.errors import UserError

FILTERS = Lock()
BROKEN = (OSError, ValueError, SyntaxError, struct.error, EOFError, OverflowError, MemoryError)


def decode(source: Path | bytes, name: str) -> Image.Image:
    """The picture as a person sees it: RGB, 8 bit, sRGB, upright, on white; of several frames the first.

    More than 8 bits a channel are scaled: 16-bit grey from 0..65535, floats from 0..1.

    Raises:
        UserError: no picture that can be read; `name` is in the message.
    """
    try:
        with _opened(source) as opened:
            opened.load()
            return _rgb(_upright(opened), opened.info.get("icc_profile"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(f"{name} is too large to be a picture of a training set: make it smaller.") from None
    except FileNotFoundError:
        raise UserError(f"{name} is missing.") from None
    except BROKEN as error:
        reason = "it is empty" if _empty(source) else str(error).partition("\n")[0].rstrip(".") or "damaged"
        kind = "" if not reason.startswith("cannot identify") else ": no format that is known here (HEIC is not)"
        raise UserError(f"{name} cannot be read as a picture{kind or f' ({reason})'}.") from None


def _opened(source: Path | bytes) -> Image.Image:
    """Its header is read. One thread at a time: the filters of warnings are those of the whole process."""
    with FILTERS, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def _empty(source: Path | bytes) -> bool:
    return not source if isinstance(source, bytes) else source.is_file() and source.stat().st_size == 0


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except BROKEN:  # pixels are worth more than broken EXIF data
        return image.copy()


def _rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
            return ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB") or image
        except ImageCms.PyCMSError:  # a damaged profile says nothing
            pass
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or of floats."""
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it has values that are no numbers")
    largest = 1.0 if image.mode == "F" else 65535.0
    if values.min() < 0 or values.max() > largest:
        if not (values.min() >= 0 and values.max() <= 255):
            raise ValueError(f"its values go from {values.min():g} to {values.max():g}: scale them to 0..{largest:g}")
        largest = 255.0
    return Image.fromarray(np.round(values / largest * 255).astype(np.uint8))
