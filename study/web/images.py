"""Image bytes under names that tell nothing."""

from fastapi import APIRouter, HTTPException, Response
from sqlalchemy import select

from study.store.tables import StoredAssignment, StoredStimulus
from study.web.dependencies import OpenStore
from study.web.practice import PRACTICE, drawing

router = APIRouter()


@router.get("/i/{token}")
def image(token: str, store: OpenStore) -> Response:
    """No validator, no date, no name: nothing that two showings of one file have in common but its pixels."""
    shown = StoredAssignment
    query = (
        select(StoredStimulus.sha256)
        .join(
            shown,
            ((shown.left_id == StoredStimulus.id) & (shown.left_token == token))
            | ((shown.right_id == StoredStimulus.id) & (shown.right_token == token)),
        )
        .limit(1)
    )
    with store.database.read() as session:
        sha256 = session.scalars(query).first()
    if sha256 is None:
        raise HTTPException(404)
    return Response(store.library.path(sha256).read_bytes(), media_type="image/png")


@router.get("/practice/{step}/{side}")
def practice_image(step: int, side: str) -> Response:
    if not 0 <= step < len(PRACTICE) or side not in ("a", "b"):
        raise HTTPException(404)
    pair = PRACTICE[step]
    return Response(drawing(pair.left if side == "a" else pair.right), media_type="image/png")
