r"""
One batch of parcels: what the platform believes, and what is true.

The beliefs are honest: they are drawn first, and the truth scatters around them
with mean one. For risk :math:`b_a` with carrier *a*, promise-keeping :math:`q_a`
and effect :math:`h` of a kept promise (negative where the buyer prefers the
pickup station),

.. math::

   \text{believed premium risk} = b_a (1 - \bar q_a h), \qquad
   \text{true premium risk} = q_a\, b_a e_1 (1 - h)\, e_2 + (1 - q_a)\, b_a e_1,

where :math:`\bar q_a` is the mean of :math:`q_a` over the lane's outlets and
:math:`e_1, e_2` are independent with mean one. A promise that is broken leaves
the parcel as it would be on standard service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.simulate.ids import Stream, permute_below, round_keys, stream
from optimizer.simulate.world import (
    CARRIER_RISK,
    IS_REMOTE,
    NUM_CARRIERS,
    NUM_REGIONS,
    REGION_SHARE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from numpy.typing import NDArray

    from optimizer.simulate.world import World

BATCH_ROWS = 131_072
"""Orders drawn from one stream: part of what a seed means."""

MAX_RISK = 0.4
REASONS = (
    "remote_transit",
    "intercepted",
    "refund_pending",
    "carrier_chosen_by_buyer",
    "prefers_pickup",
)


class HarmRisk(NamedTuple):
    """A kind of harm: median and spread of its probability, and what it depends on."""

    median: float
    spread: float
    truth_spread: float
    effect_factor: float


COMPLAINT = HarmRisk(0.0115, 0.95, 0.35, 1.0)
LOGISTICS_RETURN = HarmRisk(0.060, 0.65, 0.30, 0.9)


@dataclass(frozen=True, slots=True, eq=False)
class NightDraw:
    """
    One date's share of the randomness.

    Attributes
    ----------
    day
        The date.
    num_orders
        ``(M,) int64``: parcels of each merchant, at least 1.
    place_keys, id_keys
        ``(4,) uint64``: permutations that interleave merchants and hide places.
    """

    day: date
    num_orders: NDArray[np.int64]
    place_keys: NDArray[np.uint64]
    id_keys: NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Harm:
    """
    One kind of harm to n parcels on standard service, and what premium does to it.

    Attributes
    ----------
    believed
        ``(n,) float64``: probability on standard service, as the platform has it.
    effect
        ``(n,) float64``: share of the harm that a kept promise removes, at most 1;
        negative where it adds.
    believed_effect
        ``(n,) float64``: that share, as the platform has it.
    risk_noise, effect_noise
        ``(n,) float64``: truth over belief, mean 1.
    draw
        ``(n,) float64`` in [0, 1): the harm happens where it is below its
        probability, so the two potential outcomes go together.
    """

    believed: NDArray[np.float64]
    effect: NDArray[np.float64]
    believed_effect: NDArray[np.float64]
    risk_noise: NDArray[np.float64]
    effect_noise: NDArray[np.float64]
    draw: NDArray[np.float64]

    @property
    def true(self) -> NDArray[np.float64]:
        """``(n,) float64``: true probability on standard service."""
        return np.minimum(self.believed * self.risk_noise, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Beyond:
    """
    What parcels have in worlds other than ``plain``.

    Attributes
    ----------
    category
        ``(n,) int64``: place in :data:`optimizer.simulate.laws.CATEGORIES`.
    station_distance_m
        ``(n,) int64``: from the buyer to the pickup station.
    take_up
        ``(n,) float64``: true probability that a recommendation is bought; ``None``:
        that of the merchant.
    delay_days
        By harm and service, ``(n,) int64``: days until it is known; ``None``: at once.
    """

    category: NDArray[np.int64]
    station_distance_m: NDArray[np.int64]
    take_up: NDArray[np.float64] | None = None
    delay_days: Mapping[str, NDArray[np.int64]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OrderDraws:
    """
    A batch of n parcels.

    Attributes
    ----------
    number
        ``(n,) uint64``: place in the night.
    merchant, region
        ``(n,) int64``.
    carriers
        ``(n, NUM_CARRIERS) int64``: the parcel's own carrier first.
    position
        ``(n,) float64`` in [0, 1): where in the region it goes, hence which outlet.
    value_cny
        ``(n,) float64``.
    reason
        ``(n,) int64``: place in ``REASONS``; -1 where eligible.
    complaint, logistics_return
        The harms.
    beyond
        What other worlds than ``plain`` have besides.
    """

    number: NDArray[np.uint64]
    merchant: NDArray[np.int64]
    region: NDArray[np.int64]
    carriers: NDArray[np.int64]
    position: NDArray[np.float64]
    value_cny: NDArray[np.float64]
    reason: NDArray[np.int64]
    complaint: Harm
    logistics_return: Harm
    beyond: Beyond | None = None


def make_night_draw(world: World, day: date) -> NightDraw:
    """
    Draw how many parcels each merchant has on a date.

    Parameters
    ----------
    world
        The platform.
    day
        The date; the only thing in which nights differ.
    """
    rng = stream(world.seed, Stream.NIGHT, day.toordinal())
    weight = world.merchants.weight
    weight = weight * rng.lognormal(0, 0.15, len(weight))
    num_orders = apportion(world.num_orders, weight)
    return NightDraw(day, num_orders, round_keys(rng), round_keys(rng))


def apportion(total: int, weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """
    Share out whole parcels by weight, at least one each, by largest remainder.

    Parameters
    ----------
    total
        At least ``len(weight)``.
    weight
        ``(M,) float64``, positive.

    Returns
    -------
    ``(M,) int64`` of sum ``total``.

    Examples
    --------
    >>> apportion(10, np.array([5.0, 2.0, 1.0])).tolist()
    [5, 3, 2]
    """
    spare = total - len(weight)
    exact = spare * (weight / weight.sum())
    whole: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    ranked = np.argsort(whole - exact, kind="stable")
    whole[ranked[: spare - int(whole.sum())]] += 1
    whole += 1
    return whole


def draw_batches(world: World, night: NightDraw) -> Iterator[OrderDraws]:
    """Draw a night's parcels, ``BATCH_ROWS`` at a time, as ``plain`` has them."""
    merchant_end = np.cumsum(night.num_orders)
    for batch, first in enumerate(range(0, world.num_orders, BATCH_ROWS)):
        last = min(first + BATCH_ROWS, world.num_orders)
        number = np.arange(first, last, dtype=np.uint64)
        place = permute_below(number, world.num_orders, night.place_keys)
        merchant = np.searchsorted(merchant_end, place.astype(np.int64), side="right")
        rng = stream(world.seed, Stream.ORDERS, night.day.toordinal(), batch)
        yield _draw_orders(rng, world, number, merchant)


