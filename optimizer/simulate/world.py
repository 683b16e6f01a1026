"""What stays the same from night to night: merchants, carriers, regions, outlets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from optimizer.simulate.ids import Stream, stream

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Carrier(NamedTuple):
    """A carrier: its share of parcels, of promises kept, and its relative risk."""

    carrier_id: str
    market_share: float
    kept_share: float
    risk: float


# Three franchised carriers, and the integrated one, whose couriers are its own.
CARRIERS = (
    Carrier("zhongtong", 0.34, 0.86, 1.00),
    Carrier("yuantong", 0.27, 0.80, 1.10),
    Carrier("yunda", 0.24, 0.72, 1.25),
    Carrier("shunfeng", 0.15, 0.96, 0.70),
)

# Province codes and millions of inhabitants, which parcels roughly follow.
INHABITANTS = {
    "CN-11": 21.9, "CN-12": 13.9, "CN-13": 74.6, "CN-14": 34.9, "CN-15": 24.0,
    "CN-21": 42.6, "CN-22": 24.1, "CN-23": 31.9, "CN-31": 24.9, "CN-32": 84.7,
    "CN-33": 64.6, "CN-34": 61.0, "CN-35": 41.5, "CN-36": 45.2, "CN-37": 101.5,
    "CN-41": 99.4, "CN-42": 57.8, "CN-43": 66.4, "CN-44": 126.0, "CN-45": 50.1,
    "CN-46": 10.1, "CN-50": 32.1, "CN-51": 83.7, "CN-52": 38.6, "CN-53": 47.2,
    "CN-54": 3.6, "CN-61": 39.5, "CN-62": 25.0, "CN-63": 5.9, "CN-64": 7.2,
    "CN-65": 25.9,
}  # fmt: skip
REMOTE = {"CN-15", "CN-54", "CN-63", "CN-65"}
"""Regions whose last mile may go through a hub."""

REGION_IDS = tuple(INHABITANTS)
NUM_CARRIERS = len(CARRIERS)
NUM_REGIONS = len(REGION_IDS)
CARRIER_IDS = tuple(carrier.carrier_id for carrier in CARRIERS)
CARRIER_RISK = np.array([carrier.risk for carrier in CARRIERS])
REGION_SHARE = np.array(list(INHABITANTS.values())) / sum(INHABITANTS.values())
IS_REMOTE = np.array([region in REMOTE for region in REGION_IDS])

PARCELS_PER_OUTLET = 400
MAX_OUTLETS = 999


@dataclass(frozen=True, slots=True, eq=False)
class Merchants:
    """
    Who ships.

    Attributes
    ----------
    merchant_id
        M strings.
    weight
        ``(M,) float64``: expected share of a night's parcels, descending.
    carrier_share
        ``(M, NUM_CARRIERS) float64``: each row sums to 1.
    price_level, complaint_level, return_level
        ``(M,) float64``: logarithm of the merchant's factor on order values and
        on the two risks.
    take_up
        ``(M,) float64``: probability that a recommendation is bought.
    is_enrolled
        ``(M,) bool``.
    """

    merchant_id: pa.Array
    weight: NDArray[np.float64]
    carrier_share: NDArray[np.float64]
    price_level: NDArray[np.float64]
    complaint_level: NDArray[np.float64]
    return_level: NDArray[np.float64]
    take_up: NDArray[np.float64]
    is_enrolled: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Outlets:
    """
    Who brings the parcels: K outlets, grouped by lane.

    A lane here is ``carrier * NUM_REGIONS + region``.

    Attributes
    ----------
    outlet_id
        K strings, unique within carrier and region.
    lane
        ``(K,) int64``, ascending.
    share
        ``(K,) float64``: share of the lane's parcels.
    bound
        ``(K,) float64``: lane plus the share of its outlets up to this one.
    kept_prob
        ``(K,) float64``: probability that the outlet brings a premium parcel to
        the door.
    lane_kept_prob
        ``(NUM_CARRIERS * NUM_REGIONS,) float64``: mean of it over the lane's
        parcels, which is all that the platform knows.
    """

    outlet_id: pa.Array
    lane: NDArray[np.int64]
    share: NDArray[np.float64]
    bound: NDArray[np.float64]
    kept_prob: NDArray[np.float64]
    lane_kept_prob: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """
    Everything that nights have in common.

    Attributes
    ----------
    seed
        Of every stream.
    num_orders
        Parcels of a night.
    merchants, outlets
        Who ships and who brings.
    law
        Name of what is true of premium.
    """

    seed: int
    num_orders: int
    merchants: Merchants
    outlets: Outlets
    law: str = "plain"


def make_world(
    seed: int, *, num_orders: int, num_merchants: int, law: str = "plain"
) -> World:
    """
    Draw the merchants and outlets of a platform.

    Parameters
    ----------
    seed
        Not negative.
    num_orders
        Parcels of a night; more of them, more outlets.
    num_merchants
        At least 1.
    law
        Name of what is true of premium, in :data:`optimizer.simulate.laws.WORLDS`.
    """
    merchants = _make_merchants(stream(seed, Stream.MERCHANTS), num_merchants)
    outlets = _make_outlets(stream(seed, Stream.OUTLETS), num_orders)
    return World(seed, num_orders, merchants, outlets, law)


def zipf_mandelbrot(size: int) -> NDArray[np.float64]:
    """
    Merchant sizes by rank: a power law with its few largest values reduced.

    Returns
    -------
    ``(size,) float64``, descending, of sum 1.
    """
    weight = (np.arange(1, size + 1) + 5.0) ** -1.6
    return np.asarray(weight / weight.sum())


def _make_merchants(rng: np.random.Generator, size: int) -> Merchants:
    """Draw merchants; the number in an id says nothing about the size."""
    digits = max(6, len(str(size)))
    names = [f"shop-{number:0{digits}d}" for number in rng.permutation(size).tolist()]
    market = np.array([carrier.market_share for carrier in CARRIERS])
    main = rng.choice(NUM_CARRIERS, size, p=market)
    carrier_share = 0.5 * market + 0.5 * (main[:, None] == np.arange(NUM_CARRIERS))
    return Merchants(
        merchant_id=pa.array(names, pa.string()),
        weight=zipf_mandelbrot(size),
        carrier_share=carrier_share,
        price_level=rng.normal(0, 0.5, size),
        complaint_level=rng.normal(0, 0.4, size),
        return_level=rng.normal(0, 0.3, size),
        take_up=np.round(rng.beta(18, 1.5, size), 4),
        is_enrolled=rng.random(size) >= 0.02,
    )


def _make_outlets(rng: np.random.Generator, num_orders: int) -> Outlets:
    """Draw outlets, more of them where there are more parcels."""
    market = np.array([carrier.market_share for carrier in CARRIERS])
    parcels = num_orders * np.outer(market, REGION_SHARE).ravel()
    sizes = np.clip(np.rint(parcels / PARCELS_PER_OUTLET), 1, MAX_OUTLETS).astype(int)
    lane = np.repeat(np.arange(len(sizes)), sizes)
    rank = np.arange(len(lane)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    weight = (rank + 1.0) ** -0.7
    share = weight / np.bincount(lane, weight)[lane]
    running = np.cumsum(share)
    before = np.concatenate([[0.0], running])[np.cumsum(sizes) - sizes]
    bound = lane + (running - before[lane])
    # Sums fall short of one by rounding: close each lane at the top.
    bound[np.cumsum(sizes) - 1] = np.arange(1, len(sizes) + 1)
    kept_prob = _kept_prob(rng, lane)
    return Outlets(
        outlet_id=_outlet_ids(lane, rank),
        lane=lane,
        share=share,
        bound=bound,
        kept_prob=kept_prob,
        lane_kept_prob=np.bincount(lane, share * kept_prob).astype(np.float64),
    )


def _kept_prob(
    rng: np.random.Generator, lane: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Let regions and outlets keep promises better or worse than their carrier."""
    kept = np.repeat([carrier.kept_share for carrier in CARRIERS], NUM_REGIONS)
    level = np.log(kept / (1 - kept)) + rng.normal(0, 0.25, len(kept))
    level -= 0.5 * np.tile(IS_REMOTE, NUM_CARRIERS)
    logit = level[lane] + rng.normal(0, 0.4, len(lane))
    return np.asarray(1 / (1 + np.exp(-logit)))


def _outlet_ids(lane: NDArray[np.int64], rank: NDArray[np.int64]) -> pa.Array:
    """Name outlets after their carrier and region, such as zhongtong-CN-11-003."""
    names = [f"{c}-{r}" for c in CARRIER_IDS for r in REGION_IDS]
    pairs = zip(lane.tolist(), rank.tolist(), strict=True)
    return pa.array([f"{names[at]}-{n + 1:03d}" for at, n in pairs], pa.string())
