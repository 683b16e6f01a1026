"""The maker of each published table: a function for every entry of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.contracts.tables import (
    BANK,
    BRANCH_PRICES,
    BRANCHES,
    COMMITMENTS,
    CONFLICTS,
    DRAWS,
    IN_FLIGHT,
    LANE_RESULTS,
    MERCHANT_RESULTS,
    ORDER_PRICES,
    QUARANTINE,
    RECOMMENDATIONS,
    ROW_RESULTS,
)
from optimizer.explain.branches import branch_prices_table, branches_table
from optimizer.explain.tables import (
    bank_table,
    commitments_table,
    conflicts_table,
    decisions_table,
    draws_table,
    in_flight_table,
    lanes_table,
    merchants_table,
    order_prices_table,
    quarantine_table,
    recommendations_table,
    rows_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import polars as pl

    from optimizer.build.assemble import Names
    from optimizer.contracts.columns import Table
    from optimizer.explain.certified_night import CertifiedNight

#: Tables that are made of the certified night; ``None``: it has none such.
OF_NIGHT: Mapping[Table, Callable[[CertifiedNight], pl.DataFrame | None]] = {
    MERCHANT_RESULTS: merchants_table,
    LANE_RESULTS: lanes_table,
    QUARANTINE: quarantine_table,
    IN_FLIGHT: in_flight_table,
    BANK: bank_table,
    ROW_RESULTS: rows_table,
    CONFLICTS: conflicts_table,
    ORDER_PRICES: order_prices_table,
    BRANCHES: branches_table,
    BRANCH_PRICES: branch_prices_table,
    DRAWS: draws_table,
}
#: Tables that are made of the decisions, batch by batch.
OF_DECISIONS: Mapping[Table, Callable[[pl.DataFrame, Names], pl.DataFrame]] = {
    RECOMMENDATIONS: lambda decisions, _: recommendations_table(decisions),
    COMMITMENTS: commitments_table,
}


def night_tables(night: CertifiedNight) -> dict[str, pl.DataFrame]:
    """Make the tables of a night that follow from it alone, by file name."""
    made = {table.file: make(night) for table, make in OF_NIGHT.items()}
    return {file: table for file, table in made.items() if table is not None}


def sorted_decisions(
    night: CertifiedNight, scratch: Path, made: dict[str, list[pl.DataFrame]]
) -> Iterator[pl.DataFrame]:
    """
    Every order's decision, ascending by ``order_id``, in bounded memory.

    Parameters
    ----------
    night
        The night.
    scratch
        A folder that does not exist; made where the night is large, and removed.
    made
        Takes what is made of the decisions as they go by, by file name.

    Yields
    ------
    pl.DataFrame
        The columns of the decisions table, ``region_id``, ``lane`` and ``load``.
    """
    from optimizer.io.external_sort import sorted_batches

    made |= {table.file: [] for table in OF_DECISIONS}
    batches = sorted_batches(
        night.named(),
        "order_id",
        sample=night.intake.id_sample,
        num_rows=len(night.names.status),
        scratch=scratch,
    )
    for named in batches:
        batch = decisions_table(named, night.outcomes, night.names)
        for table, make in OF_DECISIONS.items():
            made[table.file].append(make(batch, night.names))
        yield batch
