"""
Read → validate → value → build: from tables to the frozen problem, batch by batch.

A run and its replay both use it; it does not know any solver.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.build import encode
from optimizer.build.assemble import build_problem, find_warnings
from optimizer.build.assumed import Grounds, assumptions
from optimizer.build.carryover import EarlierNights
from optimizer.build.drawn_savings import draw_models
from optimizer.build.eligibility import (
    KeptNames,
    named_orders,
    orders_table,
    require_columns,
)
from optimizer.build.encode_rows import (
    Encoded,
    Look,
    RowRules,
    encode_rows,
    encode_with,
)
from optimizer.build.experiment import make_experiment
from optimizer.build.learned_probabilities import gaps_of, model_of, model_warnings
from optimizer.build.lower_bound import Chosen, at_lower_bound, chosen_rows
from optimizer.build.night_lookups import ColumnValues, warn_allowed
from optimizer.build.night_names import check_names
from optimizer.build.night_params import params_of, small_tables
from optimizer.build.service_days import rows_tonight
from optimizer.build.side_constraints import NightInputs
from optimizer.build.want_of_knowledge import hopeful_model
from optimizer.io.asked_columns import asked_columns, columns_there, contracts
from optimizer.io.cells import cell_rules
from optimizer.io.kept import Kept, Same
from optimizer.io.mapped_arrays import folder_of_files, room_of
from optimizer.io.night_sources import lacks_premium, open_night
from optimizer.io.quarantine import QuarantineLog

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.build.drawn_savings import DrawnModels
    from optimizer.build.encode import CodeParams
    from optimizer.build.experiment import Experiment
    from optimizer.build.learned_model import LearnedModel
    from optimizer.build.learned_probabilities import Gaps
    from optimizer.build.lookups import LookupCount
    from optimizer.build.night_params import SmallTables
    from optimizer.clock import StageClock
    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.columns import Table
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.cells import CellRules
    from optimizer.io.read import Source
    from optimizer.model.problem import Problem


@dataclass(frozen=True, slots=True)
class InputRecord:
    """
    One table that went into a night.

    Attributes
    ----------
    name
        ``orders``, ``capacity``, ``options`` or ``merchants``.
    label
        Its name in messages: its path, or that it came from memory.
    num_rows
        Rows read, quarantined ones included.
    read_as
        What was guessed of its form, for the record; empty: nothing.
    unread
        Columns that no rule asks for; nothing of them was read.
    """

    name: str
    label: str
    num_rows: int
    read_as: Mapping[str, Any] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Intake:
    """
    A night that is ready to be solved.

    Attributes
    ----------
    problem, index
        The frozen problem and the names behind its numbers.
    quarantine
        Refused rows.
    inputs
        What was read.
    warnings
        What a person should look at.
    assumed
        What the night's estimates take for true.
    lookups
        How many names of tables and configuration were found.
    orders
        The orders table, to be read again for names.
    salt
        Of the order keys.
    policy
        The rules of the night.
    history
        Carry-over from other nights.
    params
        Costs, promises and take-up.
    effect_model
        The model that gives the probabilities on premium service; ``None``: the
        tables do.
    named
        Names of the orders of a small night; ``None``: they are read again.
    """

    problem: Problem
    index: Names
    quarantine: pl.DataFrame
    inputs: tuple[InputRecord, ...]
    warnings: tuple[CodedWarning, ...]
    assumed: tuple[CodedWarning, ...]
    lookups: tuple[LookupCount, ...]
    orders: Source
    salt: int
    policy: PolicyRow
    history: EarlierNights
    params: CodeParams
    effect_model: LearnedModel | None = None
    named: KeptNames | None = None


def take_in(
    tables: Mapping[str, Any],
    config: Config,
    policy: PolicyRow,
    clock: StageClock,
    history: EarlierNights | None = None,
    look: Look | None = None,
) -> Intake:
    """
    Read, check and value a night's tables, and build its problem.

    Parameters
    ----------
    tables
        ``orders`` and ``capacity``, and perhaps ``options`` and ``merchants``:
        paths or tables; ``None`` where there is none.
    config, policy
        The rules of the night.
    clock
        Measures the stages.
    history
        The business date, and the carry-over from other nights.
    look
        Sees it on the way.

    Raises
    ------
    DataError
        When a table is missing, damaged, empty, or breaks its contract in more
        rows than the configuration allows.
    ConfigError, MachineError
        When files of orders beyond ``solver.memory_gb`` have no folder, or no room.
    """
    history = history or EarlierNights()
    opened = _opened(tables, config, policy, history.day, clock)
    sources, model = opened.sources, opened.model
    small_log = QuarantineLog()
    with clock.stage("validate"):
        small = small_tables(sources, config, history.day, small_log)
        further = asked_columns(config, sources)
    by = RowRules(
        params=params_of(sources, config, policy, small, model, further),
        eligibility=policy.eligibility,
        model=model if opened.drawn is None else opened.drawn.night,
        hopeful=hopeful_model(model),
        drawn=opened.drawn,
        values=ColumnValues(policy.eligibility),
        outboxes=config.outbox,
        look=look,
        room=room_of(config.solver.memory_gb),
    )
    encoded = encode_rows(sources, by, clock)
    with clock.stage("validate"):
        encoded.log.refuse_beyond(config.quarantine.max_share, encoded.counts, sources)
        names = check_names(
            encoded.coder,
            _merchants_of(encoded),
            by.values,
            capacity=small.capacity,
            merchants=small.merchants,
            sources=sources,
            config=config,
            policy=policy,
        )
    with clock.stage("build"):
        problem, index = _built(
            encoded,
            small,
            config,
            policy,
            history=history,
            experiment=opened.experiment,
            look=look,
        )
    gaps = gaps_of(sources, model)
    return Intake(
        problem=problem,
        index=index,
        quarantine=encoded.log.frame(),
        inputs=_records_of(sources, encoded.counts | small.counts),
        warnings=(
            *names.unfound,
            *warn_allowed(config, sources, tables.get("deliveries")),
            *find_warnings(index, encoded.coder, config),
            *names.changed,
            *model_warnings(by.model, history.day, gaps),
            *encoded.hopes.warnings(int(problem.cap.sum())),
            *(w for name, s in sources.items() for w in s.notes.warnings(name)),
            *small_log.warnings(config.timezone),
            *encoded.log.warnings(config.timezone),
        ),
        assumed=_assumed(encoded, model, gaps, config, policy, day=history.day),
        lookups=names.lookups,
        orders=sources["orders"],
        salt=encoded.coder.salt,
        policy=policy,
        history=history,
        params=by.params,
        effect_model=model if gaps.premium else None,
        named=encoded.named,
    )


def _assumed(
    encoded: Encoded,
    model: LearnedModel | None,
    gaps: Gaps,
    config: Config,
    policy: PolicyRow,
    *,
    day: dt.date | None,
) -> tuple[CodedWarning, ...]:
    """Say what the estimates of encoded rows take for true."""
    grounds = Grounds(
        model=model,
        gaps=gaps,
        config=config,
        policy=policy,
        day=day,
        unseen=encoded.unseen.counts,
        num_orders=_num_orders(encoded),
    )
    return assumptions(grounds)


class _Opened(NamedTuple):
    """A night's tables before their rows are read, and its model and draws."""

    sources: dict[str, Source]
    model: LearnedModel | None
    experiment: Experiment
    drawn: DrawnModels | None


