"""Commands that write a copy of a table, changed: what a refusal offers."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.config.address import is_address
from optimizer.errors import DataError, counted
from optimizer.io.excel import EXCEL
from optimizer.io.privacy import personal_columns, refuse_personal_columns
from optimizer.recognize.names import ORDER_NAMES, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from optimizer.recognize.text import Head

_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Personal:
    """
    A table with columns of people's data.

    Attributes
    ----------
    label
        Its path, or its address without secrets.
    columns
        Those columns.
    encoding, separator
        Of a CSV file.
    """

    label: str
    columns: tuple[str, ...]
    encoding: str = "utf-8"
    separator: str = ","


class PersonalColumnsError(DataError):
    """
    Tables hold personal data, by the names of their columns; no row was read.

    Parameters
    ----------
    tables
        The tables.
    """

    def __init__(self, tables: Sequence[Personal]) -> None:
        super().__init__(_refusal(tables))
        self.tables = tuple(tables)


class CopyNeededError(DataError):
    """
    Tables of which a changed copy can be read, each for a reason of its own.

    Parameters
    ----------
    tables
        For each its path, why it is refused with what its copy would be, and the
        steps of :func:`copy_steps` that write it.
    """

    def __init__(self, tables: Sequence[tuple[str, str, str]]) -> None:
        self.tables = tuple(tables)
        copies = " ".join(str(copy_of(label)) for label, *_ in tables)
        lines = [f"{label}: {reason}" for label, reason, _ in tables]
        command = command_of(steps for *_, steps in tables)
        lines[-1] += f", and begin with {copies}:\n  {command}"
        super().__init__("\n".join(lines))


def refuse_personal(
    columns: Sequence[str],
    label: str,
    head: Head | None = None,
    ids: Collection[str] = (),
) -> None:
    """
    Refuse columns of people's data, with the way to leave them out.

    Parameters
    ----------
    columns, label
        Names of the columns, and the table's.
    head
        The form of a CSV file.
    ids
        Columns that a person has named as ids: their values are looked at instead.

    Raises
    ------
    PersonalColumnsError
        Naming the columns and a command that writes the table without them.
    """
    told = [column for column in columns if column not in ids]
    found = [column for column in personal_columns(columns) if column not in ids]
    if found and head is not None:
        raise PersonalColumnsError(
            [Personal(label, tuple(found), head.encoding, head.separator)]
        )
    if found:
        raise PersonalColumnsError([Personal(label, tuple(found))])
    refuse_personal_columns(told, label)  # a row in the header's place


def _refusal(tables: Sequence[Personal]) -> str:
    """Say which columns of which tables are personal, and one command for all."""
    lines = [
        f"{table.label}: looks like it holds personal data in "
        f"{counted(len(table.columns), 'column')}: {', '.join(table.columns)}"
        for table in tables
    ]
    lines.append("No row was read.")
    numbers = {c for t in tables for c in t.columns if plain(c) in _ORDER_NUMBERS}
    lines += [
        f"If {column} has the orders' numbers, say so: --column order_id={column}"
        for column in sorted(numbers)
    ]
    views = [table.label for table in tables if is_address(table.label)]
    if views:
        lines.append(
            f"Make a view without them of {', '.join(views)}, and name that instead"
        )
    steps = [
        copy_steps(
            table.label,
            f".drop({', '.join(map(repr, table.columns))})",
            encoding=table.encoding,
            separator=table.separator,
        )
        for table in tables
        if table.label not in views
    ]
    if steps:
        copies = " ".join(str(copy_of(t.label)) for t in tables if t.label not in views)
        them = "copies" if len(steps) > 1 else "a copy"
        lines.append(
            f"Leave them out of the export, or write {them} without them, and begin "
            f"with {copies}:\n  {command_of(steps)}"
        )
    return "\n".join(lines)


_ORDER_NUMBERS = {plain(name) for name in ORDER_NAMES["order_id"]}


def copy_of(path: str) -> Path:
    """
    Name the copy of a table.

    Examples
    --------
    >>> copy_of("in/o.csv.gz").as_posix(), copy_of("in/days/*.csv").as_posix()
    ('in/o-bare.csv', 'in/days-bare.csv')
    """
    file = Path(path)
    name = re.sub(r"\..*$", "", file.name)
    if glob.has_magic(path) and not file.exists():
        while glob.has_magic(str(file)):
            file = file.parent
        name = file.name or "all"
    kind = ".parquet" if path.lower().endswith(_PARQUET) else ".csv"
    bare = f"{name}-bare{kind}"
    return file.with_name(bare) if file.name else Path(bare)


def command_of(steps: Iterable[str]) -> str:
    """
    Write the command that takes all these steps.

    Parameters
    ----------
    steps
        As of :func:`copy_steps`.
    """
    program = "; ".join(steps)
    needed = "glob, polars as pl" if "glob.glob(" in program else "polars as pl"
    return f'python -c "import {needed}; {program}"'


def copy_steps(
    path: str,
    steps: str,
    *,
    encoding: str = "utf-8",
    separator: str = ",",
    num_titles: int = 0,
) -> str:
    """
    Write what makes a copy of a table, changed, as an expression in Python.

    Parameters
    ----------
    path
        Its file.
    steps
        What is done with it, by polars.
    encoding, separator
        Of a CSV file.
    num_titles
        Lines above the names of an Excel file's columns.

    Examples
    --------
    >>> print(copy_steps("o.csv", ".drop('phone')"))
    pl.read_csv('o.csv', infer_schema=False).drop('phone').write_csv('o-bare.csv')
    """
    name, write = path.lower(), "write_csv"
    is_many = glob.has_magic(path) and not Path(path).exists()
    file = "f" if is_many else repr(path)
    if name.endswith(EXCEL):
        first = f", read_options={{'header_row': {num_titles}}}" if num_titles else ""
        read = f"pl.read_excel({file}, infer_schema_length=0{first})"
    elif name.endswith(_PARQUET):
        write = "write_parquet"
        read = f"pl.read_parquet({file})"
    else:
        form = f"{file}, infer_schema=False"
        form += f", encoding={encoding!r}" if encoding != "utf-8" else ""
        form += f", separator={separator!r}" if separator != "," else ""
        read = f"pl.read_csv({form})"
    if is_many:
        read = f"pl.concat({read} for f in sorted(glob.glob({path!r})))"
    return f"{read}{steps}.{write}({str(copy_of(path))!r})"
