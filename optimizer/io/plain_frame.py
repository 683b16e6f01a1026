"""Batches as frames: columns of the contract in plain types, ids as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.io.arrow_types import is_plain, plain
from optimizer.io.cells import BLANKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    import pyarrow as pa

    from optimizer.contracts.columns import Column, Table


def plain_frame(
    batch: pa.RecordBatch | pa.Table, table: Table, null_words: Sequence[str] = ()
) -> pl.DataFrame:
    """
    Take a batch as a frame: columns of the contract in plain types, ids as text.

    Parameters
    ----------
    batch
        Columns that the contract does not have stay as they are.
    table
        The contract.
    null_words
        Texts that mean "no value".
    """
    import polars as pl
    import pyarrow as pa

    arrow = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    there = {*arrow.column_names}
    known = [column for column in table.columns if column.name in there]
    for column in known:
        place = arrow.schema.get_field_index(column.name)
        if not is_plain(arrow.schema.field(place).type, column):
            values = plain(arrow.column(place), column)
            arrow = arrow.set_column(place, column.name, values)
    frame = pl.from_arrow(arrow)
    assert isinstance(frame, pl.DataFrame)
    frame = _with_days(frame, known)
    schema = frame.schema
    texts = [
        column.name
        for column in known
        if schema[column.name] != pl.String
        and (
            column.kind in _TEXT_KINDS
            or isinstance(schema[column.name], pl.Categorical | pl.Enum)
        )
    ]
    frame = frame.with_columns(pl.col(texts).cast(pl.String)) if texts else frame
    return _without_words(frame, null_words) if null_words else frame


def _with_days(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """
    Take times beyond the years 1 and 9999 as their first and last day.

    Databases have some for "always" and "never"; a library ends over them.
    """
    import polars as pl

    for column in columns:
        if column.kind != "date":
            continue
        kind = frame.schema[column.name]
        if not isinstance(kind, pl.Datetime):
            continue
        unit = _UNITS[kind.time_unit]
        least, most = (days * 86_400 * unit for days in _DAYS)
        number = frame[column.name].to_physical()
        if unit <= _UNITS["us"] and not number.is_between(least, most).all():
            kept = number.clip(least, most).cast(kind)
            frame = frame.with_columns(kept.alias(column.name))
    return frame


#: Days from 1970-01-01 to 0001-01-02 and to 9999-12-30; units of time in a second.
_DAYS = (-719_161, 2_932_895)
_UNITS = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def _without_words(frame: pl.DataFrame, words: Sequence[str]) -> pl.DataFrame:
    """Read the configured words for no value as null, wherever a cell is text."""
    import polars as pl

    text = pl.col(pl.String)
    is_word = text.str.strip_chars(BLANKS).is_in(list(words))
    return frame.with_columns(pl.when(~is_word).then(text))


_TEXT_KINDS = ("id", "text", "pin")