def _opened(
    tables: Mapping[str, Any],
    config: Config,
    policy: PolicyRow,
    day: dt.date | None,
    clock: StageClock,
) -> _Opened:
    """Open a night's tables, and read its model; what rules need has to be there."""
    experiment = make_experiment(config.holdout, day, config.objective)
    with clock.stage("read"):
        if config.solver.memory_gb is not None:
            folder_of_files()
        model = model_of(config, day)
        agreed = _agreed(config, policy)
        sources = open_night(
            tables, agreed.contracts, has_model=model is not None, rules=agreed.cells
        )
        require_columns(sources["orders"], policy.eligibility)
        drawn = draw_models(model, experiment, is_asked=lacks_premium(sources))
    return _Opened(sources, model, experiment, drawn)


def _built(
    encoded: Encoded,
    small: SmallTables,
    config: Config,
    policy: PolicyRow,
    *,
    history: EarlierNights,
    experiment: Experiment,
    look: Look | None,
) -> tuple[Problem, Names]:
    """Build the problem of encoded rows, with what other nights left of the slots."""
    days = encoded.coder.days
    rows, taken = rows_tonight(small.rows, config.capacity, days, history)
    given = NightInputs(
        orders=encoded.orders,
        options=encoded.options,
        coder=encoded.coder,
        capacity=rows,
        merchants=small.merchants,
        config=config,
        policy=policy,
        draws=encoded.draws.whole(),
    )
    if look is not None:
        look.night(given)
    return build_problem(
        given,
        num_rows=encoded.counts["orders"],
        taken=taken,
        history=history,
        experiment=experiment,
    )


def _records_of(
    sources: Mapping[str, Source], counts: Mapping[str, int]
) -> tuple[InputRecord, ...]:
    """What was read of each table."""
    return tuple(
        InputRecord(name, s.label, counts[name], s.notes.to_json(), s.unread)
        for name, s in sources.items()
    )


