"""The database: SQLite by default, PostgreSQL by URL; brought up to date when it is opened."""

import os
import threading
from collections import deque
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from study.errors import StudyError

MIGRATIONS = Path(__file__).parents[1] / "migrations"
BUSY_TIMEOUT = 30  # s; without one, concurrent writers fail at once


class Queue:
    """A lock that is had in the order of asking; threading.Lock lets the quick ones overtake."""

    def __init__(self):
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        ticket = threading.Lock()
        ticket.acquire()
        with self._guard:
            self._waiting.append(ticket)
            if len(self._waiting) == 1:
                return
        ticket.acquire()  # until the one before lets go of it

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._waiting.popleft()
            if self._waiting:
                self._waiting[0].release()


class Database:
    def __init__(self, engine: Engine):
        self.engine = engine
        # SQLite's waiters poll, and under load some starve until their timeout; threads that queue here do not.
        self.one_writer = engine.dialect.name == "sqlite"
        self._turn: AbstractContextManager = Queue() if self.one_writer else nullcontext()

    @contextmanager
    def read(self) -> Generator[Session]:
        """Raises StudyError, of status 503, where the database fails."""
        with _failures_as_study_errors(), Session(self.engine) as session:
            yield session

    @contextmanager
    def look(self) -> Generator[Connection]:
        """As `read`, for what every request of a rater reads: the way through the ORM takes longer than the query."""
        with _failures_as_study_errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Session]:
        """One transaction, committed when the block ends. SQLite takes its write lock at the start.

        Raises:
            StudyError: of status 503, where the database fails; nothing is stored then.
        """
        with (
            _failures_as_study_errors(),
            self._turn,
            self.engine.connect().execution_options(writes=True) as connection,
            Session(connection) as session,
        ):
            yield session
            session.commit()

    def scrub(self) -> None:
        """Leaves nothing in SQLite's files of what was overwritten or deleted; PostgreSQL's own vacuum does so."""
        if not self.one_writer:
            return
        connection = self.engine.raw_connection()
        try:
            with self._turn:
                for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    connection.cursor().execute(statement).close()
        finally:
            connection.close()


def open_database(folder: Path, url: str = "") -> Database:
    """`url`, or $DATABASE_URL, or a SQLite file in the data folder.

    Raises:
        StudyError: the database cannot be reached or brought up to date.
    """
    named = url or os.environ.get("DATABASE_URL", "")
    try:
        engine = _engine(make_url(named) if named else URL.create("sqlite", database=str(folder / "study.db")))
        _upgrade(engine)
    except (SQLAlchemyError, OSError) as error:
        reason = _reason(error)
        raise StudyError(f"The database cannot be opened ({reason}): check DATABASE_URL and the data folder.") from None
    return Database(engine)


@contextmanager
def _failures_as_study_errors() -> Generator[None]:
    """Locked, full, broken or gone: what the database is at fault for, and not what was asked of it."""
    try:
        yield
    except DatabaseError as error:
        if not (isinstance(error, OperationalError | InternalError) or type(error) is DatabaseError):
            raise
        sentence = f"The database failed ({_reason(error)}), so nothing was stored. Fix this, then try again."
        raise StudyError(sentence, 503) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _engine(url: URL) -> Engine:
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_size=20, pool_pre_ping=True)
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # A thread of the server waits for the lock, not for a free connection.
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT}, pool_size=50, max_overflow=50)

    @event.listens_for(engine, "connect")
    def configure(connection, _) -> None:
        connection.isolation_level = None  # transactions begin below, not when the driver thinks fit
        for setting in (
            "journal_mode=WAL",
            f"busy_timeout={BUSY_TIMEOUT * 1000}",
            "foreign_keys=ON",
            "synchronous=FULL",
        ):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def begin(connection) -> None:
        # A reader that turns writer would be refused at once: writers say so at the start, and wait their turn.
        if connection.get_execution_options().get("writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:  # which touches no file yet, so there is no failure to be told
            connection.connection.driver_connection.execute("BEGIN")

    return engine


def _upgrade(engine: Engine) -> None:
    newest = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("0*.py"))
    if _version(engine) == newest:
        return
    from alembic import command  # half a second to import, for which a server that starts again need not wait
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect().execution_options(writes=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _version(engine: Engine) -> str | None:
    """The number of the last migration; None of a database that has none yet, or that cannot be read."""
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DatabaseError:
        return None
