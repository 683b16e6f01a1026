"""What a file holds, by its first bytes: its name may say otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

#: Endings of text and of Parquet files.
CSV = (".csv", ".csv.gz", ".csv.zst")
PARQUET = (".parquet", ".pq")
#: Kinds of files by their first bytes.
_STARTS = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"SQLite format 3": "an SQLite database",
}
#: What files of an ending begin with; those of other endings begin with no such bytes.
_ENDINGS = {
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "Arrow"),
    ".gz": "gzip",
    ".zst": "Zstandard",
}
_NAMES = {
    "Parquet": "name it .parquet",
    "Arrow": "name it .arrow",
    "gzip": "name it .csv.gz if CSV is in it",
    "Zstandard": "name it .csv.zst if CSV is in it",
    "an Excel workbook": "name it .xlsx if it is one, and no other ZIP",
    "an old Excel workbook": "name it .xls",
}


def refuse_other_kind(path: Path) -> None:
    """
    Refuse a file that holds another kind of data than its name says.

    Parameters
    ----------
    path
        Of a kind that is read, not empty.

    Raises
    ------
    DataError
        With what it holds, as far as its first bytes say.
    """
    with path.open("rb") as file:
        start = file.read(16)
    held = next((kind for head, kind in _STARTS.items() if start.startswith(head)), "")
    named = _ENDINGS.get(path.suffix.lower(), "")
    if held and held != named:
        what = _NAMES.get(held, "export it as CSV or Parquet")
        raise DataError(f"{path}: holds {held}, and its name says otherwise; {what}")
    if named and not held and _is_text(start):
        raise DataError(
            f"{path}: holds text, and its name says {named}; name it .csv if it is CSV"
        )


def _is_text(start: bytes) -> bool:
    """Whether bytes look like the beginning of a text."""
    return all(byte >= 0x20 or byte in b"\t\r\n" for byte in start)
