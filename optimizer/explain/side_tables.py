"""Tables that only nights with limits beside caps and lanes have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.errors import counted
from optimizer.explain.conflicts import STOPS, count_conflicts
from optimizer.explain.tables import conflicts_table, order_prices_table, rows_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import polars as pl

    from optimizer.build.assemble import Names
    from optimizer.certify.certificate import Certificate
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

#: Conflicts that a message names.
NUM_NAMED = 10


def further_tables(
    problem: Problem,
    solution: Solution,
    certificate: Certificate,
    index: Names,
    named: Callable[[], Iterable[pl.DataFrame]],
) -> dict[str, pl.DataFrame]:
    """
    Further tables of a night by file name, those that it has.

    Parameters
    ----------
    problem, solution, certificate, index
        The night.
    named
        Gives ``row`` and ``order_id`` of all orders, in pieces.
    """
    tables = {}
    if index.limits is not None:
        tables["rows.parquet"] = rows_table(index.limits, solution)
    if count_conflicts(certificate, index):
        tables["conflicts.parquet"] = conflicts_table(
            certificate, problem, index, named()
        )
    if solution.order_price is not None:
        tables["order_prices.parquet"] = order_prices_table(problem, solution, named())
    return tables


def clash_words(conflicts: pl.DataFrame) -> str:
    """Say which floors and pins clash, for the night that is refused for it."""
    words = [
        (
            f"order {row['limit']} pinned to must"
            if row["kind"] == "pin"
            else f"{row['kind']} {row['limit']}: {row['reached']:,} of {row['asked']:,}"
        )
        + f" ({STOPS[row['stopped_by']]})"
        for row in conflicts.head(NUM_NAMED).iter_rows(named=True)
    ]
    more = len(conflicts) - len(words)
    also = f"; and {more:,} more" if more else ""
    return (
        f"{counted(len(conflicts), 'limit')} cannot be kept: {'; '.join(words)}"
        f"{also}; not published. Lower or drop them, or set on_conflict: relax"
    )
