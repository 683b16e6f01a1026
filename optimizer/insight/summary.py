"""A night in a few numbers: what is avoided, what it costs, who pays."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.model.history import compare_roundings
from optimizer.model.limits import limit_prices
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from optimizer.config import PolicyRow
    from optimizer.insight.outcomes import Outcomes
    from optimizer.model.build import Index
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution
    from optimizer.proof.certificate import Certificate


def summarize(
    problem: Problem,
    solution: Solution,
    certificate: Certificate,
    outcomes: Outcomes,
    index: Index,
    policy: PolicyRow,
) -> dict[str, Any]:
    """
    Sum a night up.

    Returns
    -------
    dict
        JSON-ready. ``saving_cny`` is the expected harm avoided less the fee as far
        as it counts; fees are for the case that every recommendation is bought, and
        the largest compensation for the case that every promise is broken; that is
        money between carrier and payee, and never part of the objective.
    """
    counts = np.bincount(outcomes.reason, minlength=len(Reason)).tolist()
    num_chosen = counts[Reason.CHOSEN]
    saving = int(problem.option_saving[solution.chosen].sum())
    return {
        "num_orders": len(index.status) - counts[Reason.QUARANTINED],
        "num_quarantined": counts[Reason.QUARANTINED],
        "num_merchants": problem.num_merchants,
        "num_merchants_with_cap": int(np.sum(problem.cap > 0)),
        "num_lanes": problem.num_lanes,
        "num_chosen": num_chosen,
        "sum_of_caps": int(problem.cap.sum()),
        "cap_roundings": compare_roundings(
            policy.cap, index.merchant_num_orders, index.merchant_num_open
        ),
        "num_in_flight": int(index.in_flight.sum()),
        "saving_cny": saving / 1e6,
        "num_caps_binding": int(
            np.sum((solution.merchant_price > 0) & (problem.cap > 0))
        ),
        "num_lanes_binding": int(np.sum(solution.lane_price > 0)),
        "fees_cny": _fees(num_chosen, policy),
        "largest_compensation_cny": {
            policy.compensation.payee: _plain(
                policy.compensation.amount_cny * num_chosen
            )
        },
        "reasons": {
            reason.name: counts[reason]
            for reason in Reason
            if reason is not Reason.QUARANTINED
            and (reason is not Reason.BUDGET or counts[reason])
        },
    } | _packing_summary(problem, solution, certificate, index, saving)


def _packing_summary(
    problem: Problem,
    solution: Solution,
    certificate: Certificate,
    index: Index,
    saving: int,
) -> dict[str, Any]:
    """What only nights with further limits have."""
    found: dict[str, Any] = {"problem_class": problem.problem_class}
    if index.limits is not None:
        prices = limit_prices(index.limits, solution)
        found["num_limits"] = len(prices)
        found["num_limits_binding"] = int(np.sum(prices != 0))
    if problem.side is not None:
        found["num_conflicts"] = len(certificate.conflicts)
        found["penalties_cny"] = (saving - certificate.primal_bound) / 1e6
    return found


def _fees(num_chosen: int, policy: PolicyRow) -> dict[str, str]:
    """Fees of the night, in all and by who bears them, as exact decimals."""
    total = policy.fee.amount_cny * num_chosen
    payer = policy.fee.payer
    shares = {
        "total": Decimal(1),
        "merchant": payer.merchant,
        "platform": payer.platform,
        "consumer": payer.consumer,
    }
    return {name: _plain(total * share) for name, share in shares.items()}


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
