"""What a table and its columns are: names, kinds and types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Kind = Literal[
    "id", "text", "probability", "money", "number", "count", "flag", "pin", "date"
]


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column of a table.

    Attributes
    ----------
    name
        As it stands in files.
    kind
        What its values are; decides type and rules.
    meaning
        For people, with the unit.
    is_required
        Whether the column must be there, without nulls.
    is_nullable
        Whether nulls of a required column mean something.
    default
        What stands for a missing column or a null; ``None``: null.
    minimum
        Least value of a count.
    """

    name: str
    kind: Kind
    meaning: str
    is_required: bool = False
    is_nullable: bool = False
    default: bool | int | float | None = None
    minimum: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name, meaning and columns; ``key`` names a row that must differ."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Find a column by name."""
        return next(column for column in self.columns if column.name == name)


def polars_type(kind: Kind) -> type[pl.DataType]:
    """The polars type of a kind."""
    import polars as pl

    types: dict[str, type[pl.DataType]] = {
        "probability": pl.Float64,
        "money": pl.Float64,
        "number": pl.Float64,
        "count": pl.Int64,
        "flag": pl.Boolean,
        "date": pl.Date,
    }
    return types.get(kind, pl.String)
