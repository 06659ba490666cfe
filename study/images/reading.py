"""One image of any origin as RGB, 8 bit, sRGB, upright."""

import io
import re
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from study.errors import StudyError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
NOT_READ = (".heic", ".heif")  # named, so that nobody wonders where they are
MOST_PIXELS = 90_000_000


def load_image(file: Path) -> Image.Image:
    """RGB, 8 bit, sRGB, upright; what was transparent is white. Of 16 bits a channel the upper 8 are kept.

    Raises:
        StudyError: no such file, no image, several images in one file, or more than MOST_PIXELS.
    """
    if not file.is_file():
        raise StudyError(f"{file} is missing.")
    if file.suffix.lower() in NOT_READ:
        raise StudyError(f"{file} is a HEIC file: save it as PNG.")
    try:
        with Image.open(file) as opened:
            _check(opened, file)
            image = _upright(opened)
            profile = opened.info.get("icc_profile")
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        elif image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        elif image.mode in ("I", "F"):
            raise StudyError(f"{file} has 32 bits a channel: save it with 8 or 16.")
        if profile and image.mode in ("RGB", "CMYK"):
            srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
            return ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB") or image
        return image.convert("RGB")
    except Image.DecompressionBombError as error:  # it is raised before the size can be asked for
        count = re.search(r"[0-9]+", str(error))
        raise StudyError(_too_large(file, f"{int(count[0]):,} pixels" if count else "too many pixels")) from None
    except (OSError, ValueError, SyntaxError, ImageCms.PyCMSError):
        raise StudyError(f"{file} cannot be read as an image.") from None


def _check(image: Image.Image, file: Path) -> None:
    """Before its pixels are read."""
    if image.width * image.height > MOST_PIXELS:
        raise StudyError(_too_large(file, f"{image.width}x{image.height} pixels"))
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # cameras add a preview to these
        raise StudyError(f"{file} holds {getattr(image, 'n_frames', 1)} images: save the one that raters should see.")


def _too_large(file: Path, size: str) -> str:
    return f"{file} has {size}: make it {MOST_PIXELS:,} pixels at most."


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, TypeError, OSError, struct.error):  # pixels are worth more than broken EXIF data
        return image.copy()
