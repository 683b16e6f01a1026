"""Rows that are too young to count, and what would be known of them, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.contracts.warnings import warn
from optimizer.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.maturity import Maturity


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """
    Rows that are not ripe for some outcomes.

    Attributes
    ----------
    rows
        Outcomes with ``ripe_on``, the day of learning from which on each counts.
    outcomes
        What is not known of them yet.
    num_days
        Days from the decision until all of it is known.
    """

    rows: pl.DataFrame
    outcomes: tuple[str, ...]
    num_days: int

    @property
    def premium(self) -> pl.DataFrame:
        """Those on premium service."""
        return self.rows.filter("is_premium")

    @property
    def standard(self) -> pl.DataFrame:
        """Those on standard service."""
        import polars as pl

        return self.rows.filter(~pl.col("is_premium"))

    @property
    def at_random(self) -> pl.DataFrame:
        """Those whose service was left to chance."""
        import polars as pl

        return self.rows.filter((pl.col("propensity") > 0) & (pl.col("propensity") < 1))

    def told(self) -> str:
        """Say how many they are, until when they wait, and what to do."""
        if len(self.rows) == 0:
            return ""
        first, last = _days(self.rows)
        premium = counted(len(self.premium), "premium parcel")
        return (
            f"{counted(len(self.rows), 'row')} ({premium}, {len(self.at_random):,} "
            "left to chance) are not ripe: "
            f"{' and '.join(self.outcomes)} can be known only {self.num_days} days "
            "after the decision (learning.maturity_days); the first counts from "
            f"{first} on, the last from {last}: read the outcomes again then, or state "
            "fewer days if no complaint or return comes later"
        )


def waiting(rows: pl.DataFrame, maturity: Iterable[Maturity]) -> Waiting:
    """
    Find the rows that are not ripe for one of some outcomes.

    Parameters
    ----------
    rows
        Outcomes.
    maturity
        Of the outcomes that have to be known.
    """
    import polars as pl

    asked = [one for one in maturity if one.num_waiting and one.num_days is not None]
    # A day is observed once it is over.
    each = [
        pl.when(pl.Series(~one.is_ripe)).then(
            pl.col("date") + pl.duration(days=(one.num_days or 0) + 1)
        )
        for one in asked
    ]
    none = pl.lit(None, pl.Date)
    frame = rows.with_columns(ripe_on=pl.max_horizontal(none, *each))
    return Waiting(
        frame.filter(pl.col("ripe_on").is_not_null()),
        tuple(one.outcome for one in asked),
        max((one.num_days or 0 for one in asked), default=0),
    )


def what_waits(wanted: pl.DataFrame) -> list[CodedWarning]:
    """
    Say of what is missing that it waits.

    Parameters
    ----------
    wanted
        Waiting rows of the kind that is missing.
    """
    if len(wanted) == 0:
        return []
    first, last = _days(wanted)
    return [
        warn(
            "MISSING_ROWS_WAIT",
            num_rows=len(wanted),
            num_premium=int(wanted["is_premium"].sum()),
            first_ripe=first,
            last_ripe=last,
        )
    ]


def _days(rows: pl.DataFrame) -> tuple[str, str]:
    """When the first of them counts, and when the last does."""
    days = rows["ripe_on"].sort()
    return str(days[0]), str(days[-1])
