"""Carriers, regions, merchants and flags of a whole table, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from optimizer.config.limits import Limits
from optimizer.errors import DataError
from optimizer.io.arrow_files import arrow_batches
from optimizer.io.csv import csv_batches, csv_form
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.excel import EXCEL, excel_head
from optimizer.io.mapping import unwrapped
from optimizer.io.parquet import parquet_batches
from optimizer.io.read import find_files
from optimizer.io.reading_notes import ReadingNotes
from optimizer.recognize.sample import ARROW, PARQUET, as_text

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from pathlib import Path

    import polars as pl

    from optimizer.recognize.sample import Sample

#: Rows in a batch, and rows of a sheet at most.
_BATCH_ROWS, _SHEET_ROWS = 500_000, 1_048_576
#: Counts that are kept before they are added up.
_MOST_PARTS = 16
#: Different words of a flag that are kept: beyond, they are sentences.
_MOST_WORDS = 10_000
_LANE = ("carrier_id", "region_id")


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """
    What a table has in all of its rows.

    Attributes
    ----------
    num_rows
        Rows that were counted.
    is_whole
        Whether these are all.
    lanes
        ``carrier_id``, ``region_id`` and ``num_rows``, as they are written; null where
        the table has no such column, or nothing in it.
    merchants
        ``merchant_id`` and ``num_rows``, likewise.
    words
        Different words of each flag; ``None`` stands for an empty cell.
    fault
        Why the table could not be read to its end; empty: it was, or nobody tried.
    """

    num_rows: int
    is_whole: bool
    lanes: pl.DataFrame
    merchants: pl.DataFrame
    words: Mapping[str, frozenset[str | None]]
    fault: str = ""

    def counts(self, column: str) -> dict[str, int]:
        """Rows of each carrier, region or merchant, in the order of their words."""
        import polars as pl

        table = self.merchants if column == "merchant_id" else self.lanes
        found = table.group_by(column).agg(pl.col("num_rows").sum()).drop_nulls(column)
        return dict(found.sort(column).iter_rows())


@dataclass(slots=True)
class _Counter:
    """Adds up batches."""

    columns: Mapping[str, str]
    flags: Sequence[str]
    wrapped: Collection[str]
    is_told: Callable[[str], bool]
    num_rows: int = 0
    lanes: list[pl.DataFrame] = field(default_factory=list)
    merchants: list[pl.DataFrame] = field(default_factory=list)
    words: dict[str, set[str | None]] = field(default_factory=dict)

    def add(self, rows: pl.DataFrame) -> None:
        """Count a batch of text, under the names of its table."""
        import polars as pl

        self.num_rows += len(rows)
        cells = {
            ours: unwrapped(pl.col(written)) if written in self.wrapped else written
            for ours, written in self.columns.items()
        }
        named = rows.select(
            (pl.col(c) if isinstance(c, str) else c).alias(o) for o, c in cells.items()
        )
        lacking = [n for n in (*_LANE, "merchant_id") if n not in self.columns]
        named = named.with_columns(pl.lit(None, pl.String).alias(n) for n in lacking)
        named = named.with_columns(pl.col("carrier_id").str.strip_chars())
        empty = pl.all().replace("", None)
        _add(self.lanes, named.select(_LANE).select(empty))
        _add(self.merchants, named.select("merchant_id").select(empty))
        for flag in self.flags:
            found = self.words.setdefault(flag, set())
            words = named[flag].str.strip_chars().unique()
            found |= {word or None for word in words}
            if len(found) > _MOST_WORDS:
                others = [word for word in found if word and not self.is_told(word)]
                found -= {*sorted(others)[1:]}

    def result(self, *, is_whole: bool, fault: str = "") -> Whole:
        """All batches together."""
        lanes, merchants = _summed(self.lanes), _summed(self.merchants)
        words = {flag: frozenset(found) for flag, found in self.words.items()}
        return Whole(self.num_rows, is_whole, lanes, merchants, words, fault)


def _add(parts: list[pl.DataFrame], rows: pl.DataFrame) -> None:
    import polars as pl

    parts.append(rows.group_by(rows.columns).agg(num_rows=pl.len().cast(pl.Int64)))
    if len(parts) > _MOST_PARTS:
        parts[:] = [_summed(parts)]


def _summed(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    import polars as pl

    every = pl.concat(parts)
    names = [name for name in every.columns if name != "num_rows"]
    return every.group_by(names).agg(pl.col("num_rows").sum()).sort(names)


def count_whole(
    sample: Sample,
    columns: Mapping[str, str],
    flags: Sequence[str] = (),
    *,
    wrapped: Collection[str] = (),
    is_told: Callable[[str], bool] = bool,
) -> Whole:
    """
    Count the rows of each carrier, region and merchant, and note the words of flags.

    Files are read to their end, these columns alone, a batch after the other. Of what
    stands behind an address the sample is counted.

    Parameters
    ----------
    sample
        The table's beginning.
    columns
        Columns of ours that it has, under their names there.
    flags
        Those of them whose words are noted.
    wrapped
        Columns of the table with signs around their cells.
    is_told
        Whether a word of a flag is kept, however many there are.

    Returns
    -------
    Whole
        That of the sample, with the fault, where a file cannot be read to its end.
    """
    wanted = {"carrier_id", "region_id", "merchant_id", *flags}
    read = {ours: name for ours, name in columns.items() if ours in wanted}

    flags = [flag for flag in flags if flag in read]
    fault = ""
    if not (sample.is_whole or sample.is_remote) and read:
        start = _Counter(read, flags, wrapped, is_told)
        try:
            return _of_files(sample, [*read.values()], start)
        except DataError as error:
            fault = str(error)
    found = _Counter(read, flags, wrapped, is_told)
    found.add(sample.rows)
    return found.result(is_whole=sample.is_whole, fault=fault)


def _of_files(sample: Sample, names: Sequence[str], start: _Counter) -> Whole:
    """Count all files of a table, as fast as their form allows."""
    from polars.exceptions import PolarsError

    files = [f for f in find_files(sample.path, "table") if f.stat().st_size]
    is_plain = sample.encoding == "utf-8" and files[0].name.lower().endswith(".csv")
    if is_plain:
        found = replace(start, lanes=[], merchants=[], words={})
        try:
            for file in files:
                for rows in _fast(file, sample, names):
                    found.add(rows)
        except PolarsError:  # the strict reader says what is wrong, and where
            pass
        else:
            return found.result(is_whole=True)
    for file in files:
        with damaged_is_data_error(str(file)):
            for rows in _strict(file, sample, names):
                start.add(rows)
    return start.result(is_whole=True)


def _fast(file: Path, sample: Sample, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Batches of a CSV file in UTF-8, on all cores."""
    import polars as pl

    form = csv_form(file, sample.rows.columns)
    header = [name or f"\0{number}" for number, name in enumerate(form.names)]
    table = pl.scan_csv(
        file,
        has_header=False,
        schema=dict.fromkeys(header, pl.String),
        separator=form.separator,
        skip_rows=form.num_before + 1,
    )
    yield from table.select(names).collect_batches(
        chunk_size=_BATCH_ROWS, maintain_order=False
    )


def _strict(file: Path, sample: Sample, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Batches of any file that inputs may be."""
    import polars as pl

    name, limits = file.name.lower(), Limits()
    batches: Iterable[Any]
    if name.endswith(EXCEL):
        batches = [excel_head(file, _SHEET_ROWS).select(names)]
    elif name.endswith(PARQUET):
        batches = parquet_batches(file, names, _BATCH_ROWS, limits)
    elif name.endswith(ARROW):
        batches = arrow_batches(file, names)
    else:
        known, encoding = sample.rows.columns, sample.encoding
        batches = csv_batches(file, names, known, ReadingNotes(), limits, encoding)
    for batch in batches:
        rows = pl.DataFrame(pl.from_arrow(batch))
        yield rows.select(as_text(rows[column]) for column in rows.columns)
