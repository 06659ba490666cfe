"""Which colours that no training showed are right how often, and what drawings reach: `measure_colours` writes it."""

import json
from pathlib import Path
from typing import Any

from e2ed2.assets import RESULTS
from e2ed2.evaluation.metrics.ceilings import head_digest

OUT = RESULTS / "colours.json"
TURNED = "turned drawings"


def read_colours(file: Path = OUT) -> dict[str, Any]:
    """The measured shares; empty if there are none, or an earlier retrieval head was used."""
    result = json.loads(file.read_text()) if file.is_file() else {}
    return result if result.get("head") == head_digest() else {}
