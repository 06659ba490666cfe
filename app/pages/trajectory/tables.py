"""From noise to picture, as tables: the steps, what the noise changes, what the caption changes."""

from collections.abc import Iterator

from PIL import Image

from app.engine.services import Services
from app.look.tables import Cell, Row, Table
from e2ed2.inference.request import Request

SEEDS = 8
STAGES = 7  # pictures from one prompt to the other, both included


def steps_table(services: Services, request: Request) -> Table:
    """One column per step: what the model was shown, and the clean picture that it predicted from it."""
    looks = services.looks(request)
    columns = tuple(f"step {number}: {look.level:.0%} noise" for number, look in enumerate(looks, 1))
    shown = Row(f"{request.model} is shown", tuple(Cell(look.noisy) for look in looks))
    guesses = Row(f"{request.model} makes of it", tuple(Cell(look.clean) for look in looks))
    return Table(columns, (shown, guesses))


def seed_cells(services: Services, requests: list[Request]) -> Iterator[tuple[Image.Image, str]]:
    """Pictures one after the other, each from different noise, with the text below it."""
    for request in requests:
        yield services.picture(request), f"seed {request.seed}"


def blend_cells(services: Services, request: Request, other: Request) -> Iterator[tuple[Image.Image, str]]:
    """Pictures from one prompt to another, through captions between them; the noise stays the same."""
    for stage in range(STAGES):
        share = stage / (STAGES - 1)
        words = {0: request.words, 1: other.words}.get(share, f"{share:.0%} of the way")
        yield services.blend(request, other.words, share), words
