"""
The state database: SQLite next to the nights, or PostgreSQL where hosts share it.

It is opened for the time of one command, and closed. Commands that write bring it to
the newest schema first, and find out whether it can be written before they do anything;
commands that write nothing read it as it is. Locks are the operating system's or the
server's: they go with their holder, however it ends, so there is nothing to recover.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os
import re
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import BusyError, ConfigError, DataError, PublishError
from optimizer.extras import import_extra
from optimizer.night.folders import root_of
from optimizer.night.publish import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection, Engine

    from optimizer.config import Config

logger = logging.getLogger(__name__)

FILE_NAME = ".state.sqlite"
EVIDENCE_NAME = ".evidence.jsonl"
_MIGRATIONS = Path(__file__).with_name("migrations")
#: Seconds that a statement waits for another host's, and a run for another's last step.
BUSY_SECONDS = 60.0
_CONNECT_SECONDS = 10
_NO_DATE = dt.date(1, 1, 1)
#: A row that no night has, by the type of its columns; it is never kept.
_SAMPLE: dict[type, Any] = {int: -1, str: "", dt.date: _NO_DATE}
#: What no waiting mends: SQLSTATEs, words of a refused connection, what to do.
_NOT_BY_ITSELF: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("28",),
        r"authentication failed|no password supplied|no pg_hba\.conf entry"
        r"|not permitted to log in|role \".*\" does not exist",
        "check user and password of state.url, and that the server lets them in",
    ),
    (
        ("none",),
        r"does not support SSL|certificate|sslmode",
        "check sslmode and the certificates of state.url",
    ),
    (
        ("3D",),
        r"database \".*\" does not exist",
        "make it, or correct state.url",
    ),
    (
        ("42501",),
        r"permission denied for database",
        "grant the role SELECT, INSERT, UPDATE, DELETE on all tables, CREATE for "
        "an upgrade",
    ),
    (
        ("25006",),
        r"in a read-only transaction",
        "the role or the server is for reading only: name one that may write",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class StateDatabase:
    """
    An open state database.

    Attributes
    ----------
    engine
        Gives connections; disposed of at the end of the command.
    label
        Its name in messages; never with a password.
    mirror
        File next to the nights with the chain of evidence; ``None``: none is kept.
    """

    engine: Engine
    label: str
    mirror: Path | None = None

    @property
    def is_shared(self) -> bool:
        """Whether other hosts may use it at the same time."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """
        Run the block as one transaction.

        Raises
        ------
        BusyError
            When the database does not answer, or is held for too long.
        PublishError
            When it cannot be written.
        """
        with plain_errors(self.label), self.engine.begin() as connection:
            yield connection


@contextmanager
def open_state(config: Config) -> Iterator[StateDatabase]:
    """
    Open the configured database to write it: made, upgraded, and tried, where needed.

    Raises
    ------
    ConfigError
        When its address is wrong, it is of a newer version of the program, or it must
        not be written.
    BusyError, PublishError
        When it does not answer, or cannot be written.
    """
    assert config.output is not None
    url = state_url(config)
    root = root_of(config.output)
    if config.state.url is None:
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
    engine = _engine(url)
    try:
        state = StateDatabase(engine, _label(url), root / EVIDENCE_NAME)
        with plain_errors(state.label):
            upgrade(state)
            try_to_write(state)
        yield state
    finally:
        engine.dispose()


@contextmanager
def read_state(config: Config) -> Iterator[StateDatabase]:
    """
    Open the configured database to read it: nothing is made, upgraded or written.

    One that is not there yet, or is empty, reads as one that knows nothing.

    Raises
    ------
    ConfigError, BusyError, PublishError
        As :func:`open_state`.
    """
    assert config.output is not None
    url = state_url(config)
    mirror = root_of(config.output) / EVIDENCE_NAME
    file = _file_of(url)
    engine = _engine(url, is_read=True)
    state, found = StateDatabase(engine, _label(url), mirror), None
    try:
        if file is None or file.exists():
            with plain_errors(state.label), engine.connect() as connection:
                found = _revision(connection)
            _refuse_newer(state, found)
        if found is not None:
            yield state
            return
    finally:
        engine.dispose()
    with memory_state() as nothing:
        yield replace(nothing, label=state.label, mirror=mirror)


@contextmanager
def memory_state() -> Iterator[StateDatabase]:
    """A private database in memory, for runs that may not write."""
    from sqlalchemy import StaticPool, create_engine

    from optimizer.night.state.schema import METADATA

    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        METADATA.create_all(engine)
        yield StateDatabase(engine, "memory")
    finally:
        engine.dispose()


def state_url(config: Config) -> str:
    """
    Address of the state database, with the environment filled in: never log it.

    Raises
    ------
    ConfigError
        Naming a variable that is not set.
    """
    if config.state.url is None:
        assert config.output is not None
        return f"sqlite:///{root_of(config.output) / FILE_NAME}"

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ConfigError(
                f"state.url: the environment variable {name} is not set; set it"
            )
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, config.state.url)


def upgrade(state: StateDatabase) -> None:
    """
    Bring a database to the newest schema; an up-to-date one is left alone.

    A file is copied before its schema changes; the way back is said.

    Raises
    ------
    ConfigError
        When it was written by a newer version of the program.
    """
    known = revisions()
    with state.engine.begin() as connection:
        if state.is_shared:
            lock_transaction(connection, "upgrade")
        found = _revision(connection)
        if found == known[-1]:
            return
        _refuse_newer(state, found)
        way_back = "" if found is None else _way_back(state, found)
        if _is_empty_file(connection):
            _make(connection, known[-1])
        else:
            _migrate(connection)
        if found is not None:
            logger.warning(
                "%s: upgraded from schema %s to %s; %s",
                state.label,
                found,
                known[-1],
                way_back,
            )


def try_to_write(state: StateDatabase) -> None:
    """
    Write a row into each table and take it back: what fails here fails after a solve.

    Raises
    ------
    PublishError
        When the file of the chain cannot be added to.
    """
    from sqlalchemy import delete, insert

    from optimizer.night.state.schema import METADATA

    with state.engine.connect() as connection, connection.begin() as attempt:
        for table in METADATA.sorted_tables:
            rows = {
                column.name: _SAMPLE[column.type.python_type]
                for column in table.columns
                if not column.nullable
            }
            connection.execute(insert(table), rows)
            if table.name != "evidence":
                connection.execute(delete(table).where(table.c.date == _NO_DATE))
        attempt.rollback()
    if state.mirror is not None and state.mirror.exists():
        with disk_errors(state.mirror, "the chain of evidence"):
            state.mirror.open("ab").close()


def _refuse_newer(state: StateDatabase, found: str | None) -> None:
    known = revisions()
    if found is not None and found not in known:
        raise ConfigError(
            f"{state.label}: is of a newer version of optimizer (schema {found}, known "
            f"here is {known[-1]}); use that version"
        )


def _way_back(state: StateDatabase, found: str) -> str:
    """Keep what is there, where that is a file; say how to go back to it."""
    source = _file_of(state.engine.url)
    if source is None:
        return (
            "to go back, give the older version an empty database (it makes all of it "
            f"again from the published nights), or restore a dump of before: pg_dump "
            f"--format=custom --file=state-{found}.dump "
            f"{state.engine.url.database}"
        )
    backup = source.with_name(f"{source.name}.schema-{found}")
    with disk_errors(backup, "the copy of the state"):
        _copy_file(source, backup)
    return f"to go back, move {backup} over {source} and use the older version"


def _copy_file(source: Path, target: Path) -> None:
    """Copy a database by its own means, whole or not at all."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    with (
        closing(
            sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
        ) as there,
        closing(sqlite3.connect(part)) as here,
    ):
        there.backup(here)
    part.replace(target)


