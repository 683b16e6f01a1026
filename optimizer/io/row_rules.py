"""
Rules of a column: which of its values break one, and how that is told.

Most columns are clean, which is seen at once; only others are held against each rule.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from optimizer.contracts.columns import Column, polars_type
from optimizer.contracts.tables import CAPACITY
from optimizer.io.cells import ALL_WORD, FIRST_DAY, LAST_DAY, NULL_WORD
from optimizer.io.plain_texts import MAX_ID_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from optimizer.io.read import Source

#: Largest count that is accepted; beyond it a number is a mistake.
MAX_COUNT = 10**12
#: Kinds of columns that are text.
WORDED = ("id", "text", "pin")
#: Outer spaces, and what nobody sees: controls, zero widths, marks of direction.
_UNTRIMMED = r"^\s|\s$|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"
_NO_FLAG = "is not true or false"
_NO_DATE = "is not a date such as 2026-11-22"
_NO_VALUE = "is a word for no value, such as NULL"
_NO_NAME = "is a word for all, or for a total"
_HEADER = "is the name of its column"
_NO_DAY = "is a day that stands for none, such as 1970-01-01"
_SPACED = "has outer spaces or control characters"
_NO_NUMBER = "is not a number"
_NO_WHOLE = "is not a whole number"
#: What an id is not: each rule, and the texts that break it.
_NO_IDS = {
    "is empty": "^$",
    _SPACED: _UNTRIMMED,
    _NO_VALUE: NULL_WORD,
    "is a rounded number, as spreadsheets write it": (
        r"^[+-]?[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]{1,3}$"
        r"|^[+-]?[0-9]\.[0-9]+[Ee][0-9]{1,3}$"
    ),
    "is a number with a decimal point": r"^[+-]?[0-9]+\.0+$",
    "is a formula, as spreadsheets write it": "^=",
    "begins with an apostrophe": "^['\u2019]",
}
_PLAINLY = "numbers are written as 0.05 or 1200, without units or separators"
#: What to do, beside mending the export, by rule.
HINTS = {
    _NO_FLAG: "flags are true, false, 1 or 0, t/f, yes/no, y/n, 是/否",
    _NO_DATE: "date_formats lists other spellings that are to be read",
    _NO_VALUE: (
        "null_words lists words that are to be read as no value, not_null_words those "
        "that are names"
    ),
    _NO_NAME: (
        "leave the cell empty where a limit holds for all, and totals out; a name that "
        "is such a word goes to not_null_words"
    ),
    _HEADER: "the header stands in the file more than once",
    _NO_DAY: "leave the cell empty where there is no date",
    _SPACED: "cut spaces off, such as trim(carrier_id)",
    _NO_NUMBER: _PLAINLY,
    _NO_WHOLE: _PLAINLY,
    **dict.fromkeys(list(_NO_IDS)[3:], "export ids as text, past no spreadsheet"),
}


class Rule(NamedTuple):
    """
    A rule of a column, and where a batch breaks it.

    ``parts`` are the rules that it stands for, as patterns of text: they are looked for
    only where it is broken, and not in the texts ``kept``.
    """

    text: str
    wrong: pl.Expr
    column: str = ""
    parts: Mapping[str, str] = {}
    kept: Sequence[str] = ()


def is_clean(raw: pl.Series, value: pl.Series, column: Column, source: Source) -> bool:
    """
    Whether no value breaks a rule of :func:`column_rules`, texts' own rules aside.

    Most columns are clean, and this is a hundred times faster than to ask each rule.

    Parameters
    ----------
    raw, value
        A column's cells as read, and of its type.
    column, source
        Its contract, and the table that it is of.
    """
    if column.name in source.required and raw.null_count():
        return False
    if raw.null_count() != value.null_count():
        return False
    if column.kind == "count" and raw.dtype.is_float():
        return False
    if column.kind in (*WORDED, "flag"):
        return column.kind != "pin" or set(value.unique()) <= {"must", "never", None}
    value = value.drop_nulls() if value.null_count() else value
    return len(value) == 0 or _is_in_range(value, column)


def _is_in_range(value: pl.Series, column: Column) -> bool:
    """Whether all of some values, none of them null, keep :func:`_value_rules`."""
    if column.kind == "date":
        return value.is_between(FIRST_DAY, LAST_DAY).all()
    import numpy as np

    values = value.to_numpy()
    least, most = values.min(), values.max()  # NaN where there is one
    if column.kind == "number":
        return bool(np.isfinite(least) and np.isfinite(most))
    low = column.minimum if column.kind == "count" else 0
    high = {"probability": 1, "count": MAX_COUNT}.get(column.kind, sys.float_info.max)
    return bool(low <= least and most <= high)


def column_rules(frame: pl.DataFrame, column: Column, source: Source) -> list[Rule]:
    """Rules of a column."""
    import polars as pl

    value = pl.col(column.name)
    found: list[Rule] = []
    if column.name in source.required:
        was_null = pl.lit(frame[column.name].is_null())
        found.append(Rule("is missing", was_null))
    if frame.schema[column.name] not in (polars_type(column.kind), pl.Null):
        raw = frame[column.name]
        found[:0] = _cast_rules(raw, value, column)
    found += _text_rules(value, column, source)
    found += _value_rules(value, column)
    return [rule._replace(column=column.name) for rule in found]


def _cast_rules(raw: pl.Series, value: pl.Expr, column: Column) -> list[Rule]:
    """Values that the cast to the column's kind lost."""
    import polars as pl

    words = {"flag": _NO_FLAG, "count": _NO_WHOLE, "date": _NO_DATE}
    was_given = pl.lit(raw.is_not_null())
    lost = [Rule(words.get(column.kind, _NO_NUMBER), value.is_null() & was_given)]
    if column.kind == "count" and raw.dtype.is_float():
        lost.append(Rule(words["count"], pl.lit(raw) != value.cast(pl.Float64)))
    return lost


