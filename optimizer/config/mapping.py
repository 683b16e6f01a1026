"""How a table is read that another system exported: its names, words and units."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from optimizer.config.cluster import DatedInput, check_input
from optimizer.config.fields import ConfigModel, Name
from optimizer.contracts.carrier_names import known_carriers

#: Column kinds that may have a unit.
AMOUNTS = ("money", "probability", "number")
#: Column kinds whose cells may be kept as text by signs around them.
WORDS = ("id", "text", "pin")
#: What stands for every other word, and for an empty cell.
OTHERWISE, EMPTY = "*", ""


def _as_word(value: Any) -> Any:
    """Take true and false, and numbers, as the words that they are in a table."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _meanings(value: Any) -> Any:
    """Take ``known`` for the spellings of carriers that come with us."""
    if value == "known":
        return known_carriers()
    if isinstance(value, dict) and value.get("known") is True:
        own = {word: code for word, code in value.items() if word != "known"}
        return known_carriers() | own
    return value


Word = Annotated[str, BeforeValidator(_as_word)]
Meanings = Annotated[dict[str, Word], BeforeValidator(_meanings)]


class InputTable(ConfigModel):
    """
    A table: where it is, and how its names, words and units are to be read.

    With ``path`` alone it may be written as the path, and is recorded so.
    """

    path: DatedInput = Field(description="Path, glob or address; {date} is the date.")
    columns: dict[Name, Name] = Field(
        {}, description="Column here: its name in the table."
    )
    values: dict[Name, Meanings] = Field(
        {},
        description="Column: word in the table: what it means. '*' is every other "
        "word, '' an empty cell. carrier_id: known takes the carriers' usual names, "
        "and {known: true, WORD: CODE} others beside them.",
    )
    constants: dict[Name, Word] = Field(
        {}, description="Column that the table lacks: its value in every row."
    )
    units: dict[Name, Literal["cny", "fen", "percent"]] = Field(
        {},
        description="Column: cny for amounts with a sign or thousands separators, fen "
        "for hundredths of CNY, percent for shares of 100.",
    )
    wrapped: tuple[Name, ...] = Field(
        (),
        description="Columns of words with the signs by which spreadsheets keep "
        'numbers as text, such as ="123" or \'123: the signs are taken off.',
    )
    decimal: Literal[".", ","] = Field(
        ".", description="Decimal sign of numbers that are text."
    )
    encoding: Literal["utf-8", "gb18030", "utf-16", "windows-1252"] = Field(
        "utf-8", description="Encoding of CSV files."
    )
    sheet: Name | None = Field(
        None, description="Sheet of an Excel file; left out: the first."
    )

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"path": check_input(value)}
        if not isinstance(value, dict | InputTable):
            raise ValueError("must be a path, or a mapping with path")
        return value

    @model_validator(mode="after")
    def _one_column_each(self) -> Self:
        written = list(self.columns.values())
        for name in written:
            if written.count(name) > 1:
                raise ValueError(f"columns must not read {name!r} twice")
        for name in self.constants:
            if name in self.columns or name in self.values:
                raise ValueError(f"constants must not give {name}, which is read too")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        told = handler(self)
        fields = type(self).model_fields
        kept = {k: v for k, v in told.items() if v not in (fields[k].default, [])}
        return kept["path"] if kept.keys() == {"path"} else kept

    @property
    def is_mapped(self) -> bool:
        """Whether anything but the place is said."""
        return len(self.model_fields_set) > 1

    def written(self, name: str) -> str:
        """The name that a column has in the table."""
        return self.columns.get(name, name)


class _OrPath:
    """Describes, in the JSON Schema, that a path alone may stand there too."""

    def __get_pydantic_json_schema__(
        self, core: Any, handler: GetJsonSchemaHandler
    ) -> Any:
        return {"anyOf": [{"type": "string"}, handler(core)]}


#: A table, or its path alone.
TableOrPath = Annotated[InputTable, _OrPath()]


def check_mapping(name: str, mapping: InputTable, kinds: Mapping[str, str]) -> None:
    """
    Refuse names of columns that no rule reads, and units of what is no amount.

    Parameters
    ----------
    name
        Key of the table in the configuration.
    mapping
        How it is read.
    kinds
        Kind of each column that the table may have.

    Raises
    ------
    ValueError
        With the key, and the nearest columns that there are.
    """
    for key in ("columns", "values", "constants", "units", "wrapped"):
        for column in getattr(mapping, key):
            where = f"{name}.{key}"
            if column not in kinds:
                near = difflib.get_close_matches(column, kinds, 3)
                also = f"; is it {' or '.join(near)}?" if near else ""
                listed = also or f"; the table may have {', '.join(kinds)}"
                raise ValueError(f"{where}: no rule reads a column {column!r}{listed}")
            if key == "units" and kinds[column] not in AMOUNTS:
                raise ValueError(f"{where}: {column} is no amount, so it has no unit")
            if key == "wrapped" and kinds[column] not in WORDS:
                raise ValueError(
                    f"{where}: {column} holds no words; use units for amounts"
                )
            if key == "values" and kinds[column] in (*AMOUNTS, "count", "date"):
                raise ValueError(
                    f"{where}: {column} holds numbers or dates, not words; use units "
                    "or date_formats"
                )
