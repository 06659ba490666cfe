"""The artists of the bundled drawings, as prompts and options name them."""

from e2ed2.errors import UserError

# The last one is recognised least often: in 0.54 of what people ask for, drawn by `l2-lpips-gan`; `BEST` in 0.83.
STYLE_NAMES = ("noto", "twemoji", "flat", "fluent", "openmoji", "emojione")
BEST = "flat"  # the style that is recognised most often
BY_SEED = "by seed"
STYLES = (*STYLE_NAMES, BY_SEED)
MIXED = "mixed"  # of several pictures of a prompt, the first in the best style, each of the others in another


def check_style(style: str) -> None:
    """
    Args:
        style: `MIXED`, one of `STYLES`, or "" for none.

    Raises:
        UserError: no such style.
    """
    if style and style not in (MIXED, *STYLES):
        raise UserError(f"Unknown style {style!r}: choose one of {', '.join((MIXED, *STYLES))}.")
