"""Where the studies are."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from study.images.library import Library
from study.store.database import Database, open_database

DEFAULT_FOLDER = "study-data"


@dataclass(frozen=True)
class Store:
    """The votes and the images of all studies."""

    database: Database
    library: Library

    @classmethod
    def open(cls, folder: Path | None = None, url: str = "") -> Self:
        """`folder`, or $STUDY_DATA, or ./study-data; `url`, or $DATABASE_URL, or a SQLite file in the folder."""
        folder = folder or Path(os.environ.get("STUDY_DATA") or DEFAULT_FOLDER)
        return cls(open_database(folder, url), Library(folder))
