"""
Executors write a night; the record that names it is written last.

``OUTPUT/2026-11-22/RUN/decisions.parquet`` and its neighbours are folders of files, as
Spark writes them; small tables, leaves and report are made by the driver, and stand
beside them in such folders, too. ``OUTPUT/2026-11-22/run.json`` names the ``RUN`` that
is the night. Until it is written there is no night, or the previous one. Runs that it
no longer names are kept.
"""

from __future__ import annotations

import datetime as dt
import glob
import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.contracts.platforms import ORDER_TAG, SERVICE_CODE
from optimizer.contracts.run_folder import AUDIT, LEAVES, RECORD, REPORT
from optimizer.contracts.tables import (
    COMMITMENTS,
    DECISIONS,
    LANE_RESULTS,
    MERCHANT_RESULTS,
    PUBLISHED,
    QUARANTINE,
    RECOMMENDATIONS,
)
from optimizer.errors import (
    CertificateError,
    ConfigError,
    DeliveryError,
    OptimizerError,
    PublishError,
)
from optimizer.explain.makers import night_tables
from optimizer.night.record import tables_with_record
from optimizer.report import report_html
from optimizer.spark.delta_log import last_engine
from optimizer.spark.far_parts import (
    chosen_orders,
    decision_rows,
    margins_on,
    prove_parts,
    whole_parts,
)
from optimizer.spark.faults import first_line, is_bug
from optimizer.spark.written import false_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl
    from pyspark.sql import DataFrame, SparkSession

    from optimizer.contracts.columns import Table
    from optimizer.report.margins import Margins
    from optimizer.spark.api import SparkNight


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """
    Where a night is written.

    Attributes
    ----------
    folder
        Of the date, such as ``s3a://bucket/runs/2026-11-22``.
    run_id
        Name of this run in it; files of an earlier attempt are overwritten.
    table_format
        ``parquet``, ``delta``, or any other that the cluster writes.
    """

    folder: str
    run_id: str
    table_format: str

    def of_table(self, name: str) -> str:
        """Where a table is."""
        return f"{self.folder}/{self.run_id}/{name}.{self.table_format}"


@dataclass(frozen=True, slots=True, eq=False)
class AroundFar:
    """
    What is told of a night from outside of the cluster.

    Attributes
    ----------
    told
        Gives entries of the record from the tables that the driver has, by file; of
        the recommendations the columns of their page.
    audit_text
        Gives the night's second statement (``audit.sql``) from its record and the
        address of its folder; ``None``: SQL alone cannot read the night.
    """

    told: Callable[[Mapping[str, pl.DataFrame]], Mapping[str, Any]]
    audit_text: Callable[[Mapping[str, Any], str], str] | None


@dataclass(frozen=True, slots=True, eq=False)
class WrittenTables:
    """
    Tables of a night that are written, and what is told of them.

    Attributes
    ----------
    outputs
        What the record says of each, by file.
    tables
        Those that the driver made, by file.
    orders
        The chosen orders, as they are published.
    margins
        Orders by step of their margin.
    evidence, leaves
        The commitment to all decisions, and its text.
    """

    outputs: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, pl.DataFrame]
    orders: pl.DataFrame
    margins: Margins
    evidence: dict[str, Any]
    leaves: str


