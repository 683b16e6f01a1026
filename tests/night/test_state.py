"""What nights know of each other, in SQLite and in PostgreSQL."""

from __future__ import annotations

import datetime as dt
import json
import logging
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from sqlalchemy import create_engine, delete, inspect, select, text, update

from optimizer.config import load_config
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.errors import BusyError, ConfigError, DataError, OptimizerError
from optimizer.job import backfill, run_date
from optimizer.night import record as recording
from optimizer.night import run
from optimizer.night.folders import published_nights
from optimizer.night.past_nights import list_runs, rollback, status
from optimizer.night.run import RunReport
from optimizer.night.state.database import (
    _make,
    _migrate,
    _revision,
    open_state,
    revisions,
)
from optimizer.night.state.ledger import read_table, settle
from optimizer.night.state.schema import BANK, COMMITMENTS, METADATA, NIGHTS
from optimizer.replay.run import verify_run
from tests.support.days import START, compare, make_days
from tests.support.postgres import PASSWORD, Server
from tests.support.small_night import snapshot
from tests.support.system_tools import needs

DAYS = [START + dt.timedelta(days=number) for number in range(4)]


@dataclass(frozen=True)
class Place:
    """A folder with inputs of some days, and a state database."""

    folder: Path

    @property
    def config_path(self) -> Path:
        """The configuration."""
        return self.folder / "config.yaml"

    @property
    def config(self):
        """The configuration as it stands."""
        return load_config(self.config_path)

    @property
    def runs(self) -> Path:
        """Published nights."""
        return self.folder / "runs"

    def configure(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the configuration."""
        settings = json.loads(self.config_path.read_text())
        change(settings)
        self.config_path.write_text(json.dumps(settings))

    def run(self, day: dt.date, **keys: Any) -> RunReport:
        """Run a date."""
        return run_date(self.config, day, **keys)

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that the state holds, but when it was written."""
        found = {}
        with open_state(self.config) as state, state.transaction() as connection:
            for table in (NIGHTS, BANK, COMMITMENTS):
                columns = [c for c in table.columns if c.name != "published_at_utc"]
                rows = connection.execute(select(*columns))
                found[table.name] = sorted(map(tuple, rows), key=str)
        return found

    def execute(self, statement: Any) -> None:
        """Change the state behind the program's back."""
        with open_state(self.config) as state, state.transaction() as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def inputs_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs of a few days, with nothing published."""
    folder = tmp_path_factory.mktemp("days")
    make_days(folder, len(DAYS), num_orders=300)
    return folder


def copy_inputs(original: Path, folder: Path) -> Place:
    """Inputs of one's own, with a state in SQLite."""
    shutil.copytree(original, folder)
    place = Place(folder)
    text = place.config_path.read_text()
    place.config_path.write_text(text.replace(str(original), str(folder)))
    return place


@pytest.fixture
def on_sqlite(inputs_once: Path, tmp_path: Path) -> Place:
    """A place with SQLite."""
    return copy_inputs(inputs_once, tmp_path / "place")


@pytest.fixture
def on_postgres(
    on_sqlite: Place, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """A place with PostgreSQL."""
    use_postgres(on_sqlite, server, monkeypatch)
    return on_sqlite


EITHER = ["on_sqlite", pytest.param("on_postgres", marks=needs("postgresql"))]


@pytest.fixture(params=EITHER)
def place(request: pytest.FixtureRequest) -> Place:
    """A place with either."""
    return request.getfixturevalue(request.param)


def use_postgres(place: Place, server: Server, patch: pytest.MonkeyPatch) -> None:
    """Give a place a database of its own, with a password from the environment."""
    patch.setenv("STATE_PASSWORD", PASSWORD)
    name = f"t{abs(hash(str(place.folder))):x}"
    server.psql(f"CREATE DATABASE {name}")
    place.configure(lambda c: c.update(state={"url": server.url(name)}))


def change_rate(place: Place, rate: float = 0.06) -> None:
    """Give nights another cap."""

    def change(settings: dict[str, Any]) -> None:
        settings["policy"][0]["cap"]["rate"] = rate

    place.configure(change)


def set_rounding(place: Place, rounding: str) -> None:
    """Round caps in another way."""
    place.configure(lambda c: c["policy"][0]["cap"].update(rounding=rounding))


@pytest.mark.slow
def test_a_month_of_backfill_equals_an_independent_recomputation(tmp_path: Path):
    """
    Thirty nights in one call: caps, bank and ledger are those that fractions and
    counting give from inputs and recommendations, whatever changed on the way.
    """
    config = make_days(tmp_path, 30)
    last = START + dt.timedelta(days=29)
    seen = backfill(load_config(config), START, last)
    done = [watched.report.outcome for watched in seen]
    assert done == ["published"] * 30
    seen = compare(config, 30)
    assert min(seen.values()) > 5
    assert len(seen) == 6


@pytest.mark.slow
def test_a_backfill_again_changes_nothing(place: Place):
    """Nights that are done are left alone; bank and ledger count them once."""
    first = list(backfill(place.config, DAYS[0], DAYS[-1]))
    compare(place.config_path, len(DAYS))
    before, rows = snapshot(place.runs), place.rows()
    again = list(backfill(place.config, DAYS[0], DAYS[-1]))
    assert {seen.report.outcome for seen in first} == {"published"}
    assert {seen.report.outcome for seen in again} == {"unchanged"}
    assert place.rows() == rows
    assert {k: v for k, v in snapshot(place.runs).items() if "sqlite" not in k} == {
        k: v for k, v in before.items() if "sqlite" not in k
    }
    for day in DAYS:
        assert verify_run(place.runs / str(day)).findings == ()


@pytest.mark.slow
def test_a_rerun_replaces_a_nights_rows(place: Place):
    """A forced rerun of the newest night counts once: the rows are those of one run."""
    list(backfill(place.config, DAYS[0], DAYS[1]))
    others = pl.read_parquet(place.runs / str(DAYS[1]) / "in_flight.parquet")
    change_rate(place)
    with pytest.raises(ConfigError, match="the configuration changed since"):
        place.run(DAYS[1])
    assert place.run(DAYS[1], is_forced=True).outcome == "published"
    in_flight = pl.read_parquet(place.runs / str(DAYS[1]) / "in_flight.parquet")
    assert in_flight.equals(others)
    assert len(others) > 0
    rows = place.rows()
    chosen = read_record(place.runs / str(DAYS[1]))["summary"]["num_chosen"]
    assert Counter(row[0] for row in rows["commitments"])[DAYS[1]] == chosen
    assert [row[0] for row in rows["nights"]] == DAYS[:2]
    assert len(rows["bank"]) == len({row[:2] for row in rows["bank"]})


@pytest.mark.slow
def test_a_night_that_others_counted_on_is_not_replaced(on_sqlite: Place):
    """Its fractions are used: rerun and rollback are refused, and say what to do."""
    list(backfill(on_sqlite.config, DAYS[0], DAYS[2]))
    before = on_sqlite.rows()
    change_rate(on_sqlite)
    for act in (
        lambda: on_sqlite.run(DAYS[1], is_forced=True),
        lambda: rollback(on_sqlite.config, DAYS[1], is_withdrawn=True),
    ):
        with pytest.raises(ConfigError, match="--withdraw"):
            act()
    assert on_sqlite.rows() == before


@pytest.mark.slow
def test_a_missed_night_can_be_run_later(on_sqlite: Place):
    """It takes no fraction and leaves none; it sees the later night's parcels."""
    on_sqlite.run(DAYS[0])
    on_sqlite.run(DAYS[2])
    bank = on_sqlite.rows()["bank"]
    report = on_sqlite.run(DAYS[1])
    assert any(
        "takes nothing from the cap bank" in w["text"]
        for w in report.record["warnings"]
    )
    assert on_sqlite.rows()["bank"] == bank
    in_flight = pl.read_parquet(on_sqlite.runs / str(DAYS[1]) / "in_flight.parquet")
    others = [r for r in on_sqlite.rows()["commitments"] if r[0] != DAYS[1]]
    assert 0 < in_flight["num_slots"].sum() <= len(others)
    assert verify_run(on_sqlite.runs / str(DAYS[1])).is_valid
    assert on_sqlite.run(DAYS[1]).outcome == "unchanged"
    assert on_sqlite.run(DAYS[0]).outcome == "unchanged"


@pytest.mark.slow
def test_a_night_after_a_changed_one_is_not_the_same_run(on_sqlite: Place):
    """
    Where parcels in flight count, a rerun of yesterday makes today another night: its
    rerun is refused without force, and says what changed.
    """
    set_rounding(on_sqlite, "floor")
    list(backfill(on_sqlite.config, DAYS[0], DAYS[1]))
    assert on_sqlite.run(DAYS[1]).outcome == "unchanged"
    orders = on_sqlite.folder / "nights" / str(DAYS[0]) / "orders.parquet"
    table = pl.read_parquet(orders)
    table.with_columns(pl.col("delivery_date") + pl.duration(days=1)).write_parquet(
        orders
    )
    on_sqlite.run(DAYS[0], is_forced=True)
    with pytest.raises(ConfigError, match="what earlier nights left changed"):
        on_sqlite.run(DAYS[1])
    assert on_sqlite.run(DAYS[1], is_forced=True).outcome == "published"


@pytest.mark.parametrize("harm", ["forgotten", "invented", "old", "lost"])
@pytest.mark.slow
def test_the_state_follows_the_published_folders(place: Place, harm: str):
    """
    Whatever the database says that is not published, or does not say that is: the next
    run makes it as if nothing had happened.
    """
    list(backfill(place.config, DAYS[0], DAYS[1]))
    rows, day = place.rows(), DAYS[1]
    if harm == "forgotten":
        for table in (NIGHTS, BANK, COMMITMENTS):
            place.execute(delete(table).where(table.c.date == day))
    elif harm == "invented":
        with open_state(place.config) as state:
            alone = replace(state, mirror=None)  # a chain would say that it was there
            settle(alone, DAYS[3], (place.runs / str(day)).resolve())
    elif harm == "old":
        place.execute(update(NIGHTS).where(NIGHTS.c.date == day).values(version="x"))
        place.execute(delete(BANK).where(BANK.c.date == day))
    else:
        with open_state(place.config) as state, state.transaction() as connection:
            METADATA.drop_all(connection)
            connection.execute(text("DROP TABLE alembic_version"))
    assert place.run(DAYS[0]).outcome == "unchanged"
    assert place.rows() == rows


def test_another_folders_state_is_refused(on_sqlite: Place):
    """A database that knows nights of which the output never heard is not emptied."""
    on_sqlite.configure(
        lambda c: c.update(
            state=c.get("state") or {"url": f"sqlite:///{on_sqlite.folder}/s"}
        )
    )
    on_sqlite.run(DAYS[0])
    rows = on_sqlite.rows()
    on_sqlite.configure(lambda c: c.update(output=f"{on_sqlite.folder}/elsewhere"))
    with pytest.raises(ConfigError, match="never had the 1 nights"):
        on_sqlite.run(DAYS[0])
    assert on_sqlite.rows() == rows


@pytest.mark.slow
def test_a_dry_run_sees_what_a_run_sees_and_writes_nothing(place: Place):
    """It counts on the published folders, also where the database knows nothing yet."""
    list(backfill(place.config, DAYS[0], DAYS[1]))
    for table in (NIGHTS, BANK, COMMITMENTS):
        place.execute(delete(table))
    before, rows = snapshot(place.folder), place.rows()
    dry = place.run(DAYS[2], is_dry=True)
    assert place.rows() == rows
    assert snapshot(place.folder) == before
    assert place.run(DAYS[2]).record["identity"] == dry.record["identity"]


@pytest.mark.slow
def test_rollback_goes_back_one_version_at_a_time(place: Place):
    """
    Back to what was replaced, with bank and ledger as they were; then there is nothing
    to go back to; withdrawn, the date can be run anew. Every version is kept.
    """
    place.run(DAYS[0])
    rows, first = place.rows(), snapshot(place.runs / str(DAYS[0]))
    for rate in (0.06, 0.09):
        change_rate(place, rate)
        place.run(DAYS[0], is_forced=True)
    assert place.rows() != rows
    rollback(place.config, DAYS[0])
    config = read_record(place.runs / str(DAYS[0]))["config"]
    assert config["policy"][0]["cap"]["rate"] == "0.06"
    rollback(place.config, DAYS[0])
    assert snapshot(place.runs / str(DAYS[0])) == first
    assert place.rows() == rows
    with pytest.raises(ConfigError, match="replaced no night"):
        rollback(place.config, DAYS[0])
    rollback(place.config, DAYS[0], is_withdrawn=True)
    assert not any(place.rows().values())
    assert status(place.config, DAYS[0])["is_published"] is False
    assert len(status(place.config, DAYS[0])["versions_kept"]) == 3
    assert place.run(DAYS[0]).outcome == "published"
    with pytest.raises(ConfigError, match="is not published"):
        rollback(place.config, DAYS[1])


@pytest.mark.slow
def test_a_night_published_meanwhile_is_not_counted_on_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    """
    Two nights solved at the same time: the one that publishes second sees that what it
    counted on has changed, publishes nothing, and is right when it is tried again.
    """
    place.run(DAYS[0])
    solve = run.solve_night

    def solve_slowly(*args: Any, **keys: Any) -> Any:
        monkeypatch.setattr(run, "solve_night", solve)
        solved = solve(*args, **keys)
        place.run(DAYS[1])
        return solved

    monkeypatch.setattr(run, "solve_night", solve_slowly)
    with pytest.raises(BusyError, match="published meanwhile; try again"):
        place.run(DAYS[2])
    assert list(published_nights(str(place.runs))) == DAYS[:2]
    assert place.run(DAYS[2]).outcome == "published"
    compare(place.config_path, 3)


COMMAND = "from optimizer.cli.main import main; main()"


@pytest.mark.slow
def test_of_two_runs_at_once_one_publishes(on_sqlite: Place):
    """Started together, one publishes; the other says that the date is held (75)."""
    words = [
        "run",
        "--config",
        str(on_sqlite.config_path),
        "--date",
        str(DAYS[0]),
        "--json",
    ]
    both = [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ends = [(*p.communicate(timeout=120), p.returncode) for p in both]
    codes = sorted(code for *_, code in ends)
    assert codes in ([0, 75], [0, 0]), ends
    said = [json.loads(out)["outcome"] for out, _, code in ends if code == 0]
    assert sorted(said) in (["published"], ["published", "unchanged"])
    assert len(on_sqlite.rows()["nights"]) == 1


def test_a_date_held_on_another_host_is_held_here(on_postgres: Place, server: Server):
    """The lock is the server's: it holds across hosts, and goes with its session."""
    from optimizer.night.state.database import shared_lock

    with open_state(on_postgres.config) as state:
        with shared_lock(state, DAYS[0].isoformat()):
            with pytest.raises(BusyError, match="another run holds 2026-11-22"):
                on_postgres.run(DAYS[0])
            assert not on_postgres.runs.joinpath(str(DAYS[0])).exists()
        lost = shared_lock(state, DAYS[0].isoformat())
        still_held = lost.__enter__()
        server.psql(KICK)
        assert on_postgres.run(DAYS[0]).outcome == "published"
        with pytest.raises(BusyError, match="does not answer"):
            still_held()


def test_a_run_that_lost_its_lock_publishes_nothing(
    on_postgres: Place, server: Server, monkeypatch: pytest.MonkeyPatch
):
    """The server let go of the date during the solve: another may have run since."""
    solve = run.solve_night

    def solve_and_lose(*args: Any, **keys: Any) -> Any:
        server.psql(KICK)
        return solve(*args, **keys)

    monkeypatch.setattr(run, "solve_night", solve_and_lose)
    with pytest.raises(BusyError, match="does not answer"):
        on_postgres.run(DAYS[0])
    assert published_nights(str(on_postgres.runs)) == {}


KICK = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"


def test_a_database_that_is_gone_can_be_tried_again(on_postgres: Place, server: Server):
    """
    Away from the start: 75, nothing published. Away in the middle: the same, since the
    lock is lost. Away after the night went out: published, and told by the next run.
    """
    server.stop()
    try:
        with pytest.raises(BusyError, match="does not answer"):
            on_postgres.run(DAYS[0])
    finally:
        server.start()
    for moment, outcome in (("solve_night", None), ("_tell", "published")):
        original = getattr(run, moment)

        def stop_first(
            *args: Any, _original: Any = original, _moment: str = moment, **keys: Any
        ) -> Any:
            setattr(run, _moment, _original)
            server.stop()
            return _original(*args, **keys)

        setattr(run, moment, stop_first)
        try:
            if outcome is None:
                with pytest.raises(BusyError):
                    on_postgres.run(DAYS[0])
                assert published_nights(str(on_postgres.runs)) == {}
            else:
                assert on_postgres.run(DAYS[0]).outcome == outcome
        finally:
            setattr(run, moment, original)
            server.start()
    assert on_postgres.rows()["nights"] == []
    assert on_postgres.run(DAYS[0]).outcome == "unchanged"
    assert len(on_postgres.rows()["nights"]) == 1
    compare(on_postgres.config_path, 1)


def test_no_password_is_ever_written(
    on_postgres: Place,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    """
    Not in a published night, not in a log at any level, not in the message of a refused
    password, of an unknown database or of a variable that is not set.
    """
    caplog.set_level(logging.DEBUG)
    on_postgres.run(DAYS[0])
    messages = []
    for password, name in (("wrong-" + PASSWORD, "postgres"), (PASSWORD, "nowhere")):
        monkeypatch.setenv("STATE_PASSWORD", password)
        url = server.url(name)
        on_postgres.configure(lambda c, url=url: c.update(state={"url": url}))
        with pytest.raises(OptimizerError) as caught:
            on_postgres.run(DAYS[1])
        messages.append(str(caught.value))
    monkeypatch.delenv("STATE_PASSWORD")
    with pytest.raises(ConfigError, match="STATE_PASSWORD is not set"):
        on_postgres.run(DAYS[1])
    on_postgres.configure(
        lambda c: c.update(state={"url": f"postgresql://u:{PASSWORD}@h/x"})
    )
    with pytest.raises(ConfigError, match=r"must not hold a password") as caught:
        on_postgres.run(DAYS[1])
    messages.append(str(caught.value))
    on_postgres.config_path.unlink()
    files = snapshot(on_postgres.folder).values()
    assert PASSWORD not in "\n".join([*messages, caplog.text])
    assert not [f for f in files if isinstance(f, bytes) and PASSWORD.encode() in f]


def test_a_newer_schema_is_refused_and_an_empty_one_made(place: Place):
    """A database of a newer program is not touched; the tables are the migrations'."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with open_state(place.config) as state, state.transaction() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
        assert set(inspect(connection).get_table_names()) >= set(METADATA.tables)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"newer version of optimizer \(schema 9999"):
        place.run(DAYS[0])
    assert not (place.runs / str(DAYS[0])).exists()


def test_an_empty_file_is_made_as_its_migrations_make_it(tmp_path: Path) -> None:
    """Statement by statement: tables, index, triggers and revision, without Alembic."""
    made = []
    for name, make in (("whole", _make), ("steps", _migrate)):
        engine = create_engine(f"sqlite:///{tmp_path / name}")
        newest = revisions()[-1:] if make is _make else []
        with engine.begin() as connection:
            make(connection, *newest)
            schema = connection.execute(text("SELECT sql FROM sqlite_master"))
            found = sorted(str(statement) for (statement,) in schema)
            made.append((found, _revision(connection)))
        engine.dispose()
    assert made[0] == made[1]
    assert sum("RAISE(ABORT" in statement for statement in made[0][0]) == 2


@pytest.mark.slow
def test_a_damaged_or_locked_database_file_is_named(on_sqlite: Place):
    """Noise in its place, or a file that may not be written: named, with what to do."""
    on_sqlite.run(DAYS[0])
    path = on_sqlite.runs / ".state.sqlite"
    good = path.read_bytes()
    path.write_bytes(b"noise" * 1000)
    with pytest.raises(DataError, match=r"sqlite: is damaged .* move it away"):
        on_sqlite.run(DAYS[1])
    path.unlink()
    assert on_sqlite.run(DAYS[1]).outcome == "published"
    assert len(on_sqlite.rows()["nights"]) == 2
    path.write_bytes(good)
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    on_sqlite.configure(lambda c: c.update(state={"url": url}))
    with pytest.raises(ConfigError, match="cannot be read or written"):
        on_sqlite.run(DAYS[2])
    assert not (on_sqlite.runs / str(DAYS[2])).exists()


@pytest.mark.slow
def test_an_output_folder_may_be_a_link(on_sqlite: Place):
    """Through a link all is as ever: published, verified, known to the state."""
    (on_sqlite.folder / "disk").mkdir()
    on_sqlite.runs.symlink_to(on_sqlite.folder / "disk")
    list(backfill(on_sqlite.config, DAYS[0], DAYS[2]))
    compare(on_sqlite.config_path, 3)
    assert verify_run(on_sqlite.runs / str(DAYS[2])).is_valid
    assert len(list_runs(on_sqlite.config)) == 3


@pytest.mark.slow
def test_an_output_by_date_has_one_state(on_sqlite: Place):
    """With ``{date}`` in the output the state stands above the nights, and heals."""
    on_sqlite.configure(
        lambda c: c.update(output=f"{on_sqlite.folder}/out/{{date}}/premium")
    )
    list(backfill(on_sqlite.config, DAYS[0], DAYS[1]))
    rows = on_sqlite.rows()
    (on_sqlite.folder / "out" / ".state.sqlite").unlink()
    assert on_sqlite.run(DAYS[0]).outcome == "unchanged"
    assert on_sqlite.rows() == rows
    assert [night["date"] for night in list_runs(on_sqlite.config)] == [
        str(day) for day in DAYS[:2]
    ]


@pytest.mark.slow
def test_a_clock_that_goes_back_decides_nothing(
    on_sqlite: Place, monkeypatch: pytest.MonkeyPatch
):
    """With the clock set back between runs, rollback still finds what was replaced."""
    on_sqlite.run(DAYS[0])
    first = (on_sqlite.runs / str(DAYS[0])).resolve()
    change_rate(on_sqlite)
    then = SimpleNamespace(now=lambda _: dt.datetime(2001, 1, 1, tzinfo=dt.UTC))
    clock = SimpleNamespace(datetime=then, UTC=dt.UTC)
    with monkeypatch.context() as patch:
        patch.setattr(recording, "dt", clock)
        on_sqlite.run(DAYS[0], is_forced=True)
    assert status(on_sqlite.config, DAYS[0])["published_at_utc"].startswith("2001")
    rollback(on_sqlite.config, DAYS[0])
    assert (on_sqlite.runs / str(DAYS[0])).resolve() == first


@pytest.mark.slow
def test_old_rows_are_forgotten_and_found_again(
    on_sqlite: Place, monkeypatch: pytest.MonkeyPatch
):
    """
    Where the database keeps only two days, a rerun of an older night is still the
    same run: what it counts on is read from the published folders.
    """
    from optimizer.night import resolve as find
    from optimizer.night.state import ledger

    def shorten(settings: dict[str, Any]) -> None:
        settings["policy"][0]["cap"]["window_days"] = 2
        settings["capacity"]["in_flight_days"] = 1

    on_sqlite.configure(shorten)
    for module in (ledger, find):
        monkeypatch.setattr(module, "KEPT_DAYS", 2)
    list(backfill(on_sqlite.config, DAYS[0], DAYS[3]))
    assert {row[0] for row in on_sqlite.rows()["bank"]} == set(DAYS[1:])
    for day in DAYS:
        assert on_sqlite.run(day).outcome == "unchanged"


@pytest.mark.slow
def test_nights_that_count_on_nothing_do_not_depend_on_others(on_sqlite: Place):
    """By floor, and counted on the order's day, nights are the same in any order."""

    def alone(settings: dict[str, Any]) -> None:
        settings["capacity"] = {}
        settings["policy"][0]["cap"]["rounding"] = "floor"

    on_sqlite.configure(alone)
    tables = []
    for days in (DAYS[:3], DAYS[2::-1]):
        for day in days:
            on_sqlite.run(day)
        nights = {day: snapshot(on_sqlite.runs / str(day)) for day in DAYS[:3]}
        # Two tables are for the report: they set a night beside those before it.
        decisive = [
            n for n in EVERY_NIGHT if n not in {"nights.parquet", "figures.parquet"}
        ]
        tables.append([{k: n[k] for k in decisive} for n in nights.values()])
        assert on_sqlite.rows()["bank"] == on_sqlite.rows()["commitments"] == []
        shutil.rmtree(on_sqlite.runs)
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_a_night_of_before_the_state_is_taken_over(on_sqlite: Place):
    """A published folder without bank and commitments counts as a night, with none."""
    on_sqlite.run(DAYS[0])
    folder = (on_sqlite.runs / str(DAYS[0])).resolve()
    for name in ("bank.parquet", "commitments.parquet"):
        (folder / name).unlink()
        assert len(read_table(folder, name)) == 0
    (on_sqlite.runs / ".state.sqlite").unlink()
    assert on_sqlite.run(DAYS[1]).outcome == "published"
    assert {row[0] for row in on_sqlite.rows()["nights"]} == set(DAYS[:2])
    assert {row[0] for row in on_sqlite.rows()["bank"]} == {DAYS[1]}


@pytest.mark.parametrize("measured", [None, {}, [], {"replaces": 7}])
def test_a_record_that_was_edited_does_not_say_where_to_roll_back(
    place: Place, measured: object
) -> None:
    """It is refused by name, with what to do; nothing is moved."""
    place.run(DAYS[0])
    path = place.runs / str(DAYS[0]) / "run.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"run_measurements": measured})
    )
    there = (place.runs / str(DAYS[0])).resolve()
    with pytest.raises((DataError, ConfigError), match=r"verify|replaced no night"):
        rollback(place.config, DAYS[0])
    assert (place.runs / str(DAYS[0])).resolve() == there
