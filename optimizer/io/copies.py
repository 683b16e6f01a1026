"""Published tables as files that people open: CSV, Excel, Parquet."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

from optimizer.contracts.platforms import FORMULA_STARTS
from optimizer.errors import DeliveryError
from optimizer.extras import import_extra
from optimizer.io.folders import make_folder

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

#: Rows that a sheet of Excel holds below its header.
SHEET_ROWS = 1_048_575
_NOT_IN_SHEET_NAMES = r"[\[\]:*?/\\']"
_AS_TEXT = {"strings_to_formulas": False, "strings_to_urls": False}
#: Spreadsheets tell UTF-8 by this.
_MARK = b"\xef\xbb\xbf"


def write_copy(table: Path, target: Path, mode: int) -> None:
    """
    Write a published table to a file, whole or not at all.

    In CSV a text that a spreadsheet would run has an apostrophe in front: it is for
    people, and an outbox for systems. Excel files hold texts as texts.

    Parameters
    ----------
    table
        The published table, Parquet.
    target
        The file; its ending says of which kind.
    mode
        Of the file, whatever the umask.

    Raises
    ------
    ConfigError
        When xlsxwriter is not installed.
    DeliveryError
        When the table has more rows than a sheet holds.
    """
    import polars as pl

    make_folder(target.parent, mode)
    temporary = target.with_name(f".{target.name}.new")
    try:
        if target.suffix == ".parquet":
            shutil.copyfile(table, temporary)
        else:
            frame = pl.read_parquet(table)
            write = _write_csv if target.suffix == ".csv" else _write_excel
            write(frame, temporary, target)
        temporary.chmod(mode)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_csv(frame: pl.DataFrame, path: Path, _: Path) -> None:
    import polars as pl

    text = pl.col(pl.String)
    is_formula = text.str.slice(0, 1).is_in(list(FORMULA_STARTS))
    safe = frame.with_columns(
        pl.when(is_formula).then(text.str.replace("^", "'")).otherwise(text)
    )
    with path.open("wb") as file:
        file.write(_MARK)
        safe.write_csv(file)


def _write_excel(frame: pl.DataFrame, path: Path, target: Path) -> None:
    if len(frame) > SHEET_ROWS:
        raise DeliveryError(
            f"{target}: {len(frame):,} rows are more than a sheet of Excel holds "
            f"({SHEET_ROWS:,}); copy the table to .csv or .parquet"
        )
    writer: Any = import_extra("xlsxwriter", needed_by=str(target))
    sheet = re.sub(_NOT_IN_SHEET_NAMES, "-", target.stem)[:31]
    with writer.Workbook(str(path), _AS_TEXT) as book:
        frame.write_excel(book, worksheet=sheet, autofit=len(frame) < 10_000)
