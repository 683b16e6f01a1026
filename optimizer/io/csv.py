"""CSV, strictly: UTF-8, one header, every row as long as it, all cells as text."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from optimizer.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

_BLOCK_BYTES = 1 << 24
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def csv_schema(path: Path) -> pa.Schema:
    """
    Column names of a CSV file, all text.

    Raises
    ------
    DataError
        When the first line is no header in UTF-8.
    """
    import pyarrow as pa

    names = _header(path)
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise DataError(f"{path}: has the column {sorted(repeated)[0]!r} twice")
    return pa.schema([(name, pa.string()) for name in names])


def csv_batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """
    Read some columns of a CSV file as text; empty cells are null.

    Raises
    ------
    DataError
        When a row is shorter or longer than the header, a quote is not closed, or
        the text is not UTF-8.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = _header(path)
    if not _has_rows(path):
        return
    with _opened(path) as stream:
        _refuse_open_quotes(stream, path)
    try:
        with _opened(path) as stream:
            yield from arrow_csv.open_csv(
                stream,
                arrow_csv.ReadOptions(block_size=_BLOCK_BYTES),
                arrow_csv.ParseOptions(newlines_in_values=False),
                arrow_csv.ConvertOptions(
                    column_types={name: pa.string() for name in names},
                    include_columns=columns,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: {_reason(error)}") from None


def _refuse_open_quotes(stream: Any, path: Path) -> None:
    """Refuse a line that ends inside of quotes: it would swallow the next rows."""
    import numpy as np

    num_quotes = 0
    while block := stream.read(_BLOCK_BYTES):
        text = np.frombuffer(block, np.uint8)
        quotes = np.cumsum(text == 34) + num_quotes
        if (quotes[(text == 10) | (text == 13)] % 2).any():
            raise DataError(
                f"{path}: a quote is not closed on its line; check its quotes"
            )
        num_quotes = int(quotes[-1])
    if num_quotes % 2:
        raise DataError(f"{path}: the last quote is not closed; fetch it again")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "UTF8" in text:
        return "is not UTF-8 text; export it as UTF-8"
    if "Expected" in text:
        detail = text.split("CSV parse error: ")[-1].split(" columns, got")
        got = detail[1].split(":")[0].strip() if len(detail) > 1 else "another number"
        return f"a row has not as many cells as the header: {detail[0]}, got {got}"
    return f"is not readable as CSV ({text[:160]}); check its quotes"


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import pyarrow as pa

    codec = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix.lower())
    with pa.OSFile(str(path)) as file:
        if codec is None:
            yield file
        else:
            with pa.CompressedInputStream(file, codec) as stream:
                yield stream


def _first_bytes(path: Path) -> bytes:
    with _opened(path) as stream:
        return bytes(stream.read(1 << 16))


def _header(path: Path) -> list[str]:
    start = _first_bytes(path)
    if start[:2] in _MARKS or b"\x00" in start:
        raise DataError(f"{path}: is not UTF-8 text; export it as UTF-8")
    line = start.removeprefix(b"\xef\xbb\xbf").splitlines()[:1]
    if not line or not line[0].strip():
        raise DataError(f"{path}: has no header; its first line must name the columns")
    try:
        return next(csv.reader([line[0].decode("utf-8")]))
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; export it as UTF-8") from None


def _has_rows(path: Path) -> bool:
    """Whether anything follows the header."""
    return len(_first_bytes(path).strip().splitlines()) > 1