def write_night(
    night: SparkNight,
    place: Place,
    record: dict[str, Any],
    earlier: Sequence[Mapping[str, Any]],
    around: AroundFar | None = None,
) -> dict[str, Any]:
    """
    Write a night to any file system that Spark knows; the date does not name it yet.

    Parameters
    ----------
    night
        From :func:`allocate`.
    place
        Where.
    record
        Of the night.
    earlier
        Records of the nights of the four weeks before.
    around
        What is told of it from outside; ``None``: nothing.

    Returns
    -------
    dict
        The record with the evidence, and what was written.

    Raises
    ------
    PublishError
        When the cluster cannot write.
    CertificateError
        When what it wrote does not hold by itself.
    """
    session = night.decisions.sparkSession
    with cluster_errors(place.folder):
        parts = whole_parts(night.prepared.blocks, night.decided).persist()
        try:
            rows = replace(night, decisions=decision_rows(parts))
            tables = tables_with_record(
                night_tables(night.certified), record, [*earlier]
            )
            made = {t: make(rows) for t, make in OF_CLUSTER.items()}
            of_driver = {PUBLISHED[file]: frame for file, frame in tables.items()}
            for table in of_driver.keys() - made.keys():
                if len(of_driver[table]):  # not every engine takes a table of no rows
                    made[table] = _on_cluster(night, of_driver[table])
            for table, frame in made.items():
                where = place.of_table(table.name)
                frame.write.format(place.table_format).mode("overwrite").save(where)
            evidence, leaves = prove_parts(parts)
            orders, margins = chosen_orders(rows.decisions), margins_on(rows.decisions)
        finally:
            parts.unpersist()
        counted = {table.file: {"num_rows": len(t)} for table, t in of_driver.items()}
        counted[DECISIONS.file] = {"num_rows": evidence["num_rows"]}
        for table in (RECOMMENDATIONS, COMMITMENTS):
            counted[table.file] = {"num_rows": len(orders)}
        outputs = {table.file: counted[table.file] for table in made}
        there = WrittenTables(outputs, tables, orders, margins, evidence, leaves)
        return write_around(session, place, record, there, around)


def write_around(
    session: SparkSession,
    place: Place,
    record: dict[str, Any],
    there: WrittenTables,
    around: AroundFar | None,
) -> dict[str, Any]:
    """
    Write what stands beside a night's tables, and look whether these hold.

    Parameters
    ----------
    session
        Of the cluster.
    place, record, around
        As of :func:`write_night`.
    there
        The tables, as they were written.

    Returns
    -------
    dict
        As of :func:`write_night`.

    Raises
    ------
    CertificateError
        When what was written does not hold by itself.
    """
    folder = f"{place.folder}/{place.run_id}"
    if place.table_format == "delta":
        record = record | {"versions": _with_delta(session, place, record)}
    if around is not None:
        told = {**there.tables, RECOMMENDATIONS.file: there.orders}
        record = {**record, **around.told(told)}
    page = report_html(record, there.tables, there.orders, there.margins)
    outputs = {**there.outputs, REPORT: _told_of(page)}
    record = record | {
        "run_id": place.run_id,
        "outputs": outputs,
        "evidence": there.evidence,
    }
    texts = {REPORT: page, LEAVES: there.leaves}
    if around is not None and around.audit_text is not None:
        texts[AUDIT] = around.audit_text(record, folder)
        outputs[AUDIT] = _told_of(texts[AUDIT])
    for name, text in texts.items():
        write_text(session, f"{folder}/{name}", text)
    _refuse_false(session, place, record["summary"])
    write_text(session, f"{folder}/{RECORD}", one_line(record))
    return record


def _with_delta(
    session: SparkSession, place: Place, record: Mapping[str, Any]
) -> dict[str, str]:
    """Versions of a record, with that of Delta Lake as its own log says it."""
    log = f"{place.of_table(DECISIONS.name)}/_delta_log/*.json"
    found = last_engine(read_lines(session, log))
    return dict(record["versions"]) | ({} if found is None else {"delta": found})


def _told_of(text: str) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def publish(
    night: SparkNight,
    folder: str,
    run_id: str,
    record: dict[str, Any],
    *,
    table_format: str = "parquet",
    confirm: Callable[[], None] | None = None,
) -> None:
    """
    Write a night to any file system that Spark knows, and the record that names it.

    Parameters
    ----------
    night, record
        As of :func:`write_night`.
    folder, run_id, table_format
        As of :class:`Place`.
    confirm
        Called before the record names the night; raises if it must not.

    Raises
    ------
    PublishError, CertificateError
        As of :func:`write_night`.
    """
    written = write_night(night, Place(folder, run_id, table_format), record, ())
    if confirm is not None:
        confirm()
    name_night(night.decisions.sparkSession, folder, written)


