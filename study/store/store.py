"""Where the studies are."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from platformdirs import user_data_path

from study.images.library import Library
from study.store.database import Database, open_database
from study.store.signing import Key

APP = "e2ed2-studio"
FORMER = Path("study-data")


def data_folder() -> Path:
    """$STUDY_DATA, or `studies` in $E2ED2_DATA, or in the user's data folder as the operating system has it."""
    if named := os.environ.get("STUDY_DATA"):
        return Path(named).expanduser()
    home = os.environ.get("E2ED2_DATA")
    folder = (Path(home).expanduser() if home else user_data_path(APP)) / "studies"
    if FORMER.is_dir():
        print(f"Studies are now in {folder}; for those in ./{FORMER}, set STUDY_DATA={FORMER}.", file=sys.stderr)
    return folder


@dataclass(frozen=True)
class Store:
    """The votes and the images of all studies, and the key that signs for them."""

    database: Database
    library: Library
    key: Key

    @classmethod
    def open(cls, folder: Path | None = None, url: str = "") -> Self:
        """`folder`, or `data_folder()`; `url`, or $DATABASE_URL, or a SQLite file in the folder."""
        folder = folder or data_folder()
        return cls(open_database(folder, url), Library(folder), Key(folder / "signing-key"))
