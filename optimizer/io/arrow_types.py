"""
Column types that engines and databases produce: which are accepted, and how.

A type is accepted if each of its values has one meaning in the column's kind. Any other
type is refused by name, with the cast that helps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from optimizer.contracts.columns import Column

_TEXT = ("id", "text", "pin")
_WHOLE = ("id", "count", "flag")
#: Digits of the widest decimal that Arrow has.
_MAX_DIGITS = 76
_EXPECTED = {
    **dict.fromkeys(("text", "pin"), "text"),
    "id": "text, whole numbers or UUIDs",
    "count": "whole numbers",
    "flag": "true/false (booleans, or the words true, false, 1 or 0)",
    "date": "dates, timestamps or text such as 2026-11-22",
}
_CAST = {
    **dict.fromkeys(_TEXT, "varchar"),
    "count": "bigint",
    "flag": "boolean",
    "date": "date",
}


def check_type(kind: pa.DataType, column: Column, label: str) -> None:
    """
    Refuse a type whose values have no clear meaning in the column's kind.

    Raises
    ------
    DataError
        With the type that was found, what is taken, and how to cast.
    """
    if _fits(inner_type(kind), column):
        return
    cast = _CAST.get(column.kind, "double")
    if column.kind == "id" and _is_number(inner_type(kind)):
        cast = "bigint"  # as text it would keep its decimal point
    raise DataError(
        f"{label}: column {column.name} is {kind}, expected "
        f"{_EXPECTED.get(column.kind, 'a number')}; export it with that type, such as "
        f"cast({column.name} as {cast})"
    )


def inner_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a dictionary or of runs."""
    import pyarrow.types as t

    while t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        kind = kind.value_type
    return kind


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow.types as t

    return bool(t.is_floating(kind) or t.is_decimal(kind))


def _fits(kind: pa.DataType, column: Column) -> bool:
    import pyarrow.types as t

    has_text = is_text(kind)
    is_whole = t.is_integer(kind)
    is_exact = is_whole or t.is_decimal(kind)
    is_number = is_exact or t.is_floating(kind)
    fits = {
        "id": has_text
        or is_whole
        or t.is_date(kind)
        or is_uuid(kind)
        or (t.is_decimal128(kind) and kind.scale == 0),
        "text": has_text,
        "pin": has_text,
        "probability": is_number,
        "money": is_number,
        "number": is_number,
        "count": is_number,
        "flag": t.is_boolean(kind) or is_number or has_text,
        "date": t.is_date(kind) or t.is_timestamp(kind) or has_text,
    }
    return fits[column.kind] or t.is_null(kind)


def is_uuid(kind: pa.DataType) -> bool:
    """Whether values are UUIDs of 16 bytes."""
    return getattr(kind, "extension_name", "") == "arrow.uuid"


def plain(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """
    Convert a column to a type that is read everywhere; values do not change.

    Dictionaries and runs are written out, UUIDs become text with hyphens, decimals of
    whole numbers and flags become text, from which they are read exactly; instants are
    shown in UTC.

    Parameters
    ----------
    values
        Of a type that :func:`check_type` takes.
    column
        What they are for.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    while t.is_run_end_encoded(kind := values.type) or _is_dictionary(kind):
        if t.is_run_end_encoded(kind):
            chunks = [pc.run_end_decode(chunk) for chunk in values.chunks]
            values = pa.chunked_array(chunks, kind.value_type)
        else:
            values = values.cast(kind.value_type)
    if is_uuid(kind):
        return _hyphened(values)
    if _is_written_out(kind, column):
        if kind.scale < 0:  # written with an exponent, it would be no whole number
            values = values.cast(pa.decimal256(_MAX_DIGITS, 0))
        return values.cast(pa.string())
    if _is_elsewhere(kind):
        return values.cast(pa.timestamp(kind.unit, "UTC"))
    return values.cast(pa.float32()) if t.is_float16(kind) else values


def is_plain(kind: pa.DataType, column: Column) -> bool:
    """Whether :func:`plain` leaves values of a type as they are."""
    import pyarrow.types as t

    return not (
        _is_dictionary(kind)
        or t.is_run_end_encoded(kind)
        or is_uuid(kind)
        or t.is_float16(kind)
        or _is_written_out(kind, column)
        or _is_elsewhere(kind)
    )


def _is_elsewhere(kind: pa.DataType) -> bool:
    """Whether values are instants shown in a zone, which not every library knows."""
    import pyarrow.types as t

    return bool(t.is_timestamp(kind)) and kind.tz not in (None, "UTC")


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text."""
    import pyarrow.types as t

    return t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind)


def _is_dictionary(kind: pa.DataType) -> bool:
    """Whether values are in a dictionary other than one of texts, which is read."""
    import pyarrow.types as t

    return t.is_dictionary(kind) and not is_text(kind.value_type)


def _is_written_out(kind: pa.DataType, column: Column) -> bool:
    """Whether a decimal is read as text: exactly, and in any width."""
    import pyarrow.types as t

    is_wide = not t.is_decimal128(kind)
    return t.is_decimal(kind) and (column.kind in _WHOLE or is_wide)


def _hyphened(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """UUIDs as RFC 9562 writes them: small letters, hyphens at their places."""
    import polars as pl
    import pyarrow as pa

    chunks = [chunk.storage.cast(pa.binary()) for chunk in values.chunks]
    digits = pl.Series(pa.chunked_array(chunks, pa.binary())).bin.encode("hex")
    parts = [digits.str.slice(at, n) for at, n in _GROUPS]
    frame = pl.DataFrame([part.alias(str(i)) for i, part in enumerate(parts)])
    text = frame.select(pl.concat_str(pl.all(), separator="-")).to_series()
    return pa.chunked_array([text.to_arrow()])


_GROUPS = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))
