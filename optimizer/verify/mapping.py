"""
Tables under another system's names, words and units, as the documentation reads them.

A column is read under the name that ``columns`` gives it; a column of the table that
has one of our names by chance, while another is read in its place, is not looked at. A
word of ``values`` means what stands beside it, ``*`` every other word, an empty text no
value. ``constants`` are the values of columns that the table lacks. With ``units``, or
another ``decimal`` sign, a text is an amount: perhaps a sign of a currency or of
percent, digits, perhaps in groups of three, a fraction; any other text is not a number.
``fen`` and ``percent`` are hundredths. In a column that is ``wrapped`` the text is what
stands in ``="..."`` or after an apostrophe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optimizer.verify.contract import Column

_AMOUNTS = ("probability", "money", "number")
_TABLES = ("orders", "capacity", "options", "merchants", "deliveries")


def mappings_of(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """How tables are read that say more than where they are, by table."""
    inputs = config.get("inputs") or {}
    given = {name: inputs.get(name) for name in _TABLES}
    return {name: how for name, how in given.items() if isinstance(how, dict)}


def written_name(name: str, mapping: Mapping[str, Any] | None) -> str:
    """The name of one of our columns in the table."""
    found: str = (mapping or {}).get("columns", {}).get(name, name)
    return found


def mapped_source(source: str, mapping: Mapping[str, Any] | None) -> str:
    """The rows of a table under our names, as SQL."""
    columns = dict(sorted((mapping or {}).get("columns", {}).items()))
    if not columns:
        return source
    written = set(columns.values())
    replaced = ", ".join(_text(name) for name in columns if name not in written)
    if replaced:
        source = f"(SELECT COLUMNS(lambda c: c NOT IN ({replaced})) FROM {source})"
    named = ", ".join(
        f"{_quoted(there)} AS {_quoted(name)}"
        for name, there in columns.items()
        if there != name
    )
    return f"(SELECT * RENAME ({named}) FROM {source})" if named else source


def meaning(value: str, column: Column, mapping: Mapping[str, Any] | None) -> str:
    """What a cell of a column means, as SQL."""
    constant = (mapping or {}).get("constants", {}).get(column.name)
    if constant is not None:
        return _text(constant)
    if column.name in (mapping or {}).get("wrapped", ()):
        value = _UNWRAPPED.format(value)
    words = (mapping or {}).get("values", {}).get(column.name)
    if words is not None:
        return _word(value, words)
    unit = (mapping or {}).get("units", {}).get(column.name)
    decimal = (mapping or {}).get("decimal", ".")
    if column.kind in _AMOUNTS and (unit is not None or decimal != "."):
        divisor = 1 if unit in (None, "cny") else 100
        macro = "amount" if decimal == "." else "amount_with_comma"
        return f"{macro}({value}) / {divisor}"
    return value


def _word(value: str, words: Mapping[str, str]) -> str:
    listed = {k: v for k, v in sorted(words.items()) if k not in ("*", "")}
    whens = "".join(
        f"\n        WHEN {_text(word)} THEN {_text(means)}"
        for word, means in listed.items()
    )
    kept = ", ".join(_text(word) for word in sorted(set(listed.values())))
    other = f"{value}::VARCHAR"
    if "*" in words:
        other = f"CASE WHEN {value} IS NOT NULL THEN {_text(words['*'])} END"
    if kept:
        own = f"CASE WHEN bare({value}) IN ({kept}) THEN bare({value}) ELSE {other} END"
    else:
        own = other
    found = f"CASE bare({value}){whens}\n        ELSE {own}\n    END" if whens else own
    return f"coalesce({found}, {_text(words[''])})" if "" in words else found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


#: Text without the signs by which spreadsheets keep numbers as text.
_UNWRAPPED = (
    "bare(regexp_replace(regexp_replace(bare({}), "
    f"""{_text('^="([^"]*)"$')}, '\\1'), {_text("^'")}, ''))"""
)
