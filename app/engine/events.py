"""What happens while pictures are generated, as values: the engine yields them, and a page puts them into words."""

import threading
from dataclasses import dataclass

from PIL import Image

from e2ed2.inference.request import Request


class Flag(threading.Event):
    """Goes with what a visitor asks for; set to stop it, also before its turn has come."""

    over = False  # nothing more comes of it


@dataclass(frozen=True)
class Loading:
    """The model is being read from disk, unless somebody has asked for it before."""


@dataclass(frozen=True)
class Started:
    """A picture is asked for; it may have to wait."""

    request: Request


@dataclass(frozen=True)
class Waiting:
    """Other visitors come first."""

    ahead: int  # pictures of theirs, at least 1


@dataclass(frozen=True, eq=False)
class Estimate:
    """The picture as the model guesses it after a step that is not the last."""

    step: int  # from 1
    image: Image.Image
    shared: bool  # others are waiting for their turn


@dataclass(frozen=True, eq=False)
class Finished:
    """A picture is there."""

    request: Request
    image: Image.Image


@dataclass(frozen=True)
class Ended:
    """No more pictures come: all are there, or the visitor has stopped."""

    seconds: float  # since the model was ready


Event = Loading | Started | Waiting | Estimate | Finished | Ended
