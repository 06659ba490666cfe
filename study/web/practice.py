"""Practice pairs: drawn here, so that they tell nothing of any study, or the organiser's own."""

from collections.abc import Callable
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter

from study.images.library import encode
from study.protocol.parts import PracticePair
from study.protocol.spec import StudySpec

SIZE = 256  # pixels

DRAWN = (  # `left` and `right` are names of drawings
    PracticePair("a red ball on grass", "ball", "blurred", "left", "A shows the ball clearly; B is blurred."),
    PracticePair("a yellow star", "blue-square", "star", "right", "B shows what the description asks for."),
    PracticePair("a red ball on grass", "ball", "ball", "tie", "Both images are the same."),
)


def practice_of(spec: StudySpec) -> tuple[PracticePair, ...]:
    return DRAWN if spec.page.practice is None else spec.page.practice


def verdict(spec: StudySpec, pair: PracticePair) -> tuple[str, str]:
    """What most people answer to the study's first question about this pair, and why; "" where nobody can say."""
    question = spec.questions[0]
    if spec.page.practice is not None or pair.expected == "tie":
        return pair.expected, pair.because
    return question.right(pair.expected), pair.because if question.gold == "intact" else ""


@lru_cache
def drawing(name: str) -> bytes:
    """WebP bytes. Raises KeyError where there is no such drawing."""
    image = Image.new("RGB", (SIZE * 2, SIZE * 2), "#dbeafe")
    DRAWINGS[name](ImageDraw.Draw(image))
    if name == "blurred":
        image = image.filter(ImageFilter.GaussianBlur(40))
    return encode(image.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def _ball(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((0, 340, 512, 512), fill="#65a30d")
    draw.ellipse((136, 150, 376, 390), fill="#dc2626")
    draw.ellipse((196, 190, 256, 240), fill="#fca5a5")


def _star(draw: ImageDraw.ImageDraw) -> None:
    draw.regular_polygon((256, 256, 190), 3, rotation=0, fill="#facc15")
    draw.regular_polygon((256, 256, 190), 3, rotation=60, fill="#facc15")


def _blue_square(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((120, 120, 392, 392), fill="#1d4ed8")


DRAWINGS: dict[str, Callable[[ImageDraw.ImageDraw], None]] = {
    "ball": _ball,
    "blurred": _ball,
    "star": _star,
    "blue-square": _blue_square,
}
