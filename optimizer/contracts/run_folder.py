"""The files of a published night, and how to read its record."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from optimizer.errors import DataError

RECORD = "run.json"
REPORT = "report.html"
#: The night stated a second time, for DuckDB.
AUDIT = "audit.sql"
#: Hashes of the decisions, a merchant a line: what an order's evidence starts from.
LEAVES = "evidence.txt"
#: Written last: a folder without it is not a run.
SUCCESS = "_SUCCESS"
SCHEMA_VERSION = 3
#: Formats that are read: records of format 1 have warnings as sentences alone, and
#: decisions of format 2 stand by order_id.
_READ = (1, 2, SCHEMA_VERSION)
#: An address that was taken for a path: of the two slashes one is left.
_ADDRESS = re.compile(r"(?:^|/)([a-z][a-z0-9+]+):/+(.+)")


def pinned(run_dir: Path | str) -> Path:
    """
    Follow a date's link once, so that everything read after is of one version.

    Another run may publish the date again while a reader is between two tables.

    Examples
    --------
    >>> import tempfile
    >>> output = Path(tempfile.mkdtemp())
    >>> link = output / "2026-11-22"
    >>> link.symlink_to(".versions/2026-11-22/a1")
    >>> pinned(link) == output / ".versions/2026-11-22/a1"
    True
    >>> pinned("runs/2026-11-22")
    PosixPath('runs/2026-11-22')
    """
    folder = Path(run_dir)
    return folder.parent / folder.readlink() if folder.is_symlink() else folder


def resolved(run_dir: Path | str) -> Path:
    """
    Follow all links to a folder.

    Raises
    ------
    DataError
        When they lead in a circle.
    """
    try:
        return Path(run_dir).resolve()
    except (OSError, RuntimeError):  # the latter until Python 3.12
        raise DataError(f"{run_dir}: is a link that leads to itself") from None


def read_record(run_dir: Path | str) -> dict[str, Any]:
    """
    Read the record of a published night.

    Raises
    ------
    DataError
        When the folder is not a complete run.
    """
    folder = Path(run_dir)
    if (folder / RECORD).is_dir():
        raise DataError(
            f"{folder}: is a night that a cluster published; `optimizer explain` reads "
            "it, other commands are for nights of engine: local"
        )
    address = _ADDRESS.search(str(run_dir))
    if address is not None and not folder.exists():
        slashes = "///" if address[1] == "file" else "//"
        raise DataError(
            f"{address[1]}:{slashes}{address[2]}: is an address, and this command "
            "reads folders; of a night that a cluster published there `optimizer "
            "explain` reads decisions, and its audit.sql, run by DuckDB, states it a "
            "second time"
        )
    if not (folder / SUCCESS).is_file():
        lacks = f"it has no {SUCCESS}" if folder.is_dir() else "there is no such folder"
        also = ""
        if not folder.exists() and is_date(folder.name):
            also = "; a date goes with its configuration: --config FILE --date DATE"
        elif not folder.exists():
            also = "; name the folder of a night first, then what is asked of it"
        raise DataError(f"{folder}: is not a published run ({lacks}){also}")
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{folder / RECORD}: cannot be read ({reason})") from error
    except (ValueError, RecursionError):
        raise DataError(f"{folder / RECORD}: cannot be read as JSON") from None
    if not isinstance(record, dict) or record.get("schema_version") not in _READ:
        raise DataError(
            f"{folder / RECORD}: is not a record of format {SCHEMA_VERSION}; use the "
            "version of optimizer that wrote it"
        )
    return record


def is_date(text: str) -> bool:
    """
    Whether a word is a date, where another thing was asked for.

    Examples
    --------
    >>> is_date("2026-11-22"), is_date("20261122-a")
    (True, False)
    """
    return re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", text) is not None


def record_text(record: dict[str, Any]) -> str:
    """Write a record so that equal records are equal bytes."""
    return json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
