"""
What a Parquet file's footer claims, and what the headers of its pages say.

The footer repeats values and bytes, and nothing holds it to the pages: readers give as
many rows as the footer claims, and no library tells the difference. Footer and headers
are read here in Thrift's compact protocol, pages are skipped; pyarrow's own view of a
damaged footer ends the process where it throws.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Kinds of pages that hold rows, and the field with their header.
_DATA = {0: 5, 3: 8}
#: Headers are a few hundred bytes; those with long statistics are longer.
_FIRST_READ, _LONGEST_HEADER = 512, 1 << 20
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = (
    *(1, 2, 3, 7, 8, 9, 10, 11, 12),
)
_WHOLE = (4, 5, 6)
#: The physical type of texts.
_BYTE_ARRAY = 6


@dataclass(frozen=True, slots=True)
class ChunkPages:
    """
    The pages of a column in a row group.

    Attributes
    ----------
    num_values
        Values of its data pages, nulls counted.
    num_bytes
        Bytes of all its pages when they are unpacked.
    """

    num_values: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    A column in a row group, as the footer has it.

    Attributes
    ----------
    name
        Its path in the schema, joined by dots.
    is_text
        Whether it holds byte arrays.
    has_dictionary
        Whether it begins with a page of its distinct values.
    num_values
        Values that the footer claims.
    start, num_bytes
        Where its pages are in the file.
    limits
        Its least and greatest value as bytes; ``None`` where the footer has none.
    """

    name: str
    is_text: bool
    has_dictionary: bool
    num_values: int
    start: int
    num_bytes: int
    limits: tuple[bytes, bytes] | None


@dataclass(frozen=True, slots=True)
class Group:
    """A row group: the rows that the footer claims, and its columns."""

    num_rows: int
    chunks: tuple[Chunk, ...]


def read_footer(path: Path) -> tuple[int, tuple[Group, ...]]:
    """
    Rows that a file claims, and its row groups.

    Raises
    ------
    ValueError
        When the footer cannot be read.
    """
    with path.open("rb") as file:
        return footer_of(file)


def footer_of(file: BinaryIO) -> tuple[int, tuple[Group, ...]]:
    """
    As :func:`read_footer`, of a file that is open.

    Raises
    ------
    ValueError
        When the footer cannot be read.
    """
    data = _end_of(file)
    try:
        found, _ = _struct(data, 0)
        groups = tuple(
            Group(_number(group, 3), tuple(_chunk(part[3]) for part in group[1]))
            for group in found.get(4) or ()
        )
        return _number(found, 3), groups
    except (IndexError, struct.error, KeyError, TypeError, AttributeError):
        raise ValueError("its footer is broken") from None


def known_footer(path: Path) -> tuple[int, tuple[Group, ...]]:
    """
    As :func:`read_footer`, from memory where the same file was read before.

    Raises
    ------
    OSError, ValueError
        When the file is not there, or its footer cannot be read.
    """
    return _kept_footer(path, identity_of(path))


def identity_of(path: Path) -> tuple[int, ...]:
    """Which file it is, and in which state: what was found of it holds so long."""
    found = path.stat()
    return (
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )


@lru_cache(maxsize=64)
def _kept_footer(
    path: Path, _identity: tuple[int, ...]
) -> tuple[int, tuple[Group, ...]]:
    return read_footer(path)


def check_pages(file: BinaryIO, group: Group) -> None:
    """
    Hold every page of a row group to the checksum in its header, where it has one.

    Readers that are told to check do the same, and unpack the pages for it: whoever
    wants one row pays for all.

    Raises
    ------
    ValueError
        When a page is not as it was written.
    """
    for chunk in group.chunks:
        check_chunk(file, chunk)


def check_chunk(file: BinaryIO, chunk: Chunk) -> None:
    """
    Hold the pages of a column in a row group to their checksums.

    Raises
    ------
    ValueError
        When a page is not as it was written.
    """
    file.seek(chunk.start)
    data = file.read(chunk.num_bytes)
    place = 0
    while place < len(data):
        try:
            header, first = _struct(data, place)
        except (IndexError, struct.error, KeyError, TypeError):
            raise ValueError("the header of a page is broken") from None
        place = first + _number(header, 3)
        told = header.get(4)
        if told is not None and zlib.crc32(data[first:place]) != told & 0xFFFFFFFF:
            raise ValueError(f"the checksum of a page of {chunk.name} is false")


