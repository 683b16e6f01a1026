"""What executors add up of a night: its proof, its counts, and its summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.break_even import Best
from optimizer.certify.certificate import Certificate
from optimizer.certify.exact import exact_dot
from optimizer.errors import CertificateError
from optimizer.explain.block_proof import NONE
from optimizer.explain.summary import experiment_numbers, night_numbers
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optimizer.build.experiment import Experiment
    from optimizer.explain.block_proof import ProvingBlocks
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.solvers.network.block_solve import BlockNight, Core
    from optimizer.solvers.network.blocks import DecidingPrices
    from optimizer.spark.block_summary import BlockSummary


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
    kept_back
        What the parcels save that the holdout keeps back, micro-CNY.
    best
        What the best orders would save.
    """

    certificate: Certificate
    used: NDArray[np.int64]
    lane_used: NDArray[np.int64]
    reasons: NDArray[np.int64]
    kept_back: int
    best: Best


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
    primal, num_twice, kept_back, best = 0, 0, 0, np.full(2, NONE)
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
    return Sums(proof, used, lane_used, reasons, kept_back, Best(*whole))


def _experiment(experiment: Experiment | None, sums: Sums) -> dict[str, Any]:
    """The part of the summary that only nights with a holdout have."""
    if experiment is None or not experiment.is_random:
        return {}
    chance = {"kept_back": -sums.kept_back, "explored": 0, "reserved": 0}
    held = int(sums.reasons[Reason.HELD_OUT])
    return experiment_numbers(chance, Counter({("policy", Reason.HELD_OUT): held}))


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
    worth = sums.certificate.primal_bound - sums.kept_back
    numbers = night_numbers(
        counts, worth, night.problem, night.solution, night.names, night.policy
    )
    numbers["problem_class"] = night.problem.problem_class
    return numbers | _experiment(night.names.experiment, sums)
