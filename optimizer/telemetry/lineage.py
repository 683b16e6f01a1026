"""
A run as OpenLineage events, one JSON object a line: START, then COMPLETE or FAIL.

The events follow specification 2.0.2; a test compares them with the classes of the
specification's own client.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import read_record
from optimizer.night.publish import disk_errors
from optimizer.telemetry.logs import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optimizer.night.run import RunReport

_PACKAGE = "premium-delivery-optimizer"
PRODUCER = f"https://pypi.org/project/{_PACKAGE}/{version(_PACKAGE)}"
_SPEC = "https://openlineage.io/spec/"
_EVENT = f"{_SPEC}2-0-2/OpenLineage.json#/$defs/RunEvent"
JOB = {"namespace": _PACKAGE, "name": "night"}


def write_event(
    path: Path,
    kind: str,
    day: dt.date,
    report: RunReport | None = None,
    error: BaseException | None = None,
) -> None:
    """
    Add an event.

    Parameters
    ----------
    path
        The file; its folder is made.
    kind
        ``START``, ``COMPLETE`` or ``FAIL``.
    day
        The business date: the run's nominal time.
    report
        With COMPLETE: what went in and came out.
    error
        With FAIL.

    Raises
    ------
    PublishError
        When it cannot be written.
    """
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC).isoformat()
    facets = {
        "nominalTime": _facet("1-0-1/NominalTimeRunFacet", nominalStartTime=midnight)
    }
    if error is not None:
        facets["errorMessage"] = _facet(
            "1-0-1/ErrorMessageRunFacet",
            message=str(error) or type(error).__name__,
            programmingLanguage="python",
        )
    event = {
        "eventType": kind,
        "eventTime": dt.datetime.now(dt.UTC).isoformat(),
        "producer": PRODUCER,
        "schemaURL": _EVENT,
        "run": {"runId": RUN_ID, "facets": facets},
        "job": JOB | {"facets": {}},
        "inputs": [] if report is None else _inputs(report.record),
        "outputs": [] if report is None else _outputs(report),
    }
    with disk_errors(path, "the lineage event"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _facet(schema: str, **values: Any) -> dict[str, Any]:
    number, name = schema.split("/")
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{_SPEC}facets/{number}/{name}.json#/$defs/{name}",
        **values,
    }


def _inputs(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every file that went in, with its rows where it is the whole table."""
    return [
        {
            "namespace": "file",
            "name": str(Path(file["path"]).absolute()),
            "facets": {"version": _version(file["sha256"])},
            "inputFacets": {"inputStatistics": _size(used, file)},
        }
        for used in record["inputs"].values()
        for file in used["files"]
    ]


def _size(used: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    is_whole = len(used["files"]) == 1
    rows = {"rowCount": used["num_rows"]} if is_whole else {}
    name = "1-0-0/InputStatisticsInputDatasetFacet"
    return _facet(name, size=file["num_bytes"], **rows)


def _outputs(report: RunReport) -> list[dict[str, Any]]:
    """Every published table; tables of a cluster's night have no checksums."""
    if report.outcome == "dry run" or isinstance(report.run_dir, str):
        return []
    outputs = dict(read_record(report.run_dir)["outputs"])
    return [
        {
            "namespace": "file",
            "name": str((report.run_dir / name).absolute()),
            "facets": {"version": _version(file["sha256"])},
            "outputFacets": {
                "outputStatistics": _facet(
                    "1-0-2/OutputStatisticsOutputDatasetFacet",
                    rowCount=file["num_rows"],
                )
            },
        }
        for name, file in outputs.items()
        if "num_rows" in file
    ]


def _version(digest: str) -> dict[str, Any]:
    return _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=digest)
