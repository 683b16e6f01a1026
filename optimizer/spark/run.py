"""Run one date on a cluster: from configured tables to a published, certified night."""

from __future__ import annotations

import datetime as dt
import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optimizer.config import expand_date, policy_on
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import DELIVERIES, PUBLISHED, RECOMMENDATIONS
from optimizer.errors import ConfigError, DataError, OptimizerError
from optimizer.explain.churn import PREVIOUS_TABLES
from optimizer.explain.week import NUM_DAYS, run_id
from optimizer.extras import import_extra, missing
from optimizer.io.cells import cell_rules
from optimizer.io.fetch import Fetched
from optimizer.io.read import fingerprint, open_source
from optimizer.io.snapshot import take_snapshot
from optimizer.night.deliver import count_outboxes_of
from optimizer.night.delivery_lookups import count_deliveries, delivery_warnings
from optimizer.night.earlier_nights import NightsBefore
from optimizer.night.far_names import FarName, again, note_name, unnote_name
from optimizer.night.inputs import (
    InputPaths,
    await_inputs,
    closed_parcels,
    configured_paths,
    is_there_here,
)
from optimizer.night.resolve import ResolvedNight
from optimizer.night.run import RunReport
from optimizer.night.state.ledger import refuse_if_relied_on
from optimizer.spark.brought import bring_night
from optimizer.spark.connect import require_answer
from optimizer.spark.engine_keys import refuse_keys
from optimizer.spark.far_copies import send_far_copies
from optimizer.spark.far_decide import decide_far
from optimizer.spark.far_inputs import FarInputs, look_at, refuse_far_change
from optimizer.spark.far_state import (
    FarState,
    open_far_state,
    tell_state,
)
from optimizer.spark.far_tables import (
    at_addresses,
    files_of,
    identity_of,
    is_file,
    open_tables,
)
from optimizer.spark.faults import first_line
from optimizer.spark.files import copied_table, has_come
from optimizer.spark.lease import CLAIMS, date_lease
from optimizer.spark.split_groups import find_groups
from optimizer.spark.write import (
    AroundFar,
    Place,
    cluster_errors,
    is_seen,
    name_night,
    published_errors,
    published_record,
    published_records,
    read_table,
)
from optimizer.stopping import interrupts_are_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl
    from pyspark.sql import SparkSession

    from optimizer.config import Config
    from optimizer.contracts.columns import Table
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.read import FileRecord

    #: Gives alerts: :func:`~optimizer.telemetry.alerts.recorded_alerts_after`.
    FindFarAlerts = Callable[..., list[dict[str, Any]]]

#: Rows that Spark hands to Python at a time; its own default is 10,000.
ARROW_ROWS = 250_000
ENGINE = "engine: spark"
#: Spark looks at a glob for what a streaming query left, and logs a stack at that.
NO_SINK = "spark.sql.streaming.fileStreamSink.ignoreMetadata"
#: Where Spark looks for the Python of its tasks.
PYTHON = "PYSPARK_PYTHON"


def is_near(config: Config, day: dt.date) -> bool:
    """
    Whether this process sees a night's inputs, and where it is published.

    Then everything around the solve is done as on one machine. Folders of files, and
    addresses, are the cluster's.

    Parameters
    ----------
    config
        With ``inputs`` and ``output``.
    day
        The business date.
    """
    if config.inputs is None or config.output is None:
        return True
    paths = configured_paths(config, day).values()
    is_ours = config.spark.table_format == "parquet" and is_seen(
        expand_date(config.output, day)
    )
    return is_ours and not any("://" in path or Path(path).is_dir() for path in paths)


