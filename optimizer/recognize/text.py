"""The beginning of a text: how it is packed, its encoding, its separator."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from optimizer.errors import DataError
from optimizer.io.csv_form import SEPARATORS

_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_UTF8_MARK = b"\xef\xbb\xbf"
_BLOCK_BYTES, _UNPACKED_BYTES = 1 << 20, 16 << 20
#: Lines at the end that are given up until none of them is open in a quote.
_MOST_CUTS = 1_000
#: A letter of another language between two of English: none of a text in Chinese.
_INSIDE = re.compile(r"(?<=[A-Za-z])[^\x00-\x7f](?=[A-Za-z])")
_BEYOND = re.compile(r"[^\x00-\x7f]+")
#: So many signs that are read for one that is not: the text is damaged.
_MOSTLY = 10


@dataclass(frozen=True, slots=True)
class Head:
    """
    The first lines of a CSV file.

    Attributes
    ----------
    text
        Whole lines.
    header
        Names of the columns, as they are written.
    encoding
        As the configuration names it.
    separator
        Between cells.
    is_whole
        Whether these are all lines.
    """

    text: str
    header: tuple[str, ...]
    encoding: str
    separator: str
    is_whole: bool


def decoded_head(name: str, start: bytes, label: str, *, is_whole: bool) -> Head:
    """
    Recognise the form of a CSV file.

    Parameters
    ----------
    name
        Of the file: its ending says how it is packed.
    start
        Its first bytes.
    label
        Its name in messages.
    is_whole
        Whether these are all of them.

    Raises
    ------
    DataError
        When it is empty, or of no encoding that is known.
    """
    codec = {"gz": "gzip", "zst": "zstd"}.get(name.lower().rpartition(".")[2])
    if codec is not None:
        start, is_whole = _unpacked(start, codec, is_whole=is_whole)
    encoding, text = _decoded(start, label, is_whole=is_whole)
    if not is_whole:
        text = _whole_lines(text)
    lines = [line for line in text.splitlines()[:2] if line.strip()]
    if not lines:
        raise DataError(f"{label}: is empty, without even a header; export it again")
    first = lines[0]
    if first.strip('" ').lower().startswith("sep=") and len(lines) > 1:
        separator, first = first.strip('" ')[4:5], lines[1]
    else:
        separator = max(SEPARATORS, key=first.count)
    header = next(csv.reader([first], delimiter=separator), [])
    names = tuple(cell.strip() for cell in header if cell.strip())
    return Head(text, names, encoding, separator, is_whole)


def _unpacked(start: bytes, codec: str, *, is_whole: bool) -> tuple[bytes, bool]:
    """As much of a packed text as is looked at, and whether that is all."""
    import pyarrow as pa

    found = bytearray()
    stream = pa.CompressedInputStream(pa.BufferReader(start), codec)
    try:
        while len(found) < _UNPACKED_BYTES:
            block = stream.read(_BLOCK_BYTES)
            if not block:
                return bytes(found), is_whole
            found += block
    except OSError:
        if is_whole:
            raise
    return bytes(found), False


def _whole_lines(text: str) -> str:
    """A text up to a line break that is inside of no quotes."""
    end = len(text)
    for _ in range(_MOST_CUTS):
        end = text.rfind("\n", 0, end)
        if end < 0:
            break
        if text.count('"', 0, end) % 2 == 0:
            return text[: end + 1]
    return text[: text.rfind("\n") + 1] or text


def _decoded(start: bytes, label: str, *, is_whole: bool) -> tuple[str, str]:
    """The encoding of a text, and the text; a sign cut off at the end is left."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding, start.decode(encoding, "ignore").removeprefix("\ufeff")
    cuts = 1 if is_whole else 4
    text = _as("utf-8", start, cuts)
    if text is not None:
        return "utf-8", text.removeprefix("\ufeff")
    _refuse_damaged(start, label)
    text = _as("gb18030", start, cuts)
    if text is not None and not _is_latin(text):
        return "gb18030", text
    text = _as("windows-1252", start, 1)
    if text is not None:
        return "windows-1252", text
    raise DataError(
        f"{label}: is text of no encoding that is known; export it as UTF-8"
    )


def _as(encoding: str, start: bytes, cuts: int) -> str | None:
    for cut in range(cuts):
        try:
            return start[: len(start) - cut].decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _refuse_damaged(start: bytes, label: str) -> None:
    """
    Refuse a text that says it is UTF-8, or mostly is, with bytes that are not.

    Raises
    ------
    DataError
        Naming the line of the first.
    """
    text = start.decode("utf-8", "replace")
    num_bad = text.count("\ufffd")
    num_good = sum(map(len, _BEYOND.findall(text))) - num_bad
    if start.startswith(_UTF8_MARK) or num_good > _MOSTLY * num_bad:
        line = text.count("\n", 0, text.index("\ufffd")) + 1
        says = "begins as" if start.startswith(_UTF8_MARK) else "is mostly"
        raise DataError(
            f"{label}: {says} UTF-8 text, and line {line:,} holds bytes that are not: "
            "two exports in one file, or a cell cut in the middle of a sign; export it "
            "again in one encoding"
        )


def _is_latin(text: str) -> bool:
    """
    Whether what was read as Chinese is letters with accents, between others.

    Examples
    --------
    >>> misread = "Köln,Zürich".encode("cp1252").decode("gb18030")
    >>> _is_latin(misread), _is_latin("中通,ZTO快递")
    (True, False)
    """
    return 2 * len(_INSIDE.findall(text)) > len(_BEYOND.findall(text))
