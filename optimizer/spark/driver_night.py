"""What the driver has of a night: plan, limits and proof, and no other orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build import encode
from optimizer.build.assemble import Names
from optimizer.build.assumed import Grounds, assumptions
from optimizer.build.changed_ids import warn_alike, warn_changed
from optimizer.build.costs import costs_of
from optimizer.build.learned_probabilities import gaps_of, model_warnings
from optimizer.build.night import InputRecord, Intake, assumed_of_rows
from optimizer.build.night_lookups import warn_allowed
from optimizer.build.want_of_knowledge import warn_little
from optimizer.explain.certified_night import CertifiedNight, why_nobody
from optimizer.explain.outcomes import Outcomes
from optimizer.io.asked_columns import columns_there
from optimizer.spark.blocks import NAME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import polars as pl

    from optimizer.build.carryover import EarlierNights
    from optimizer.build.experiment import Experiment, ExplorePool
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.quarantine import QuarantineLog
    from optimizer.io.read import Source
    from optimizer.model.margins import Margins
    from optimizer.solvers.network.block_margins import Plan
    from optimizer.spark.block_summary import BlockSummary, NightLimits
    from optimizer.spark.noted import Noted
    from optimizer.spark.rows import Rules
    from optimizer.spark.sums import Sums


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """
    What was read of a night's tables.

    Attributes
    ----------
    sources
        The tables, by name.
    num_rows
        Rows of each.
    quarantine
        Refused rows, sorted.
    small_log
        What was found of the tables that the driver reads.
    noted
        What executors noted of the others.
    deliveries
        Path or table of deliveries; ``None``: there are none.
    """

    sources: Mapping[str, Source]
    num_rows: Mapping[str, int]
    quarantine: pl.DataFrame
    small_log: QuarantineLog
    noted: Noted
    deliveries: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class BuiltOnCluster:
    """
    A night whose blocks are built.

    Attributes
    ----------
    rules, census, limits
        Its rules, its merchants and places, its caps and lanes.
    history, experiment
        What other nights left to it, and the rules of its random draws.
    pool
        Its explore arm; ``None``: it has none.
    """

    rules: Rules
    census: BlockSummary
    limits: NightLimits
    history: EarlierNights
    experiment: Experiment | None
    pool: ExplorePool | None = None


def driver_night(
    read: Read,
    built: BuiltOnCluster,
    *,
    plan: Plan,
    sums: Sums,
    counts: Sequence[int],
    margins: Margins | None,
    find_rows: Callable[[Plan], Iterable[pl.DataFrame]],
) -> CertifiedNight:
    """
    Put together what one machine has of a certified night, but for its orders.

    Of the problem there are the chosen orders, with all their options; tables that
    follow from plan, prices and limits are made of it as on one machine.

    Parameters
    ----------
    read, built
        What was read, and the night as it was built.
    plan, sums, counts, margins
        As it was solved and proved: orders by reason, margins of the chosen orders, and
        values of slots.
    find_rows
        Gives the rows of a plan, as :class:`~optimizer.build.lower_bound.Chosen` has
        them.
    """
    rules, census = built.rules, built.census
    sources, config = read.sources, rules.config
    gaps = gaps_of(sources, rules.model)
    grounds = Grounds(
        model=rules.model,
        gaps=gaps,
        config=config,
        policy=rules.policy,
        day=rules.day,
        unseen=census.unseen,
        num_orders=dict(zip(census.merchant_ids, census.there.tolist(), strict=True)),
    )
    intake = Intake(
        problem=plan.problem,
        index=_names(built),
        quarantine=read.quarantine,
        inputs=tuple(
            InputRecord(n, s.label, read.num_rows[n], s.notes.to_json(), s.unread)
            for n, s in sources.items()
        ),
        warnings=_warnings(read, built),
        assumed=assumptions(grounds),
        lookups=(),
        orders=sources["orders"],
        salt=rules.salt,
        policy=rules.policy,
        history=built.history,
        params=_params(rules, sources),
        effect_model=rules.model if gaps.premium else None,
    )
    chosen = plan.solution.chosen
    rows = find_rows(plan) if intake.effect_model is not None and len(chosen) else ()
    return CertifiedNight(
        intake=intake,
        solution=plan.solution,
        certificate=sums.certificate,
        margins=margins,
        outcomes=_no_outcomes(),
        assumptions=assumed_of_rows(intake, chosen, rows),
        told=() if len(chosen) else tuple(why_nobody(counts, sums.best, intake)),
        named=lambda: (),
    )


def _names(built: BuiltOnCluster) -> Names:
    census, limits = built.census, built.limits
    no_rows = np.zeros(0, np.uint8)
    return Names(
        merchant_ids=tuple(census.merchant_ids),
        merchant_num_orders=limits.num_orders,
        places=limits.places,
        uncovered=limits.uncovered,
        status=no_rows,
        row_merchant=no_rows.astype(np.int32),
        has_budget=limits.has_budget,
        merchant_num_open=census.num_open,
        in_flight=limits.in_flight,
        bank=limits.bank,
        experiment=built.experiment,
        pool=built.pool,
    )


def _params(rules: Rules, sources: Mapping[str, Source]) -> encode.CodeParams:
    return encode.CodeParams(
        worth=costs_of(rules.config, rules.policy),
        roster=rules.policy.carriers,
        fulfilment=() if rules.fulfilment is None else rules.fulfilment,
        merchants=rules.merchants,
        columns=columns_there(sources),
        service_day=rules.counted,
    )


def _warnings(read: Read, built: BuiltOnCluster) -> tuple[CodedWarning, ...]:
    """What a person should look at, in the order of one machine."""
    rules, limits, census = built.rules, built.limits, built.census
    zone = rules.config.timezone
    names = _all_names(built)
    return (
        *limits.unfound,
        *warn_allowed(rules.config, read.sources, read.deliveries),
        *limits.warnings,
        *warn_changed({"order_id": read.noted.looked_at}),
        *warn_changed(names),
        *warn_alike(names),
        *model_warnings(rules.model, rules.day, gaps_of(read.sources, rules.model)),
        *warn_little(census.num_hoped, census.num_worth, int(limits.cap.sum())),
        *(w for n, s in read.sources.items() for w in s.notes.warnings(n)),
        *read.small_log.warnings(zone),
        *read.noted.log.warnings(zone),
    )


def _all_names(built: BuiltOnCluster) -> dict[str, list[str]]:
    """Names of the night by column, those of merchants without orders among them."""
    census, merchants = built.census, built.rules.merchants
    known = [] if merchants is None else merchants["merchant_id"].to_list()
    ids = {"merchant_id": [*dict.fromkeys([*known, *census.merchant_ids])]}
    return ids | {column: sorted(census.names[column]) for column in NAME_COLUMNS}


def _no_outcomes() -> Outcomes:
    none: Any = np.zeros(0, np.int64)
    return Outcomes(
        reason=none.astype(np.uint8),
        lane=none.astype(np.int32),
        load=None,
        saving=none,
        surplus=none,
        margin_low=none,
        margin_high=none,
        is_priced=none.astype(np.bool_),
        has_room=none.astype(np.bool_),
        arm=none.astype(np.int8),
        propensity=none.astype(np.float64),
    )
