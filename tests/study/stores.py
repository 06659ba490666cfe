"""Stores that begin where the migrations end, so that not every test has to go through them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from study.store.store import Store


def open_store(folder: Path) -> Store:
    """As `Store.open`, on a SQLite file in the folder, which is made if it is not there."""
    if not (file := folder / "study.db").exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_migrated())
    return Store.open(folder, f"sqlite:///{file}")


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "study.db"
        Store.open(Path(folder), f"sqlite:///{file}").database.engine.dispose()
        return file.read_bytes()
