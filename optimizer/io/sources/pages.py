"""
Pages of a lakehouse's files, held to their checksums before the rows are read.

The drivers of Delta Lake and Iceberg unpack a page whose checksum fails without a word:
a flipped bit is another number. Spark writes checksums, other writers may not; of a
column without them nothing but a header is read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.errors import DataError
from optimizer.io.parquet_pages import check_chunk, footer_of, has_checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import BinaryIO


def check_files(
    files: Iterable[tuple[str, Callable[[], BinaryIO]]],
    unread: Collection[str],
    label: str,
) -> None:
    """
    Hold the pages of files to the checksums in their headers.

    Parameters
    ----------
    files
        Name of each file, and what opens it.
    unread
        Columns of the table that nobody reads.
    label
        The table's name in messages.

    Raises
    ------
    DataError
        Naming the file that is not as it was written, or not there.
    """
    for name, opened in files:
        try:
            with opened() as file:
                _check(file, unread)
        except FileNotFoundError:
            raise DataError(
                f"{label}: its file {name} is not there any more; restore it, or name "
                "a version whose files the table keeps"
            ) from None
        except ValueError as error:
            raise DataError(
                f"{label}: its file {name} is damaged ({error}); restore the file, or "
                "write these rows again, and run again"
            ) from None


def _check(file: BinaryIO, unread: Collection[str]) -> None:
    _, groups = footer_of(file)
    for group in groups:
        for chunk in group.chunks:
            is_read = chunk.name.partition(".")[0] not in unread
            if is_read and chunk.num_bytes and has_checksum(file, chunk):
                check_chunk(file, chunk)
