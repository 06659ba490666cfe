"""From noise to picture, as tables: the steps, what the noise changes, what the caption changes."""

from app.engine.painter import Services
from app.look.tables import Cell, Row, Table
from e2ed2.inference.request import Request

SEEDS = 8
STAGES = 7  # from one prompt to the other, both included


def steps_table(services: Services, settings: Request) -> Table:
    """One column a step: what the model was shown, and the clean picture that it made of it."""
    looks = services.looks(settings)
    columns = tuple(f"step {number}: {look.level:.0%} noise" for number, look in enumerate(looks, 1))
    shown = Row(f"{settings.model} is shown", tuple(Cell(look.noisy) for look in looks))
    made = Row(f"{settings.model} makes of it", tuple(Cell(look.clean) for look in looks))
    return Table(columns, (shown, made))


def seed_cells(services: Services, jobs: list[Request]):
    """One picture after the other, each from other noise."""
    for job in jobs:
        yield services.paint(job), f"seed {job.seed}"


def blend_cells(services: Services, settings: Request, other: str):
    """From one prompt to another, through the captions between them; the noise stays."""
    for stage in range(STAGES):
        share = stage / (STAGES - 1)
        words = {0: settings.prompt.strip(), 1: other.strip()}.get(share, f"{share:.0%} of the way")
        yield services.blend(settings, other, share), words
