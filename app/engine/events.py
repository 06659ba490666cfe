"""Events while pictures are generated: the engine yields them, and a page puts them into words."""

import threading
from dataclasses import dataclass

from PIL import Image

from e2ed2.inference.request import Request


class Flag(threading.Event):
    """Belongs to one request of a visitor; set it to stop the request, even before its turn has come."""

    over = False  # nothing more will come of the request


@dataclass(frozen=True)
class Loading:
    """The model is being read from disk, unless it is loaded already."""


@dataclass(frozen=True)
class Started:
    """A picture has been requested; it may have to wait."""

    request: Request


@dataclass(frozen=True)
class Waiting:
    """Other visitors are ahead in the queue."""

    ahead: int  # pictures of theirs, at least 1


@dataclass(frozen=True, eq=False)
class Estimate:
    """The model's estimate of the picture after a step other than the last."""

    step: int  # from 1
    image: Image.Image
    shared: bool  # others are waiting for their turn


@dataclass(frozen=True, eq=False)
class Finished:
    """A picture is finished."""

    request: Request
    image: Image.Image


@dataclass(frozen=True)
class Ended:
    """No more pictures will come: all are finished, or the visitor pressed Stop."""

    seconds: float  # since the model was ready


Event = Loading | Started | Waiting | Estimate | Finished | Ended
