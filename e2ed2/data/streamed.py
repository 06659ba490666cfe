"""Pictures of a set of any size: each is read when a batch needs it, and unusable ones are left out."""

import logging
import sys
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import decoded_row, rows_of, square, to_tensor
from e2ed2.data.rows import Rows
from e2ed2.errors import UserError

LOG = logging.getLogger("e2ed2.data")
TRIED = 1000  # consecutive unusable pictures before giving up
AHEAD = 2  # batches

Fetched = TypeVar("Fetched")


@dataclass(frozen=True)
class Sample:
    image: np.ndarray  # uint8 [H, W, 3]
    texts: list[str]


class StreamedPictures:
    """Like `Pictures`, but on disk: only each picture's place is held in memory."""

    def __init__(self, config: DataConfig, rows: Rows | None = None):
        """Raises UserError: the set cannot be read, or is empty."""
        self.rows, self.config = rows_of(config) if rows is None else rows, config
        if not len(self.rows):
            raise UserError(f"{config.path} holds no picture that can be used.")
        self.bad: dict[int, str] = {}  # places of the unusable pictures met so far, and why
        self.lock = Lock()
        self.pool = ThreadPoolExecutor(config.workers, "decoding")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def side(self) -> int:
        return self.config.resolution

    @property
    def example(self) -> str:
        return self.at(0).texts[0]

    def tensor(self, rows: Tensor, device: torch.device | str = "cpu") -> Tensor:
        return to_tensor(np.stack([sample.image for sample in self.samples(rows)]), device)

    def samples(self, picked: Tensor) -> list[Sample]:
        """The picked samples, decoded in several threads."""
        return list(self.pool.map(self.at, picked.tolist()))

    def at(self, place: int) -> Sample:
        """The sample at that place, or the next usable one; an unusable one is noted once.

        Raises:
            UserError: a thousand in a row cannot be used.
        """
        reason = ""
        for later in range(min(TRIED, len(self))):
            here = (place + later) % len(self)
            if here in self.bad:
                reason = self.bad[here]
                continue
            row = self.rows[here]
            try:
                image, texts = decoded_row(row, self.config)
                return Sample(square(image, self.side), texts)
            except UserError as error:
                reason = str(error)
                self.leave_out(here, reason)
        raise UserError(f"{min(TRIED, len(self))} pictures of {self.config.path} in a row cannot be used. {reason}")

    def leave_out(self, place: int, reason: str) -> None:
        with self.lock:
            if place not in self.bad:
                self.bad[place] = reason
                LOG.warning("%d left out: %s", len(self.bad), reason)


@contextmanager
def noted(file: Path) -> Generator[None]:
    """Log the pictures left out meanwhile to the file, and say so at the end if there were any."""
    handler = logging.FileHandler(file, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        handler.close()
        if file.is_file():
            print(f"Pictures that cannot be used were left out: {file} names them.", file=sys.stderr)


class Ahead(Generic[Fetched]):
    """Fetches what a training asks for and, in threads, what it will ask for next.

    `fetch` is a function of the update and the place among the processes alone, so that nothing depends on whether it
    was asked before.
    """

    def __init__(self, fetch: Any):
        self.fetch, self.pool = fetch, ThreadPoolExecutor(AHEAD, "ahead")
        self.waiting: dict[tuple[int, int, int], Future[Fetched]] = {}

    def __call__(self, update: int, process: int, processes: int) -> Fetched:
        for later in range(AHEAD + 1):
            key = (update + later, process, processes)
            if key not in self.waiting:
                self.waiting[key] = self.pool.submit(self.fetch, *key)
        samples = self.waiting.pop((update, process, processes))
        self.waiting = {key: one for key, one in self.waiting.items() if update <= key[0] <= update + AHEAD}
        return samples.result()
