"""A decided and certified night: the source of its tables, pages and sentences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.break_even import Best, nobody_chosen
from optimizer.contracts.warnings import some, warn
from optimizer.model.frozen import freeze_arrays
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.build.carryover import EarlierNights
    from optimizer.build.night import InputRecord, Intake
    from optimizer.build.side_limits import SideLimits
    from optimizer.certify.certificate import Certificate
    from optimizer.config import PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.explain.outcomes import Outcomes
    from optimizer.model.margins import Margins
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

#: One part in so many of what is avoided: a gap above it may come from rounded prices.
FINE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class CertifiedNight:
    """
    A night that is decided and certified, and not yet put into tables.

    Attributes
    ----------
    intake
        The problem, its names, and what was read.
    solution, certificate
        Plan and prices, and what is proved about them.
    margins
        Exact margins and slot values; ``None`` where there are none.
    outcomes
        Reason and margin of each row of the orders table.
    assumptions
        What its estimates take for true.
    told
        What a person should know of the plan itself.
    named
        Gives ``row``, ``order_id``, ``region_id`` and perhaps ``ineligible_reason``
        of all orders that were not quarantined, in pieces.
    """

    intake: Intake
    solution: Solution
    certificate: Certificate
    margins: Margins | None
    outcomes: Outcomes
    assumptions: tuple[CodedWarning, ...]
    told: tuple[CodedWarning, ...]
    named: Callable[[], Iterable[pl.DataFrame]]

    def __post_init__(self) -> None:
        """Freeze plan and prices, so that what is reported is what was certified."""
        freeze_arrays(self.solution)

    @property
    def problem(self) -> Problem:
        """The problem that was solved."""
        return self.intake.problem

    @property
    def names(self) -> Names:
        """The names behind the problem's numbers."""
        return self.intake.index

    @property
    def policy(self) -> PolicyRow:
        """The policy row that was in force."""
        return self.intake.policy

    @property
    def quarantine(self) -> pl.DataFrame:
        """Refused rows."""
        return self.intake.quarantine

    @property
    def inputs(self) -> tuple[InputRecord, ...]:
        """The inputs that were read."""
        return self.intake.inputs

    @property
    def warnings(self) -> tuple[CodedWarning, ...]:
        """Warnings for a person to look at."""
        return (*self.intake.warnings, *self.told)

    @property
    def earlier_nights(self) -> EarlierNights:
        """What earlier nights handed on to this one."""
        return self.intake.history


def _nobody(intake: Intake, outcomes: Outcomes) -> Iterator[CodedWarning]:
    """Why no parcel is chosen."""
    counts = np.bincount(outcomes.reason, minlength=len(Reason)).tolist()
    best = best_savings(intake.problem, outcomes)
    return why_nobody(counts, best, intake)


def why_nobody(
    counts: Sequence[int], best: Best, intake: Intake
) -> Iterator[CodedWarning]:
    """
    Why no parcel is chosen.

    Parameters
    ----------
    counts
        Orders by :class:`~optimizer.model.reasons.Reason`.
    best, intake
        What the best orders would save, and the night.
    """
    by_name = {reason.name: counts[reason] for reason in Reason}
    del by_name[Reason.QUARANTINED.name]
    return nobody_chosen(by_name, best, intake.params)


def best_savings(problem: Problem, outcomes: Outcomes) -> Best:
    """
    What the best orders would save, of all and of those that have a place.

    Parameters
    ----------
    problem, outcomes
        A night, or a block of one.
    """
    has_place = outcomes.is_priced & outcomes.has_room
    merchant = np.repeat(np.arange(len(problem.cap)), np.diff(problem.merchant_start))
    has_place[problem.row[problem.cap[merchant] == 0]] = False
    return Best(
        of_all=_largest(outcomes.saving[outcomes.is_priced]),
        with_place=_largest(outcomes.saving[has_place]),
    )


def _largest(saving: NDArray[np.int64]) -> int | None:
    return int(saving.max()) if len(saving) else None


def too_fine(
    limits: SideLimits | None, certificate: Certificate
) -> Iterator[CodedWarning]:
    """
    Say whose units may be why a plan is not proved.

    A price is in whole micro-CNY for a unit, so that a bound may lose as many as a row
    has units: told where these, and the gap, are above one in ``FINE`` of what is
    avoided.

    Parameters
    ----------
    limits
        The night's limits; ``None`` where there are none.
    certificate
        What is proved.
    """
    money = abs(certificate.primal_bound)
    if limits is None or certificate.gap * FINE <= money:
        return
    rows = [
        f"({limit.name})"
        for limit, side_row in zip(limits.rows, limits.side_row, strict=True)
        if limit.resource is not None and side_row >= 0
        if limit.high // limit.scale * FINE > money
    ]
    if rows:
        yield warn("UNITS_TOO_FINE", num_rows=len(rows), rows=some(rows))


def certified_night(
    intake: Intake,
    solution: Solution,
    certificate: Certificate,
    margins: Margins | None,
) -> CertifiedNight:
    """
    Give every order its outcome, by margins or the certificate's prices.

    Parameters
    ----------
    intake
        The problem, its names, and the inputs.
    solution
        Plan and prices.
    certificate
        What is proved about them.
    margins
        Exact margins; ``None`` where there are none.
    """
    from optimizer.build.night import assumed_of_plan, name_orders
    from optimizer.certify.certificate import price_gap
    from optimizer.explain.outcomes import find_outcomes

    problem = intake.problem
    gap = price_gap(problem, solution, certificate)
    outcomes = find_outcomes(problem, solution, intake.index, margins, gap)
    named = partial(name_orders, intake)
    return CertifiedNight(
        intake=intake,
        solution=solution,
        certificate=certificate,
        margins=margins,
        outcomes=outcomes,
        assumptions=assumed_of_plan(intake, solution.chosen),
        told=(
            *(() if len(solution.chosen) else _nobody(intake, outcomes)),
            *too_fine(intake.index.limits, certificate),
        ),
        named=named,
    )
