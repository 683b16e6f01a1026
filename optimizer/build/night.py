"""
Read → validate → value → build: from tables to the frozen problem, batch by batch.

A run and its replay both use it; it does not know any solver.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from optimizer.build import encode
from optimizer.build.array_records import join, take
from optimizer.build.assemble import build_problem, find_warnings
from optimizer.build.assumed import Grounds, assumptions
from optimizer.build.carryover import EarlierNights
from optimizer.build.drawn_savings import GatheredDraws, draw_models
from optimizer.build.eligibility import (
    KeptNames,
    apply_rules,
    named_orders,
    orders_table,
    require_columns,
)
from optimizer.build.experiment import make_experiment
from optimizer.build.learned_probabilities import (
    StandardRisks,
    fill_options,
    fill_orders,
    gaps_of,
    model_of,
    model_warnings,
    order_shares,
)
from optimizer.build.lower_bound import Chosen, at_lower_bound, chosen_rows
from optimizer.build.night_lookups import ColumnValues, warn_allowed
from optimizer.build.night_names import check_names
from optimizer.build.night_params import params_of, small_tables
from optimizer.build.option_join import make_finder, orders_of_options
from optimizer.build.sendable import is_sendable, without_unsendable
from optimizer.build.service_days import rows_tonight
from optimizer.build.side_constraints import NightInputs
from optimizer.build.unseen_names import CARRIER, UnseenNames, known_names
from optimizer.build.want_of_knowledge import Hopes, hopeful_model
from optimizer.errors import DataError
from optimizer.io.asked_columns import asked_columns, columns_there, contracts
from optimizer.io.cells import cell_rules
from optimizer.io.duplicates import KeyCollision, refuse_repeated_pairs, refuse_repeats
from optimizer.io.kept import Kept, Same
from optimizer.io.night_sources import PREMIUM_PROBS, lacks_premium, open_night
from optimizer.io.order_keys import refused_keys
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import BATCH_ROWS, worded_batches
from optimizer.io.read_ahead import read_ahead
from optimizer.io.validate import checked_batch, require_rows
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.build.drawn_savings import DrawnModels
    from optimizer.build.encode import (
        CodeParams,
        NightCodes,
        OptionArrays,
        OrderArrays,
        OrderBasis,
    )
    from optimizer.build.learned_model import LearnedModel
    from optimizer.build.learned_probabilities import OrderShares
    from optimizer.build.lookups import LookupCount
    from optimizer.build.option_join import OrderFinder
    from optimizer.clock import StageClock
    from optimizer.config import Config, EligibilityRule, PolicyRow
    from optimizer.config.sinks import Outbox
    from optimizer.contracts.columns import Table
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.cells import CellRules
    from optimizer.io.read import Source
    from optimizer.io.validate import CheckedBatch
    from optimizer.model.problem import Problem


#: Keys are retried with another salt when two ids share one; twice is a miracle.
MAX_SALTS = 8


class Look(Protocol):
    """Sees a night while it is taken in, and changes nothing of it."""

    def batch(self, source: Source, frame: pl.DataFrame) -> None:
        """See checked rows of orders or options, with the model's probabilities."""

    def night(self, given: NightInputs) -> None:
        """See the whole night, before its problem is made."""


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
    """
    history = history or EarlierNights()
    experiment = make_experiment(config.holdout, history.day, config.objective)
    with clock.stage("read"):
        model = model_of(config, history.day)
        agreed = _agreed(config, policy)
        sources = open_night(
            tables, agreed.contracts, has_model=model is not None, rules=agreed.cells
        )
        require_columns(sources["orders"], policy.eligibility)
        drawn = draw_models(model, experiment, is_asked=lacks_premium(sources))
    small_log = QuarantineLog()
    with clock.stage("validate"):
        small = small_tables(sources, config, history.day, small_log)
        further = asked_columns(config, sources)
    by = _By(
        params=params_of(sources, config, policy, small, model, further),
        eligibility=policy.eligibility,
        model=model if drawn is None else drawn.night,
        hopeful=hopeful_model(model),
        drawn=drawn,
        values=ColumnValues(policy.eligibility),
        outboxes=config.outbox,
        look=look,
    )
    encoded = _encode(sources, by, clock)
    with clock.stage("validate"):
        encoded.log.refuse_beyond(config.quarantine.max_share, encoded.counts)
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
        problem, index = build_problem(
            given,
            num_rows=encoded.counts["orders"],
            taken=taken,
            history=history,
            experiment=experiment,
        )
    gaps = gaps_of(sources, model)
    grounds = Grounds(
        model=model,
        gaps=gaps,
        config=config,
        policy=policy,
        day=history.day,
        unseen=encoded.unseen.counts,
    )
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
        assumed=assumptions(grounds),
        lookups=names.lookups,
        orders=sources["orders"],
        salt=encoded.coder.salt,
        policy=policy,
        history=history,
        params=by.params,
        effect_model=model if gaps.premium else None,
        named=encoded.named,
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
    by = _By(
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
    encode_all = _encode_choice if "options" in sources else _encode_single
    encoded = encode_all(sources, coder, by, log, clock)
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


@dataclass(frozen=True, slots=True, eq=False)
class _By:
    """How orders are encoded: first codes, eligibility, a model, what notes them."""

    params: encode.CodeParams
    eligibility: Sequence[EligibilityRule]
    model: LearnedModel | None
    hopeful: LearnedModel | None
    drawn: DrawnModels | None
    values: ColumnValues
    outboxes: tuple[Outbox, ...]
    look: Look | None = None

    @property
    def others(self) -> tuple[LearnedModel, ...]:
        """Models that value the night beside the one that decides, the mean first."""
        return () if self.drawn is None else (self.drawn.mean, *self.drawn.further)

    def see(self, source: Source, frame: pl.DataFrame) -> None:
        """Show a batch to whoever looks."""
        if self.look is not None:
            self.look.batch(source, frame)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """All orders and options as arrays; codes, broken rows, hopes, draws, names."""

    orders: OrderArrays
    options: OptionArrays
    coder: NightCodes
    counts: dict[str, int]
    log: QuarantineLog
    hopes: Hopes
    draws: GatheredDraws
    unseen: UnseenNames
    named: KeptNames | None = None


def _encode(
    sources: Mapping[str, Source],
    by: _By,
    clock: StageClock,
) -> Encoded:
    """Encode the night; with another salt if two ids share a key."""
    for salt in range(MAX_SALTS):
        coder = encode.make_codes(by.params, salt)
        encode_all = _encode_choice if "options" in sources else _encode_single
        try:
            return encode_all(sources, coder, by, QuarantineLog(), clock)
        except KeyCollision:
            continue
    raise DataError("order ids share keys under every salt; this cannot be by chance")


def _encode_single(
    sources: Mapping[str, Source],
    coder: NightCodes,
    by: _By,
    log: QuarantineLog,
    clock: StageClock,
) -> Encoded:
    """Encode orders that each go with their own carrier."""
    source = sources["orders"]
    orders, options, num_rows, first = [], [], 0, 0
    hopes, draws, kept = Hopes(), GatheredDraws(by.drawn), KeptNames(source)
    unseen = UnseenNames(known_names(by.model))
    for batch_in in _checked(source, coder.salt, log, clock):
        frame, words = batch_in.rows.frame, batch_in.rows.words
        num_rows += batch_in.rows.num_rows
        clock.tell_rows("orders", num_rows)
        with clock.stage("value"):
            by.values.note(frame)
            frame = apply_rules(frame, by.eligibility) if by.eligibility else frame
            kept.note(frame)
            unseen.note(frame, frame.columns)
            given, frame = frame, fill_orders(frame, by.model)
            by.see(source, frame)
            batch = encode.encode_orders(
                frame, coder, words, batch_in.rows.keys.get("order_id")
            )
            batch = without_unsendable(frame, batch, by.params.roster, by.outboxes)
            batch, own = encode.encode_own_carrier(frame, batch, coder, first, words)
            options.append(own)
            bare = frame.with_columns(given.select(*PREMIUM_PROBS))
            other = _OwnBatch(bare, batch, coder, first)
            known = draws.note([*map(other.valued, by.others)]) or own
            if by.hopeful is not None:
                hopes.note(known, other.valued(by.hopeful))
        orders.append(batch)
        first += len(frame)
    require_rows(source, num_rows)
    with clock.stage("validate"):
        together = _distinct(source, orders)
    counts = {"orders": num_rows}
    return Encoded(
        orders=together,
        options=join(options),
        coder=coder,
        counts=counts,
        log=log,
        hopes=hopes,
        draws=draws,
        unseen=unseen,
        named=kept if kept.is_any else None,
    )


class _Checked(NamedTuple):
    """Checked rows of a batch of orders, and the keys of those that were refused."""

    rows: CheckedBatch
    refused: NDArray[np.uint64]


def _checked(
    source: Source, salt: int, log: QuarantineLog, clock: StageClock
) -> Iterator[_Checked]:
    """Read and check the orders; of a large table while the batch before is valued."""

    def made() -> Iterator[_Checked]:
        batches = worded_batches(source, coded=encode.CODED)
        for raw, words in clock.measured("read", batches):
            with clock.stage("validate"):
                rows = checked_batch(raw, source, log, encode.CODED, words)
                found = _Checked(rows, refused_keys(raw, rows.frame, salt))
            yield found

    return read_ahead(made()) if _is_large(source) else made()


def _joined(
    source: Source,
    finder: OrderFinder,
    salt: int,
    log: QuarantineLog,
    clock: StageClock,
) -> Iterator[tuple[CheckedBatch, NDArray[np.int64]]]:
    """Read, check and join the options, likewise; with the order of each."""

    def made() -> Iterator[tuple[CheckedBatch, NDArray[np.int64]]]:
        batches = worded_batches(source, coded=encode.CODED)
        for raw, words in clock.measured("read", batches):
            with clock.stage("validate"):
                rows = checked_batch(raw, source, log, encode.CODED, words)
                order = orders_of_options(rows.frame, finder, salt, log)
                is_known = order >= 0
                found = rows.kept(is_known), order[is_known]
            yield found

    return read_ahead(made()) if _is_large(source) else made()


def _is_large(source: Source) -> bool:
    """Whether a table has several batches, as far as is known before it is read."""
    return source.memory is None or source.memory.num_rows > BATCH_ROWS


@dataclass(frozen=True, slots=True, eq=False)
class _OwnBatch:
    """Orders that go with their own carrier, to be valued by further models."""

    frame: pl.DataFrame
    orders: OrderArrays
    coder: NightCodes
    first: int

    def valued(self, model: LearnedModel) -> OptionArrays:
        """Their options."""
        filled = fill_orders(self.frame, model)
        return encode.encode_own_carrier(filled, self.orders, self.coder, self.first)[1]


def _encode_choice(
    sources: Mapping[str, Source],
    coder: NightCodes,
    by: _By,
    log: QuarantineLog,
    clock: StageClock,
) -> Encoded:
    """Encode orders whose carriers are in the options table."""
    orders, basis, shares, refused, num_rows = [], [], [], [], 0
    hoped, hopes, kept = [], Hopes(), KeptNames(sources["orders"])
    draws, unseen = GatheredDraws(by.drawn), UnseenNames(known_names(by.model))
    others: list[list[OrderShares]] = [[] for _ in by.others]
    for batch_in in _checked(sources["orders"], coder.salt, log, clock):
        frame, words = batch_in.rows.frame, batch_in.rows.words
        num_rows += batch_in.rows.num_rows
        clock.tell_rows("orders", num_rows)
        refused.append(batch_in.refused)
        with clock.stage("value"):
            by.values.note(frame)
            frame = apply_rules(frame, by.eligibility) if by.eligibility else frame
            kept.note(frame)
            unseen.note(frame, unseen.of_orders)
            frame = fill_orders(frame, by.model)
            by.see(sources["orders"], frame)
            shares.append(order_shares(frame, by.model))
            hoped.append(order_shares(frame, by.hopeful))
            for parts, model in zip(others, by.others, strict=True):
                parts.append(order_shares(frame, model))
            ids = batch_in.rows.keys.get("order_id")
            orders.append(encode.encode_orders(frame, coder, words, ids))
            basis.append(encode.encode_basis(frame, orders[-1], coder, words))
    require_rows(sources["orders"], num_rows)
    with clock.stage("validate"):
        together = _distinct(sources["orders"], orders)
        finder = make_finder(together.key, np.concatenate(refused))
    ordered = _Ordered(
        orders=together,
        basis=join(basis),
        finder=finder,
        shares=join(shares),
        hoped=join(hoped),
        hopes=hopes,
        others=[join(parts) for parts in others],
        draws=draws,
        unseen=unseen,
    )
    together, options, num_options = _options(
        sources["options"],
        ordered,
        coder,
        by,
        log,
        clock,
    )
    counts = {"orders": num_rows, "options": num_options}
    return Encoded(
        orders=together,
        options=options,
        coder=coder,
        counts=counts,
        log=log,
        hopes=hopes,
        draws=draws,
        unseen=unseen,
        named=kept if kept.is_any else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """All orders, as their options need them."""

    orders: OrderArrays
    basis: OrderBasis
    finder: OrderFinder
    shares: OrderShares
    hoped: OrderShares
    hopes: Hopes
    others: list[OrderShares]
    draws: GatheredDraws
    unseen: UnseenNames


def _options(
    source: Source,
    given: _Ordered,
    coder: NightCodes,
    by: _By,
    log: QuarantineLog,
    clock: StageClock,
) -> tuple[OrderArrays, OptionArrays, int]:
    """
    Join options to their orders by key, and value those that may be used.

    Returns
    -------
    orders, options, num_rows
        Orders without an option have the status ``NO_OPTION``, ``CARRIER_INACTIVE`` or
        ``NOT_DELIVERABLE``: the first that is true.
    """
    orders, basis = given.orders, given.basis
    standard = StandardRisks(basis.complaint_prob, basis.return_prob)
    batches, num_rows = [], 0
    has_row, has_active, has_option = np.zeros((3, len(orders.row)), np.bool_)
    for rows, order in _joined(source, given.finder, coder.salt, log, clock):
        num_rows += rows.num_rows
        clock.tell_rows("options", num_rows)
        with clock.stage("value"):
            bare = rows.frame
            given.unseen.note(bare, [CARRIER])
            frame = fill_options(bare, order, standard, given.shares, by.model)
            by.see(source, frame)
            batch, is_active = encode.encode_options(
                frame, order, basis, coder, rows.words
            )
            has_row[order] = True
            has_active[order[is_active]] = True
            keep = is_active & (orders.status[order] == encode.OPEN)
            if by.outboxes:
                keep &= _sendable_options(frame, orders.merchant[order], coder, by)
            has_option[order[keep]] = True
            batches.append(take(batch, keep))
            other = _OptionBatch(bare, order, keep, standard, basis, coder)
            others = [*map(other.valued, given.others, by.others)]
            known = given.draws.note(others) or batches[-1]
            if by.hopeful is not None:
                given.hopes.note(known, other.valued(given.hoped, by.hopeful))
    for has, reason in (
        (has_row, Reason.NO_OPTION),
        (has_active, Reason.CARRIER_INACTIVE),
        (has_option, Reason.NOT_DELIVERABLE),
    ):
        orders = orders.with_status((orders.status == encode.OPEN) & ~has, reason)
    require_rows(source, num_rows)
    with clock.stage("validate"):
        joined = join(batches)
        carrier = encode.carrier_of_leaf(coder)[joined.leaf]
        refuse_repeated_pairs(joined.order, carrier, source)
    return orders, joined, num_rows


@dataclass(frozen=True, slots=True, eq=False)
class _OptionBatch:
    """Rows of the options table, to be valued by further models."""

    frame: pl.DataFrame
    order: NDArray[np.int64]
    keep: NDArray[np.bool_]
    standard: StandardRisks
    basis: OrderBasis
    coder: NightCodes

    def valued(self, shares: OrderShares, model: LearnedModel) -> OptionArrays:
        """Those that are kept, by a model and its shares of all orders."""
        filled = fill_options(self.frame, self.order, self.standard, shares, model)
        options, _ = encode.encode_options(filled, self.order, self.basis, self.coder)
        return take(options, self.keep)


def _sendable_options(
    frame: pl.DataFrame, merchant: NDArray[np.int32], coder: NightCodes, by: _By
) -> NDArray[np.bool_]:
    """Which of a batch of options some outbox takes, ``(len(frame),) bool``."""
    import polars as pl

    names = pl.Series(coder.merchants.ids, dtype=pl.String)
    return is_sendable(
        by.outboxes, frame["order_id"], names.gather(merchant), frame["carrier_id"]
    )


def _distinct(source: Source, parts: list[OrderArrays]) -> OrderArrays:
    """Join the orders, refuse duplicates, and free the memory that only this needed."""
    together = join(parts)
    refuse_repeats(source, together)
    return replace(together, folded_key=np.zeros(0, np.uint64))


def _merchants_of(encoded: Encoded) -> list[str]:
    """Merchants that have orders, quarantined ones aside."""
    ids = encoded.coder.merchants.ids
    seen = np.bincount(encoded.orders.merchant, minlength=len(ids)) > 0
    return [ids[code] for code in np.flatnonzero(seen)]
