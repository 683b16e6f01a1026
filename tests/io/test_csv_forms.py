"""CSV as spreadsheets and engines write it: read and told, or refused by name."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import polars as pl
import pytest

from optimizer.contracts.tables import CAPACITY
from optimizer.errors import DataError
from optimizer.io import csv as csv_module
from optimizer.io.csv_form import SEPARATORS
from optimizer.io.read import open_source, read_batches

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [("a", "r1", "1"), ("a", None, "2"), ("b", "r1", "3")]
HEADER = ["carrier_id", "region_id", "slots"]


def lines(separator: str = ",", after: str = "") -> list[str]:
    """The table as lines, perhaps with more at the end of each."""
    cells = [HEADER, *([cell or "" for cell in row] for row in ROWS)]
    return [separator.join(row) + after for row in cells]


def read(path: Path | str) -> tuple[list[tuple[str | None, ...]], list[str]]:
    """Rows, and codes of what is told."""
    source = open_source(path, CAPACITY)
    frame = pl.concat(read_batches(source)).select(HEADER)
    again = pl.concat(read_batches(source, ["slots"]))
    assert again["slots"].to_list() == frame["slots"].to_list()
    assert again["row"].to_list() == list(range(len(frame)))
    return frame.rows(), [warning.code for warning in source.notes.warnings("capacity")]


def write(folder: Path, text: str, name: str = "c.csv") -> Path:
    """A file, packed where its name says so; line ends as they are."""
    path, data = folder / name, text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", SEPARATORS)
def test_separators_are_found(
    separator: str, end: str, name: str, tmp_path: Path
) -> None:
    """By the header, or by a line before it; any but commas are told."""
    text = end.join(lines(separator))
    told = [] if separator == "," else ["CSV_SEPARATOR"]
    assert read(write(tmp_path, text, name)) == (ROWS, told)
    named = f"\ufeffsep={separator}{end}{text}"
    assert read(write(tmp_path, named, name)) == (ROWS, ["CSV_SEPARATOR"])


def test_a_comma_in_a_cell_of_another_separator_is_text(tmp_path: Path) -> None:
    """Only the separator separates."""
    text = "carrier_id;region_id;slots\na,b;r;1"
    assert read(write(tmp_path, text))[0] == [("a,b", "r", "1")]


PADDED = {
    "empty columns": ("\n".join(lines(after=",,")), ["CSV_UNNAMED_COLUMNS"]),
    "empty rows at the end": ("\n".join([*lines(), ",,", ",,"]), ["CSV_EMPTY_ROWS"]),
    "empty rows between": ("\n".join([*lines()[:2], '"",,""', *lines()[2:]]),
                           ["CSV_EMPTY_ROWS"]),
    "both": ("\n".join([*lines(after=","), ",,,"]),
             ["CSV_UNNAMED_COLUMNS", "CSV_EMPTY_ROWS"]),
    "an index": ("\n".join(f"{i or ''},{line}" for i, line in enumerate(lines())),
                 ["CSV_UNNAMED_COLUMNS"]),
    "blank lines": ("\n\n".join(lines()) + "\n\n", []),
    "spaces and case": ("\n".join(["Carrier_ID, region_id ,SLOTS", *lines()[1:]]),
                        ["CSV_HEADER_SPELLING"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PADDED)
def test_padding_is_left_out_and_told(name: str, tmp_path: Path) -> None:
    """What has no name or no cell holds nothing."""
    text, told = PADDED[name]
    assert read(write(tmp_path, text)) == (ROWS, told)


def test_a_row_with_a_cell_elsewhere_is_a_row(tmp_path: Path) -> None:
    """Only where every cell of the file is empty there is none."""
    path = write(tmp_path, "carrier_id,slots,remark\na,1,\n,,total\n,,\n")
    source = open_source(path, CAPACITY)
    frame = pl.concat(read_batches(source))
    assert frame["slots"].to_list() == ["1", None]


BREAKS = '"before noon\nring twice, ""or"" thrice"'


@pytest.mark.parametrize("block", [1 << 24, 1, 2, 3, 7])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_breaks_inside_of_quotes_are_text(
    block: int, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever blocks of the file end; they are counted, and CRLF is one."""
    rows = [*lines(after=",remark")[:1], *lines(after="," + BREAKS)[1:]]
    path = write(tmp_path, end.join(rows).replace("noon\n", f"noon{end}"))
    form = csv_module.csv_form(path, CAPACITY.column_names)
    monkeypatch.setattr(csv_module, "_BLOCK_BYTES", block)
    with path.open("rb") as stream:
        assert csv_module._count_breaks(stream, form, path) == len(ROWS)
    monkeypatch.undo()
    assert read(path) == (ROWS, ["CSV_LINE_BREAKS"])