def run_on_spark(  # noqa: PLR0913 - what a run may be asked for, by name
    config: Config,
    day: dt.date,
    *,
    is_dry: bool,
    is_forced: bool,
    find_alerts: FindFarAlerts,
    audit_text: Callable[[Mapping[str, Any], str], str],
    previous: Path | str | None = None,
    progress: Callable[[str], None] | None,
) -> RunReport:
    """
    Run a date on a cluster.

    Uses the present session: ``spark-submit``, ``SPARK_REMOTE`` or Spark's own settings
    say where the cluster is.

    Parameters
    ----------
    config
        With ``inputs`` and ``output``.
    day
        The business date.
    is_dry
        Do everything but write.
    is_forced
        Replace a night that was published from other inputs.
    find_alerts
        Gives the alerts.
    audit_text
        Gives the night's second statement from its record and its address.
    previous
        An earlier night: the folder of a run, or the address of a date that a cluster
        published.
    progress
        Called with the name of each stage.

    Raises
    ------
    ConfigError
        When inputs or output are not configured, a key is not for a cluster, or the
        date is published from other inputs.
    BusyError
        When another run holds the date, an input is late, or a server of Spark Connect
        does not answer.
    DeliveryError
        When the night is published, and something was left undone after it, such as a
        copy that did not arrive.
    """
    if config.inputs is None or config.output is None:
        raise ConfigError("a nightly run needs inputs and output in the configuration")
    policy = policy_on(config, day)
    refuse_keys(config, policy, is_near=False)
    session = start_session()
    folder = _folder_of(config, day)
    with _told_errors(folder, day) as so_far, ExitStack() as held:
        # A claim ends after some hours: what is late is waited for before.
        there = partial(_is_there, session, config)
        inputs = await_inputs(config, day, progress, is_there=there)
        confirm = None
        if not is_dry:
            confirm = held.enter_context(date_lease(session, folder, day))
        state = held.enter_context(open_far_state(config, day, is_dry=is_dry))
        earlier: dict[dt.date, dict[str, Any]] = {}
        if not is_dry:
            earlier = published_records(session, config.output, folder, CLAIMS)
            state.catch_up(earlier, partial(_left_by, session, config))
        so_far.seen = seen = look_at(session, _file_paths(config, inputs))
        tables, addresses = open_tables(session, config, day, inputs, held)
        files = files_of(config, tables, addresses)
        found = _resolved(
            session,
            config,
            day,
            inputs=inputs,
            tables=tables,
            files=files,
            state=state,
            held=held,
        )
        kept = _previous(session, previous, held)
        if kept is not None and config.solver.keep_previous:
            named = {"previous": read_record(kept)["identity"]}
            found = replace(found, identity=found.identity | named)
        before = None if is_dry else published_record(session, folder, CLAIMS)
        if before is not None:
            if before.get("identity") == found.identity:
                so_far.is_published = True
                send_far_copies(session, config, day, folder, before)
                return RunReport(folder, "unchanged", before, state.head())
            if not is_forced:
                raise ConfigError(
                    f"{folder}: is already published from other inputs, rules or "
                    "another version; pass --force to replace it (the old run stays)"
                )
            refuse_if_relied_on(state.database, day, "replaced")
        night = decide_far(
            session,
            config,
            day,
            tables=tables,
            found=found,
            previous=kept,
            progress=progress,
            held=held,
        )
        record = night.record
        tell = partial(
            find_alerts,
            before=_nights_before(session, config, day, earlier),
            find_groups=partial(find_groups, tables["orders"], config),
        )
        if is_dry:
            refuse_far_change(seen)
            record["alerts"] = tell(config, day, record, None)
            return RunReport(folder, "dry run", record)
        record["run_measurements"]["evidence_head"] = state.head()
        if progress is not None:
            progress("publish")
        place = Place(folder, run_id(found.identity), config.spark.table_format)
        week = [one for date, one in sorted(earlier.items()) if _is_week(date, day)]
        told = partial(_told, config, day, record, tell)
        is_stated = place.table_format == "parquet" and all(files.values())
        around = AroundFar(told, audit_text if is_stated else None)
        record = night.write(place, record, week, around)
        with state.turn(lambda: _is_as_before(state, config, day, found)):
            if confirm is not None:
                confirm()
            _look_last(so_far)
            with _noted(folder, day):
                name_night(session, folder, record)
            so_far.is_published = True
            tell_state(state, day, record, partial(_left_by, session, config, record))
        head = state.head_after()
        send_far_copies(session, config, day, folder, record)
        return RunReport(folder, "published", record, head)


@dataclass(slots=True)
class _SoFar:
    """How far a run has come: inputs, once looked at, and whether it is published."""

    seen: FarInputs | None = None
    is_published: bool = False


