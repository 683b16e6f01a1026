"""CSV, strictly: UTF-8, one header, every row as long as it, all cells as text."""

from __future__ import annotations

import codecs
import csv
import io
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from optimizer.errors import DataError
from optimizer.io.csv_form import HAS_ZEROS, guess_form
from optimizer.io.parquet import most_unpacked, refuse_unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from optimizer.config.limits import Limits
    from optimizer.io.csv_form import CsvForm
    from optimizer.io.reading_notes import ReadingNotes

_BLOCK_BYTES = 1 << 24
#: What is read to find the header.
_HEADER_BYTES = 1 << 16
_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'
_NOT_UTF8 = "is not UTF-8 text; export it as UTF-8, or name its encoding"


def csv_form(path: Path, known: Sequence[str], encoding: str = "utf-8") -> CsvForm:
    """
    Guess the form of a CSV file.

    Parameters
    ----------
    path
        The file.
    known
        Columns of the contract, under their names in the file.
    encoding
        Of its text.

    Raises
    ------
    DataError
        When the first line is no header in its encoding.
    """
    return guess_form(_first_bytes(path, encoding), known, str(path))


def csv_schema(form: CsvForm) -> pa.Schema:
    """Columns of a CSV file that have a name, all text."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in form.names if name is not None])


def csv_batches(
    path: Path,
    columns: Sequence[str],
    known: Sequence[str],
    notes: ReadingNotes,
    limits: Limits,
    encoding: str = "utf-8",
) -> Iterator[pa.RecordBatch]:
    """
    Read some columns of a CSV file as text; empty cells are null.

    A row whose cells are all empty is ignored, as is a blank line.

    Parameters
    ----------
    path, columns
        The file, and what to read of it.
    known
        Columns of the contract; the first says whether a row may be empty.
    notes
        Takes notes on the form of the file.
    limits
        Beyond which the file is refused.
    encoding
        Of its text.

    Raises
    ------
    DataError
        When a row is shorter or longer than the header, a quote is not closed, the
        text is not in its encoding, or a line or the whole is longer than the limits
        allow.
    """
    import pyarrow as pa

    form = csv_form(path, known, encoding)
    if not _has_rows(path, form, limits, encoding):
        return
    with _opened(path, encoding) as stream:
        num_breaks = _count_breaks(_Bounded(stream, path, limits), form, path)
    notes.num_line_breaks[str(path)] = num_breaks
    there = [name for name in known if name in form.names]
    wanted = list(dict.fromkeys([*columns, *there[:1]]))
    num_empty = 0
    try:
        for number, batch in enumerate(
            _parsed(path, form, wanted, has_breaks=num_breaks > 0, encoding=encoding)
        ):
            kept = batch
            if there and batch.column(there[0]).null_count:
                is_row = _is_row(
                    path, form, number, has_breaks=num_breaks > 0, encoding=encoding
                )
                kept = batch.filter(is_row)
                num_empty += batch.num_rows - kept.num_rows
            yield kept.select(list(columns))
    except pa.ArrowInvalid as error:
        raise DataError(_reason(error, path, form, encoding)) from None
    notes.num_empty_rows[str(path)] = num_empty


def _parsed(
    path: Path,
    form: CsvForm,
    columns: Sequence[str] | None,
    *,
    has_breaks: bool,
    encoding: str,
) -> Iterator[pa.RecordBatch]:
    """Batches of some columns, or of all, also those without a name."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [name or f"\0{number}" for number, name in enumerate(form.names)]
    with _opened(path, encoding) as stream:
        yield from arrow_csv.open_csv(
            stream,
            arrow_csv.ReadOptions(
                block_size=_BLOCK_BYTES,
                column_names=names,
                skip_rows=form.num_before + 1,
            ),
            arrow_csv.ParseOptions(
                delimiter=form.separator, newlines_in_values=has_breaks
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=columns,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )


def _is_row(
    path: Path, form: CsvForm, number: int, *, has_breaks: bool, encoding: str
) -> pa.Array:
    """Which rows of a batch have any cell that is not empty."""
    import numpy as np
    import pyarrow as pa

    batches = _parsed(path, form, None, has_breaks=has_breaks, encoding=encoding)
    whole = next(islice(batches, number, None))
    has_cell = np.zeros(whole.num_rows, np.bool_)
    for column in whole.columns:
        has_cell |= column.is_valid().to_numpy(zero_copy_only=False)
    return pa.array(has_cell)


def _count_breaks(stream: Any, form: CsvForm, path: Path) -> int:
    """
    Count line breaks inside of quotes.

    They are part of their cells if every quote is at an end of a cell or doubled.
    Otherwise a quote that was never closed may have swallowed the next rows, and the
    file is refused. It is also refused if the text inside of quotes looks like a row.
    """
    num_quotes, num_breaks, is_proper, since = 0, 0, True, -1
    has_text_after = False
    before, pending = b"\n", b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    while True:
        block = stream.read(_BLOCK_BYTES)
        _refuse_other_text(block, decoder, path)
        text = before + pending + (block or b"\n")
        # What stands at the end is looked at again, with what follows it.
        pending = text[-1:] if block and text[-1] in (_QUOTE, _RETURN) else b""
        end = len(text) - len(pending)
        if num_quotes % 2 or b'"' in text[1:end]:
            is_open = num_quotes % 2 == 1
            found = _look_at_quotes(text, end, form, is_open=is_open, since=since)
            num_quotes, since = num_quotes + found.num_quotes, found.since
            if not block and num_quotes % 2:
                break
            num_breaks += found.num_breaks
            has_text_after = has_text_after or found.has_text_after
            is_proper = is_proper and found.are_proper
            if num_breaks and (found.holds_row or not is_proper):
                raise DataError(
                    f"{path}: a line break follows a quote that is not closed, or that "
                    "stands inside of a cell: rows may be missing; check its quotes"
                )
        if not block and has_text_after:
            raise DataError(
                f"{path}: text follows a quote that closes a cell; write a quote "
                "inside of a cell twice, not with a backslash"
            )
        if not block:
            return num_breaks
        before = text[end - 1 : end]
    raise DataError(f"{path}: the last quote is not closed; fetch it again")


def _refuse_other_text(
    block: bytes, decoder: codecs.IncrementalDecoder, path: Path
) -> None:
    """Refuse what is not UTF-8, or no text, also in columns that nobody reads."""
    if b"\x00" in block:
        raise DataError(f"{path}: {HAS_ZEROS}")
    if block.isascii() and not decoder.getstate()[0]:
        return
    try:
        decoder.decode(block, final=not block)
    except UnicodeDecodeError:
        raise DataError(f"{path}: {_NOT_UTF8}") from None


class _Quotes(NamedTuple):
    """
    Properties of the quotes of a block.

    ``are_proper``: all of them open or close a cell, or are doubled;
    ``has_text_after``: one that opens a cell is followed by one that does not close it,
    so that readers differ; ``holds_row``:
    what some of them hold has a line with as many separators as a row; ``since``:
    separators since the last line break in the cell that is open at the end, -1 where
    there is none.
    """

    num_quotes: int
    num_breaks: int
    are_proper: bool
    has_text_after: bool
    holds_row: bool
    since: int


def _look_at_quotes(
    text: bytes, end: int, form: CsvForm, *, is_open: bool, since: int
) -> _Quotes:
    """Look at the bytes from 1 up to ``end``; those outside are only neighbours."""
    import numpy as np

    signs = np.frombuffer(text, np.uint8)
    place = np.flatnonzero(signs[1:end] == _QUOTE) + 1
    edges = [_QUOTE, _LINE_FEED, _RETURN, *form.separator.encode()]
    opening, closing = place[int(is_open) :: 2], place[1 - int(is_open) :: 2]
    does_open = np.isin(signs[opening - 1], edges)
    does_close = np.isin(signs[closing + 1], edges)
    are_proper = bool(does_open.all() and does_close.all())
    ends = does_close[int(is_open) :]  # of the cells that begin in this block
    has_text_after = bool((does_open[: len(ends)] & ~ends).any())
    inside = _breaks_inside(signs, end, place, is_open=is_open)
    holds_row, since = _rows_held(signs[:end], place, inside, form, since)
    return _Quotes(
        len(place), len(inside), are_proper, has_text_after, holds_row, since
    )


def _rows_held(
    signs: NDArray[np.uint8],
    quotes: NDArray[np.int64],
    breaks: NDArray[np.int64],
    form: CsvForm,
    since: int,
) -> tuple[bool, int]:
    """Whether a line inside of quotes is like a row; and ``since`` at the end."""
    import numpy as np

    least = max(1, len(form.header) - 1)
    if since < 0 and len(breaks) == 0:
        return False, -1
    is_separator = signs == ord(form.separator)
    is_separator[0] = False
    num_before = np.cumsum(is_separator)
    at, cell = num_before[breaks], np.searchsorted(quotes, breaks)
    if since >= 0:  # the open cell had a line break in an earlier block
        at, cell = np.append(-since, at), np.append(0, cell)
    holds_row = bool(((np.diff(cell) == 0) & (np.diff(at) >= least)).any())
    is_same_cell = len(cell) > 0 and cell[-1] == len(quotes)
    return holds_row, int(num_before[-1] - at[-1]) if is_same_cell else -1


def _breaks_inside(
    signs: NDArray[np.uint8], end: int, quotes: NDArray[np.int64], *, is_open: bool
) -> NDArray[np.int64]:
    """Places of the line breaks inside of quotes; CRLF is one."""
    import numpy as np

    following = np.append(signs[2:], np.uint8(0))[: end - 1]
    is_break = signs[1:end] == _LINE_FEED
    is_break |= (signs[1:end] == _RETURN) & (following != _LINE_FEED)
    place = np.flatnonzero(is_break) + 1
    num_before = np.searchsorted(quotes, place) + int(is_open)
    return place[num_before % 2 == 1]


def _reason(error: Exception, path: Path, form: CsvForm, encoding: str) -> str:
    text = " ".join(str(error).split())
    if "UTF8" in text:
        return f"{path}: {_NOT_UTF8}"
    if "Expected" in text and (found := _odd_line(path, form, encoding)) is not None:
        line, num_cells = found
        return (
            f"{path}: line {line:,} has not as many cells as the header "
            f"({num_cells}, not {len(form.header)}); give each row a cell for each "
            "column, empty ones too, and leave out lines that are no rows"
        )
    return f"{path}: is not readable as CSV ({text[:160]}); check its quotes"


def _odd_line(path: Path, form: CsvForm, encoding: str) -> tuple[int, int] | None:
    """Line, from 1, of the first row of another length than the header; its cells."""
    with _opened(path, encoding) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
        rows = csv.reader(text, delimiter=form.separator)
        try:
            for number, cells in enumerate(rows):
                is_row = number > form.num_before and cells
                if is_row and len(cells) != len(form.header):
                    return rows.line_num, len(cells)
        except csv.Error:
            pass
    return None


def csv_lines(
    path: Path, known: Sequence[str], rows: Sequence[int], encoding: str = "utf-8"
) -> tuple[dict[int, int], int]:
    """
    Find the lines of some rows of a CSV file that was read before.

    Parameters
    ----------
    path, known, encoding
        As for :func:`csv_batches`.
    rows
        Rows that are looked for, from 1, ascending; the file is read up to the last.

    Returns
    -------
    lines, num_rows
        Line by row, both from 1; and the rows that were counted, all of the file where
        the last that is looked for is not in it.
    """
    form, wanted, last = csv_form(path, known, encoding), {*rows}, rows[-1]
    found: dict[int, int] = {}
    num_rows = num_lines = 0
    with _opened(path, encoding) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
        cells = csv.reader(text, delimiter=form.separator)
        for number, row in enumerate(cells):
            begun, num_lines = num_lines + 1, cells.line_num
            if number > form.num_before and any(row):
                num_rows += 1
                if num_rows in wanted:
                    found[num_rows] = begun
                if num_rows == last:
                    break
    return found, num_rows


class _Bounded:
    """A stream that is refused where it, or a line of it, is longer than tables are."""

    def __init__(self, stream: Any, path: Path, limits: Limits) -> None:
        self._stream, self._path, self._limits = stream, path, limits
        self._most, self._num_read = most_unpacked(path, limits), 0
        self._is_packed = path.suffix.lower() != ".csv"
        self._num_open = 0

    def read(self, num_bytes: int) -> bytes:
        """Read on."""
        block: bytes = self._stream.read(num_bytes)
        self._num_read += len(block)
        if self._is_packed:
            refuse_unpacked(self._path, self._num_read, self._most, self._limits)
        self._refuse_long_line(block)
        return block

    def _refuse_long_line(self, block: bytes) -> None:
        """Step from break to break, each as far ahead as a line may be long."""
        most, start = self._limits.line_bytes, -self._num_open
        while len(block) - start > most:
            found = _last_break(block, max(0, start), start + most + 1)
            if found < 0:
                raise DataError(
                    f"{self._path}: has a line of more than {most:,} bytes, which "
                    "limits.line_bytes allows; export each row on a line"
                )
            start = found + 1
        found = _last_break(block, max(0, start), len(block))
        self._num_open = len(block) - (start if found < 0 else found + 1)


def _last_break(block: bytes, start: int, end: int) -> int:
    return max(block.rfind(b"\n", start, end), block.rfind(b"\r", start, end))


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[Any]:
    """Open a file, unpacked and in UTF-8."""
    import pyarrow as pa

    codec = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix.lower())
    with pa.OSFile(str(path)) as file, ExitStack() as stack:
        stream = file
        if codec is not None:
            stream = stack.enter_context(pa.CompressedInputStream(file, codec))
        if encoding != "utf-8":
            stream = pa.transcoding_input_stream(stream, encoding, "utf-8")
            stack.enter_context(_wrong_encoding_is_data_error(path, encoding))
        yield stream


@contextmanager
def _wrong_encoding_is_data_error(path: Path, encoding: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise DataError(
            f"{path}: is not {encoding.upper()} text; name the encoding that it has"
        ) from None


def _first_bytes(path: Path, encoding: str) -> bytes:
    with _opened(path, encoding) as stream:
        found = bytes(stream.read(_HEADER_BYTES))
    if len(found) == _HEADER_BYTES and not {*b"\r\n"} & {*found}:
        raise DataError(
            f"{path}: the first line is longer than {_HEADER_BYTES:,} bytes; export a "
            "header of the table's columns, each row on a line"
        )
    return found


def _has_rows(path: Path, form: CsvForm, limits: Limits, encoding: str) -> bool:
    """Whether anything follows the header."""
    if len(_first_bytes(path, encoding).strip().splitlines()) > form.num_before + 1:
        return True
    with _opened(path, encoding) as stream:
        rest = _Bounded(stream, path, limits)
        rest.read(_HEADER_BYTES)
        while block := rest.read(_BLOCK_BYTES):
            if block.strip():
                return True
    return False