BROKEN = {
    "never closed": 'carrier_id,slots\n"a,1\nb,2\n',
    "closed within the next": 'carrier_id,slots\n"a,1\n"b",2\n',
    "closed after rows": 'carrier_id,slots\n"a,1\nb,2\nc",3\n',
    "within a cell": 'carrier_id,slots\n"a"x"\n",1\n',
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("block", [1 << 24, 1, 5])
def test_a_quote_that_may_have_swallowed_rows_is_refused(
    name: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For what it is: rows would be gone without a word."""
    path = write(tmp_path, BROKEN[name])
    form = csv_module.csv_form(path, CAPACITY.column_names)
    monkeypatch.setattr(csv_module, "_BLOCK_BYTES", block)
    match = "quote that is not closed|last quote is not closed"
    with path.open("rb") as stream, pytest.raises(DataError, match=match):
        csv_module._count_breaks(stream, form, path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("carrier_id,Carrier_ID,slots\na,b,1\n", "column 'carrier_id' twice"),
        ("sep=#\ncarrier_id,slots\na,1\n", "names no separator .* use commas"),
        ("\ncarrier_id,slots\na,1\n", "has no header"),
        (",,\na,b,1\n", "has no header"),
        ("carrier_id,slots\na,1,\n", r"line 2 has not .* \(3, not 2\); give each row"),
        ("carrier_id,slots\na,1\n(1 row)\n", "line 3 has .* lines that are no rows"),
        ('\ufeff"sep=;"\r\ncarrier_id;slots\r\na;1\r\n', "leave that line out"),
        ('carrier_id,slots,"n\no"\na,1,x\n', "header is not closed in its line"),
        ('carrier_id,slots,n\na,1,"a \\"box\\" b"\n', "inside of a cell twice"),
        ('carrier_id,slots,n\na,1,"x"y\n', "text follows a quote"),
        ("c.carrier_id,c.slots\na,1\n", "rename 'c.slots' to slots"),
        ("`slots`,x\n1,2\n", "rename '`slots`' to slots"),
        ("limits of the day\ncarrier_id,slots\na,1\n", "is its first line the header"),
        ("a,1\nb,2\n", "is its first line the header"),
        ("carrier_id,n\na,1\n", "needs slots; add it to the export"),
        ("carrier_id\x01slots\na\x011\n", "by another sign than commas"),
        ("carrier_id^slots\na^1\n", "by another sign than commas"),
        ("a,1,1\nb,2,2\n", "two have the same name: is its first line the header"),
        ("carrier_id,slots,Min-Parcels\na,1,2\n", "rename it to min_parcels"),
        ("carrier_id,slots\n" + "a,1\n" * 30_000 + "a\0,1\n", "bytes of value 0"),
    ],
)
def test_what_is_ambiguous_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """Two columns of one name, an unknown separator, no header, ragged rows."""
    with pytest.raises(DataError, match=words):
        read(write(tmp_path, text))


def test_parts_without_a_byte_beside_a_success_are_left_out(tmp_path: Path) -> None:
    """Spark writes them for partitions without rows; elsewhere one is a lost part."""
    write(tmp_path, "\n".join(lines()), "1.csv")
    write(tmp_path, "", "2.csv")
    with pytest.raises(DataError, match=r"2\.csv: is empty, without even a header"):
        read(f"{tmp_path}/*.csv")
    (tmp_path / "_SUCCESS").touch()
    assert read(f"{tmp_path}/*.csv") == (ROWS, ["EMPTY_PARTS"])
    (tmp_path / "1.csv").unlink()
    with pytest.raises(DataError, match="is empty"):
        read(f"{tmp_path}/*.csv")


def test_parts_of_several_forms_are_refused(tmp_path: Path) -> None:
    """They are of several exports: which is which is not guessed."""
    write(tmp_path, "\n".join(lines()), "1.csv")
    write(tmp_path, "\n".join(lines(";")), "2.csv")
    with pytest.raises(DataError, match=r"2\.csv: has another separator or header"):
        read(f"{tmp_path}/*.csv")


def test_a_part_that_lacks_a_column_is_named_with_it(tmp_path: Path) -> None:
    """Which part, and which column."""
    write(tmp_path, "\n".join(lines()), "1.csv")
    write(tmp_path, "carrier_id,slots\na,1\n", "2.csv")
    with pytest.raises(DataError, match=r"region_id stands in .*1\.csv and not in"):
        read(f"{tmp_path}/*.csv")


def test_quotes_inside_of_a_cell_without_quotes_are_text(tmp_path: Path) -> None:
    """An inch is no quote; only what follows a quoted cell may be read in two ways."""
    text = 'carrier_id,region_id,slots,remark\na,r,1,5" x 7"\nb,r,2,"a ""b"" c"\n'
    assert read(write(tmp_path, text))[0] == [("a", "r", "1"), ("b", "r", "2")]


@pytest.mark.parametrize("block", [1 << 24, 1, 2, 3])
def test_all_of_a_file_is_utf_8(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also columns that nobody reads, wherever blocks end: verify reads them all."""
    monkeypatch.setattr(csv_module, "_BLOCK_BYTES", block)
    text, path = "slots,remark\n1,备注\n2,é\n", tmp_path / "c.csv"
    path.write_bytes(text.encode())
    form = csv_module.csv_form(path, CAPACITY.column_names)
    with path.open("rb") as stream:
        assert csv_module._count_breaks(stream, form, path) == 0
    for other in (text.encode("gb18030"), text.encode()[:-2]):
        path.write_bytes(other)
        with path.open("rb") as stream, pytest.raises(DataError, match="not UTF-8"):
            csv_module._count_breaks(stream, form, path)
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        csv_module.csv_form(path, CAPACITY.column_names)


@pytest.mark.parametrize(
    "ends", [("\r\n", "\n"), ("\n", "\r\n"), ("\r", "\n"), ("\r", "\r")]
)
def test_lines_may_end_in_several_ways(ends: tuple[str, str], tmp_path: Path) -> None:
    """As in files that were put together from two systems."""
    head, *rows = lines()
    text = ends[0].join([head, rows[0]]) + ends[0] + ends[1].join(rows[1:]) + ends[1]
    assert read(write(tmp_path, text)) == (ROWS, [])