def _draw_orders(
    rng: np.random.Generator,
    world: World,
    number: NDArray[np.uint64],
    merchant: NDArray[np.int64],
) -> OrderDraws:
    """Draw one batch; the order of the draws is part of what a seed means."""
    size, merchants = len(number), world.merchants
    region = rng.choice(NUM_REGIONS, size, p=REGION_SHARE)
    # The first of four exponential clocks rings at carrier c with its share.
    clocks = rng.standard_exponential((size, NUM_CARRIERS))
    carriers = np.argsort(clocks / merchants.carrier_share[merchant], axis=1)
    # In steps of 2**-32, so that a lane number plus a position is exact.
    position = rng.integers(0, 2**32, size) / 2**32
    price = merchants.price_level[merchant] + rng.normal(0, 0.8, size)
    effect, prefers_pickup = _draw_effect(rng, size)
    carrier_level = np.log(CARRIER_RISK)[carriers[:, 0]] + 0.25 * IS_REMOTE[region]
    complaint_level = merchants.complaint_level[merchant] + carrier_level + 0.1 * price
    return_level = merchants.return_level[merchant] + carrier_level
    return OrderDraws(
        number=number,
        merchant=merchant,
        region=region,
        carriers=carriers,
        position=position,
        value_cny=np.round(60 * np.exp(price), 2),
        reason=_draw_reason(rng, IS_REMOTE[region], prefers_pickup),
        complaint=_draw_harm(rng, COMPLAINT, complaint_level, effect),
        logistics_return=_draw_harm(rng, LOGISTICS_RETURN, return_level, effect),
    )


def _draw_effect(
    rng: np.random.Generator, size: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Draw what a kept promise removes: most of the harm, nothing, or less."""
    kind = rng.random(size)
    helped = rng.beta(4, 2, size)
    hurt = -rng.uniform(0.1, 0.8, size)
    prefers_pickup = kind >= 0.91
    effect = np.where(prefers_pickup, hurt, np.where(kind < 0.80, helped, 0.0))
    return effect, prefers_pickup


def _draw_reason(
    rng: np.random.Generator,
    is_remote: NDArray[np.bool_],
    prefers_pickup: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Draw why a parcel is not eligible; few of those who prefer pickup declared it."""
    fixed = np.ones(len(is_remote))
    rates = (
        0.15 * is_remote,
        0.006 * fixed,
        0.008 * fixed,
        0.010 * fixed,
        0.15 * prefers_pickup,
    )
    kind = rng.random(len(is_remote))
    reason = np.full(len(is_remote), -1)
    upper = 0 * fixed
    for code, rate in enumerate(rates):
        reason[(kind >= upper) & (kind < upper + rate)] = code
        upper = upper + rate
    return reason


def _draw_harm(
    rng: np.random.Generator,
    risk: HarmRisk,
    level: NDArray[np.float64],
    effect: NDArray[np.float64],
) -> Harm:
    """Draw one kind of harm, long-tailed; ``level`` is a logarithm."""
    size = len(level)
    believed = risk.median * np.exp(level + rng.normal(0, risk.spread, size))
    removed = risk.effect_factor * effect
    return Harm(
        believed=np.minimum(believed, MAX_RISK).round(6),
        effect=removed,
        believed_effect=removed,
        risk_noise=_mean_one(rng, risk.truth_spread, size),
        effect_noise=_mean_one(rng, 0.4, size),
        draw=rng.random(size),
    )


def _mean_one(
    rng: np.random.Generator, spread: float, size: int
) -> NDArray[np.float64]:
    """Lognormal factors whose mean is one."""
    return rng.lognormal(-(spread**2) / 2, spread, size)
