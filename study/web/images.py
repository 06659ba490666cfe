"""Image bytes under names that tell nothing."""

from fastapi import APIRouter, HTTPException, Response
from sqlalchemy import select
from sqlalchemy.orm import aliased

from study.store.tables import StoredAssignment, StoredStimulus
from study.web.dependencies import OpenStore
from study.web.practice import PRACTICE, drawing

router = APIRouter()


@router.get("/i/{token}")
def image(token: str, store: OpenStore) -> Response:
    """No validator, no date, no name: nothing that two showings of one file have in common but its pixels.

    Both pictures of a pair come in as many bytes: a blurred arm would be known by its small files. What follows the end
    of a PNG is read by nobody.
    """
    shown, left, right = StoredAssignment, aliased(StoredStimulus), aliased(StoredStimulus)
    query = (
        select(shown.left_token, left.sha256, right.sha256)
        .join(left, left.id == shown.left_id)
        .join(right, right.id == shown.right_id)
        .where((shown.left_token == token) | (shown.right_token == token))
    )
    with store.database.read() as session:
        row = session.execute(query).first()
    if row is None:
        raise HTTPException(404)
    left_token, *both = row
    asked = store.library.path(both[0] if token == left_token else both[1])
    length = max(store.library.path(sha256).stat().st_size for sha256 in both)
    return Response(asked.read_bytes().ljust(length, b"\0"), media_type="image/png")


@router.get("/practice/{step}/{side}")
def practice_image(step: int, side: str) -> Response:
    if not 0 <= step < len(PRACTICE) or side not in ("a", "b"):
        raise HTTPException(404)
    pair = PRACTICE[step]
    return Response(drawing(pair.left if side == "a" else pair.right), media_type="image/png")
