r"""
Rows mature: a parcel without a complaint so far is not a parcel without a complaint.

A row is *ripe* for an outcome once it was observed for the outcome's maturity, in days
from the decision; before, it waits and counts nowhere. Where the day of the event is
known, events later than the maturity do not count either: every row is judged by the
same window, however long it was observed and whichever service it got. Without that,
complaints that come later on one service than on the other look like an effect.

The maturity is the configured one. Failing that, it is learned from the delays of the
events, for either service on its own, and the longer counts. An event is in the table
only if it came before the row's last day of observation, so delays are truncated on
the right; with :math:`\delta` an event's delay and :math:`w` the days of its row,

.. math:: \hat F(t) = \prod_{s > t} \Bigl(1 -
          \frac{\#\{\delta = s\}}{\#\{\delta \le s \le w\}}\Bigr)

is their distribution up to the longest observation, and the maturity the first day by
which ``SHARE_IN`` of them have come. Nothing is known of what comes after the longest
observation: where that is not well beyond, ``ASSUMED_DAYS`` count.

References
----------
Lynden-Bell, D. (1971). A method of allowing for known observational selection in small
samples. Monthly Notices of the Royal Astronomical Society 155, 95-118.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from optimizer.config.learning import ASSUMED_DAYS
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config.learning import MaturityDays
    from optimizer.contracts.warnings import CodedWarning

#: Columns with the day of each outcome.
DAY_OF = {"complaint": "complaint_date", "logistics_return": "return_date"}
#: Share of an outcome's events that come within its maturity.
SHARE_IN = 0.995
#: Events of either service that a maturity is learned from, and of a day's risk set.
MIN_DELAYS = 20
#: A learned maturity is at most this share of the longest observation.
_WELL_WITHIN = 0.8

Source = Literal["stated", "learned", "assumed", "none"]
_CODES = {
    "stated": "ROWS_WAIT",
    "learned": "ROWS_WAIT_AS_LEARNED",
    "assumed": "ROWS_WAIT_AS_ASSUMED",
}


@dataclass(frozen=True, slots=True, eq=False)
class Maturity:
    """
    When rows count for an outcome, and how many do not.

    Attributes
    ----------
    outcome
        Column of the outcomes table.
    num_days
        Days from the decision; ``None``: the table says of no row that it is unripe.
    source
        Where the days come from.
    is_ripe
        ``(n,) bool``.
    num_late
        Events that came later than that and do not count.
    first_ripe
        Day of learning on which the next row will count, ``None`` where none waits.
    """

    outcome: str
    num_days: int | None
    source: Source
    is_ripe: NDArray[np.bool_]
    num_late: int
    first_ripe: dt.date | None

    @property
    def num_waiting(self) -> int:
        """Rows that are not ripe."""
        return int((~self.is_ripe).sum())

    def to_json(self) -> dict[str, Any]:
        """Give all but the rows themselves."""
        first = self.first_ripe
        return {
            "outcome": self.outcome,
            "num_days": self.num_days,
            "source": self.source,
            "num_ripe": int(self.is_ripe.sum()),
            "num_waiting": self.num_waiting,
            "num_late": self.num_late,
            "first_ripe": None if first is None else str(first),
        }


def ripen(
    frame: pl.DataFrame, stated: MaturityDays | None, as_of: dt.date
) -> tuple[pl.DataFrame, dict[str, Maturity]]:
    """
    Find the rows that are ripe for each outcome, and judge all by the same window.

    Parameters
    ----------
    frame
        Outcomes.
    stated
        The configured days.
    as_of
        Day of learning.

    Returns
    -------
    pl.DataFrame
        The outcomes, without events that came too late to count.
    dict
        The maturity of each outcome.
    """
    import polars as pl

    given = {} if stated is None else stated.by_outcome()
    found: dict[str, Maturity] = {}
    for outcome, day in DAY_OF.items():
        until = _until(frame, as_of, is_stated=outcome in given)
        window = (until - frame["date"]).dt.total_days()
        delay = (frame[day] - frame["date"]).dt.total_days()
        num_days, source = _days(frame, delay, window, outcome, given.get(outcome))
        if num_days is None:
            found[outcome] = _all_ripe(frame, outcome)
            continue
        is_late = (delay > num_days).fill_null(value=False)
        is_ripe = (window >= num_days).fill_null(value=True)
        waiting = frame.filter(~is_ripe)["date"]
        found[outcome] = Maturity(
            outcome,
            num_days,
            source,
            is_ripe.to_numpy(),
            int((is_late & is_ripe).sum()),
            _first_ripe(waiting, num_days),
        )
        gone = [day] + (["complaint_reason"] if outcome == "complaint" else [])
        frame = frame.with_columns(
            (pl.col(outcome) & ~is_late).alias(outcome),
            *(
                pl.when(is_late).then(None).otherwise(pl.col(name)).alias(name)
                for name in gone
            ),
        )
    return frame, found


def _first_ripe(waiting: pl.Series, num_days: int) -> dt.date | None:
    import datetime as dt

    if len(waiting) == 0:
        return None
    first: dt.date = waiting.sort()[0]
    # A day is observed once it is over.
    return first + dt.timedelta(num_days + 1)


def _all_ripe(frame: pl.DataFrame, outcome: str) -> Maturity:
    return Maturity(outcome, None, "none", np.ones(len(frame), np.bool_), 0, None)


def _until(frame: pl.DataFrame, as_of: dt.date, *, is_stated: bool) -> pl.Series:
    """
    Last day of observation of each row; null: for as long as it takes.

    Where the table does not say and the maturity is stated, it is the day before
    learning; where it has days of events, the last day that it has.
    """
    import datetime as dt

    until = frame["observed_until"]
    if is_stated:
        return until.fill_null(as_of - dt.timedelta(1))
    days = [frame[name] for name in ("date", *DAY_OF.values())]
    if until.is_null().all() and any(d.is_not_null().any() for d in days[1:]):
        last = max(d.max() for d in days if d.is_not_null().any())  # type: ignore[type-var]
        return until.fill_null(last)
    return until


def _days(
    frame: pl.DataFrame,
    delay: pl.Series,
    window: pl.Series,
    outcome: str,
    stated: int | None,
) -> tuple[int | None, Source]:
    """Days until an outcome is ripe, and who says so."""
    if stated is not None:
        return stated, "stated"
    if window.is_null().all():
        return None, "none"
    learned = []
    for side in (frame["is_premium"], ~frame["is_premium"]):
        seen = side & frame[outcome] & delay.is_not_null()
        days = delay.filter(seen).to_numpy()
        # A row that is observed for as long as it takes is in every risk set.
        longest = window.filter(seen).fill_null(np.iinfo(np.int64).max).to_numpy()
        learned.append(delay_quantile(days, longest))
    known = [days for days in learned if days is not None]
    if len(known) == len(learned):
        return max(known), "learned"
    return max(ASSUMED_DAYS[outcome], *known, 0), "assumed"


def delay_quantile(delay: NDArray[np.int64], window: NDArray[np.int64]) -> int | None:
    """
    First day by which ``SHARE_IN`` of the events have come.

    Parameters
    ----------
    delay
        ``(n,) int64``: days from decision to event.
    window
        ``(n,) int64``: days for which its row was observed, at least the delay.

    Returns
    -------
    int or None
        ``None`` where too few events, or too short an observation, can say.

    Examples
    --------
    >>> delay = np.repeat(np.arange(5), 40)
    >>> delay_quantile(delay, np.full(200, 30))
    4
    >>> delay_quantile(delay, np.full(200, 4)) is None
    True
    """
    if len(delay) < MIN_DELAYS:
        return None
    last = int(np.sort(window)[-MIN_DELAYS])
    days = np.arange(int(delay.max()) + 1)
    come = np.bincount(delay, minlength=len(days))
    started = np.cumsum(come)
    # Rows whose observation ended before a day are in none of its risk sets.
    ended = np.searchsorted(np.sort(window), days, side="left")
    at_risk = started - ended
    is_known = at_risk >= MIN_DELAYS
    hazard = np.where(is_known, come / np.maximum(at_risk, 1), 0.0)
    left = np.cumprod((1 - hazard)[::-1])[::-1]
    share = np.append(left[1:], 1.0)
    found = int(np.flatnonzero(share >= SHARE_IN)[0])
    return found if found <= _WELL_WITHIN * last else None


def told(maturity: Mapping[str, Maturity]) -> list[CodedWarning]:
    """Say how many rows wait for each outcome."""
    return [
        warn(
            _CODES[one.source],
            num_rows=one.num_waiting,
            num_parcels=len(one.is_ripe),
            outcome=one.outcome,
            num_days=one.num_days,
            first_ripe=str(one.first_ripe),
        )
        for one in maturity.values()
        if one.num_waiting and one.num_days is not None
    ]


def young_unknown(
    frame: pl.DataFrame, maturity: Mapping[str, Maturity], as_of: dt.date
) -> list[CodedWarning]:
    """
    Say how many young rows count although nothing says that they are ripe.

    Parameters
    ----------
    frame
        Outcomes.
    maturity
        Of the outcomes that are recorded.
    as_of
        Day of learning.
    """
    import polars as pl

    age = frame.select((pl.lit(as_of) - pl.col("date")).dt.total_days()).to_series()
    found = []
    for one in maturity.values():
        num_young = int((age <= ASSUMED_DAYS[one.outcome]).sum())
        if one.source == "none" and num_young:
            found.append(
                warn(
                    "MATURITY_NOT_KNOWN",
                    num_rows=num_young,
                    num_parcels=len(frame),
                    outcome=one.outcome,
                    num_days=ASSUMED_DAYS[one.outcome],
                )
            )
    return found


def refuse_unripe(maturity: Maturity) -> None:
    """
    Refuse outcomes of which no row is ripe.

    Raises
    ------
    DataError
        When all of them wait.
    """
    if maturity.is_ripe.any():
        return
    count = counted(len(maturity.is_ripe), "row")
    raise DataError(
        f"outcomes: none of {count} is ripe for {maturity.outcome}: it is known only "
        f"{maturity.num_days} days after the decision (learning.maturity_days, "
        f"{maturity.source}), and the first row will be on {maturity.first_ripe}; "
        "wait until then and read the outcomes again, or state fewer days if no "
        "complaint or return comes later"
    )
