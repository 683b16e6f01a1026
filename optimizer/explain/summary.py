"""A night in a few numbers: what is avoided, what it costs, who pays."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.carryover import compare_roundings
from optimizer.build.side_limits import limit_prices
from optimizer.explain.conflicts import count_conflicts
from optimizer.explain.outcomes import ARMS, pool_surplus
from optimizer.explain.tables import mean_savings
from optimizer.model.lane_tree import effective_price
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.build.experiment import ExplorePool
    from optimizer.config import PolicyRow
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.explain.outcomes import Outcomes
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution


#: Arms of which the holdout keeps some back.
_HOLDING = (ARMS.index("policy"), ARMS.index("thompson"))
#: Reasons that are left out of the summary where no order has them.
_SELDOM = (Reason.BUDGET, Reason.NO_OPTION, Reason.NOT_DELIVERABLE)


def summarize(night: CertifiedNight) -> dict[str, Any]:
    """
    Summarize a night.

    Returns
    -------
    dict
        JSON-ready. ``saving_cny`` is the expected harm avoided less the fee as far
        as it counts, of the parcels that are really recommended: the certified value
        less held-out parcels plus explored ones; ``experiment`` has the cost of both.
        Fees assume that every recommendation is bought, the largest compensation that
        every promise is broken. Compensation is money between carrier and payee and
        never part of the objective.
    """
    problem, solution, outcomes = night.problem, night.solution, night.outcomes
    counts = np.bincount(outcomes.reason, minlength=len(Reason)).tolist()
    chance = _chance(night)
    planned = int(problem.option_saving[solution.chosen].sum())
    saving = planned + chance.get("explored", 0) + chance.get("kept_back", 0)
    saving -= chance.get("swapped", 0)
    found = night_numbers(counts, saving, problem, solution, night.names, night.policy)
    found |= _packing_summary(night, planned)
    told = experiment_numbers(chance, _drawn_counts(outcomes))
    return found | told | _draw(night)


def night_numbers(
    counts: Sequence[int],
    saving: int,
    problem: Problem,
    solution: Solution,
    index: Names,
    policy: PolicyRow,
) -> dict[str, Any]:
    """
    The part of the summary that all nights have.

    ``problem`` may be without its orders, ``solution`` without its plan, and
    ``index`` without its rows.

    Parameters
    ----------
    counts
        Orders by :class:`~optimizer.model.reasons.Reason`.
    saving
        Certified saving of the plan, micro-CNY.
    problem
        Caps and lanes.
    solution
        Prices and termination.
    index
        The names behind the problem's numbers.
    policy
        The policy row in force.
    """
    num_chosen = counts[Reason.CHOSEN] + counts[Reason.EXPLORED]
    caps = problem.cap + (0 if index.pool is None else index.pool.used_cap)
    return {
        "num_orders": sum(counts) - counts[Reason.QUARANTINED],
        "num_quarantined": counts[Reason.QUARANTINED],
        "num_merchants": problem.num_merchants,
        "num_merchants_with_cap": int(np.sum(caps > 0)),
        "num_lanes": problem.num_lanes,
        "num_chosen": num_chosen,
        "sum_of_caps": int(caps.sum()),
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
            and (reason not in _SELDOM or counts[reason])
        },
    }


def _packing_summary(night: CertifiedNight, saving: int) -> dict[str, Any]:
    """The part of the summary that only nights with side constraints have."""
    problem, limits, certificate = night.problem, night.names.limits, night.certificate
    found: dict[str, Any] = {"problem_class": problem.problem_class}
    if limits is not None:
        prices = limit_prices(limits, night.solution)
        found["num_limits"] = len(prices)
        found["num_limits_binding"] = int(np.sum(prices != 0))
    num_conflicts = count_conflicts(certificate, night.names)
    if problem.side is not None or num_conflicts:
        found["num_conflicts"] = num_conflicts
    if night.solution.tree is not None:
        found["num_branches"] = night.solution.tree.num_nodes
    if problem.side is not None:
        found["penalties_cny"] = (saving - certificate.primal_bound) / 1e6
    return found


def _chance(night: CertifiedNight) -> dict[str, int]:
    """
    What the experiment adds to the certified value, in micro-CNY; empty without one.

    ``kept_back`` is at most 0, ``explored`` may have any sign, and ``reserved`` is
    the most that the explore arm's slots and orders could have brought instead. With
    coins, ``swapped`` is what they cost, and ``pairs`` what all swaps would cost.
    """
    problem, solution, outcomes = night.problem, night.solution, night.outcomes
    experiment, pool = night.names.experiment, night.names.pool
    if experiment is None or not experiment.is_random:
        return {}
    is_kept_back = (outcomes.reason == Reason.HELD_OUT) & np.isin(
        outcomes.arm, _HOLDING
    )
    found = {"kept_back": -int(outcomes.saving[is_kept_back].sum())}
    if experiment.coin_share:
        found |= _coin_costs(outcomes)
    if pool is None:
        return found | {"explored": 0, "reserved": 0}
    return found | explored_worth(pool, problem, solution)


def explored_worth(
    pool: ExplorePool, problem: Problem, solution: Solution
) -> dict[str, int]:
    """
    What the explore arm saves, and what its slots and orders could have, micro-CNY.

    Parameters
    ----------
    pool
        The arm.
    problem, solution
        The remaining night and its prices; orders and plan are not looked at.
    """
    price = effective_price(solution.lane_price, problem.lane_parent)
    surplus = pool_surplus(pool, price, solution.merchant_price)
    reserved = int(pool.used_cap @ solution.merchant_price)
    reserved += int(pool.used_slots @ solution.lane_price)
    reserved += int(np.maximum(surplus, 0).sum())
    explored = int(pool.saving[pool.is_premium].sum())
    return {"explored": explored, "reserved": reserved}


def _coin_costs(outcomes: Outcomes) -> dict[str, int]:
    """What the swaps of the margin arm cost, and what all of its pairs would."""
    is_ours = outcomes.arm == ARMS.index("margin")
    is_inside = is_ours & np.isin(outcomes.reason, (Reason.CHOSEN, Reason.HELD_OUT))

    def total(mask: NDArray[np.bool_]) -> int:
        return int(outcomes.saving[mask].sum())

    out = is_ours & (outcomes.reason == Reason.HELD_OUT)
    into = is_ours & (outcomes.reason == Reason.EXPLORED)
    return {
        "swapped": total(out) - total(into),
        "pairs": total(is_inside) - total(is_ours & ~is_inside),
    }


def _drawn_counts(outcomes: Outcomes) -> Counter[tuple[str, Reason]]:
    """Orders of each arm, by what became of them."""
    is_drawn = outcomes.arm >= 0
    code = outcomes.arm[is_drawn].astype(np.int64) * 256 + outcomes.reason[is_drawn]
    counts = np.bincount(code)
    return Counter(
        {
            (ARMS[at >> 8], Reason(at & 255)): int(counts[at])
            for at in np.flatnonzero(counts).tolist()
        }
    )


def experiment_numbers(
    chance: Mapping[str, int], counts: Counter[tuple[str, Reason]]
) -> dict[str, Any]:
    """
    The randomised orders and what they cost, ready for JSON.

    Parameters
    ----------
    chance
        What the experiment adds to the certified value, micro-CNY; empty without one.
    counts
        Orders by arm and reason.
    """
    if not chance:
        return {}
    coins = {}
    if "swapped" in chance:
        inside = (Reason.CHOSEN, Reason.HELD_OUT)
        coins = {
            "num_coins": sum(counts["margin", reason] for reason in inside),
            "num_swapped": counts["margin", Reason.EXPLORED],
            "coin_cost_cny": chance["swapped"] / 1e6,
            "expected_coin_cost_cny": chance["pairs"] / 2e6,
        }
    return {
        "experiment": coins
        | {
            "num_kept_back": sum(counts[ARMS[at], Reason.HELD_OUT] for at in _HOLDING),
            "num_explored": counts["explore", Reason.EXPLORED],
            "num_explore_standard": counts["explore", Reason.HELD_OUT],
            "kept_back_cost_cny": -chance["kept_back"] / 1e6,
            "explored_saving_cny": chance["explored"] / 1e6,
            "explore_cost_at_most_cny": (chance["reserved"] - chance["explored"]) / 1e6,
        }
    }


def _draw(night: CertifiedNight) -> dict[str, Any]:
    """Which savings were drawn, and what they are worth by their means."""
    draws, problem, outcomes = night.names.draws, night.problem, night.outcomes
    if draws is None:
        return {}
    is_carried_out = outcomes.reason[problem.row] == Reason.CHOSEN
    mean = int(mean_savings(night)[is_carried_out].sum())
    return {
        "draw": {
            "seed": draws.seed,
            "num_draws": draws.num_draws,
            "num_drawn": int(np.sum(outcomes.arm == ARMS.index("thompson"))),
            "mean_saving_cny": mean / 1e6,
        }
    }


def _fees(num_chosen: int, policy: PolicyRow) -> dict[str, str]:
    """Fees of the night, in total and by party, as exact decimals."""
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
