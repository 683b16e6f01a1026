"""Tables and their columns: names, kinds and types."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Kind = Literal[
    "id",
    "text",
    "probability",
    "money",
    "number",
    "count",
    "key",
    "flag",
    "pin",
    "date",
]
#: Who makes a table: the platform, which delivers it; or a run, out of its certified
#: night, out of the decisions as they go by, out of the places of their rows, or out of
#: its record.
Maker = Literal["platform", "night", "decisions", "rows", "record"]
#: When it is there.
When = Literal[
    "always",
    "optional",
    "for learning",
    "with side constraints",
    "with conflicts",
    "with order prices",
    "with branches",
    "with drawn savings",
]
Engine = Literal["local", "spark"]


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column of a table.

    Attributes
    ----------
    name
        Name in files.
    kind
        Kind of its values; decides type and rules.
    meaning
        For people, with the unit.
    is_required
        Whether the column must be there, without nulls.
    is_nullable
        Whether a missing value means "all", so that a column that is left out must not
        be in the file under another name.
    default
        Value for a missing column or a null; ``None``: null.
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
    """
    A table that comes in or goes out.

    Attributes
    ----------
    name
        Name in messages and in the configuration.
    meaning
        For people.
    columns
        In order.
    key
        Columns in which no two rows may be the same.
    maker
        Module and function that make it.
    when
        When it is there.
    engines
        Which engines publish it.
    is_copied
        Whether the configuration may ask for copies of it elsewhere.
    column_names
        Names of all columns, in order.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    maker: Maker = "platform"
    when: When = "always"
    engines: tuple[Engine, ...] = ("local",)
    is_copied: bool = False
    column_names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Note the names: they are asked for again and again."""
        names = tuple(column.name for column in self.columns)
        object.__setattr__(self, "column_names", names)

    @property
    def file(self) -> str:
        """Its file in the folder of a published night."""
        return f"{self.name}.parquet"

    @property
    def is_input(self) -> bool:
        """Whether it comes in; all others are published."""
        return self.maker == "platform"

    @property
    def schema(self) -> dict[str, type[pl.DataType]]:
        """The polars type of each column."""
        return {column.name: polars_type(column.kind) for column in self.columns}

    def column(self, name: str) -> Column:
        """Find a column by name."""
        return next(column for column in self.columns if column.name == name)


@cache
def polars_type(kind: Kind) -> type[pl.DataType]:
    """The polars type of a kind."""
    import polars as pl

    types: dict[str, type[pl.DataType]] = {
        "probability": pl.Float64,
        "money": pl.Float64,
        "number": pl.Float64,
        "count": pl.Int64,
        "key": pl.UInt64,
        "flag": pl.Boolean,
        "date": pl.Date,
    }
    return types.get(kind, pl.String)
