"""Run one date on a cluster: from configured tables to a published, certified night."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import platform
import sys
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.build.eligibility import orders_table
from optimizer.build.learned_probabilities import model_identity
from optimizer.config import config_hash, config_json, expand_date, policy_on
from optimizer.contracts.run_folder import SCHEMA_VERSION
from optimizer.errors import ConfigError
from optimizer.extras import import_extra, missing
from optimizer.io.asked_columns import contracts
from optimizer.io.cells import cell_rules
from optimizer.io.mapping import as_written
from optimizer.io.read import fingerprint, open_source
from optimizer.night.inputs import configured_paths
from optimizer.night.run import RunReport
from optimizer.spark.api import allocate
from optimizer.spark.engine_keys import refuse_keys
from optimizer.spark.faults import first_line
from optimizer.spark.files import FileTable, copied_table, open_files
from optimizer.spark.lease import CLAIMS, date_lease
from optimizer.spark.write import (
    cluster_errors,
    is_seen,
    publish,
    published_record,
    read_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import DataFrame, SparkSession

    from optimizer.config import Config
    from optimizer.io.read import FileRecord
    from optimizer.spark.api import SparkNight

#: Rows that Spark hands to Python at a time; its own default is 10,000.
ARROW_ROWS = 250_000
ENGINE = "engine: spark"
#: Spark looks at a glob for what a streaming query left, and logs a stack at that.
NO_SINK = "spark.sql.streaming.fileStreamSink.ignoreMetadata"
#: Where Spark looks for the Python of its tasks.
PYTHON = "PYSPARK_PYTHON"
_LIBRARIES = ("numba", "numpy", "polars", "pyarrow", "pydantic", "pyspark")


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


def run_on_spark(
    config: Config,
    day: dt.date,
    *,
    is_dry: bool,
    is_forced: bool,
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
    progress
        Called with the name of each stage.

    Raises
    ------
    ConfigError
        When inputs or output are not configured, a key is not for a cluster, or the
        date is published from other inputs.
    BusyError
        When another run holds the date.
    """
    if config.inputs is None or config.output is None:
        raise ConfigError("a nightly run needs inputs and output in the configuration")
    refuse_keys(config, policy_on(config, day), is_near=False)
    session = start_session()
    folder = f"{expand_date(config.output, day).rstrip('/')}/{day.isoformat()}"
    with cluster_errors(folder), ExitStack() as held:
        confirm = None
        if not is_dry:
            confirm = held.enter_context(date_lease(session, folder, day))
        tables = _open(session, config, day, held)
        files = _files_of(config, tables)
        identity = _identity(config, day, tables, files)
        before = None if is_dry else published_record(session, folder, CLAIMS)
        if before is not None:
            if before.get("identity") == identity:
                return RunReport(folder, "unchanged", before)
            if not is_forced:
                raise ConfigError(
                    f"{folder}: is already published from other inputs, rules or "
                    "another version; pass --force to replace it (the old run stays)"
                )
        night = allocate(
            tables["orders"],
            tables["capacity"],
            config,
            options=tables.get("options"),
            merchants=tables.get("merchants"),
            date=day,
            rows_per_block=config.spark.rows_per_block,
            progress=progress,
        )
        record = _record(config, day, night, identity, files)
        if is_dry:
            night.release()
            return RunReport(folder, "dry run", record)
        if progress is not None:
            progress("publish")
        run_id = _run_id(identity)
        table_format = config.spark.table_format
        publish(
            night, folder, run_id, record, table_format=table_format, confirm=confirm
        )
        night.release()
    return RunReport(folder, "published", record | {"run_id": run_id})


def start_session() -> SparkSession:
    """
    The session that spark-submit or the environment made, or a new one.

    Raises
    ------
    ConfigError
        When pyspark lacks a package that it needs, or there is no cluster to run on.
    """
    sql = import_extra("pyspark.sql", needed_by=ENGINE)
    from pyspark.errors import PySparkException

    builder = sql.SparkSession.builder.appName("premium-delivery-optimizer")
    try:
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