@contextmanager
def _told_errors(folder: str, day: dt.date) -> Iterator[_SoFar]:
    """
    Turn errors into sentences that say what changed, and whether it is published.

    Yields
    ------
    _SoFar
        At its begin; the run notes there how far it has come.
    """
    so_far = _SoFar()
    with cluster_errors(folder):
        try:
            yield so_far
        except Exception:
            if so_far.is_published:
                undone = "what was left to do failed"
                with published_errors(folder, undone, again(day)):
                    raise
            if so_far.seen is not None:
                _refuse_change_behind(so_far.seen)
            raise


def _look_last(so_far: _SoFar) -> None:
    """Look at inputs for the last time: a change of them after it unsays nothing."""
    assert so_far.seen is not None
    refuse_far_change(so_far.seen)
    so_far.seen = None


@contextmanager
def _noted(folder: str, day: dt.date) -> Iterator[None]:
    """Note that a night gets its name, for a last word if the process is stopped."""
    note_name(FarName(folder, day, is_sure=False))
    try:
        yield
    except OptimizerError:  # which says itself what is known
        unnote_name(folder)
        raise
    note_name(FarName(folder, day, is_sure=True))


def _refuse_change_behind(seen: FarInputs) -> None:
    """Tell of a changed input in place of what came of it, where it can be seen."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    with suppress(PySparkException, Py4JError, OSError):
        refuse_far_change(seen)


def _file_paths(config: Config, inputs: InputPaths) -> list[str]:
    """Inputs that are files, and no tables of a lakehouse."""
    is_all = config.spark.table_format == "parquet"
    return [path for path in inputs.paths.values() if is_all or is_file(path)]


def _is_there(session: SparkSession, config: Config, path: str) -> bool:
    """Whether a table has come, as the driver or the cluster sees it."""
    if "://" not in path and is_there_here(path):
        return True
    if config.spark.table_format == "parquet" or is_file(path):
        return has_come(session, path)
    try:
        read_table(session, path, config.spark.table_format)
    except ConfigError:
        return False
    return True


def _previous(
    session: SparkSession, previous: Path | str | None, held: ExitStack
) -> Path | None:
    """The folder of an earlier night; one that a cluster published is brought."""
    if previous is None or isinstance(previous, Path):
        return previous
    address = previous.rstrip("/")
    record = published_record(session, address)
    if record is None:
        raise DataError(f"{address}: no night of a cluster is published there")
    place = held.enter_context(TemporaryDirectory())
    folder = Path(place) / record["run_id"]
    bring_night(session, address, record, PREVIOUS_TABLES, folder)
    return folder


def _nights_before(
    session: SparkSession,
    config: Config,
    day: dt.date,
    records: Mapping[dt.date, Mapping[str, Any]],
) -> NightsBefore:
    """Published nights before a date, whose tables executors read."""

    def table(date: dt.date, file: str) -> pl.DataFrame:
        with cluster_errors(f"{date}: {file}"):
            return _left_by(session, config, records[date], PUBLISHED[file])

    dates = tuple(sorted(date for date in records if date < day))
    return NightsBefore(dates, records.__getitem__, table)


def _told(
    config: Config,
    day: dt.date,
    record: Mapping[str, Any],
    find_alerts: FindFarAlerts,
    tables: Mapping[str, pl.DataFrame],
) -> dict[str, Any]:
    """What outboxes will take of a night, and what somebody should look at."""
    chosen = tables[RECOMMENDATIONS.file].select(
        "order_id", "merchant_id", "carrier_id"
    )
    boxes = {}
    if config.outbox:
        boxes["outboxes"] = count_outboxes_of(
            config, lambda: chosen.iter_rows(named=True)
        )
    told = {**record, **boxes}
    return boxes | {"alerts": find_alerts(config, day, told, tables.__getitem__)}


def _is_week(date: dt.date, day: dt.date) -> bool:
    """Whether a night is published with another: one of the four weeks before."""
    return 0 < (day - date).days <= NUM_DAYS


def _is_as_before(
    state: FarState, config: Config, day: dt.date, found: ResolvedNight
) -> bool:
    """Whether other nights leave to a night what it was decided with."""
    if found.before.identity is None:
        return True
    now = state.before(config, found.policy, day, found.closed)
    return now.digest == found.before.digest


def _folder_of(config: Config, day: dt.date) -> str:
    """Where a date's nights are."""
    assert config.output is not None
    return f"{expand_date(config.output, day).rstrip('/')}/{day.isoformat()}"


