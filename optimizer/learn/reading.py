"""Outcomes of one place, or of several, read batch by batch within bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.config import expand_date
from optimizer.contracts.tables import OUTCOMES
from optimizer.errors import DataError
from optimizer.io.asked_columns import require_features, with_features
from optimizer.io.cells import cell_rules
from optimizer.io.order_keys import order_keys
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source, read_batches
from optimizer.io.validate import check_batch, require_rows
from optimizer.learn.decided import DECIDED, each_with_decisions
from optimizer.learn.outcomes_source import local_outcomes
from optimizer.learn.risk import OUTCOME_OF, harm_costs_cny
from optimizer.learn.service import (
    later_than_premium,
    refuse_forgotten,
    refuse_published,
    says_service,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.columns import Table
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.cells import CellRules
    from optimizer.io.read import Source
    from optimizer.learn.repeats import Seen
    from optimizer.learn.window import Window

#: What happened to a parcel: columns that an export may lack.
RECORDED = ("complaint", "logistics_return", "complaint_reason", "claim_cny")


@dataclass(frozen=True, slots=True, eq=False)
class Read:
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


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """
    Which rows of outcomes are read, and by which rules.

    Attributes
    ----------
    config, window, most_beside
        As :func:`~optimizer.learn.history.read_history` takes them.
    nights
        Published nights whose decisions are joined, by date.
    seen
        Is told of every row, before some are left out.
    """

    config: Config
    window: Window
    most_beside: int | None
    nights: Mapping[dt.date, Path]
    seen: Seen


def read_all(data: Any, wanted: Wanted) -> Read:
    """
    Read outcomes of one place or several.

    Parameters
    ----------
    data
        As :func:`~optimizer.learn.history.read_history` takes it.
    wanted
        Which rows, and by which rules.

    Raises
    ------
    DataError
        When one of them lacks a harm that costs something, and another has it.
    """
    import polars as pl

    if not isinstance(data, list | tuple):
        return _read(data, wanted)
    if not data:
        raise DataError("the outcomes table is an empty list; name a file")
    parts = [_read(each, wanted) for each in data]
    _refuse_half_recorded([part.absent for part in parts], data, wanted.config)
    times = max(part.times for part in parts)
    frame = pl.concat([_drawn(part.frame, times) for part in parts])
    absent = frozenset.union(*(part.absent for part in parts))
    told = [warning for part in parts for warning in part.warnings]
    return Read(frame.sort("date", "order_id"), times, absent, (*told,))


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


def _read(data: Any, wanted: Wanted) -> Read:
    config, window, nights = wanted.config, wanted.window, wanted.nights
    rules, table = cell_rules(config), with_features(OUTCOMES, config)
    needed = [name for name in _needed(config) if not (nights and name in DECIDED)]
    with local_outcomes(data, table, rules) as given:
        source = None
        if _is_other(data, config, window):
            source = _as_contracted(given, table, needed, rules)
        if source is None:
            source = open_source(given, table, require=needed, rules=rules)
        frame, times, refused = _read_source(source, wanted)
    untold: list[CodedWarning] = []
    if window.runs is None and not says_service(source):
        used = dated(frame, window)
        refuse_published(used, source.label, config)
        untold = later_than_premium(used, source.label, config, window.as_of)
    elif window.runs is None:
        refuse_forgotten(dated(frame, window), source.label, config)
    return Read(frame, times, not_recorded(source), (*refused, *untold))


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
    source: Source, wanted: Wanted
) -> tuple[pl.DataFrame, int, list[CodedWarning]]:
    """Read them from where they are by now."""
    import polars as pl

    config, most_beside = wanted.config, wanted.most_beside
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
    for batch in each_with_decisions(checked(), wanted.nights, is_told=is_told):
        wanted.seen.add(batch)
        parts.append(_drawn(batch, times))
        while most_beside is not None and sum(map(num_beside, parts)) > most_beside:
            # Which are left depends on how many there are, not on their order.
            times *= 2
            parts = [_drawn(part, times) for part in parts]
    require_rows(source, num_rows)
    share, name = config.quarantine.max_share, OUTCOMES.name
    log.refuse_beyond(share, {name: num_rows}, {name: source})
    frame = pl.concat(parts).drop("row").sort("date", "order_id")
    return frame, times, log.left_out(source, num_rows)


def _is_beside(frame: pl.DataFrame) -> pl.Series:
    """Standard parcels that could not have got premium."""
    chance = frame["propensity"].fill_null(0.0)
    is_premium = frame["is_premium"].fill_null(value=False)
    return ~is_premium & ((chance <= 0) | (chance >= 1))


def num_beside(frame: pl.DataFrame) -> int:
    """
    Count standard parcels that could not have got premium.

    Parameters
    ----------
    frame
        Outcomes.
    """
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


def dated(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """
    The rows of the dates to take.

    Parameters
    ----------
    frame
        Outcomes, ascending by date.
    window
        Which dates.
    """
    first, last = window.first or frame["date"][0], window.last or frame["date"][-1]
    return frame.filter(frame["date"].is_between(first, last))
