"""
A table under another system's names, words and units, read as the contract's.

Columns are renamed as they are read. Words become what the configuration says that they
mean, and amounts numbers in CNY or shares of 1. A word that is not listed stays what it
is; text that is no amount becomes NaN, which validation refuses with its row.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from optimizer.config.mapping import AMOUNTS, EMPTY, OTHERWISE
from optimizer.errors import DataError
from optimizer.io.cells import BLANKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    import pyarrow as pa

    from optimizer.config.mapping import InputTable
    from optimizer.contracts.columns import Table

#: What stands behind the name of a column in whose place another one is read.
_REPLACED = " (as exported)"
#: Shares of the written number, by unit.
_DIVISORS = {"cny": 1, "fen": 100, "percent": 100}


def as_written(table: Table, mapping: InputTable | None) -> Table:
    """The contract under the names that its columns have in the table."""
    from dataclasses import replace

    if mapping is None or not mapping.columns:
        return table
    columns = tuple(replace(c, name=mapping.written(c.name)) for c in table.columns)
    key = tuple(map(mapping.written, table.key))
    return replace(table, columns=columns, key=key)


def named_by_contract(
    schema: pa.Schema, mapping: InputTable | None, label: str
) -> pa.Schema:
    """
    Rename the columns of a table to the contract's.

    Parameters
    ----------
    schema
        As the table has them.
    mapping
        How it is read; ``None``: it has the contract's names.
    label
        The input's name in messages.

    Raises
    ------
    DataError
        When the table has no column that the mapping names.
    """
    import pyarrow as pa

    if mapping is None:
        return schema
    for name in mapping.constants:
        if name in schema.names:
            raise DataError(
                f"{label}: has a column {name}, and the configuration gives it a "
                "constant; leave one of them out"
            )
    for name, written in mapping.columns.items():
        if written not in schema.names:
            near = difflib.get_close_matches(written, schema.names, 3)
            said = (
                f"the nearest are {', '.join(near)}"
                if near
                else "it has "
                + (
                    ", ".join(schema.names[:12])
                    + (", …" if len(schema.names) > 12 else "")
                )
            )
            raise DataError(
                f"{label}: has no column {written!r}, which the configuration reads as "
                f"{name}; {said}"
            )
    read = {written: name for name, written in mapping.columns.items()}
    names = [
        read.get(name, name + _REPLACED if name in mapping.columns else name)
        for name in schema.names
    ]
    fields = [field.with_name(name) for field, name in zip(schema, names, strict=True)]
    fields += [pa.field(name, pa.string()) for name in mapping.constants]
    return pa.schema(fields)


def takes_text(mapping: InputTable | None, column: str, kind: str) -> bool:
    """Whether a column may be text although its kind is another."""
    if mapping is None:
        return False
    return column in (*mapping.values, *mapping.constants) or (
        kind in AMOUNTS and (column in mapping.units or mapping.decimal != ".")
    )


def with_meanings(
    frame: pl.DataFrame, table: Table, mapping: InputTable | None, label: str
) -> pl.DataFrame:
    """
    Read words and amounts of a batch as the mapping says.

    Parameters
    ----------
    frame
        Columns under the contract's names, as they were read.
    table
        The contract.
    mapping
        How the table is read; ``None``: as it is.
    label
        The input's name in messages.

    Raises
    ------
    DataError
        When words are given for a column that holds fractions.
    """
    import polars as pl

    if mapping is None:
        return frame
    kept = [name for name in mapping.wrapped if frame.schema.get(name) == pl.String]
    frame = frame.with_columns(unwrapped(pl.col(name)) for name in kept)
    read = [pl.lit(v).alias(name) for name, v in mapping.constants.items()]
    for name, dtype in frame.schema.items():
        if name in mapping.values:
            if not (dtype in (pl.String, pl.Boolean, pl.Null) or dtype.is_integer()):
                raise DataError(
                    f"{label}: column {name} is {dtype}, and the configuration gives "
                    "words for it; export it as text or whole numbers"
                )
            read.append(_words(name, mapping.values[name]))
            continue
        kind = table.column(name).kind
        if takes_text(mapping, name, kind):
            unit = mapping.units.get(name, "cny")
            value = pl.col(name)
            if dtype == pl.String:
                value = _amount(value, mapping.decimal)
            read.append((value.cast(pl.Float64) / _DIVISORS[unit]).alias(name))
    return frame.with_columns(read)


def unwrapped(text: pl.Expr) -> pl.Expr:
    """
    Text without the signs by which spreadsheets keep numbers as text.

    Examples
    --------
    >>> import polars as pl
    >>> cells = pl.DataFrame({"a": ['="012"', "'012", "012 ", "=SUM(1)", None]})
    >>> cells.select(unwrapped(pl.col("a")))["a"].to_list()
    ['012', '012', '012', '=SUM(1)', None]
    """
    bare = text.str.strip_chars(BLANKS).str.replace(r'^="([^"]*)"$', "${1}")
    return bare.str.replace("^'", "").str.strip_chars(BLANKS)


def _words(name: str, meanings: Any) -> pl.Expr:
    import polars as pl

    text = pl.col(name).cast(pl.String)
    word = text.str.strip_chars(BLANKS)
    listed = {k: v for k, v in meanings.items() if k not in (OTHERWISE, EMPTY)}
    is_known = word.is_in([*listed, *listed.values()])
    found = (
        pl.when(word.is_in(list(listed)))
        .then(word.replace(listed))
        .when(is_known)
        .then(word)
        .otherwise(text)
    )
    if OTHERWISE in meanings:
        is_other = text.is_not_null() & ~is_known
        found = pl.when(is_other).then(pl.lit(meanings[OTHERWISE])).otherwise(found)
    if EMPTY in meanings:
        found = found.fill_null(meanings[EMPTY])
    return found.alias(name)


def amount_pattern(decimal: str) -> str:
    """What is read as an amount, a regular expression whose group is the number."""
    group, sign = (r"\.", ",") if decimal == "," else (",", r"\.")
    digits = f"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+)(?:{sign}[0-9]+)?"
    return rf"^(?:CNY|RMB|¥|￥)? ?([+-]?{digits}) ?(?:元|分|%|％|CNY|RMB)?$"


def _amount(text: pl.Expr, decimal: str) -> pl.Expr:
    """The number of a text such as ``¥1,234.00``; NaN for any other text."""
    import polars as pl

    group = "." if decimal == "," else ","
    digits = text.str.strip_chars(BLANKS).str.extract(amount_pattern(decimal), 1)
    plain = digits.str.replace_all(group, "", literal=True)
    number = plain.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return pl.when(text.is_not_null()).then(number.fill_null(float("nan")))


def written_names(columns: Sequence[str], mapping: InputTable | None) -> dict[str, str]:
    """Each column of the contract, by the name that it has in the table."""
    if mapping is None:
        return {name: name for name in columns}
    return {mapping.written(name): name for name in columns}