def _open(
    session: SparkSession, config: Config, day: dt.date, held: ExitStack
) -> dict[str, Any]:
    """Large tables for executors, small ones for the driver."""
    assert config.inputs is not None
    given = config.inputs.paths
    agreed = contracts(config, orders_table(policy_on(config, day).eligibility))
    paths = {name: expand_date(given[name], day) for name in agreed if name in given}
    opened: dict[str, Any] = {}
    for name, path in paths.items():
        if config.spark.table_format != "parquet" and not _is_file(path):
            table = read_table(session, path, config.spark.table_format)
            is_large = name in ("orders", "options")
            if is_large and name in config.mappings:
                raise ConfigError(
                    f"inputs.{name}: executors read a {config.spark.table_format} "
                    "table under the contract's names alone; give a path without "
                    "columns, values and the like, and let a view of the lakehouse "
                    "rename them, or run with engine: local"
                )
            opened[name] = table if is_large else table.toArrow()
        elif name in ("orders", "options"):
            written = as_written(agreed[name], config.mappings.get(name))
            opened[name] = open_files(session, path, written)
        elif "://" in path:
            opened[name] = held.enter_context(copied_table(session, path))
        else:
            opened[name] = path
    return opened


def _is_file(path: str) -> bool:
    """Whether a path names a file of a kind that is read on one machine, too."""
    return path.lower().endswith((".csv", ".csv.gz", ".csv.zst", ".parquet", ".xlsx"))


def _files_of(
    config: Config, tables: Mapping[str, Any]
) -> dict[str, tuple[FileRecord, ...]]:
    """The files of each table as they were read; none of tables of the cluster."""
    known, rules = contracts(config), cell_rules(config)
    files: dict[str, tuple[FileRecord, ...]] = dict.fromkeys(tables, ())
    for name, table in tables.items():
        if isinstance(table, FileTable):
            files[name] = tuple(head.record for head in table.heads)
        elif isinstance(table, str | list):
            files[name] = fingerprint(open_source(table, known[name], rules=rules))
    return files


def _identity(
    config: Config,
    day: dt.date,
    tables: Mapping[str, Any],
    files: Mapping[str, tuple[FileRecord, ...]],
) -> dict[str, Any]:
    """The identity of a run: rules, files or rows of the inputs, program, date."""
    return {
        "date": day.isoformat(),
        "version": version("premium-delivery-optimizer"),
        "config_sha256": config_hash(config),
        **model_identity(config, day),
        "inputs": {
            name: [file.sha256 for file in files[name]] or _checksum(table)
            for name, table in tables.items()
        },
    }


def _checksum(table: Any) -> str:
    """A checksum of a table of the cluster; it does not depend on the order of rows."""
    if hasattr(table, "mapInArrow"):
        return _row_sum(table)
    text = json.dumps(table.to_pylist(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _row_sum(table: DataFrame) -> str:
    """Rows, and the sum of a hash of each, which executors form."""
    from pyspark.sql import functions as F

    cells = [F.col(f"`{name}`") for name in table.columns]
    each = F.xxhash64(*cells, *(cell.isNull() for cell in cells))
    found = table.agg(
        F.count("*").alias("rows"), F.sum(each.cast("decimal(38,0)")).alias("sum")
    ).toArrow()
    rows, total = (found[name][0].as_py() for name in ("rows", "sum"))
    return f"{rows} rows, hashes add up to {total or 0}"


def _run_id(identity: Mapping[str, Any]) -> str:
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _record(
    config: Config,
    day: dt.date,
    night: SparkNight,
    identity: dict[str, Any],
    files: Mapping[str, tuple[FileRecord, ...]],
) -> dict[str, Any]:
    proof = asdict(night.certificate)
    proof["relative_gap"] = night.certificate.relative_gap
    del proof["conflicts"], proof["unit"]
    return {
        "schema_version": SCHEMA_VERSION,
        "date": day.isoformat(),
        "engine": "spark",
        "identity": identity,
        "versions": {name: version(name) for name in _LIBRARIES}
        | {"python": platform.python_version()},
        "config": config_json(config),
        "policy": night.policy.model_dump(mode="json"),
        "inputs": {
            name: {"num_rows": count, "files": [asdict(file) for file in files[name]]}
            for name, count in night.num_rows.items()
        },
        "problem_class": night.summary["problem_class"],
        "termination": asdict(night.termination),
        "certificate": proof,
        "summary": dict(night.summary),
        "warnings": [warning.to_json() for warning in night.warnings],
        "run_measurements": {
            "started_at_utc": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "seconds": {k: round(v, 4) for k, v in night.seconds.items()},
            "num_near_orders": night.num_near,
            "num_passes": night.num_passes,
            "peak_memory_bytes": {},
        },
    }
