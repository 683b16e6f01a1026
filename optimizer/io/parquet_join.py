"""
Row groups that were encoded apart, joined to one Parquet file.

Each part is a Parquet file of one row group, in memory. A part's pages go into the file
as they are, and its footer's entry with the places of its columns moved; so parts can
be encoded on all cores, and the file is the one that a single writer would write. The
footer is in Thrift's compact protocol (:mod:`optimizer.io.parquet_pages` reads it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from optimizer.io.parquet_pages import read_varint, read_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"PAR1"
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_I16, _I32, _I64 = 4, 5, 6
#: Fields of the footer, of a row group, of a column, and of what it says of itself.
_NUM_ROWS, _GROUPS, _KEY_VALUES = 3, 4, 5
_COLUMNS, _GROUP_PLACE, _ORDINAL = 1, 5, 7
_COLUMN_PLACE, _ABOUT = 2, 3
_PLACES = (9, 10, 11, 14)


class Sink(Protocol):
    """Whatever takes bytes."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take the next bytes."""


class Typed(NamedTuple):
    """A value with its kind, as Thrift has it."""

    kind: int
    value: Any


#: A struct: its fields by number, ascending.
Fields = dict[int, Typed]


class JoinedGroups:
    """
    A Parquet file that grows by row groups.

    Parameters
    ----------
    file
        Open for writing, and empty.
    """

    def __init__(self, file: Sink) -> None:
        self._file, self._place = file, len(MAGIC)
        self._footer: Fields | None = None
        file.write(MAGIC)

    def add(self, part: memoryview) -> None:
        """
        Add the row groups of a whole Parquet file; all files have one schema.

        Parameters
        ----------
        part
            Its bytes.
        """
        length = int.from_bytes(part[-8:-4], "little")
        pages, footer = part[len(MAGIC) : -8 - length], part[-8 - length : -8]
        fields, _ = _read_struct(bytes(footer), 0)
        self._file.write(pages)
        groups = fields[_GROUPS].value[1]
        for group in groups:
            _move(group, self._place - len(MAGIC))
        self._place += len(pages)
        if self._footer is None:
            self._footer = fields
            return
        whole = self._footer
        num_rows = whole[_NUM_ROWS].value + fields[_NUM_ROWS].value
        whole[_NUM_ROWS] = Typed(_I64, num_rows)
        kind, before = whole[_GROUPS].value
        for number, group in enumerate(groups, len(before)):
            if _ORDINAL in group:
                group[_ORDINAL] = Typed(_I16, number)
        whole[_GROUPS] = Typed(_LIST, (kind, [*before, *groups]))

    def close(self, notes: Mapping[str, str] | None = None) -> None:
        """
        Write the footer.

        Parameters
        ----------
        notes
            What it says besides, by name.
        """
        assert self._footer is not None
        fields = self._footer
        if notes:
            pairs = [
                {1: Typed(_BINARY, name.encode()), 2: Typed(_BINARY, text.encode())}
                for name, text in notes.items()
            ]
            fields[_KEY_VALUES] = Typed(_LIST, (_STRUCT, pairs))
        footer = _struct(fields)
        self._file.write(footer + len(footer).to_bytes(4, "little") + MAGIC)


def _move(group: Fields, by: int) -> None:
    """Move the places in a row group's entry; 0 stands for none."""
    _raise(group, (_GROUP_PLACE,), by)
    for column in group[_COLUMNS].value[1]:
        _raise(column, (_COLUMN_PLACE,), by)
        _raise(column[_ABOUT].value, _PLACES, by)


def _raise(fields: Fields, numbers: tuple[int, ...], by: int) -> None:
    for number in numbers:
        if number in fields and fields[number].value:
            fields[number] = Typed(_I64, fields[number].value + by)


def _read_struct(data: bytes, place: int) -> tuple[Fields, int]:
    """The fields of a struct, and where it ends."""
    found: Fields = {}
    number = 0
    while head := data[place]:
        place, kind = place + 1, head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, place = read_whole(data, place)
        if kind in (_TRUE, _FALSE):
            found[number] = Typed(kind, None)
        else:
            value, place = _read(data, place, kind)
            found[number] = Typed(kind, value)
    return found, place + 1


def _read(data: bytes, place: int, kind: int) -> tuple[Any, int]:
    if kind in (_I16, _I32, _I64):
        return read_whole(data, place)
    if kind == _STRUCT:
        return _read_struct(data, place)
    if kind == _BINARY:
        length, place = read_varint(data, place)
        return data[place : place + length], place + length
    if kind in (_LIST, _SET):
        head, place = data[place], place + 1
        length = head >> 4
        if length == 15:
            length, place = read_varint(data, place)
        values = []
        for _ in range(length):
            value, place = _read(data, place, head & 15)
            values.append(value)
        return (head & 15, values), place
    size = {_TRUE: 1, _FALSE: 1, _BYTE: 1, _DOUBLE: 8}[kind]
    return data[place : place + size], place + size


def _struct(fields: Fields) -> bytes:
    found, before = bytearray(), 0
    for number, (kind, value) in sorted(fields.items()):
        step = number - before
        found += bytes([step << 4 | kind]) if step < 16 else _far(number, kind)
        if kind not in (_TRUE, _FALSE):
            found += _written(kind, value)
        before = number
    return bytes(found + b"\0")


def _far(number: int, kind: int) -> bytes:
    """The head of a field whose number is far from the one before."""
    return bytes([kind]) + _whole(number)


def _written(kind: int, value: Any) -> bytes:
    if kind in (_I16, _I32, _I64):
        return _whole(value)
    if kind == _STRUCT:
        return _struct(value)
    if kind == _BINARY:
        return _varint(len(value)) + value
    if kind in (_LIST, _SET):
        inner, values = value
        length = len(values)
        short = length < 15
        head = bytes([(length if short else 15) << 4 | inner])
        head += b"" if short else _varint(length)
        return head + b"".join(_written(inner, each) for each in values)
    return bytes(value)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 128:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _whole(number: int) -> bytes:
    return _varint((number << 1) ^ (number >> 63))
