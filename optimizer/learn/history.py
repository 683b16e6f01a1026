"""Outcomes of past nights, read and refused where they cannot teach."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.config import expand_date
from optimizer.config.business_date import as_business_date
from optimizer.contracts.complaints import BENEFIT_OF_REASON
from optimizer.contracts.tables import OUTCOMES
from optimizer.contracts.warnings import some, warn
from optimizer.errors import ConfigError, DataError, counted
from optimizer.io.asked_columns import require_features, with_features
from optimizer.io.cells import cell_rules
from optimizer.io.order_keys import order_keys
from optimizer.io.read import open_source, read_batches
from optimizer.io.validate import QuarantineLog, check_batch, require_rows
from optimizer.learn.alarms import history_alarms
from optimizer.learn.decided import (
    DECIDED,
    each_with_decisions,
    published_nights,
    without_outcome,
)
from optimizer.learn.features import features_of
from optimizer.learn.maturity import DAY_OF, refuse_unripe, ripen, told, young_unknown
from optimizer.learn.outcomes_source import local_outcomes
from optimizer.learn.repeats import Seen
from optimizer.learn.risk import OUTCOME_OF, harm_costs_cny
from optimizer.learn.service import later_than_premium, refuse_published, says_service
from optimizer.learn.waiting import Waiting, waiting

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.columns import Table
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.cells import CellRules
    from optimizer.io.read import Source
    from optimizer.learn.maturity import Maturity

#: What happened to a parcel: columns that an export may lack.
RECORDED = ("complaint", "logistics_return", "complaint_reason", "claim_cny")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """
    Which nights to use, and the day of learning.

    Attributes
    ----------
    as_of
        Day of learning: nothing from it or after it can have been observed.
    first, last
        Dates to take, both included; ``None``: all.
    runs
        Folder of published nights, whose decisions are joined to their orders;
        ``None``: the outcomes have them.
    """

    as_of: dt.date
    first: dt.date | None = None
    last: dt.date | None = None
    runs: Path | None = None


def learning_window(
    config: Config,
    first: dt.date | str | None,
    last: dt.date | str | None,
    as_of: dt.date | str | None,
    runs: Path | str | None = None,
) -> Window:
    """
    Say which nights to use.

    Parameters
    ----------
    config
        Its time zone says which day today is.
    first, last
        Dates to take, both included; ``None``: all.
    as_of
        Day of learning; ``None``: today.
    runs
        Folder of published nights, whose decisions are joined.

    Raises
    ------
    ConfigError
        When one is no date, or the last is before the first.
    """
    import datetime as dt
    from zoneinfo import ZoneInfo

    today = dt.datetime.now(ZoneInfo(config.timezone)).date()
    days = [None if day is None else as_business_date(day) for day in (first, last)]
    learning = today if as_of is None else as_business_date(as_of)
    folder = None if runs is None else Path(runs)
    found = Window(learning, days[0], days[1], folder)
    if found.first and found.last and found.first > found.last:
        raise ConfigError(f"--from {found.first} is after --to {found.last}")
    return found


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
    """

    rows: pl.DataFrame
    maturity: Mapping[str, Maturity]
    frame: pl.DataFrame
    warnings: tuple[CodedWarning, ...]
    times: int = 1
    absent: frozenset[str] = frozenset()

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

    nights = {} if window.runs is None else published_nights(window.runs)
    with closing(Seen()) as seen:
        read = _read_all(data, config, window, most_beside, nights, seen)
        frame, times = read.frame, read.times
        if times == 1:
            _refuse_repeats(frame)
        seen.refuse()
    _refuse_future(frame, window)
    _refuse_impossible_days(frame, window)
    frame = _within(frame, window)
    _refuse_before_rules(frame, config)
    _refuse_breaks(frame, config.learning.regime_breaks)
    _refuse_contradictions(frame)
    lost = without_outcome(frame, nights) if nights else []
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
        is_by_station=config.holdout.unit == "station-day",
    )
    found = [*read.warnings, *lost, *found, *_unknown_reasons(rows)]
    young = young_unknown(rows, {n: maturity[n] for n in known}, window.as_of)
    recorded = {n: one for n, one in maturity.items() if n not in read.absent}
    warnings = (*alarms, *found, *told(recorded), *young)
    if times > 1:
        beside = _num_beside(rows)
        warnings = (warn("OUTCOMES_DRAWN", num_parcels=beside, times=times), *warnings)
    ripe = rows.filter(pl.Series(is_ripe))
    return History(rows, maturity, ripe, warnings, times, read.absent)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """
    What was read of one place, or of several.

    Attributes
    ----------
    frame
        Rows that count, ascending by date and ``order_id``.
    times
        For how many others each stands that was not randomised.
    absent
        Outcomes that the table does not record.
    warnings
        What is not known of them.
    """

    frame: pl.DataFrame
    times: int
    absent: frozenset[str]
    warnings: tuple[CodedWarning, ...] = ()


