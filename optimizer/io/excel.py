"""Sheets of Excel files, all cells as text: read by calamine, through fastexcel."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from optimizer.errors import DataError
from optimizer.extras import import_extra
from optimizer.io.parquet import most_unpacked, refuse_unpacked

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import pyarrow as pa

    from optimizer.config.limits import Limits

#: Ends of the names of Excel files.
EXCEL = (".xlsx", ".xls")
#: A number in a cell has fifteen digits; of a longer id the rest is lost.
_ROUNDED = 10**15


def refuse_large_book(path: Path, limits: Limits) -> None:
    """
    Refuse a workbook that unpacks to more than any table does.

    Raises
    ------
    DataError
        With the limit, and what to do.
    """
    if not zipfile.is_zipfile(path):  # .xls is not packed
        return
    try:
        with zipfile.ZipFile(path) as book:
            num_bytes = sum(part.file_size for part in book.infolist())
    except (zipfile.BadZipFile, ValueError, OSError):
        return  # the reader says what is wrong with it
    refuse_unpacked(path, num_bytes, most_unpacked(path, limits), limits)


def excel_table(path: Path, sheet: str | None, ids: Collection[str]) -> pa.Table:
    """
    Read a sheet as text, as CSV is.

    Parameters
    ----------
    path
        The file.
    sheet
        Name of the sheet; ``None``: the first.
    ids
        Columns of ids, under their names in the sheet.

    Raises
    ------
    ConfigError
        When fastexcel is not installed.
    DataError
        When the file is damaged, has no such sheet or no header, or when Excel has
        rounded ids.
    """
    fastexcel = import_extra("fastexcel", needed_by=str(path))
    try:
        book = fastexcel.read_excel(str(path))
        names = book.sheet_names
        if sheet is not None and sheet not in names:
            raise DataError(
                f"{path}: has no sheet {sheet!r}; it has {', '.join(names)}"
            )
        chosen = sheet or names[0]
        _refuse_rounded(book.load_sheet(chosen).to_polars(), ids, str(path))
        table: pa.Table = (
            book.load_sheet(chosen, dtypes="string").to_polars().to_arrow()
        )
    except fastexcel.FastExcelError as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"{path}: cannot be read as an Excel file ({reason}); save it again"
        ) from None
    named = [name for name in table.column_names if not name.startswith(_UNNAMED)]
    if not named:
        raise DataError(f"{path}: sheet {chosen} has no header; name the columns")
    return table.select(named)


def excel_head(path: Path, num_rows: int) -> pa.Table:
    """
    Read the first rows of the first sheet as text.

    Raises
    ------
    ConfigError
        When fastexcel is not installed.
    DataError
        When the file is damaged, has no header, or one of merged cells.
    """
    fastexcel = import_extra("fastexcel", needed_by=str(path))
    try:
        book = fastexcel.read_excel(str(path))
        sheet = book.load_sheet(0, n_rows=num_rows, dtypes="string")
    except fastexcel.FastExcelError as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"{path}: cannot be read as an Excel file ({reason}); save it again"
        ) from None
    table: pa.Table = sheet.to_polars().to_arrow()
    named = [name for name in table.column_names if not name.startswith(_UNNAMED)]
    if not named:
        raise DataError(f"{path}: its first sheet has no header; name the columns")
    _refuse_merged(table, named, path)
    return table.select(named)


def _refuse_merged(table: pa.Table, named: Collection[str], path: Path) -> None:
    """Refuse columns that are filled and have no name: a title, or a merged cell."""
    lost = [
        name
        for name in table.column_names
        if name not in named and 2 * table[name].null_count < table.num_rows
    ]
    if lost:
        has = "column has" if len(lost) == 1 else "columns have"
        raise DataError(
            f"{path}: {len(lost)} of {table.num_columns} {has} values and no name in "
            f"the first line ({', '.join(named)}): it is a title or a merged cell; "
            "unmerge it, delete the lines above the names of the columns, and name each"
        )


_UNNAMED = "__UNNAMED__"


def _refuse_rounded(frame: object, ids: Collection[str], label: str) -> None:
    """Refuse ids that were typed as numbers too long for a cell."""
    import polars as pl

    assert isinstance(frame, pl.DataFrame)
    for name in ids:
        if name not in frame.columns or not frame.schema[name].is_numeric():
            continue
        is_rounded = frame[name].abs() >= _ROUNDED
        if is_rounded.any():
            raise DataError(
                f"{label}: column {name} holds numbers of more than 15 digits, which "
                "Excel has rounded; make it a column of text and export again"
            )
