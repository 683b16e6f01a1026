"""The tables' contract as Markdown, for the documentation."""

from __future__ import annotations

from optimizer.contracts.columns import Column, Table
from optimizer.contracts.tables import TABLES

_KIND_WORDS = {
    "id": "text",
    "text": "text",
    "pin": '"must" or "never"',
    "probability": "number in [0, 1]",
    "money": "number ≥ 0, CNY",
    "count": "whole number",
    "key": "whole number ≥ 0, 64 bits",
    "number": "number",
    "flag": "true / false",
    "date": "date",
}


#: Columns that ``capacity.resources`` adds to tables of the night.
_OF_RESOURCES = {
    "orders": "| `load_<resource>` | whole number | required for each of "
    "`capacity.resources` | units that it takes |",
    "options": "| `load_<resource>` | whole number | optional | units that it takes "
    "with this carrier; the order's own if missing |",
    "capacity": "| `resource` | text | required where there are `capacity.resources` | "
    "what `slots` of the row count; null: slots |",
}


def tables_markdown() -> str:
    """Document all tables, for docs/reference/tables.md; a test keeps the two equal."""
    return "\n\n".join(map(_one_markdown, TABLES))


def _one_markdown(table: Table) -> str:
    is_input = table.is_input
    title = f"**{table.name}** ({_where_and_when(table)}): {table.meaning}."
    rows = [
        f"| `{column.name}` | {_kind_words(column, is_input)} "
        f"| {_need(column, is_input)} | {column.meaning} |"
        for column in table.columns
    ]
    rows += [_OF_RESOURCES[table.name]] if table.name in _OF_RESOURCES else []
    return "\n".join(
        [title, "", "| column | type | | meaning |", "|---|---|---|---|", *rows]
    )


def _where_and_when(table: Table) -> str:
    """In or out; when it is there, and where it is made, unless that is always so."""
    said = ["in" if table.is_input else "out"]
    if table.when != "always":
        said.append(table.when)
    if not table.is_input and "spark" not in table.engines:
        said.append("one machine")
    return ", ".join(said)


def _kind_words(column: Column, is_input: bool) -> str:
    """What a column holds; money that comes out may be below 0."""
    words = _KIND_WORDS[column.kind]
    return words if is_input else words.replace(" ≥ 0", "")


def _need(column: Column, is_input: bool) -> str:
    if not is_input:
        return ""
    if column.is_required:
        return "required"
    if column.default is None:
        return "optional"
    return f"optional, {str(column.default).lower()}"
