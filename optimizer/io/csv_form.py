"""
The form of a CSV file, guessed from its first lines: separator, header, padding.

Spreadsheets write other separators, a line ``sep=;``, empty columns, and headers in
another case. Deviations from the contract are accepted if they have only one meaning,
and are reported.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Separators that are known, the usual one first, and what messages call them.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
HAS_ZEROS = (
    "holds bytes of value 0, as no text in UTF-8 does: a spreadsheet, an archive, "
    "UTF-16 or damaged; export it as CSV in UTF-8"
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: What stands around a name in a header and is no part of it.
_AROUND = " \t\u00a0\u3000\ufeff\u200b"


@dataclass(frozen=True, slots=True)
class CsvForm:
    """
    How a CSV file is read.

    Attributes
    ----------
    separator
        Between cells.
    num_before
        Lines before the header: 1 where the first is ``sep=``.
    header
        Cells of the header as they are written.
    names
        Name of each column here; ``None`` for a column without a name.
    """

    separator: str
    num_before: int
    header: tuple[str, ...]
    names: tuple[str | None, ...]

    @property
    def num_unnamed(self) -> int:
        """Columns without a name: they are left out."""
        return self.names.count(None)

    @property
    def renamed(self) -> dict[str, str]:
        """Columns of the contract that the header spells otherwise."""
        return {
            written: name
            for written, name in zip(self.header, self.names, strict=True)
            if name is not None and name != written
        }

    def to_json(self) -> dict[str, Any]:
        """The guesses, for the record of a night; empty if there were none."""
        said: dict[str, Any] = {}
        if self.separator != ",":
            said["separator"] = self.separator
        if self.num_before:
            said["num_before"] = self.num_before
        if self.renamed:
            said["header"] = [name or "" for name in self.names]
        return said


def guess_form(start: bytes, known: Sequence[str], label: str) -> CsvForm:
    r"""
    Guess the form of a file.

    Parameters
    ----------
    start
        Its first bytes, the header whole.
    known
        Columns of the contract.
    label
        The file's name in messages.

    Raises
    ------
    DataError
        When the first line is no header in UTF-8, or names a column twice.

    Examples
    --------
    >>> guess_form(b"sep=;\nSlots; carrier_id\n", ["carrier_id", "slots"], "c.csv")
    ... # doctest: +NORMALIZE_WHITESPACE
    CsvForm(separator=';', num_before=1, header=('Slots', ' carrier_id'),
            names=('slots', 'carrier_id'))
    """
    if start[:2] in _UTF16:
        raise DataError(
            f"{label}: is not UTF-8 text but UTF-16; export it as CSV in UTF-8, or "
            "name its encoding"
        )
    if b"\x00" in start:
        raise DataError(f"{label}: {HAS_ZEROS}")
    lines = start.removeprefix(_BYTE_ORDER_MARK).splitlines()[:2]
    given = _named_separator(lines[0] if lines else b"", label)
    if given is not None and start.startswith(_BYTE_ORDER_MARK + b'"'):
        raise DataError(
            f"{label}: begins with a sep= line in quotes after a byte-order mark, "
            "which tools read in different ways; leave that line out"
        )
    num_before = int(given is not None)
    line = _decoded(lines[num_before] if len(lines) > num_before else b"", label)
    if line.count('"') % 2:
        raise DataError(
            f"{label}: a quote in the header is not closed in its line; name the "
            "columns in one line, without line breaks"
        )
    separator = given or _separator_of(line, known)
    header = tuple(_cells(line, separator))
    if not any(_bare(cell) for cell in header):
        raise DataError(f"{label}: has no header; its first line must name the columns")
    names = tuple(_name(cell, known) for cell in header)
    _refuse_other_separator(header, known, label)
    _refuse_repeated(header, names, known, label)
    return CsvForm(separator, num_before, header, names)


def _refuse_other_separator(
    header: Sequence[str], known: Sequence[str], label: str
) -> None:
    """Refuse a header of one cell that names several columns."""
    parts = {part.casefold() for part in re.split(r"\W+", header[0])}
    if len(header) == 1 and len(parts & {name.casefold() for name in known}) > 1:
        raise DataError(
            f"{label}: its header is one cell that names several columns, so that its "
            f"cells are separated by another sign than {', '.join(SEPARATORS.values())}"
            "; export it with commas"
        )


def _named_separator(line: bytes, label: str) -> str | None:
    """The separator of a line such as ``sep=;``; ``None`` where it is no such line."""
    text = line.strip(b'" ').decode("utf-8", "replace")
    if not text.lower().startswith("sep="):
        return None
    if text[4:5] not in SEPARATORS or text[5:].strip(text[4:5] + ' "'):
        raise DataError(
            f"{label}: begins with {text[:20]!r}, which names no separator that is "
            f"known; use {', '.join(SEPARATORS.values())}"
        )
    return text[4]


def _decoded(line: bytes, label: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{label}: is not UTF-8 text; export it as UTF-8") from None


def _separator_of(line: str, known: Sequence[str]) -> str:
    """The separator by which most cells of the header are columns of the contract."""

    def num_known(separator: str) -> int:
        return len({_name(cell, known) for cell in _cells(line, separator)} & {*known})

    return max(SEPARATORS, key=num_known)


def _cells(line: str, separator: str) -> list[str]:
    """Cells of a header; none where it is longer than any header is."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _name(cell: str, known: Sequence[str]) -> str | None:
    """What a cell of the header names; other columns keep their own spelling."""
    if cell in known:
        return cell
    bare = _bare(cell)
    own = cell if bare else None
    return {name.casefold(): name for name in known}.get(bare.casefold(), own)


def _bare(cell: str) -> str:
    return cell.strip(_AROUND)


def _refuse_repeated(
    header: Sequence[str],
    names: Sequence[str | None],
    known: Sequence[str],
    label: str,
) -> None:
    seen: dict[str, str] = {}
    for written, name in zip(header, names, strict=True):
        if name is None:
            continue
        if name in seen and not {*names} & {*known}:
            raise DataError(
                f"{label}: none of its columns is one of the table's, and two have the "
                "same name: is its first line the header?"
            )
        if name in seen:
            also = {seen[name], written} - {name}
            spelled = f" (as {', '.join(map(repr, sorted(also)))})" if also else ""
            raise DataError(
                f"{label}: has the column {name!r} twice{spelled}; export it once"
            )
        seen[name] = written


def one_form(forms: Mapping[str, CsvForm]) -> CsvForm | None:
    """
    The form that all parts of a table have.

    Raises
    ------
    DataError
        When parts differ in separator or spelling of the header: they are of several
        exports.
    """
    found = list(forms.items())
    for label, form in found[1:]:
        if form.to_json() != found[0][1].to_json():
            raise DataError(
                f"{label}: has another separator or header than {found[0][0]}; export "
                "all parts in one way"
            )
    return found[0][1] if found else None