def name_night(session: SparkSession, folder: str, record: Mapping[str, Any]) -> None:
    """
    Write the record by which a written night is the date's.

    Parameters
    ----------
    session, folder, record
        Of the cluster, the date and the night.

    Raises
    ------
    PublishError
        When the cluster cannot write, or does not say whether it has.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    with cluster_errors(folder):
        try:
            write_text(session, f"{folder}/{RECORD}", one_line(record))
        except (PySparkException, Py4JError) as error:
            now = _named_now(session, folder)
            if now is None:
                raise PublishError(
                    f"{folder}: the cluster gave up as the night got its name "
                    f"({first_line(error)}), so that {RECORD} may name it, the night "
                    "before or none. Run it again: that finds out, and does the rest"
                ) from error
            if now != record["run_id"]:
                raise


def _named_now(session: SparkSession, folder: str) -> str | None:
    """The night that a date names; ``None`` where that is not known."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        now = published_record(session, folder)
    except (OptimizerError, PySparkException, Py4JError, OSError):
        return None
    return None if now is None else str(now["run_id"])


def _refuse_false(
    session: SparkSession, place: Place, summary: Mapping[str, Any]
) -> None:
    """Name no night in the record that does not hold as it was written."""

    def read(table: Table) -> DataFrame:
        path = place.of_table(table.name)
        return read_table(session, path, place.table_format)

    if found := false_writing(read, summary):
        raise CertificateError(
            f"the night that was written does not hold ({'; '.join(found[:3])}); it is "
            "not published, and the last published night is untouched"
        )


def _recommendations(night: SparkNight) -> DataFrame:
    from pyspark.sql import functions as F

    tags = {"order_tag": F.lit(ORDER_TAG), "service_code": F.lit(SERVICE_CODE)}
    chosen = night.decisions.filter("is_premium").withColumns(tags)
    return chosen.select(*RECOMMENDATIONS.column_names)


def _commitments(night: SparkNight) -> DataFrame:
    from pyspark.sql import functions as F

    chosen = night.decisions.filter("is_premium").select("order_id", "lane", "load")
    named = night.places.with_columns(lane=np.arange(len(night.places), dtype=np.int32))
    taken = chosen.join(F.broadcast(_on_cluster(night, named)), "lane")
    return taken.select(*COMMITMENTS.column_names)


def _on_cluster(night: SparkNight, table: pl.DataFrame) -> DataFrame:
    """A table of the driver, as the cluster has it."""
    return night.decisions.sparkSession.createDataFrame(table.to_arrow())


#: Who makes each table that a cluster publishes.
OF_CLUSTER: Mapping[Table, Callable[[SparkNight], DataFrame]] = {
    DECISIONS: lambda night: night.decisions.select(*DECISIONS.column_names),
    RECOMMENDATIONS: _recommendations,
    COMMITMENTS: _commitments,
    QUARANTINE: lambda night: night.quarantine,
    MERCHANT_RESULTS: lambda night: _on_cluster(night, night.merchants),
    LANE_RESULTS: lambda night: _on_cluster(
        night, night.lanes.select(LANE_RESULTS.column_names)
    ),
}


@contextmanager
def cluster_errors(folder: str) -> Iterator[None]:
    """
    Turn Spark's errors into one clear message; bugs stay what they are.

    Raises
    ------
    PublishError
        With the first line of Spark's message.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        if is_bug(error):
            raise
        raise PublishError(
            f"{folder}: the cluster gave up ({first_line(error)}); nothing was "
            "published, and the last night is untouched. Spark's log says more"
        ) from error


@contextmanager
def published_errors(folder: str, undone: str, again: str) -> Iterator[None]:
    """
    Turn what fails after a night is published into a sentence that says so.

    Parameters
    ----------
    folder
        Of the date.
    undone
        What is not done then, such as "its copies were not sent".
    again
        The command that does it.

    Raises
    ------
    DeliveryError
        With the first line of what was said.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except DeliveryError:
        raise
    except (OptimizerError, PySparkException, Py4JError, OSError) as error:
        raise DeliveryError(
            f"{folder}: is published, but {undone} ({first_line(error)}). To do the "
            f"rest: {again}"
        ) from error


