"""Histories that cannot teach: of which days, of which rules, or against themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.contracts.tables import OUTCOMES
from optimizer.errors import DataError, counted
from optimizer.learn.maturity import DAY_OF
from optimizer.learn.reading import dated

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import polars as pl

    from optimizer.config import Config
    from optimizer.learn.window import Window


def fit_to_learn(frame: pl.DataFrame, config: Config, window: Window) -> pl.DataFrame:
    """
    Take the rows of the nights that are wanted, and refuse those that cannot teach.

    Parameters
    ----------
    frame
        Outcomes, ascending by date.
    config
        With its rules, and the days on which they changed.
    window
        Which nights.

    Raises
    ------
    DataError
        When rows lie in the future, before all rules or on both sides of a regime
        break, or contradict their propensity or their days.
    """
    _refuse_future(frame, window)
    _refuse_impossible_days(frame, window)
    frame = _within(frame, window)
    _refuse_before_rules(frame, config)
    _refuse_breaks(frame, config.learning.regime_breaks)
    _refuse_contradictions(frame)
    return frame


def refuse_repeats(frame: pl.DataFrame) -> None:
    """
    Refuse an order that stands twice for a date.

    Parameters
    ----------
    frame
        Outcomes.

    Raises
    ------
    DataError
        With the first of them.
    """
    key = frame.select(OUTCOMES.key)
    is_repeated = key.is_duplicated()
    if is_repeated.any():
        first = frame.filter(is_repeated).row(0, named=True)
        raise DataError(
            f"outcomes: {counted(int(is_repeated.sum()), 'row')} share order and date "
            f"with another row, first order {first['order_id']} of {first['date']}; "
            "keep one row for each order and date"
        )


def _refuse_future(frame: pl.DataFrame, window: Window) -> None:
    late = frame.filter(frame["date"] >= window.as_of)
    if len(late):
        raise DataError(
            f"outcomes: {counted(len(late), 'row')} are of {late['date'][0]} or later, "
            f"and nothing of {window.as_of} or after can have been observed on that "
            "day: learning from it would leak the answer; take them out, or give the "
            "day of learning (--as-of)"
        )


def _refuse_impossible_days(frame: pl.DataFrame, window: Window) -> None:
    """Refuse days before the decision, after the observation, or of no event."""
    import polars as pl

    until = pl.col("observed_until")
    _refuse_where(
        frame,
        until > window.as_of,
        "have an observed_until after {as_of}, the day of "
        "learning: give the day on which the feed was made (--as-of)",
        window,
    )
    _refuse_where(
        frame,
        until < pl.col("date"),
        "have an observed_until before their date: it "
        "is the last day whose complaints and returns the row can hold",
        window,
    )
    for harm, day in DAY_OF.items():
        event = pl.col(day)
        what = f"the {day} of a row with {harm}"
        _refuse_where(
            frame,
            event.is_not_null() & ~pl.col(harm),
            f"have a {day} and no {harm}: "
            f"say true where it happened, and leave {day} empty where not",
            window,
        )
        _refuse_where(
            frame,
            (event < pl.col("date")) | (event > until),
            f"have a {day} before "
            f"their date or after observed_until: {what} lies between",
            window,
        )


def _refuse_where(
    frame: pl.DataFrame, is_wrong: pl.Expr, words: str, window: Window
) -> None:
    wrong = frame.filter(is_wrong)
    if len(wrong):
        raise DataError(
            f"outcomes: {counted(len(wrong), 'row')} {words.format(as_of=window.as_of)}"
            f"; first order {wrong['order_id'][0]} of {wrong['date'][0]}"
        )


def _within(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    first, last = window.first or frame["date"][0], window.last or frame["date"][-1]
    kept = dated(frame, window)
    if len(kept) == 0:
        raise DataError(
            f"outcomes: no decision is dated from {first} to {last}; the table has "
            f"{frame['date'][0]} to {frame['date'][-1]}"
        )
    return kept


def _refuse_before_rules(frame: pl.DataFrame, config: Config) -> None:
    """Refuse nights of which no rule says what premium cost."""
    starts = min(row.valid_from for row in config.policy)
    first, last = frame["date"][0], frame["date"][-1]
    if last < starts:
        raise DataError(
            f"outcomes: all nights, {first} to {last}, are older than the policy, "
            f"whose first row is valid from {starts}: fee and cap of these nights are "
            "not known; give later outcomes, or add the row of their time to policy "
            f"(valid_from: {first})"
        )


def _refuse_breaks(frame: pl.DataFrame, breaks: Sequence[dt.date]) -> None:
    first, last = frame["date"][0], frame["date"][-1]
    for day in breaks:
        if first < day <= last:
            raise DataError(
                f"outcomes: {first} to {last} lies on both sides of {day}, when new "
                "rules came into force (learning.regime_breaks): what was true before "
                f"need not be true after; take one side, such as --from {day}"
            )


def _refuse_contradictions(frame: pl.DataFrame) -> None:
    chance = frame["propensity"]
    is_premium = frame["is_premium"]
    wrong = ((chance == 0) & is_premium) | ((chance == 1) & ~is_premium)
    count = int(wrong.fill_null(value=False).sum())
    if count:
        raise DataError(
            f"outcomes: {counted(count, 'row')} had no chance of what they got "
            "(premium at propensity 0, or standard at 1); join the propensity of the "
            "decisions of the same date"
        )
