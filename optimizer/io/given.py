"""Checks of what a caller passes as a table, before it is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from optimizer.errors import DataError
from optimizer.io.privacy import holds_personal

#: What a table may be given as, for messages.
TAKEN = (
    "give a path, a glob, a list of paths, or a polars, pandas, pyarrow or duckdb table"
)
#: No file system has longer names, or paths.
_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 4_095


def refuse_no_table(data: Any, table_name: str) -> None:
    """
    Refuse values that are neither a path, a list of paths nor a table.

    The message never repeats the value: a text that is no path may be a row.

    Raises
    ------
    DataError
        With the type of the value, and the types that are accepted.

    Examples
    --------
    >>> refuse_no_table([{"order_id": "o-1"}], "orders")
    Traceback (most recent call last):
        ...
    optimizer.errors.DataError: the orders table is a list of dict, and no table; give \
a path, a glob, a list of paths, or a polars, pandas, pyarrow or duckdb table
    """
    if data is None:
        raise DataError(f"the {table_name} table is missing; {TAKEN}")
    is_list, given = isinstance(data, list | tuple), f"the {table_name} table is a"
    for part in data if is_list else [data]:
        is_text = isinstance(part, str | os.PathLike)
        if is_list and not is_text:
            kinds = f"{type(data).__name__} of {type(part).__name__}"
            raise DataError(f"{given} {kinds}, and no table; {TAKEN}")
        if is_text and not may_be_path(os.fspath(part)):
            raise DataError(f"{given} text that is no path; {TAKEN}")


def may_be_path(text: str) -> bool:
    r"""
    Whether a text may name a file, there or not; one that looks personal must be there.

    Examples
    --------
    >>> [may_be_path(t) for t in ("a/b.csv", "order_id\no-1", "x" * 300, "", "\0")]
    [True, False, False, False, False]
    """
    encoded = os.fsencode(text)
    longest = max(map(len, encoded.split(os.sep.encode())))
    if not text.strip() or any(sign in text for sign in "\n\r\0"):
        return False
    if longest > _MAX_NAME_BYTES or len(encoded) > _MAX_PATH_BYTES:
        return False
    return Path(text).exists() or not holds_personal(text)
