"""What a page is about, from its address: FastAPI hands it to the page's function."""

from typing import Annotated

from fastapi import Depends, Request

from study.errors import StudyError
from study.store.raters import Participation, find_by_token, find_rater
from study.store.store import Store
from study.store.studies import StudyInfo
from study.store.votes import WITHDRAWN


async def _store(request: Request) -> Store:
    return request.app.state.store


OpenStore = Annotated[Store, Depends(_store)]


def _study(request: Request, token: str, store: OpenStore) -> StudyInfo:
    study = find_by_token(store.database, token)
    request.state.language = study.spec.page.language
    return study


def rater_of(request: Request, token: str, store: OpenStore) -> Participation:
    """Whose address this is. Pages that everybody asks for again and again call it themselves, in their own thread."""
    rater = find_rater(store.database, token)
    request.state.language = rater.study.spec.page.language
    if rater.status == "dropped":
        raise StudyError(WITHDRAWN, 403)
    request.state.on = f"r/{token}"
    return rater


NamedStudy = Annotated[StudyInfo, Depends(_study)]
Rater = Annotated[Participation, Depends(rater_of)]
