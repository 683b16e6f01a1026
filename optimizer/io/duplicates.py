"""Duplicate orders: found by key among any number of orders, named by id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np

from optimizer.errors import DataError, counted
from optimizer.io.privacy import hidden
from optimizer.io.read import read_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.io.read import Source

_NUM_EXAMPLES = 5
#: With fewer orders than this, threads cost more than they save.
FEW_ORDERS = 100_000


class KeyCollision(Exception):
    """Two different ids share a key: encode again with another salt."""


class Keyed(Protocol):
    """Orders by key; see :class:`optimizer.build.encode.OrderArrays`."""

    @property
    def row(self) -> NDArray[np.int64]:
        """Rows of the orders table, from 0."""

    @property
    def key(self) -> NDArray[np.uint64]:
        """Keys of their ids."""

    @property
    def folded_key(self) -> NDArray[np.uint64]:
        """Keys of their ids without case and outer spaces."""


def refuse_repeats(source: Source, orders: Keyed) -> None:
    """
    Refuse duplicate orders, and ids that differ only in case or spaces.

    Raises
    ------
    DataError
        With their number, a few ids and their rows (from 1).
    KeyCollision
        When different ids share a key.
    """
    folded, same = _repeated_each([orders.folded_key, orders.key])
    rows = orders.row[folded]
    if len(rows) == 0:
        if len(same):
            raise KeyCollision
        return
    ids = _ids_of(source, rows)
    by_folded: dict[str, dict[str, list[int]]] = {}
    for row, name in ids.items():
        spelling = by_folded.setdefault(name.strip().casefold(), {})
        spelling.setdefault(name, []).append(row + 1)
    _refuse_same(source, by_folded)
    _refuse_alike(source, by_folded)
    raise KeyCollision


def _repeated_each(keys: list[NDArray[np.uint64]]) -> list[NDArray[np.int64]]:
    """As :func:`repeated`, of several at a time where there are many orders."""
    if len(keys[0]) < FEW_ORDERS:
        return list(map(repeated, keys))
    with ThreadPoolExecutor(len(keys)) as pool:
        return list(pool.map(repeated, keys))


def repeated(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """
    Places of keys that occur more than once, ascending.

    Examples
    --------
    >>> repeated(np.array([7, 3, 7], np.uint64)).tolist()
    [0, 2]
    """
    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(twice) == 0:
        return np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(twice, keys), len(twice) - 1)
    return np.flatnonzero(twice[place] == keys)


def refuse_repeated_pairs(
    order: NDArray[np.int64], carrier: NDArray[np.int64], source: Source
) -> None:
    """
    Refuse options that name the same order and carrier twice.

    Raises
    ------
    DataError
        With their number.
    """
    pair = order * (int(carrier.max(initial=0)) + 1) + carrier
    pair.sort()
    num_repeated = int(np.count_nonzero(pair[1:] == pair[:-1]))
    if num_repeated:
        raise DataError(
            f"{source.label}: {counted(num_repeated, 'row')} with an order and carrier "
            "that another row names; keep one row for each"
        )


def _ids_of(source: Source, rows: NDArray[np.int64]) -> dict[int, str]:
    """Read the ids of a few rows again."""
    found: dict[int, str] = {}
    for frame in read_batches(source, ["order_id"]):
        here = frame.filter(frame["row"].is_in(rows.tolist()))
        found.update(
            zip(here["row"].to_list(), here["order_id"].to_list(), strict=True)
        )
    return found


def _refuse_same(source: Source, names: dict[str, dict[str, list[int]]]) -> None:
    same = {
        name: rows
        for spellings in names.values()
        for name, rows in spellings.items()
        if len(rows) > 1
    }
    if same:
        shown = "; ".join(
            f"{hidden(name)} in rows {', '.join(map(str, rows[:_NUM_EXAMPLES]))}"
            for name, rows in sorted(same.items())[:_NUM_EXAMPLES]
        )
        repeated = counted(len(same), "order_id")
        raise DataError(
            f"{source.label}: {repeated} more than once: {shown}; "
            "an order is decided once, so keep one row for each"
        )


def _refuse_alike(source: Source, names: dict[str, dict[str, list[int]]]) -> None:
    alike = [sorted(spellings) for spellings in names.values() if len(spellings) > 1]
    if alike:
        shown = "; ".join(
            hidden(" and ".join(map(repr, pair))) for pair in sorted(alike)[:3]
        )
        raise DataError(
            f"{source.label}: {counted(len(alike), 'order_id')} in spellings that "
            f"differ only in case or spaces: {shown}; write each id in one way"
        )
