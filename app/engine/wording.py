"""How a visitor wants a prompt to be read."""

from dataclasses import dataclass

from app.errors import ForgedError
from e2ed2.data.styles import MIXED, STYLES
from e2ed2.reading.captions import captions_of
from e2ed2.reading.reader import Reading


@dataclass(frozen=True)
class Wording:
    style: str = MIXED  # or one of `STYLES`, for prompts that name none
    exactly: bool = False  # the model gets the prompt verbatim
    read_as: str = ""  # one of the names that the models know; if empty, the likeliest

    def captions(self, reading: Reading | None, seeds: list[int]) -> list[str]:
        """What the model is given for each seed; empty if it gets the prompt itself."""
        if self.exactly or reading is None:
            return [""] * len(seeds)
        if self.read_as:
            reading = reading.only(self.read_as)
        return captions_of(reading, seeds, self.style)


USUAL = Wording()


def wording(style: object, exactly: object, read_as: object) -> Wording:
    """Raises ForgedError: only a hand-made request sends this."""
    if style not in (MIXED, *STYLES):
        raise ForgedError(f"style must be one of {', '.join((MIXED, *STYLES))}.")
    if not isinstance(exactly, bool):
        raise ForgedError("exactly must be true or false.")
    if not isinstance(read_as, str):
        raise ForgedError("read_as must be text.")
    return Wording(str(style), exactly, read_as.strip())
