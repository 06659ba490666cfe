"""Pictures as files: PNG bytes with their settings, names, a zip of several."""

import base64
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

from PIL import Image

from e2ed2.inference.request import Request, png_info, slug


def png(image: Image.Image, settings: Request | None = None) -> bytes:
    """The picture as PNG bytes; the same picture and settings always give the same bytes."""
    file = BytesIO()
    image.save(file, "PNG", pnginfo=png_info(settings) if settings else None)
    return file.getvalue()


def file_name(settings: Request) -> str:
    """A file name that says what the picture is: `red-apple_l2_4-steps_seed-7.png`."""
    steps = f"{settings.steps}-step{'s' * (settings.steps > 1)}"
    return f"{slug(settings.prompt)}_{settings.model.replace('/', '-')}_{steps}_seed-{settings.seed}.png"


def write(folder: Path, data: bytes, name: str) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def write_zip(folder: Path, files: Sequence[str], settings: Sequence[Request]) -> str:
    """A zip of all files, with the settings of each in `manifest.json`; it is named after the first."""
    rows = [{"file": Path(file).name, **asdict(one)} for file, one in zip(files, settings, strict=True)]
    path = folder / f"{slug(settings[0].prompt)}_{len(files)}-pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, Path(file).name)
        archive.writestr("manifest.json", json.dumps(rows, indent=2, ensure_ascii=False))
    return str(path)


def data_url(image: Image.Image, side: int | None = None) -> str:
    small = image.resize((side, side), Image.Resampling.BOX) if side else image
    return f"data:image/png;base64,{base64.b64encode(png(small)).decode()}"


def from_data_url(url: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(url.partition(",")[2])))
