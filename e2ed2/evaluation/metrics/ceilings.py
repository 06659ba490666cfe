"""The retrieval head's rates on pictures that are as right as can be: the upper bounds, stored in the head's file."""

import json
from pathlib import Path

from safetensors import safe_open

from e2ed2.assets import RETRIEVAL_HEAD
from e2ed2.errors import UserError
from e2ed2.models.components import digest

CEILINGS = "ceilings"  # in the head's file
# Kind of picture => split => name of the rate => its value.
Ceilings = dict[str, dict[str, dict[str, float]]]


def load_ceilings(file: Path = RETRIEVAL_HEAD) -> Ceilings:
    """Raises UserError: there is no such file."""
    with safe_open(existing(file), "pt") as opened:
        return json.loads(opened.metadata()[CEILINGS])


def head_digest() -> str:
    """A hash of the bundled head: another head would recognise other things in the same pictures."""
    return digest(existing(RETRIEVAL_HEAD))[:12]


def existing(file: Path) -> Path:
    if not file.is_file():
        raise UserError(f"{file} is missing: make it with `python -m e2ed2.evaluation.experiments.retrieval_head`.")
    return file
