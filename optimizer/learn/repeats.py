"""Repeated decisions of a whole table, found in bounded memory."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import DataError, counted
from optimizer.io.order_keys import order_keys

if TYPE_CHECKING:
    from typing import IO

    import polars as pl

#: Parts that keys are dealt into; one at a time is in memory when they are searched.
NUM_PARTS = 64
#: Bytes of a part that stay in memory; more is on disk.
IN_MEMORY = 1 << 18
#: Two independent keys: unequal decisions do not meet by chance.
_KEY = np.dtype([("key", np.uint64), ("check", np.uint64), ("day", np.int32)])


class Seen:
    """
    Orders and dates of all rows that were read, kept for one search.

    A row that is not sampled counts as much as one that is: whether a table holds
    decisions twice must not depend on which of its rows are drawn.

    Examples
    --------
    >>> import datetime as dt
    >>> from contextlib import closing
    >>> import polars as pl
    >>> day = [dt.date(2026, 10, 1)] * 3
    >>> with closing(Seen()) as seen:
    ...     seen.add(pl.DataFrame({"order_id": ["a", "b", "a"], "date": day}))
    ...     seen.refuse()
    Traceback (most recent call last):
    optimizer.errors.DataError: outcomes: 2 rows share order and date with another row, of 2026-10-01 to 2026-10-01; keep one row for each order and date
    """  # noqa: E501

    def __init__(self) -> None:
        self._parts: list[IO[bytes]] = [
            SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
            for _ in range(NUM_PARTS)
        ]

    def add(self, frame: pl.DataFrame) -> None:
        """
        Remember the decisions of a batch.

        Parameters
        ----------
        frame
            With ``order_id`` and ``date``.
        """
        rows = np.empty(len(frame), _KEY)
        rows["key"] = order_keys(frame["order_id"], salt=11)[0]
        rows["check"] = order_keys(frame["order_id"], salt=13)[0]
        rows["day"] = frame["date"].to_physical().to_numpy()
        part = rows["key"] % np.uint64(NUM_PARTS)
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(NUM_PARTS + 1))
        for at, file in enumerate(self._parts):
            if ends[at] < ends[at + 1]:
                file.write(rows[order[ends[at] : ends[at + 1]]].tobytes())

    def close(self) -> None:
        """Let go of what is on disk."""
        for file in self._parts:
            file.close()

    def refuse(self) -> None:
        """
        Refuse repeated decisions.

        Raises
        ------
        DataError
            When two rows share order and date.
        """
        num, days = 0, []
        for file in self._parts:
            file.seek(0)
            rows = np.frombuffer(file.read(), _KEY)
            found, counts = np.unique(rows, return_counts=True)
            num += int(counts[counts > 1].sum())
            days += found["day"][counts > 1].tolist()
        if num:
            first, last = (np.datetime64(day, "D") for day in (min(days), max(days)))
            raise DataError(
                f"outcomes: {counted(num, 'row')} share order and date with another "
                f"row, of {first} to {last}; keep one row for each order and date"
            )
