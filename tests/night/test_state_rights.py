"""A state that may not be written: runs stop before they publish, readers read on."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from optimizer.errors import BusyError, ConfigError
from optimizer.evidence.audit import audit
from optimizer.night.state.database import EVIDENCE_NAME, open_state, read_state
from optimizer.night.state.links import read_links
from tests.night.test_state import (  # noqa: F401 - fixtures
    DAYS,
    Place,
    inputs_once,
    on_postgres,
    on_sqlite,
    place,
)
from tests.support.postgres import PASSWORD, Server
from tests.support.rights import as_user, read_only
from tests.support.small_night import snapshot

FORMATS = Path(__file__).parents[1] / "formats"
CONFIG = ("--config", "config.yaml")


@pytest.mark.slow
def test_a_state_that_may_not_be_written_stops_a_run_before_it_publishes(
    on_sqlite: Place,  # noqa: F811
) -> None:
    """A read-only file, or a read-only folder around it: 2, with the way on."""
    state = on_sqlite.folder / "state"
    state.mkdir()
    on_sqlite.configure(
        lambda c: c.update(state={"url": f"sqlite:///{state}/s.sqlite"})
    )
    on_sqlite.run(DAYS[0])
    for closed in (state / "s.sqlite", state):
        with read_only(closed):
            said = as_user(on_sqlite.folder, "run", *CONFIG, "--date", DAYS[1])
        assert said.code == 2, said.err
        assert "right to write the file and its folder" in said.err
        assert not (on_sqlite.runs / str(DAYS[1])).exists()
    with read_only(on_sqlite.runs / EVIDENCE_NAME):
        said = as_user(on_sqlite.folder, "run", *CONFIG, "--date", DAYS[1])
    assert said.code == 1
    assert "the chain of evidence could not be written" in said.err
    assert not (on_sqlite.runs / str(DAYS[1])).exists()
    assert on_sqlite.run(DAYS[1]).outcome == "published"


@pytest.mark.slow
def test_what_writes_nothing_works_where_nothing_can_be_written(
    on_sqlite: Place,  # noqa: F811
) -> None:
    """`status`, `runs`, `audit`, `explain` and `verify` of a read-only copy."""
    on_sqlite.run(DAYS[0])
    night = f"runs/{DAYS[0]}"
    before = snapshot(on_sqlite.folder)
    with read_only(on_sqlite.folder):
        for words in (
            ("status", *CONFIG, DAYS[0]),
            ("runs", *CONFIG),
            ("audit", *CONFIG),
            ("explain", night),
            ("verify", night),
        ):
            said = as_user(on_sqlite.folder, *words)
            assert said.code == 0, (words, said.err)
        said = as_user(on_sqlite.folder, "status", *CONFIG, DAYS[0], "--json")
        assert json.loads(said.out)["is_in_state"] is True
    assert snapshot(on_sqlite.folder) == before


def test_a_reader_makes_no_state(on_sqlite: Place) -> None:  # noqa: F811
    """A lost database reads as one that knows nothing; no file is made of it."""
    on_sqlite.run(DAYS[0])
    (on_sqlite.runs / ".state.sqlite").unlink()
    before = snapshot(on_sqlite.folder)
    said = as_user(on_sqlite.folder, "status", *CONFIG, DAYS[0])
    assert "the state database does not have it yet" in said.out
    said = as_user(on_sqlite.folder, "audit", *CONFIG)
    assert "the database lacks the last 1 of the links" in said.out
    assert snapshot(on_sqlite.folder) == before


def test_only_what_writes_upgrades_and_keeps_what_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A reader leaves schema 1 as it is; `state upgrade` copies the file first, and moving
    the copy back is the way back that it names.
    """
    project = tmp_path / "project"
    shutil.copytree(FORMATS / "before_evidence", project, symlinks=True)
    file = project / "runs" / ".state.sqlite"
    old, config = file.read_bytes(), ("--config", "premium.yaml")
    for words in (("status", *config), ("audit", *config), ("runs", *config)):
        as_user(project, *words)
    assert file.read_bytes() == old
    said = as_user(project, "state", "upgrade", *config)
    assert said.code == 0
    backup = file.with_name(".state.sqlite.schema-0001")
    assert f"move {backup.relative_to(project)} over" in said.err
    assert schema_of(file) == "0003"
    assert schema_of(backup) == "0001"
    kept = sqlite3.connect(backup).execute("SELECT count(*) FROM nights").fetchone()
    assert kept == (2,)
    assert as_user(project, "state", "upgrade", *config).err == ""


def schema_of(file: Path) -> str:
    """The schema that a database says it has."""
    with sqlite3.connect(file) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0])


def test_what_no_waiting_mends_is_no_try_later(
    on_postgres: Place,  # noqa: F811
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Wrong password, user, database or SSL, a role that may not write: 2 with what to do,
    nothing published, no secret told; a server that is full of connections: 75.
    """
    on_postgres.run(DAYS[0])
    url = json.loads(on_postgres.config_path.read_text())["state"]["url"]
    name = url.rpartition("/")[2]
    server.psql(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    server.psql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name)
    server.psql(f"CREATE ROLE full_up LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0")
    cases = [
        (url.replace(f"/{name}", "/nowhere"), ConfigError, "make it, or correct"),
        (url.replace("postgres:", "nobody:"), ConfigError, "check user and password"),
        (f"{url}?sslmode=require", ConfigError, "check sslmode"),
        (url.replace("postgres:", "reader:"), ConfigError, "grant the role"),
        (
            f"{url}?options=-cdefault_transaction_read_only%3Don",
            ConfigError,
            "for reading only",
        ),
        (url.replace("postgres:", "full_up:"), BusyError, "try again later"),
    ]
    for address, kind, words in cases:
        on_postgres.configure(lambda c, a=address: c.update(state={"url": a}))
        with pytest.raises(kind, match=words) as caught:
            on_postgres.run(DAYS[1])
        assert PASSWORD not in str(caught.value)
        assert not (on_postgres.runs / str(DAYS[1])).exists()
    on_postgres.configure(lambda c: c.update(state={"url": cases[3][0]}))
    with read_state(on_postgres.config) as state, state.transaction() as connection:
        assert len(read_links(connection)) == 1
    on_postgres.configure(lambda c: c.update(state={"url": url}))
    monkeypatch.setenv("STATE_PASSWORD", "wrong")
    with pytest.raises(ConfigError, match="check user and password"):
        on_postgres.run(DAYS[1])


def test_the_trial_leaves_no_row(place: Place) -> None:  # noqa: F811
    """Opening a state to write it changes nothing that it holds."""
    place.run(DAYS[0])
    rows = place.rows()
    with open_state(place.config) as state, state.transaction() as connection:
        assert len(read_links(connection)) == 1
    assert place.rows() == rows
    assert all(len(found) > 0 for name, found in rows.items() if name != "bank")


@pytest.mark.slow
def test_a_lost_file_of_the_chain_is_written_again(place: Place) -> None:  # noqa: F811
    """From the database, at the next link: both say the same, and an audit holds."""
    place.run(DAYS[0])
    file = place.runs / EVIDENCE_NAME
    kept = file.read_bytes()
    file.unlink()
    place.run(DAYS[1])
    assert file.read_bytes().startswith(kept)
    assert audit(place.config).findings == ()