def _text_rules(value: pl.Expr, column: Column, source: Source) -> list[Rule]:
    """Rules of ids and texts: most are looked at with one pattern alone."""
    kept = source.rules.not_null_words
    if column.kind == "text":
        return [Rule(_NO_VALUE, _matches(value, NULL_WORD, kept))]
    if column.kind != "id":
        return []
    parts = dict(_NO_IDS)
    if column.name.endswith("_id"):
        parts[_HEADER] = f"(?i)^{column.name}$"
    if source.table.name == CAPACITY.name:
        parts[_NO_NAME] = ALL_WORD
    whole = "|".join(f"(?:{pattern})" for pattern in parts.values())
    too_long = value.str.len_bytes() > MAX_ID_BYTES
    return [
        Rule(f"is longer than {MAX_ID_BYTES} bytes", too_long),
        Rule("", _matches(value, whole, kept), parts=parts, kept=kept),
    ]


def _matches(value: pl.Expr, pattern: str, kept: Sequence[str]) -> pl.Expr:
    """Where a text matches a pattern and is none of those that are kept."""
    found = value.str.contains(pattern)
    return found & ~value.is_in(list(kept)) if kept else found


def _value_rules(value: pl.Expr, column: Column) -> list[Rule]:
    import polars as pl

    if column.kind == "date":
        days = pl.lit(FIRST_DAY), pl.lit(LAST_DAY)
        return [Rule(_NO_DAY, ~value.is_between(*days))]
    if column.kind == "probability":
        return [
            Rule(_NO_NUMBER, value.is_nan()),
            Rule("is outside [0, 1]", ~value.is_between(0, 1) & ~value.is_nan()),
        ]
    if column.kind in ("money", "number"):
        finite = Rule("is not a finite number", ~value.is_finite())
        negative = Rule("is negative", value < 0)
        return [finite] if column.kind == "number" else [finite, negative]
    if column.kind == "count":
        least = column.minimum
        return [
            Rule(f"is below {least}" if least else "is negative", value < least),
            Rule(f"is above {MAX_COUNT:,}", value > MAX_COUNT),
        ]
    if column.kind == "pin":
        return [Rule('is not "must" or "never"', ~value.is_in(["must", "never"]))]
    return []


def hit_rules(cast: pl.DataFrame, rules: Sequence[Rule]) -> list[Rule]:
    """Rules that any row breaks."""
    if not rules:
        return []
    broken = cast.select(
        rule.wrong.any().alias(str(number)) for number, rule in enumerate(rules)
    ).row(0)
    return [rule for rule, is_broken in zip(rules, broken, strict=True) if is_broken]


def expanded_rules(cast: pl.DataFrame, hit: Sequence[Rule]) -> list[Rule]:
    """Expand combined rules into those of their parts that are broken."""
    import polars as pl

    whole = [rule for rule in hit if not rule.parts]
    parts = [
        Rule(text, _matches(pl.col(rule.column), pattern, rule.kept), rule.column)
        for rule in hit
        for text, pattern in rule.parts.items()
    ]
    return [*whole, *hit_rules(cast, parts)]


@lru_cache
def pattern_of_doubt(columns: tuple[str, ...], table: str) -> str:
    """Pattern of a text that may break a rule."""
    patterns = [*_NO_IDS.values(), *(f"(?i)^{name}$" for name in columns)]
    if table == CAPACITY.name:
        patterns.append(ALL_WORD)
    return "|".join(f"(?:{pattern})" for pattern in patterns)