def revisions() -> list[str]:
    """Known schemas, the newest last; cached, since asking Alembic is slow."""
    files = sorted(_MIGRATIONS.glob("versions/v[0-9]*.py"))
    return [path.name[1:].partition("_")[0] for path in files]


def _revision(connection: Connection) -> str | None:
    """The schema of a database; ``None`` where it has none yet."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version"))
    return found.scalar_one_or_none()


def _is_empty_file(connection: Connection) -> bool:
    """Whether a database is a file without any table."""
    from sqlalchemy import inspect

    is_file = connection.dialect.name == "sqlite"
    return is_file and not inspect(connection).get_table_names()


def _make(connection: Connection, newest: str) -> None:
    """Make what all migrations make: to load Alembic takes as long as a small night."""
    from sqlalchemy import insert

    from optimizer.night.state.schema import KEEPERS, METADATA, REVISION

    METADATA.create_all(connection)
    for keeper in KEEPERS:
        connection.execute(keeper)
    REVISION.create(connection)
    connection.execute(insert(REVISION), {"version_num": newest})


def _migrate(connection: Connection) -> None:
    from alembic import command

    settings = _alembic_config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")


def _alembic_config() -> Any:
    from alembic.config import Config as AlembicConfig

    settings = AlembicConfig()
    settings.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return settings


def lock_transaction(connection: Connection, name: str) -> None:
    """Hold a name against other hosts until the transaction ends."""
    from sqlalchemy import text

    connection.execute(
        text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(name)}
    )


def lock_key(name: str) -> int:
    """The number of one of our locks on the server."""
    digest = hashlib.sha256(f"premium-delivery-optimizer {name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


@contextmanager
def shared_lock(
    state: StateDatabase, name: str, wait_seconds: float = 0
) -> Iterator[Callable[[], None]]:
    """
    Hold a name against other hosts, where the database is shared.

    The server releases it when the session ends, for whatever reason. The yielded
    function checks that it is still held: call it before anything is published.

    Raises
    ------
    BusyError
        When another host holds it for longer than that.
    """
    if not state.is_shared:
        yield lambda: None
        return
    from sqlalchemy import text

    with plain_errors(state.label), state.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        take = text("SELECT pg_try_advisory_lock(:key)")
        deadline = time.monotonic() + wait_seconds
        while not connection.execute(take, {"key": lock_key(name)}).scalar():
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"another run holds {name} in {state.label}; try again when it is "
                    "done"
                )
            time.sleep(0.1)
        yield lambda: _confirm(state, connection)


def _confirm(state: StateDatabase, connection: Connection) -> None:
    """Check that the session that holds a lock is still alive."""
    from sqlalchemy import text

    with plain_errors(state.label):
        connection.execute(text("SELECT 1"))


@contextmanager
def plain_errors(label: str) -> Iterator[None]:
    """
    Turn what a database raises into one clear message without secrets.

    Parameters
    ----------
    label
        The database's name in messages.

    Raises
    ------
    ConfigError
        When the kind of database is not known.
    BusyError, PublishError
        When it does not answer, or cannot be written.
    """
    from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

    try:
        yield
    except NoSuchModuleError:
        raise ConfigError(f"{label}: is not a known kind of database") from None
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        reason = " ".join(str(error.orig).split())[:200]
        if label.startswith("sqlite"):
            raise _sqlite_error(label, reason) from None
        raise _server_error(label, reason, state) from None
    except SQLAlchemyError as error:
        raise PublishError(f"{label}: failed ({type(error).__name__})") from None


def _sqlite_error(label: str, reason: str) -> Exception:
    """An error of a file by what people can do about it."""
    if "not a database" in reason or "malformed" in reason:
        return DataError(
            f"{label}: is damaged ({reason}); move it away, and the next run makes it "
            "again from the published nights"
        )
    if "locked" in reason:
        return BusyError(f"{label}: is held by another command; try again later")
    if "readonly" in reason or "unable to open" in reason:
        return ConfigError(
            f"{label}: cannot be read or written ({reason}); "
            "give this user the right to write the file and its folder, or name "
            "another file in state.url"
        )
    return PublishError(f"{label}: cannot be read or written ({reason})")


def _server_error(label: str, reason: str, sqlstate: str | None) -> Exception:
    """
    An error of a server by what people can do about it.

    A server that refuses a connection says why in words alone: the client's library
    has no code of it.
    """
    for codes, words, advice in _NOT_BY_ITSELF:
        is_it = re.search(words, reason) if sqlstate is None else None
        if is_it or (sqlstate or "").startswith(codes):
            return ConfigError(f"{label}: {reason}; {advice}")
    if sqlstate is not None and sqlstate.startswith("42"):
        return PublishError(
            f"{label}: does not hold the tables of its schema ({reason}); give the "
            "program a new, empty database, and it makes them from the nights"
        )
    return BusyError(
        f"{label}: the state database does not answer ({reason}); try again later"
    )


def _label(url: str) -> str:
    from sqlalchemy.engine import make_url

    parts = make_url(url)
    if parts.drivername == "sqlite":
        return f"sqlite {parts.database}"
    host = parts.host or parts.query.get("host") or "localhost"
    return f"postgresql {host}/{parts.database}"


def _file_of(url: str | URL) -> Path | None:
    """The file of a database that is one."""
    from sqlalchemy.engine import make_url

    parts = make_url(url)
    if parts.drivername != "sqlite" or not parts.database:
        return None
    return Path(parts.database.removeprefix("file:").partition("?")[0])


def _engine(url: str, *, is_read: bool = False) -> Engine:
    """Engine without a pool; transactions of SQLite are real, and durable."""
    from sqlalchemy import NullPool, create_engine, event
    from sqlalchemy.engine import make_url

    parts = make_url(url)
    if parts.drivername != "sqlite":
        import_extra("psycopg", needed_by="state.url")
        return create_engine(
            parts.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            execution_options={"postgresql_readonly": True} if is_read else {},
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "keepalives_idle": 30,
                "tcp_user_timeout": 60_000,
                "application_name": f"optimizer {os.getpid()}",
            },
        )
    engine = create_engine(
        parts,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        if is_read:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA synchronous = EXTRA")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")

    return engine
