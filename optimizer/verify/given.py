"""Input files that DuckDB cannot read by itself, as Arrow tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.extras import import_extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa


def given_table(
    path: str, mapping: Mapping[str, Any], form: Mapping[str, Any]
) -> pa.Table:
    """
    Read an Arrow or Excel file, or a CSV file in another encoding than UTF-8.

    Parameters
    ----------
    path
        The file.
    mapping
        How the configuration has the table read.
    form
        Form of a CSV file, as recorded: separator, lines before the header, header.
    """
    import pyarrow.ipc

    if path.lower().endswith((".arrow", ".feather", ".ipc")):
        return pyarrow.ipc.open_file(path).read_all()
    if path.lower().endswith((".xlsx", ".xls")):
        return _sheet(path, mapping.get("sheet"))
    return _text_table(path, mapping["encoding"], form)


def _text_table(path: str, encoding: str, form: Mapping[str, Any]) -> pa.Table:
    """All cells as text, empty ones as none."""
    import pyarrow as pa
    from pyarrow import csv

    num_before, separator = form.get("num_before", 0), form.get("separator", ",")
    names = form.get("header") or _header(path, encoding, num_before, separator)
    names = [name or f"unnamed {number}" for number, name in enumerate(names)]
    with pa.input_stream(path) as packed:
        reader = csv.open_csv(
            pa.transcoding_input_stream(packed, encoding, "utf-8"),
            csv.ReadOptions(skip_rows=num_before + 1, column_names=names),
            csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            csv.ConvertOptions(
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                column_types=dict.fromkeys(names, pa.string()),
            ),
        )
        return reader.read_all()


def _sheet(path: str, name: str | None) -> pa.Table:
    """A sheet of an Excel file, all cells as text."""
    fastexcel = import_extra("fastexcel", needed_by=path)
    book = fastexcel.read_excel(path)
    sheet = book.load_sheet(
        book.sheet_names[0] if name is None else name, dtypes="string"
    )
    return sheet.to_polars().to_arrow()


def _header(path: str, encoding: str, num_before: int, separator: str) -> list[str]:
    import csv

    import pyarrow as pa

    with pa.input_stream(path) as stream:
        start = stream.read(1 << 16).decode(encoding, "replace")
    line = start.removeprefix("\ufeff").splitlines()[num_before]
    return next(csv.reader([line], delimiter=separator))
