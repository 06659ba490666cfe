"""Image bytes under names that tell nothing."""

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import aliased

from study.images.library import FORMATS, Library
from study.protocol.parts import REFERENCE
from study.store.store import Store
from study.store.tables import Arm, StoredAssignment, StoredPair, StoredStimulus
from study.web.dependencies import OpenStore, Rater
from study.web.practice import drawing, practice_of

router = APIRouter()
KEPT = 3600  # s, that a browser keeps a picture under its token
LENGTHS: dict[tuple[str, int, str], int] = {}  # by library, study and prompt; a study's pictures never change
MOST_PAIRS = 4096
PAIRS: dict[str, tuple[str, list[Path], int]] = {}  # by either picture's name: the left one's, both files, their length


def _pair_query():
    """Query for the pair that shows a picture as `token`: both tokens, both hashes, study, prompt."""
    shown, left, right = StoredAssignment, aliased(StoredStimulus), aliased(StoredStimulus)
    return (
        select(shown.left_token, shown.right_token, left.sha256, right.sha256, left.study_id, left.prompt)
        .join(left, left.id == shown.left_id)
        .join(right, right.id == shown.right_id)
        .where((shown.left_token == bindparam("token")) | (shown.right_token == bindparam("token")))
    )


BOTH = _pair_query()
OF_PROMPT = select(StoredStimulus.sha256).where(
    StoredStimulus.study_id == bindparam("study"), StoredStimulus.prompt == bindparam("prompt")
)


async def image(request: Request) -> Response:
    """No validator, no date, no name: nothing that two showings of one file have in common but its pixels.

    All pictures of a prompt come in as many bytes, after as much work: a blurred arm would be known by its small files,
    and a check by a length of its own. What follows the end of a WebP or PNG file is read by nobody. The browser keeps
    it, since the page before asked for it in advance.
    """
    return await run_in_threadpool(_image, request.path_params["token"], request.app.state.store)


# As a route of Starlette: nothing of this request is for FastAPI to look into, which would take as long as the rest.
router.add_route("/i/{token}", image)


def _image(token: str, store: Store) -> Response:
    left_token, files, length = PAIRS.get(token) or _pair(token, store)
    data = [file.read_bytes().ljust(length, b"\0") for file in files]
    side = 0 if token == left_token else 1
    return _cacheable(data[side], files[side])


def _pair(token: str, store: Store) -> tuple[str, list[Path], int]:
    with store.database.look() as connection:
        row = connection.execute(BOTH, {"token": token}).first()
        if row is None:
            raise HTTPException(404)
        left, right, *both, study, prompt = row
        length = _longest(store.library, study, prompt, connection)
    if len(PAIRS) >= MOST_PAIRS:
        PAIRS.clear()
    files = left, [store.library.path(sha256) for sha256 in both], length
    PAIRS.update({left: files, right: files})
    return files


def _longest(library: Library, study: int, prompt: str, connection: Connection) -> int:
    """Bytes of the longest picture of a prompt, whichever arm or check it is of."""
    place = (str(library.folder), study, prompt)
    if place not in LENGTHS:
        hashes = connection.scalars(OF_PROMPT, {"study": study, "prompt": prompt})
        LENGTHS[place] = max(library.path(sha256).stat().st_size for sha256 in hashes)
    return LENGTHS[place]


def _cacheable(data: bytes, file: Path) -> Response:
    headers = {"Cache-Control": f"private, max-age={KEPT}"}
    return Response(data, media_type=FORMATS[file.suffix[1:]], headers=headers)


@router.get("/i/{token}/reference")
def reference_image(token: str, store: OpenStore) -> Response:
    """The reference picture for the pair whose left picture is `token`."""
    query = (
        select(StoredStimulus.sha256)
        .join(Arm, Arm.id == StoredStimulus.arm_id)
        .join(StoredPair, StoredPair.study_id == StoredStimulus.study_id)
        .join(StoredAssignment, StoredAssignment.pair_id == StoredPair.id)
        .where(StoredAssignment.left_token == token, Arm.name == REFERENCE, StoredStimulus.prompt == StoredPair.prompt)
    )
    with store.database.read() as session:
        sha256 = session.scalars(query).first()
    if sha256 is None:
        raise HTTPException(404)
    file = store.library.path(sha256)
    return _cacheable(file.read_bytes(), file)


@router.get("/r/{token}/practice/{step}/{side}")
def practice_image(rater: Rater, store: OpenStore, step: int, side: str) -> Response:
    pairs = practice_of(rater.study.spec)
    if not 0 <= step < len(pairs) or side not in ("a", "b"):
        raise HTTPException(404)
    name = pairs[step].left if side == "a" else pairs[step].right
    if rater.study.spec.page.practice is None:
        return Response(drawing(name), media_type="image/webp")
    file = store.library.path(name)
    return _cacheable(file.read_bytes(), file)