def has_checksum(file: BinaryIO, chunk: Chunk) -> bool:
    """
    Whether the first page of a column in a row group has a checksum.

    Raises
    ------
    ValueError
        When something else is where its header should be.
    """
    header, _ = _header_at(file, chunk.start)
    return header.get(4) is not None


def _end_of(file: BinaryIO) -> bytes:
    """The footer's bytes: their number stands before the last four."""
    size = file.seek(0, os.SEEK_END)
    if size < 12:
        raise ValueError("its footer is broken")
    file.seek(size - 8)
    length = int.from_bytes(file.read(4), "little")
    if length + 8 > size:
        raise ValueError("its footer is broken")
    file.seek(size - 8 - length)
    return file.read(length)


def _chunk(fields: dict[int, Any]) -> Chunk:
    start, dictionary = _number(fields, 9), fields.get(11) or 0
    if start == 0:  # without rows there is a dictionary alone
        start = dictionary
    return Chunk(
        name=b".".join(fields[3]).decode(),
        is_text=fields[1] == _BYTE_ARRAY,
        has_dictionary=dictionary > 0,
        num_values=_number(fields, 5),
        start=dictionary if 0 < dictionary < start else start,
        num_bytes=_number(fields, 7),
        limits=_limits(fields.get(12) or {}),
    )


def _limits(statistics: dict[int, Any]) -> tuple[bytes, bytes] | None:
    least, greatest = statistics.get(6), statistics.get(5)
    if isinstance(least, bytes) and isinstance(greatest, bytes):
        return least, greatest
    return None


def chunk_pages(file: BinaryIO, chunk: Chunk) -> ChunkPages:
    """
    Walk over the page headers of a column chunk.

    Parameters
    ----------
    file
        The Parquet file.
    chunk
        Where its pages are.

    Raises
    ------
    ValueError
        When something else is where a header should be.
    """
    num_values = num_bytes = 0
    for header in _headers(file, chunk.start, chunk.start + chunk.num_bytes):
        num_bytes += header[2]
        if header[1] in _DATA:
            num_values += _number(header.get(_DATA[header[1]]) or {}, 1)
    return ChunkPages(num_values, num_bytes)


def _headers(file: BinaryIO, place: int, end: int) -> Iterator[dict[int, Any]]:
    while place < end:
        header, length = _header_at(file, place)
        _, _, packed = (_number(header, field) for field in (1, 2, 3))
        yield header
        place += length + packed


def _number(fields: Any, number: int) -> int:
    """A field that a header must have; kinds and sizes are not negative."""
    found = fields.get(number) if isinstance(fields, dict) else None
    if not isinstance(found, int) or found < 0:
        raise ValueError("the header of a page is broken")
    return found


def _header_at(file: BinaryIO, place: int) -> tuple[dict[int, Any], int]:
    size = _FIRST_READ
    while True:
        file.seek(place)
        data = file.read(size)
        try:
            return _struct(data, 0)
        except (IndexError, struct.error, KeyError, TypeError):
            if len(data) < size or size >= _LONGEST_HEADER:
                raise ValueError("the header of a page is broken") from None
            size *= 8


def _struct(data: bytes, place: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by number, and where it ends."""
    found: dict[int, Any] = {}
    number = 0
    while head := data[place]:
        place, kind = place + 1, head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, place = read_whole(data, place)
        if kind in (_TRUE, _FALSE):
            found[number] = kind == _TRUE
        else:
            found[number], place = _value(data, place, kind)
    return found, place + 1


def _value(data: bytes, place: int, kind: int) -> tuple[Any, int]:
    if kind in _WHOLE:
        return read_whole(data, place)
    if kind in (_TRUE, _FALSE, _BYTE):
        return data[place], place + 1
    if kind == _DOUBLE:
        return struct.unpack_from("<d", data, place)[0], place + 8
    if kind == _BINARY:
        length, place = read_varint(data, place)
        if place + length > len(data):
            raise IndexError
        return data[place : place + length], place + length
    if kind == _STRUCT:
        return _struct(data, place)
    if kind in (_LIST, _SET):
        head, place = data[place], place + 1
        length = head >> 4
        if length == 15:
            length, place = read_varint(data, place)
        found = []
        for _ in range(length):
            value, place = _value(data, place, head & 15)
            found.append(value)
        return found, place
    raise KeyError(kind)


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place after it."""
    found = shift = 0
    while True:
        byte = data[place]
        found |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return found, place


def read_whole(data: bytes, place: int) -> tuple[int, int]:
    """A number with its sign in the last bit, and the place after it."""
    found, place = read_varint(data, place)
    return (found >> 1) ^ -(found & 1), place