def _read_all(
    data: Any,
    config: Config,
    window: Window,
    most_beside: int | None,
    nights: Mapping[dt.date, Path],
    seen: Seen,
) -> _Read:
    """
    As :func:`_read`, of one place or several.

    Raises
    ------
    DataError
        When one of them lacks a harm that costs something, and another has it.
    """
    import polars as pl

    if not isinstance(data, list | tuple):
        return _read(data, config, window, most_beside, nights, seen)
    if not data:
        raise DataError("the outcomes table is an empty list; name a file")
    parts = [_read(each, config, window, most_beside, nights, seen) for each in data]
    _refuse_half_recorded([part.absent for part in parts], data, config)
    times = max(part.times for part in parts)
    frame = pl.concat([_drawn(part.frame, times) for part in parts])
    absent = frozenset.union(*(part.absent for part in parts))
    told = [warning for part in parts for warning in part.warnings]
    return _Read(frame.sort("date", "order_id"), times, absent, (*told,))


def _refuse_half_recorded(
    absent: Sequence[frozenset[str]], data: Sequence[Any], config: Config
) -> None:
    """Refuse places of which one says nothing of what another records: no is not no."""
    for harm, cost in harm_costs_cny(config).items():
        column = OUTCOME_OF[harm]
        lacks = [column in part for part in absent]
        if cost and any(lacks) and not all(lacks):
            one, other = data[lacks.index(True)], data[lacks.index(False)]
            raise DataError(
                f"outcomes: {_named(one)} does not record {column}, and "
                f"{_named(other)} does; parcels of the first would count as parcels "
                "that it did not happen to. Give both the column, or leave one out"
            )


def _named(data: Any) -> str:
    return str(data) if isinstance(data, str | Path) else "a table"


def _read(
    data: Any,
    config: Config,
    window: Window,
    most_beside: int | None,
    nights: Mapping[dt.date, Path],
    seen: Seen,
) -> _Read:
    rules, table = cell_rules(config), with_features(OUTCOMES, config)
    needed = [name for name in _needed(config) if not (nights and name in DECIDED)]
    with local_outcomes(data, table, rules) as given:
        source = None
        if _is_other(data, config, window):
            source = _as_contracted(given, table, needed, rules)
        if source is None:
            source = open_source(given, table, require=needed, rules=rules)
        frame, times = _read_source(source, config, most_beside, nights, seen)
    untold: list[CodedWarning] = []
    if window.runs is None and not says_service(source):
        used = _dated(frame, window)
        refuse_published(used, source.label, config)
        untold = later_than_premium(used, source.label, config, window.as_of)
    return _Read(frame, times, not_recorded(source), (*untold,))


