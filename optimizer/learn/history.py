"""Outcomes of past nights, read and refused where they cannot teach."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.contracts.complaints import BENEFIT_OF_REASON
from optimizer.contracts.warnings import some, warn
from optimizer.errors import DataError
from optimizer.io.order_keys import order_keys
from optimizer.learn.alarms import emptied, history_alarms, leaking
from optimizer.learn.decided import nights_to_join, without_outcome
from optimizer.learn.features import features_of
from optimizer.learn.fitness import fit_to_learn, refuse_repeats
from optimizer.learn.maturity import refuse_unripe, ripen, told, young_unknown
from optimizer.learn.reading import Wanted, num_beside, read_all
from optimizer.learn.repeats import Seen
from optimizer.learn.risk import OUTCOME_OF, harm_costs_cny
from optimizer.learn.units import with_units
from optimizer.learn.waiting import Waiting, waiting

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.maturity import Maturity
    from optimizer.learn.window import Window


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """
    Outcomes that are fit to be learned from.

    Attributes
    ----------
    rows
        The outcomes table, ascending by date and ``order_id``.
    maturity
        By outcome, which of the rows are ripe.
    frame
        Those that are ripe for every outcome that costs something.
    warnings
        What a person should look at.
    times
        For how many parcels each one on standard service stands that could not have
        got premium; above 1 where there were more than were asked for.
    absent
        Outcomes that the table does not record: it has no such column, or a constant
        stands for one. The rows have false, or null, of which nothing follows.
    left_out
        Columns of the contract that tell an outcome: nothing is learned from them.
    """

    rows: pl.DataFrame
    maturity: Mapping[str, Maturity]
    frame: pl.DataFrame
    warnings: tuple[CodedWarning, ...]
    times: int = 1
    absent: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()

    def ripe(self, outcome: str) -> pl.DataFrame:
        """Rows that are ripe for an outcome."""
        import polars as pl

        return self.rows.filter(pl.Series(self.maturity[outcome].is_ripe))

    def young(self, *outcomes: str) -> Waiting:
        """Rows that are not ripe for one of some outcomes."""
        return waiting(self.rows, [self.maturity[name] for name in outcomes])

    @property
    def first(self) -> dt.date:
        """The earliest date."""
        return self.rows["date"][0]

    @property
    def last(self) -> dt.date:
        """The latest date."""
        return self.rows["date"][-1]


def read_history(
    data: Any, config: Config, window: Window, most_beside: int | None = None
) -> History:
    """
    Read past outcomes, whatever their order.

    Parameters
    ----------
    data
        A path, a glob, an address, or a table, by the outcomes contract; or a list of
        them, which may be written in different ways.
    config
        Quarantine, regime breaks and the limit for serial complainers.
    window
        Which nights.
    most_beside
        Standard parcels that could not have got premium, at most; ``None``: all. Of
        more, those are taken whose hash is lowest, batch by batch, so that a table
        need not fit into memory.

    Raises
    ------
    DataError
        When decisions are repeated, lie in the future, before all rules or on both
        sides of a regime break, contradict their propensity or their days, are of
        published nights without their service, or break the contract.
    """
    import polars as pl

    nights = {} if window.runs is None else nights_to_join(window.runs)
    with closing(Seen()) as seen:
        read = read_all(data, Wanted(config, window, most_beside, nights, seen))
        frame, times = read.frame, read.times
        if times == 1:
            refuse_repeats(frame)
        seen.refuse()
    frame = fit_to_learn(frame, config, window)
    lost = without_outcome(frame, nights) if nights else []
    frame, taken = with_units(frame, config, nights)
    frame, found = _limit_complainers(
        frame, config.learning.max_complaints_per_customer
    )
    rows, maturity = ripen(frame, config.learning.maturity_days, window.as_of)
    is_ripe = np.ones(len(rows), np.bool_)
    known = asked(config, read.absent)
    for name in known:
        is_ripe &= maturity[name].is_ripe
    alarms = history_alarms(
        rows,
        maturity,
        window.as_of,
        features_of(rows, config),
    )
    left_out = leaking(alarms)
    rows = emptied(rows, left_out)
    found = [*read.warnings, *lost, *taken, *found, *_unknown_reasons(rows)]
    young = young_unknown(rows, {n: maturity[n] for n in known}, window.as_of)
    recorded = {n: one for n, one in maturity.items() if n not in read.absent}
    warnings = (*alarms, *found, *told(recorded), *young)
    if times > 1:
        beside = num_beside(rows)
        warnings = (warn("OUTCOMES_DRAWN", num_parcels=beside, times=times), *warnings)
    ripe = rows.filter(pl.Series(is_ripe))
    return History(
        rows=rows,
        maturity=maturity,
        frame=ripe,
        warnings=warnings,
        times=times,
        absent=read.absent,
        left_out=left_out,
    )


def require_ripe(past: History, config: Config) -> None:
    """
    Refuse a history of which nothing is ripe that something has to be learned from.

    Raises
    ------
    DataError
        It says from which day on there will be.
    """
    known = asked(config, past.absent)
    for outcome in known:
        refuse_unripe(past.maturity[outcome])
    if len(past.frame) == 0:
        raise DataError(
            f"outcomes: no row is ripe for {' and '.join(known)} at once: "
            f"{past.young(*known).told()}"
        )


def asked(config: Config, absent: frozenset[str]) -> tuple[str, ...]:
    """
    Outcomes that have to be known of a row: they are recorded, and cost something.

    Parameters
    ----------
    config
        With the costs.
    absent
        Outcomes that the history does not record.
    """
    costs = harm_costs_cny(config)
    names = [OUTCOME_OF[harm] for harm, cost in costs.items() if cost]
    return tuple(name for name in names if name not in absent)


def _limit_complainers(
    frame: pl.DataFrame, limit: int | None
) -> tuple[pl.DataFrame, list[CodedWarning]]:
    """
    Let a customer count as so many parcels at most, whatever happened to them.

    Which ones is drawn by a hash: leaving out complaints themselves, or customers for
    the number of them, would make the service look better on which more are made.
    """
    import polars as pl

    if limit is None:
        return frame, []
    lot = pl.Series("lot", order_keys(frame["order_id"], salt=5)[0])
    key = pl.col("customer_key")
    place = pl.col("lot").rank("ordinal").over("customer_key")
    kept = frame.with_columns(lot).filter(key.is_null() | (place <= limit)).drop("lot")
    num_left = len(frame) - len(kept)
    if num_left == 0:
        return kept, []
    return kept, [warn("CUSTOMERS_LIMITED", num_parcels=num_left, limit=limit)]


def _unknown_reasons(frame: pl.DataFrame) -> list[CodedWarning]:
    known = (*BENEFIT_OF_REASON,)
    reasons = frame["complaint_reason"].drop_nulls()
    unknown = sorted(set(reasons.filter(~reasons.is_in(known)).to_list()))
    if not unknown:
        return []
    return [warn("UNKNOWN_COMPLAINT_REASONS", reasons=some(unknown), known=known)]