def _left_by(
    session: SparkSession, config: Config, record: Mapping[str, Any], table: Table
) -> pl.DataFrame:
    """A table of a published night; without rows where it has none."""
    import polars as pl

    if table.file not in record["outputs"]:
        return pl.DataFrame(schema=table.schema)
    folder = _folder_of(config, dt.date.fromisoformat(record["date"]))
    table_format = record["config"]["spark"]["table_format"]
    place = Place(folder, record["run_id"], table_format)
    rows = read_table(session, place.of_table(table.name), place.table_format)
    found = pl.DataFrame(pl.from_arrow(rows.toArrow()))
    return found.select(pl.col(n).cast(t) for n, t in table.schema.items())


def _resolved(  # noqa: PLR0913 - what decides a night, by name
    session: SparkSession,
    config: Config,
    day: dt.date,
    *,
    inputs: InputPaths,
    tables: Mapping[str, Any],
    files: dict[str, tuple[FileRecord, ...]],
    state: FarState,
    held: ExitStack,
) -> ResolvedNight:
    """A night as it is found before it is solved."""
    policy, cells = policy_on(config, day), cell_rules(config)
    paths = inputs.paths
    closed, looked, num_rows = None, None, {}
    warnings: tuple[CodedWarning, ...] = ()
    fetched: dict[str, str | list[str]] = {}
    if (path := paths.get("deliveries")) is not None:
        local: str | list[str] = path
        addresses: dict[str, str] = {}
        if "://" in path:
            addresses = held.enter_context(copied_table(session, path))
            local = [*addresses]
        fetched["deliveries"] = local
        told = closed_parcels(local, day, cells)
        closed, warnings = told.rows, told.warnings
        num_rows["deliveries"] = told.num_rows
        looked = count_deliveries(state.database, config, day, told.rows)
        warnings += delivery_warnings(looked, config)
        read = fingerprint(open_source(local, DELIVERIES, rules=cells))
        files["deliveries"] = at_addresses(read, addresses)
    before = state.before(config, policy, day, closed)
    return ResolvedNight(
        policy=policy,
        inputs=inputs,
        fetched=Fetched(fetched, {}),
        files=files,
        model=None,
        snapshot=take_snapshot({}),
        before=before,
        closed=closed,
        num_delivery_rows=num_rows,
        lookup=looked,
        read_as={},
        warnings=warnings,
        identity=identity_of(config, day, tables, files, before.identity),
    )


def start_session() -> SparkSession:
    """
    The session that spark-submit or the environment made, or a new one.

    Raises
    ------
    ConfigError
        When pyspark lacks a package that it needs, or there is no cluster to run on.
    BusyError
        When a server of Spark Connect does not answer.
    """
    sql = import_extra("pyspark.sql", needed_by=ENGINE)
    from pyspark.errors import PySparkException

    builder = sql.SparkSession.builder.appName("premium-delivery-optimizer")
    try:
        require_answer()
        with interrupts_are_kept():
            session = builder.getOrCreate()
    except ImportError as error:
        raise missing(first_line(error), "spark-connect", ENGINE) from None
    except PySparkException as error:
        raise ConfigError(
            f"no cluster to run on ({first_line(error)}); use spark-submit, or set "
            "SPARK_REMOTE=sc://HOST:PORT"
        ) from error
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(ARROW_ROWS))
    session.conf.set(NO_SINK, "true")
    _run_tasks_with_this_python(session)
    return session


def _run_tasks_with_this_python(session: SparkSession) -> None:
    """
    Run the tasks of a session on this machine with the Python that runs here.

    Spark takes the first ``python3`` of the path; that of an environment which is not
    activated stands elsewhere, and the first may lack every package. ``PYSPARK_PYTHON``
    and a cluster's own Python are left as they are.
    """
    context = getattr(session, "_sc", None)  # none over Spark Connect
    if context and context.master.startswith("local") and not os.environ.get(PYTHON):
        context.pythonExec = sys.executable
