"""A night and those of the four weeks before."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any

from optimizer.contracts.columns import polars_type
from optimizer.contracts.headline import by_mean
from optimizer.contracts.tables import NIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

#: Days before a night whose nights stand beside it.
NUM_DAYS = 28
_COUNTS = ("num_orders", "num_chosen", "sum_of_caps")


def run_id(identity: Mapping[str, Any]) -> str:
    """A run's name, made from everything that decides its bytes."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def nights_table(
    earlier: Iterable[Mapping[str, Any]], tonight: Mapping[str, Any]
) -> pl.DataFrame:
    """
    Put nights below each other, ascending by date.

    Parameters
    ----------
    earlier, tonight
        Records as in ``run.json``; damaged ones of earlier nights are left out.
    """
    import polars as pl

    rows = [row for row in map(row_and_run, earlier) if row is not None]
    rows.append((*night_row(tonight), None))
    kinds = {column.name: polars_type(column.kind) for column in NIGHTS.columns}
    return pl.DataFrame(rows, schema=kinds, orient="row").sort("date")


def row_and_run(record: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Row and run of an earlier night; ``None`` where its record is damaged."""
    try:
        return (*night_row(record), run_id(record["identity"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def night_row(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """The row of one night in the order of the columns, but for its run."""
    summary = by_mean(record["summary"])
    return (
        dt.date.fromisoformat(record["date"]),
        *(summary[name] for name in _COUNTS),
        float(summary["saving_cny"]),
        float(summary["fees_cny"]["total"]),
        float(record["certificate"]["relative_gap"]),
        summary["num_quarantined"],
        len(record["warnings"]),
    )
