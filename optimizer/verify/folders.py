"""
The statement of a night that executors wrote, whose files are folders of files.

Rows of a table stand in several files: those of decisions have the number that they
have by merchant and order. A table without rows may not be there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import PUBLISHED
from optimizer.verify.contract import TYPES, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optimizer.contracts.columns import Table

#: How a statement of files asks for a table, for one with numbered rows, for a text.
_TABLE = re.compile(r"table_of\('(\w+)\.parquet'\)")
_ROWS = re.compile(
    r"read_parquet\(\s*getvariable\('run'\) \|\| '/(\w+)\.parquet', "
    r"file_row_number = true\)"
)
_TEXT = re.compile(r"getvariable\('run'\) \|\| '/(run\.json|evidence\.txt)'")
#: How DuckDB names what Spark names otherwise.
_NAMES = (("^s3[an]:", "s3:"), ("^file:/+", "/"))
#: Tables that only some nights have, whose rows are asked for with their numbers.
_OF_SOME = ("rows", "conflicts", "order_prices", "branches", "branch_prices", "draws")
#: Tables of one file, which no such night has.
_NEVER = ("merchant_index", "order_index")


def as_duckdb(address: str) -> str:
    """
    An address of Spark as DuckDB knows it.

    Examples
    --------
    >>> as_duckdb("s3a://bucket/runs"), as_duckdb("file:///data/runs")
    ('s3://bucket/runs', '/data/runs')
    """
    for spark, duckdb in _NAMES:
        address = re.sub(spark, duckdb, address)
    return address


def path_text() -> str:
    """SQL for the path of an input file, as DuckDB knows it."""
    found = "file ->> 'path'"
    for spark, duckdb in _NAMES:
        found = f"regexp_replace({found}, {literal(spark)}, {literal(duckdb)})"
    return found


def of_folders(text: str) -> str:
    """
    A part of the statement, asking for folders in place of files.

    Parameters
    ----------
    text
        Of a night of one machine.

    Examples
    --------
    >>> of_folders("FROM table_of('lanes.parquet');")
    'FROM written_lanes;'
    """
    text = _TABLE.sub(r"written_\1", text)
    text = _ROWS.sub(r"numbered_\1", text)
    return _TEXT.sub(r"getvariable('run') || '/\1/*.txt'", text)


def folders_text(record: Mapping[str, Any]) -> str:
    """
    The tables of a night as they were written, for :func:`of_folders`.

    Parameters
    ----------
    record
        As in ``run.json``.
    """
    lines = [
        "-- The tables as executors wrote them; those without rows may not be there."
    ]
    tables = {table.name: table for table in PUBLISHED.values()}
    for name, table in tables.items():
        if table.file in record["outputs"]:
            path = f"getvariable('run') || '/{table.file}/*.parquet'"
            lines += [
                f"CREATE TEMP VIEW written_{name} AS",
                f"SELECT * FROM read_parquet({path});",
            ]
            if name in _OF_SOME:
                lines += [
                    f"CREATE TEMP VIEW numbered_{name} AS",
                    "SELECT * EXCLUDE (filename, file_row_number), row_number() OVER (",
                    "    ORDER BY filename, file_row_number) - 1 AS file_row_number",
                    f"FROM read_parquet({path},",
                    "    filename = true, file_row_number = true);",
                ]
        elif name not in (*_NEVER, *_OF_SOME):
            lines.append(_without_rows(table))
    lines.append("-- Rows have the number that they have by merchant and order.")
    for name in ("decisions", "recommendations"):
        lines += [
            f"CREATE TEMP VIEW numbered_{name} AS SELECT *,",
            "    row_number() OVER (ORDER BY merchant_id, order_id) - 1",
            f"    AS file_row_number FROM written_{name};",
        ]
    return "\n".join(lines) + "\n"


def _without_rows(table: Table) -> str:
    kinds = ", ".join(f'"{c.name}" {TYPES[c.kind]}' for c in table.columns)
    return f"CREATE TEMP TABLE written_{table.name} ({kinds});"