def one_line(record: Mapping[str, Any]) -> str:
    """A record as a far night has it: a text file's rows are its lines."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False)


#: Dates in a path.
DATES = "????-??-??"


def write_text(session: SparkSession, path: str, text: str) -> None:
    """Write a text as the one row of a folder, replacing its content."""
    import pyarrow as pa

    row = pa.table({"value": [text.removesuffix("\n")]})  # Spark ends each row so
    session.createDataFrame(row).coalesce(1).write.mode("overwrite").text(path)


def published_records(
    session: SparkSession, output: str, folder: str, beside: str
) -> dict[dt.date, dict[str, Any]]:
    """
    Records of all nights of an output, by date; what is none is left out.

    Parameters
    ----------
    session
        Of the cluster.
    output
        As configured, perhaps with ``{date}``.
    folder, beside
        As of :func:`published_record`.
    """
    pattern = f"{output.rstrip('/').replace('{date}', DATES)}/{DATES}/{RECORD}"
    if not is_seen(folder):
        root = output.split("{date}")[0].rsplit("/", 1)[0]
        both = (
            name.removeprefix(f"{root}/") for name in (f"{folder}/{beside}", pattern)
        )
        pattern = f"{root}/{{{','.join(both)}}}"
    elif not glob.glob(pattern):
        return {}
    found = {}
    for line in read_lines(session, pattern):
        try:
            record = json.loads(line)
            if "run_id" in record:
                found[dt.date.fromisoformat(record["date"])] = record
        except (ValueError, KeyError, TypeError):
            continue
    return found


def published_record(
    session: SparkSession, folder: str, beside: str | None = None
) -> dict[str, Any] | None:
    """
    The record of the night that is published in a folder, if there is one.

    Parameters
    ----------
    session
        Of the cluster.
    folder
        Of the date.
    beside
        A folder of other lines of JSON that is there, if the driver does not see the
        date's: engines log a stack of what is missing, and not of one of two.

    Raises
    ------
    ConfigError
        When something else is in its place.
    """
    path, is_visible = f"{folder}/{RECORD}", is_seen(folder)
    if is_visible and not Path(path).exists():
        return None
    if beside is not None and not is_visible:
        path = f"{folder}/{{{RECORD},{beside}}}"
    try:
        found = [json.loads(line) for line in read_lines(session, path) if line.strip()]
    except ValueError:
        raise _in_the_way(folder) from None
    lines = [one for one in found if isinstance(one, dict)]
    records = [one for one in lines if "run_id" in one]
    if not records and any("claim" not in one for one in lines):
        raise _in_the_way(folder)
    return records[0] if records else None


def _in_the_way(folder: str) -> ConfigError:
    return ConfigError(
        f"{folder}/{RECORD}: is in the way, and not of this tool; move it away"
    )


def is_seen(path: str) -> bool:
    """Whether this process sees the place of a path, be there something or nothing."""
    if "://" in path:
        return False
    place = Path(path).absolute()
    there = next(at for at in (place, *place.parents) if at.exists())
    return there != Path(place.anchor)


def read_lines(session: SparkSession, path: str) -> list[str]:
    """
    Lines of a text folder and those in it; none where there is no such folder.

    Raises
    ------
    ConfigError
        When the cluster cannot read it.
    """
    from pyspark.errors import AnalysisException

    reader = session.read.option("recursiveFileLookup", "true")
    try:
        lines = reader.text(path).toArrow()
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return []
        raise ConfigError(f"{path}: {first_line(error)}") from error
    return list(lines["value"].to_pylist())


def read_table(session: SparkSession, path: str, table_format: str) -> DataFrame:
    """
    Open a table that executors read.

    Raises
    ------
    ConfigError
        When there is none, or the cluster does not know the format.
    """
    from pyspark.errors import PySparkException

    try:
        table = session.read.format(table_format).load(path)
        _ = table.schema
    except PySparkException as error:
        raise ConfigError(
            f"{path}: cannot be read as {table_format}: {first_line(error)}"
        ) from error
    return table
