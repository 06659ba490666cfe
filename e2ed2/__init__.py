"""Few-step text-to-image models, trained end to end."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e2ed2.inference.pipeline import E2ED2Pipeline

__all__ = ["E2ED2Pipeline"]


def __getattr__(name: str) -> Any:
    """Import the pipeline on first use: the command line's `--help` needs no torch."""
    if name == "E2ED2Pipeline":
        from e2ed2.inference.pipeline import E2ED2Pipeline

        return E2ED2Pipeline
    raise AttributeError(name)