class _Agreed(NamedTuple):
    """What a night's tables must be like, and how their cells are read."""

    contracts: Mapping[str, Table]
    cells: CellRules


_AGREED: Kept[_Agreed] = Kept(4)


def _agreed(config: Config, policy: PolicyRow) -> _Agreed:
    """What tables must be like by rules, which mostly are those of the night before."""

    def made() -> _Agreed:
        known = contracts(config, orders_table(policy.eligibility))
        return _Agreed(known, cell_rules(config))

    return _AGREED.get((Same(config), Same(policy)), made)


def take_more(
    tables: Mapping[str, Any], config: Config, intake: Intake, clock: StageClock
) -> tuple[Encoded, pl.DataFrame]:
    """
    Read, check and value further orders of a night, by themselves.

    Parameters
    ----------
    tables
        ``orders``, and ``options`` where the night has them.
    config, intake
        The night, whose probabilities are all in its tables.
    clock
        Measures the stages.

    Returns
    -------
    encoded, named
        With codes of their own, and keys of the night's salt; and their names, as of
        :func:`name_orders`.

    Raises
    ------
    DataError
        When a table breaks its contract, be it in one row.
    """
    import polars as pl

    policy = intake.policy
    agreed = _agreed(config, policy)
    known = {name: agreed.contracts[name] for name in ("orders", "options")}
    given = {**tables, "capacity": ()}
    sources = open_night(given, known, has_model=False, rules=agreed.cells)
    require_columns(sources["orders"], policy.eligibility)
    by = RowRules(
        params=replace(intake.params, columns=columns_there(sources)),
        eligibility=policy.eligibility,
        model=None,
        hopeful=None,
        drawn=None,
        values=ColumnValues(policy.eligibility),
        outboxes=config.outbox,
    )
    log = QuarantineLog()
    coder = encode.make_codes(by.params, intake.salt)
    encoded = encode_with(coder, sources, by, log, clock)
    log.refuse_any()
    if encoded.named is not None:
        named = encoded.named.named()
    else:
        status = encoded.orders.status
        named = pl.concat(named_orders(sources["orders"], status, policy.eligibility))
    return encoded, named


def name_orders(intake: Intake) -> Iterator[pl.DataFrame]:
    """
    Read the orders' names again, of the rows that were not quarantined.

    Returns
    -------
    Iterator of pl.DataFrame
        ``row``, ``order_id``, ``region_id``, and ``ineligible_reason`` where the
        table or the policy has reasons; in the order of the table.
    """
    if intake.named is not None:
        return iter([intake.named.named()])
    return named_orders(intake.orders, intake.index.status, intake.policy.eligibility)


def assumed_of_plan(
    intake: Intake, chosen: NDArray[np.int64]
) -> tuple[CodedWarning, ...]:
    """
    Say what a night takes for true, and what its plan saves if the effect is low.

    Parameters
    ----------
    intake
        The night.
    chosen
        ``(num_chosen,) int64``: the plan's options.
    """
    problem, places = intake.problem, intake.index.places
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    carriers = [places[lane].carrier_id for lane in problem.option_lane[chosen]]
    return assumed_of_rows(
        intake, chosen, chosen_rows(problem.row[order], carriers, intake.orders)
    )


def assumed_of_rows(
    intake: Intake, chosen: NDArray[np.int64], rows: Iterable[pl.DataFrame]
) -> tuple[CodedWarning, ...]:
    """
    Say what a night takes for true, from the rows of its plan.

    Parameters
    ----------
    intake, chosen
        As for :func:`assumed_of_plan`.
    rows
        As of :class:`~optimizer.build.lower_bound.Chosen`; not read where no model
        gives the effect, or nobody is chosen.
    """
    if intake.effect_model is None or not len(chosen):
        return intake.assumed
    is_drawn = intake.index.draws is not None
    saving = None if is_drawn else int(intake.problem.option_saving[chosen].sum())
    low = at_lower_bound(intake.effect_model, Chosen(rows, saving), intake.params)
    return (*intake.assumed, low)


def _merchants_of(encoded: Encoded) -> list[str]:
    """Merchants that have orders, quarantined ones aside."""
    return [*_num_orders(encoded)]


def _num_orders(encoded: Encoded) -> dict[str, int]:
    """Orders by merchant, quarantined ones aside."""
    ids = encoded.coder.merchants.ids
    counts = np.bincount(encoded.orders.merchant, minlength=len(ids))
    return {ids[code]: int(counts[code]) for code in np.flatnonzero(counts)}
