"""Outcomes of each parcel on premium service with each carrier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.simulate.ids import Stream, stream
from optimizer.simulate.laws import find_law
from optimizer.simulate.world import CARRIER_RISK, NUM_REGIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.simulate.draw import Harm, NightDraw, OrderDraws
    from optimizer.simulate.world import World


@dataclass(frozen=True, slots=True, eq=False)
class OptionOutcome:
    """
    One kind of harm on premium service, per option.

    Attributes
    ----------
    believed, true
        ``(k,) float64``: its probability, as the platform has it and as it is.
    happens
        ``(k,) bool``.
    """

    believed: NDArray[np.float64]
    true: NDArray[np.float64]
    happens: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class OptionDraws:
    """
    The options of a batch, those of one order together, its own carrier first.

    Attributes
    ----------
    order
        ``(k,) int64``: place in the batch.
    carrier, outlet
        ``(k,) int64``.
    kept_prob
        ``(k,) float64``: true probability that the parcel comes to the door.
    is_kept
        ``(k,) bool``.
    complaint, logistics_return
        The harms.
    """

    order: NDArray[np.int64]
    carrier: NDArray[np.int64]
    outlet: NDArray[np.int64]
    kept_prob: NDArray[np.float64]
    is_kept: NDArray[np.bool_]
    complaint: OptionOutcome
    logistics_return: OptionOutcome


def draw_options(
    world: World, night: NightDraw, orders: OrderDraws, carriers_per_order: int
) -> OptionDraws:
    """
    Draw the options of a batch.

    Parameters
    ----------
    world, night
        Platform and date.
    orders
        The batch.
    carriers_per_order
        1 to 4; an option does not depend on the others.
    """
    size = len(orders.number)
    order = np.repeat(np.arange(size), carriers_per_order)
    carrier = orders.carriers[:, :carriers_per_order].ravel()
    lane = carrier * NUM_REGIONS + orders.region[order]
    outlet = np.searchsorted(
        world.outlets.bound, lane + orders.position[order], side="right"
    )
    place = (night.day.toordinal(), int(orders.number[0]))
    rng = stream(world.seed, Stream.OPTIONS, *place)
    # A row of draws per rank of carrier: asking for more ranks moves no earlier one.
    draw = rng.random((carriers_per_order, size)).T.ravel()
    kept_prob = world.outlets.kept_prob[outlet]
    kept_factor = find_law(world.law).kept_factor
    if kept_factor is not None:
        kept_prob = kept_prob * kept_factor(night.day)[carrier]
    is_kept = draw < kept_prob
    risk = CARRIER_RISK[carrier] / CARRIER_RISK[orders.carriers[order, 0]]
    lane_kept_prob = world.outlets.lane_kept_prob[lane]

    def outcome(harm: Harm) -> OptionOutcome:
        return _outcome(harm, order, risk, lane_kept_prob, kept_prob, is_kept)

    return OptionDraws(
        order=order,
        carrier=carrier,
        outlet=outlet,
        kept_prob=kept_prob,
        is_kept=is_kept,
        complaint=outcome(orders.complaint),
        logistics_return=outcome(orders.logistics_return),
    )


def _outcome(
    harm: Harm,
    order: NDArray[np.int64],
    risk: NDArray[np.float64],
    lane_kept_prob: NDArray[np.float64],
    kept_prob: NDArray[np.float64],
    is_kept: NDArray[np.bool_],
) -> OptionOutcome:
    """Work out one harm by the formulas at the top of the draws."""
    effect = harm.effect[order]
    expected = 1 - lane_kept_prob * harm.believed_effect[order]
    believed = harm.believed[order] * risk * expected
    broken = np.minimum(harm.true[order] * risk, 1.0)
    kept = np.minimum(broken * (1 - effect) * harm.effect_noise[order], 1.0)
    return OptionOutcome(
        believed=np.minimum(believed, 1.0).round(6),
        true=kept_prob * kept + (1 - kept_prob) * broken,
        happens=harm.draw[order] < np.where(is_kept, kept, broken),
    )
