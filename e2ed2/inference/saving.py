"""Pictures in a folder, each with its settings inside, and a table of all of them."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from e2ed2.files import write_whole
from e2ed2.inference.request import Request, png_info, slug

TABLE = "manifest.jsonl"


def save(image: Image.Image, request: Request, folder: Path, **more: Any) -> Path:
    """Write the picture and its row in the folder's table; returns the picture's path.

    Args:
        more: settings beyond the request that also determine the picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = asdict(request) | more
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    file = folder / f"{slug(request.prompt)}-{request.seed}-{key}.png"
    image.save(file, pnginfo=png_info(request, **more))
    record(folder / TABLE, settings | {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()})
    return file


def record(table: Path, row: dict[str, Any]) -> None:
    """Write the row, replacing any of the same file; the table is complete at any moment."""
    same = f'"file": {json.dumps(row["file"])}, '
    others = table.read_text().splitlines() if table.is_file() else []
    lines = [*(line for line in others if same not in line), json.dumps(row)]
    write_whole(table, "".join(f"{line}\n" for line in lines))
