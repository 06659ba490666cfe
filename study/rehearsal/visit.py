"""One simulated rater's way through the pages, from the link to the last page."""

import hashlib
import io
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from PIL import Image

from study.images.library import bare
from study.protocol.parts import Stimulus
from study.protocol.spec import StudySpec
from study.rehearsal.browser import Browser, Form
from study.rehearsal.people import LOADING, PRACTISING, READING, Careful, Shown

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
WINDOW = (1920, 1080)  # CSS pixels
ROOM = (900, 800)  # of a picture in it


@dataclass
class Visit:
    """How far a rater came."""

    kind: str
    who: Careful
    began: float  # s since 1970, by the rehearsal's clock
    ended: float = 0.0
    finished: bool = False
    rater: str = ""  # id
    messages: Counter[str] = field(default_factory=Counter)  # of pages on which something did not work


async def go_through(visit: Visit, browser: Browser, link: str, spec: StudySpec) -> AsyncIterator[float]:
    """Yields how many seconds pass before what comes next; ends on the last page, or where there is no way on."""
    known = {stimulus.sha256: stimulus for stimulus in spec.images}
    page = await browser.get(link)
    while True:
        if page.failed:
            visit.messages[" ".join(page.sentence.split())] += 1
            if page.response.status_code != 409 or not page.onward:
                return
            page = await browser.get(page.onward)
            continue
        if (form := page.form) is None:
            visit.finished = True
            return
        fields: dict[str, str] = {}
        if "answer" in form.choices:
            await browser.look()
            yield PRACTISING
            fields = {"answer": form.choices["answer"][0]}
        elif "assignment" in form.fields:
            visit.rater = visit.rater or browser.url.rsplit("/r/")[-1].split(".")[0]
            pictures = await browser.look()
            yield LOADING
            fields, seconds = _vote(visit.who, form, pictures, known, spec)
            yield seconds
        else:
            yield READING
        page = await browser.submit(form, fields)


def _vote(
    who: Careful, form: Form, pictures: list[bytes], known: Mapping[str, Stimulus], spec: StudySpec
) -> tuple[dict[str, str], float]:
    """What the page's script would send, and the seconds until then."""
    left, right = (known[hash_of(data)] for data in (pictures[0], pictures[-1]))
    questions = tuple(question for question in spec.questions if f"q-{question.key}" in form.choices)
    answers = who.answers(Shown(left, right, questions))
    times = who.seconds(len(answers))
    fields = {f"q-{key}": answer for key, answer in answers.items()}
    fields |= {f"ms-{key}": str(round(1000 * time)) for key, time in zip(answers, times, strict=True)}
    width, height = _displayed(pictures[0])
    viewport = f"{WINDOW[0]}x{WINDOW[1]}@1 {width}x{height}"
    return fields | {"decode": str(round(1000 * LOADING)), "viewport": viewport}, times[-1]


def hash_of(picture: bytes) -> str:
    """The hash by which the spec knows a picture, whatever was appended to its file."""
    return hashlib.sha256(bare(picture)).hexdigest()


def _displayed(picture: bytes) -> tuple[int, int]:
    """As the page's script sizes it: 1:1 where that fits, small ones by a whole factor, larger ones as room allows."""
    with Image.open(io.BytesIO(picture)) as image:
        width, height = image.size
    fits = min(ROOM[0] / width, ROOM[1] / height)
    scale = fits // 1 if fits >= 1 else fits
    return round(width * scale), round(height * scale)
