"""What executors add up of a night: its proof, its counts, and its summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.break_even import Best
from optimizer.certify.certificate import Certificate
from optimizer.certify.exact import exact_dot
from optimizer.errors import CertificateError
from optimizer.explain.block_proof import NONE
from optimizer.explain.summary import (
    experiment_numbers,
    explored_worth,
    night_numbers,
)
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from optimizer.build.experiment import ExplorePool
    from optimizer.explain.block_proof import ProvingBlocks
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.solvers.network.block_solve import BlockNight, Core
    from optimizer.solvers.network.blocks import DecidingPrices
    from optimizer.spark.block_summary import BlockSummary
    from optimizer.spark.margin_arm import CoinCosts


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """
    Totals of the executors' parts.

    Attributes
    ----------
    certificate
        The proof.
    used, lane_used
        Parcels by merchant and by lane.
    reasons
        ``(len(Reason),) int64``: orders that went to the solver, by reason.
    kept_back, num_kept_back
        What the parcels save that the holdout keeps back, micro-CNY, and how many.
    best
        What the best orders would save.
    coins
        Costs of the margin arm; ``None``: there is none.
    """

    certificate: Certificate
    used: NDArray[np.int64]
    lane_used: NDArray[np.int64]
    reasons: NDArray[np.int64]
    kept_back: int
    num_kept_back: int
    best: Best
    coins: CoinCosts | None = None


def add_up(
    blocks: ProvingBlocks, field: BlockNight, near: Core, verdict: DecidingPrices
) -> Sums:
    """
    Add up the executors' parts of the certificate.

    Parameters
    ----------
    blocks, field, near
        Those who keep the orders, the night, and its proved plan.
    verdict
        Prices and ties that decide every order.

    Raises
    ------
    CertificateError
        When they do not prove the plan.
    """
    primal, num_twice, best = 0, 0, np.full(2, NONE)
    kept_back, num_kept_back = 0, 0
    dual = exact_dot(field.slots, near.lane_price)
    dual += exact_dot(field.cap, near.merchant_price)
    used = np.zeros(len(field.cap), np.int64)
    lane_used = np.zeros(len(field.slots), np.int64)
    reasons = np.zeros(len(Reason), np.int64)
    for block, part in blocks.prove(verdict).items():
        primal, dual = primal + int(part["primal"]), dual + int(part["surplus"])
        used[field.merchant_of[block]] += part["used"]
        lane_used += part["lane_use"]
        reasons += part["reasons"]
        num_twice += int(part["num_twice"])
        kept_back += int(part["kept_back"])
        num_kept_back += int(part["num_kept_back"])
        best = np.maximum(best, part["best"])
    broken = {
        "orders are chosen twice": num_twice,
        "merchants are above their cap": int(np.sum(used > field.cap)),
        "lanes are above their slots": int(np.sum(lane_used > field.slots)),
    }
    violations = tuple(f"{count:,} {what}" for what, count in broken.items() if count)
    proof = Certificate(not violations, primal, dual, dual - primal, violations)
    if not proof.is_optimal:
        raise CertificateError(
            f"the executors' sums do not prove the plan (gap {proof.gap:,} micro-CNY"
            f"{''.join(f'; {v}' for v in violations)})"
        )
    whole = [None if one == NONE else one for one in best.tolist()]
    return Sums(
        certificate=proof,
        used=used,
        lane_used=lane_used,
        reasons=reasons,
        kept_back=kept_back,
        num_kept_back=num_kept_back,
        best=Best(*whole),
    )


def with_arm(sums: Sums, pool: ExplorePool | None) -> Sums:
    """
    Add the orders of the explore arm, which are in no block's part.

    Parameters
    ----------
    sums
        Of the executors.
    pool
        The arm; ``None``: there is none.
    """
    if pool is None or not len(pool.row):
        return sums
    reasons, most = sums.reasons.copy(), int(pool.saving.max())
    reasons[Reason.EXPLORED] += int(pool.is_premium.sum())
    reasons[Reason.HELD_OUT] += int(np.sum(~pool.is_premium))
    best = (max(most, one) for one in _with_none(sums.best))
    return replace(sums, reasons=reasons, best=Best(*best))


def _with_none(best: Best) -> Iterator[int]:
    for one in (best.of_all, best.with_place):
        yield NONE if one is None else one


def _chance(night: CertifiedNight, sums: Sums) -> dict[str, int]:
    """What the experiment adds to the certified value, micro-CNY; empty without one."""
    experiment, pool = night.names.experiment, night.names.pool
    if experiment is None or not experiment.is_random:
        return {}
    found = {"kept_back": -sums.kept_back, "explored": 0, "reserved": 0}
    if sums.coins is not None:
        found |= {"swapped": sums.coins.swapped, "pairs": sums.coins.pairs}
    if pool is not None:
        found |= explored_worth(pool, night.problem, night.solution)
    return found


def _drawn_counts(night: CertifiedNight, sums: Sums) -> Counter[tuple[str, Reason]]:
    """Orders of each arm, by what became of them."""
    counts = Counter({("policy", Reason.HELD_OUT): sums.num_kept_back})
    if (coins := sums.coins) is not None:
        num_kept = coins.num_pairs - coins.num_swapped
        counts["margin", Reason.CHOSEN] = num_kept
        counts["margin", Reason.HELD_OUT] = coins.num_swapped
        counts["margin", Reason.EXPLORED] = coins.num_swapped
    if night.names.pool is not None:
        is_premium = night.names.pool.is_premium
        counts["explore", Reason.EXPLORED] = int(is_premium.sum())
        counts["explore", Reason.HELD_OUT] = int(np.sum(~is_premium))
    return counts


def count_reasons(sums: Sums, census: BlockSummary, num_quarantined: int) -> list[int]:
    """
    Orders by reason, those included that never went to the solver.

    Parameters
    ----------
    sums, census
        Of the executors.
    num_quarantined
        Rows of the orders table in quarantine.
    """
    counts = sums.reasons + census.statuses[: len(Reason)]
    counts[Reason.QUARANTINED] = num_quarantined
    return [int(count) for count in counts]


def summary_of(
    night: CertifiedNight, sums: Sums, counts: Sequence[int]
) -> dict[str, Any]:
    """
    The night in numbers, as :func:`optimizer.explain.summary.summarize` gives it.

    Parameters
    ----------
    night, sums
        What the driver has, and the executors' sums.
    counts
        From :func:`count_reasons`.
    """
    chance = _chance(night, sums)
    worth = sums.certificate.primal_bound - sums.kept_back
    worth += chance.get("explored", 0) - chance.get("swapped", 0)
    numbers = night_numbers(
        counts, worth, night.problem, night.solution, night.names, night.policy
    )
    numbers["problem_class"] = night.problem.problem_class
    return numbers | experiment_numbers(chance, _drawn_counts(night, sums))