def not_recorded(source: Source) -> frozenset[str]:
    """
    Find the outcomes that a table does not record.

    Parameters
    ----------
    source
        It has no column of them, or its mapping states a constant instead.
    """
    constants = () if source.mapping is None else source.mapping.constants
    return frozenset(
        name for name in RECORDED if name not in source.columns or name in constants
    )


def _is_other(data: Any, config: Config, window: Window) -> bool:
    """Whether these are not the outcomes whose names ``learning.history`` maps."""
    told = config.learning.history
    if told is None or not told.is_mapped:
        return False
    return str(data) != expand_date(told.path, window.as_of)


def _as_contracted(
    given: Any, table: Table, needed: Sequence[str], rules: CellRules
) -> Source | None:
    """
    Open outcomes by the contract's own names; ``None``: they do not have these.

    A mapping is of an export. Outcomes of nights, which ``--history`` names beside it,
    have the contract's columns.
    """
    others = {n: m for n, m in rules.mappings.items() if n != OUTCOMES.name}
    try:
        return open_source(
            given, table, require=needed, rules=replace(rules, mappings=others)
        )
    except DataError:
        return None


def _read_source(
    source: Source,
    config: Config,
    most_beside: int | None,
    nights: Mapping[dt.date, Path],
    seen: Seen,
) -> tuple[pl.DataFrame, int]:
    """Read them from where they are by now."""
    import polars as pl

    log = QuarantineLog()
    require_features(source, config)
    whole = {"is_premium", "logistics_return"} & {*source.columns}
    source = replace(source, required=source.required | whole)
    parts: list[pl.DataFrame] = []
    num_rows, times = 0, 1

    def checked() -> Iterator[pl.DataFrame]:
        nonlocal num_rows
        for raw in read_batches(source):
            num_rows += len(raw)
            yield check_batch(raw, source, log)

    is_told = says_service(source)
    for batch in each_with_decisions(checked(), nights, is_told=is_told):
        seen.add(batch)
        parts.append(_drawn(batch, times))
        while most_beside is not None and sum(map(_num_beside, parts)) > most_beside:
            # Which are left depends on how many there are, not on their order.
            times *= 2
            parts = [_drawn(part, times) for part in parts]
    require_rows(source, num_rows)
    log.refuse_beyond(config.quarantine.max_share, {OUTCOMES.name: num_rows})
    return pl.concat(parts).drop("row").sort("date", "order_id"), times


def _is_beside(frame: pl.DataFrame) -> pl.Series:
    """Standard parcels that could not have got premium."""
    chance = frame["propensity"].fill_null(0.0)
    is_premium = frame["is_premium"].fill_null(value=False)
    return ~is_premium & ((chance <= 0) | (chance >= 1))


def _num_beside(frame: pl.DataFrame) -> int:
    return int(_is_beside(frame).sum())


def _drawn(frame: pl.DataFrame, times: int) -> pl.DataFrame:
    """One in so many of the parcels that were not randomised, by hash; all others."""
    if times == 1:
        return frame
    import polars as pl

    lot = order_keys(frame["order_id"], salt=7)[0]
    return frame.filter(~_is_beside(frame) | pl.Series(lot % np.uint64(times) == 0))


def _needed(config: Config) -> list[str]:
    """What a history must say, beside what it always must."""
    prior = config.learning.prior
    states_returns = prior is not None and prior.return_prob is not None
    needed = [] if prior is not None else ["is_premium"]
    if config.counts_returns and not states_returns:
        needed.append("logistics_return")
    return needed


def _refuse_repeats(frame: pl.DataFrame) -> None:
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
    kept = _dated(frame, window)
    if len(kept) == 0:
        raise DataError(
            f"outcomes: no decision is dated from {first} to {last}; the table has "
            f"{frame['date'][0]} to {frame['date'][-1]}"
        )
    return kept


def _dated(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """The rows of the dates to take."""
    first, last = window.first or frame["date"][0], window.last or frame["date"][-1]
    return frame.filter(frame["date"].is_between(first, last))


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
