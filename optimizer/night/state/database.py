"""
The state database: SQLite next to the nights, or PostgreSQL where hosts share it.

It is opened for one command, upgraded to the newest schema, and closed. Locks are those
of the operating system or the server: they end with their holder, however it ends, so
there is nothing to recover.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import BusyError, ConfigError, PublishError
from optimizer.extras import import_extra
from optimizer.night.folders import root_of
from optimizer.night.publish import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    from optimizer.config import Config

logger = logging.getLogger(__name__)

FILE_NAME = ".state.sqlite"
EVIDENCE_NAME = ".evidence.jsonl"
_MIGRATIONS = Path(__file__).with_name("migrations")
#: Seconds that a statement waits for another host's, and a run for another's last step.
BUSY_SECONDS = 60.0
_CONNECT_SECONDS = 10


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
    Open the configured database; create and upgrade it where needed.

    Raises
    ------
    ConfigError
        When its address is wrong, or it is of a newer version of the program.
    BusyError, PublishError
        When it does not answer, or cannot be written.
    """
    url = state_url(config)
    engine, label = _engine(url), _label(url)
    mirror = None if config.output is None else root_of(config.output) / EVIDENCE_NAME
    if config.state.url is None:
        assert config.output is not None
        with disk_errors(root_of(config.output)):
            root_of(config.output).mkdir(parents=True, exist_ok=True)
    try:
        state = StateDatabase(engine, label, mirror)
        with plain_errors(label):
            upgrade(state)
        yield state
    finally:
        engine.dispose()


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
        if found is not None and found not in known:
            raise ConfigError(
                f"{state.label}: is of a newer version of optimizer (schema {found}, "
                f"known here is {known[-1]}); use that version"
            )
        _migrate(connection)
        if found is not None:
            logger.warning("%s: upgraded from %s to %s", state.label, found, known[-1])


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
        raise ConfigError(f"{label}: is no kind of database that is known") from None
    except DBAPIError as error:
        raise _named(label, " ".join(str(error.orig).split())) from None
    except SQLAlchemyError as error:
        raise PublishError(f"{label}: failed ({type(error).__name__})") from None


def _named(label: str, reason: str) -> Exception:
    """The error class that matches what people can do about it."""
    reason = reason[:200]
    if "not a database" in reason or "malformed" in reason:
        return PublishError(
            f"{label}: is damaged ({reason}); move it away, and the next run makes it "
            "again from the published nights"
        )
    if label.startswith("sqlite") and "locked" not in reason:
        return PublishError(f"{label}: cannot be read or written ({reason})")
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


def _engine(url: str) -> Engine:
    """Engine without a pool; transactions of SQLite are real, and durable."""
    from sqlalchemy import NullPool, create_engine, event
    from sqlalchemy.engine import make_url

    parts = make_url(url)
    if parts.drivername != "sqlite":
        import_extra("psycopg", needed_by="state.url")
        return create_engine(
            parts.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
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
        connection.execute("PRAGMA synchronous = EXTRA")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
