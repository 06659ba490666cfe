"""What varies along the rows and columns of a grid: prompts, models, steps, seeds or styles."""

from dataclasses import dataclass

from app.engine.services import Services
from app.engine.wording import Wording
from app.errors import ForgedError
from app.look.words import counted
from e2ed2.data.styles import STYLES
from e2ed2.errors import UserError
from e2ed2.inference.request import STEPS, Request

KINDS = ("prompts", "models", "steps", "seeds", "styles")
MOST = 8  # values of an axis
EXAMPLES = {"prompts": "red apple\nrocket\nfox", "steps": ", ".join(map(str, STEPS)), "seeds": "1, 2, 3, 4"}


@dataclass(frozen=True)
class Axis:
    kind: str  # one of KINDS
    values: tuple[str | int, ...]

    def label(self, value: str | int) -> str:
        match self.kind:
            case "steps":
                return counted(int(value), "step")
            case "seeds":
                return f"seed {value}"
            case _:
                return str(value)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(map(self.label, self.values))


@dataclass(frozen=True)
class Base:
    """Settings of all pictures in a grid; the axes override those that vary."""

    prompt: object
    model: object
    steps: object
    seed: object
    wording: Wording


def example(kind: str, services: Services) -> str:
    """Initial values for an axis of this kind."""
    named = {"models": services.models.names()[:MOST], "styles": STYLES[:MOST]}
    return EXAMPLES.get(kind) or ", ".join(named.get(kind, ()))


def axis(kind: object, text: object) -> Axis:
    """Parse an axis: prompts one a line; other values separated by commas, or one a line.

    Raises UserError: no values, too many, or one twice; ForgedError: an unknown kind, or not text.
    """
    if kind not in KINDS or not isinstance(text, str):
        raise ForgedError(f"An axis is one of {', '.join(KINDS)}, and its values are text.")
    parts = text.splitlines() if kind == "prompts" else text.replace("\n", ",").split(",")
    values = [part.strip() for part in parts if part.strip()]
    if not values:
        raise UserError(f"Write at least one value for {kind}.")
    if len(values) > MOST:
        raise UserError(f"These are {len(values)} {kind}: at most {MOST} are possible on one side.")
    if len(set(values)) < len(values):
        raise UserError(f"One of the {kind} is there twice.")
    return Axis(
        str(kind), tuple(_number(value, str(kind)) if kind in ("steps", "seeds") else value for value in values)
    )


def _number(text: str, kind: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise UserError(f"“{text}” is none of the {kind}: write whole numbers, with commas between.")
    return int(text)


def requests_of(services: Services, base: Base, rows: Axis, columns: Axis) -> list[list[Request | str]]:
    """A request for each place, or a text that says why there is none. Raises as `Services.plan` does."""
    if rows.kind == columns.kind:
        raise UserError(f"Rows and columns are both {rows.kind}: choose two different things.")
    if "styles" in (rows.kind, columns.kind) and base.wording.exactly:
        raise UserError("A style has no effect on exactly your words: untick that, or let something else differ.")
    return [[_request_at(services, base, {rows.kind: r, columns.kind: c}) for c in columns.values] for r in rows.values]


def _request_at(services: Services, base: Base, varied: dict[str, str | int]) -> Request | str:
    model = services.named(str(varied["models"])) if "models" in varied else services.known(base.model)
    steps = varied.get("steps", base.steps)
    if steps in STEPS and steps not in (possible := services.models.steps(model)):
        return f"{counted(possible[0], 'step')} only"
    style = str(varied.get("styles", base.wording.style))
    if style not in STYLES:
        raise UserError(f"“{style}” is no style: choose from {', '.join(STYLES)}.")
    wanted = Wording(style, base.wording.exactly, base.wording.read_as)
    prompt, seed = varied.get("prompts", base.prompt), varied.get("seeds", base.seed)
    return services.plan(prompt, model, steps, seed, wording=wanted)[0]
