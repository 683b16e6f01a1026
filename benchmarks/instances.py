"""
Named nights to measure on: one object says a whole night, and is reproducible.

Each family is one shape of night; within it one axis is swept at a time, by
replacing one field. Everything is drawn with vectorised numpy, some orders at a time.
Unless a family says otherwise: 1,500 lanes (300 cities, 5 carriers), one merchant for
each 200 orders with sizes like 1 / rank^0.9, a cap of 3 %, slots of 30 to 90 % of what
the caps demand of the lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from optimizer.model.problem import Problem

#: Parcels of a hundred of a merchant's that may be chosen.
CAP_PERCENT = 3
#: Carriers in the country; an order may take some of them.
NUM_CARRIERS = 5
#: Three of the five carriers, in every way.
TRIPLES = np.array([*combinations(range(NUM_CARRIERS), 3)], dtype=np.int32)
#: How often an order falls to each carrier, and how much it saves there.
CARRIER_SHARE = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
CARRIER_FACTOR = np.array([1.0, 0.95, 0.9, 0.85, 0.8])
#: What parcels of alike nights save before a merchant's level, CNY.
RISK_LEVELS = np.array([0.5, 1.0, 2.0])
#: Regions of each carrier in nested nights.
NUM_REGIONS = 30
#: Slots as a share of what the caps demand of a lane: lowest and highest.
SLOTS_SHARE = (0.3, 0.9)
#: Cities that a merchant ships to in local nights.
LOCAL_CITIES = 4
#: What premium costs more than standard: savings below it are not positive.
EXTRA_COST_CNY = 0.4
#: Orders that are drawn at a time.
CHUNK_ORDERS = 1_000_000

#: The families, and what is special about each.
FAMILIES = {
    "single": "one carrier for each order",
    "choice": "three of five carriers for each order",
    "local": "choice; a merchant ships to four cities only",
    "tiny": "choice; merchants of 34 to 60 orders, so every cap is 1",
    "ties": "choice; savings rounded to 0.1 CNY",
    "alike": "choice; a merchant ships to one city, at three levels of savings",
    "slack": "choice; three times the slots that the caps could fill",
    "giant": "choice; one merchant has half of all orders",
    "lanes": "choice; 50,000 lanes",
    "nested": "choice; outlets share slots with their region and carrier",
}


@dataclass(frozen=True, slots=True)
class Instance:
    """
    One night, by name.

    Attributes
    ----------
    family
        A key of :data:`FAMILIES`.
    num_orders
        Orders of the night.
    carriers
        Options of each order: 1 or 3.
    num_lanes
        Lanes that orders go by; regions and carriers come on top in ``nested``.
    seed
        Of every random draw.
    """

    family: str
    num_orders: int
    carriers: int = 3
    num_lanes: int = 1_500
    seed: int = 0

    @property
    def name(self) -> str:
        """``choice-100k``; fields that differ from the family's own are added."""
        usual = make_instance(self.family, self.num_orders)
        parts = [self.family, size_name(self.num_orders)]
        parts += [
            f"{field}={getattr(self, field)}"
            for field in ("carriers", "num_lanes", "seed")
            if getattr(self, field) != getattr(usual, field)
        ]
        return "-".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Country:
    """
    What all orders of a night share.

    Attributes
    ----------
    city_edge
        ``(num_cities,) float64``: running shares of the orders.
    served
        ``(num_merchants, LOCAL_CITIES) int32``: cities of merchants in local nights.
    level
        ``(num_merchants,) float64``: a merchant's savings against others'.
    """

    city_edge: np.ndarray
    served: np.ndarray
    level: np.ndarray


def make_instance(family: str, num_orders: int) -> Instance:
    """
    Make a family's usual instance of a size; replace a field to sweep it.

    Examples
    --------
    >>> make_instance("single", 100_000).name
    'single-100k'
    """
    if family not in FAMILIES:
        raise ValueError(f"there is no family {family!r}; choose of {[*FAMILIES]}")
    return Instance(
        family,
        num_orders,
        carriers=1 if family == "single" else 3,
        num_lanes=50_000 if family == "lanes" else 1_500,
    )


def size_name(num_orders: int) -> str:
    """``100k`` for 100,000 and ``1m`` for 1,000,000."""
    for unit, letter in ((1_000_000, "m"), (1_000, "k")):
        if num_orders and num_orders % unit == 0:
            return f"{num_orders // unit}{letter}"
    return str(num_orders)


def parse_size(text: str) -> int:
    """Read ``100k`` as 100,000, ``1m`` as 1,000,000, and plain numbers as they are."""
    units = {"k": 1_000, "m": 1_000_000}
    text = text.strip().lower()
    if text[-1] in units:
        return int(text[:-1]) * units[text[-1]]
    return int(text)


def make_problem(instance: Instance) -> Problem:
    """
    Draw the night of an instance, some orders at a time.

    At most its arrays and a few hundred megabytes are held: 40 bytes for each order
    with one carrier, 64 with three.
    """
    rng = np.random.default_rng([instance.seed, instance.num_orders])
    sizes = _merchant_sizes(instance, rng)
    merchant_start = np.append(0, np.cumsum(sizes))
    cap = sizes * CAP_PERCENT // 100
    country = _draw_country(instance, len(sizes), rng)
    parent = _lane_parent(instance)
    num_orders, ways = instance.num_orders, instance.carriers
    option_lane = np.empty(num_orders * ways, np.int32)
    option_saving = np.empty(num_orders * ways, np.int64)
    wanted = np.zeros(len(parent))
    for first in range(0, num_orders, CHUNK_ORDERS):
        order = np.arange(first, min(first + CHUNK_ORDERS, num_orders))
        merchant = np.searchsorted(merchant_start, order, side="right") - 1
        lane, saving = _draw_orders(instance, merchant, country, rng)
        lane += np.int32(len(parent) - instance.num_lanes)
        here = slice(first * ways, (first + len(order)) * ways)
        option_lane[here], option_saving[here] = lane.ravel(), saving.ravel()
        demand = np.repeat((cap / np.maximum(sizes, 1))[merchant] / ways, ways)
        wanted += np.bincount(lane.ravel(), demand, minlength=len(parent))
    return Problem(
        merchant_start=merchant_start,
        cap=cap,
        option_start=np.arange(num_orders + 1, dtype=np.int64) * ways,
        option_lane=option_lane,
        option_saving=option_saving,
        slots=_slots(instance, parent, wanted, rng),
        lane_parent=parent,
        key=splitmix64(np.arange(num_orders, dtype=np.uint64)),
        row=np.arange(num_orders, dtype=np.int64),
    )


def splitmix64(number: np.ndarray) -> np.ndarray:
    """Mix 64-bit numbers; different numbers stay different."""
    mixed = number + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _merchant_sizes(instance: Instance, rng: np.random.Generator) -> np.ndarray:
    """Orders of each merchant, in no order of size; they add up to all orders."""
    total = instance.num_orders
    if instance.family == "tiny":
        sizes = rng.integers(34, 61, total // 34 + 1)
        sizes = sizes[np.cumsum(sizes) <= total]
        return np.append(sizes, total - sizes.sum()) if sizes.sum() < total else sizes
    giant = total // 2 if instance.family == "giant" else 0
    rest = total - giant
    weight = np.arange(1, max(1, total // 200) + 1) ** -0.9
    sizes = np.maximum(1, np.floor(rest * weight / weight.sum())).astype(np.int64)
    sizes[0] += rest - sizes.sum()
    if giant:
        sizes = np.append(sizes, giant)
    return rng.permutation(sizes)


def _draw_country(
    instance: Instance, num_merchants: int, rng: np.random.Generator
) -> Country:
    """Draw what all orders of a night share: large cities draw more orders."""
    num_cities = instance.num_lanes // NUM_CARRIERS
    weight = rng.permutation(np.arange(1, num_cities + 1) ** -0.8)
    city_edge = np.cumsum(weight / weight.sum())
    city_edge[-1] = 1.0
    served = rng.random((num_merchants, LOCAL_CITIES))
    return Country(
        city_edge=city_edge,
        served=np.searchsorted(city_edge, served).astype(np.int32),
        level=rng.lognormal(0.0, 0.4, num_merchants),
    )


def _draw_orders(
    instance: Instance,
    merchant: np.ndarray,
    country: Country,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """``(num_orders, carriers)`` each: outlet, int32, and saving, int64 micro-CNY."""
    carrier = _carriers(instance, len(merchant), rng)
    if instance.family == "alike":
        city = country.served[merchant, 0]
    elif instance.family == "local":
        turn = rng.integers(0, LOCAL_CITIES, len(merchant))
        city = country.served[merchant, turn]
    else:
        drawn = rng.random(len(merchant))
        city = np.searchsorted(country.city_edge, drawn).astype(np.int32)
    saving = _savings(instance, country.level[merchant], carrier, rng)
    return city[:, None] * np.int32(NUM_CARRIERS) + carrier, saving


def _carriers(
    instance: Instance, num_orders: int, rng: np.random.Generator
) -> np.ndarray:
    """``(num_orders, carriers) int32``: different ones within an order."""
    if instance.carriers == 1:
        drawn = rng.choice(NUM_CARRIERS, (num_orders, 1), p=CARRIER_SHARE)
        return drawn.astype(np.int32)
    return TRIPLES[rng.integers(0, len(TRIPLES), num_orders)]


def _savings(
    instance: Instance,
    level: np.ndarray,
    carrier: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw savings with a long tail, alike within an order."""
    if instance.family == "alike":
        base = rng.choice(RISK_LEVELS, len(level)) * np.round(level, 2)
        cny = CARRIER_FACTOR[carrier] * base[:, None] - EXTRA_COST_CNY
        return np.rint(cny * 1e6).astype(np.int64)
    base = rng.lognormal(0.0, 1.0, len(level)) * level
    cny = CARRIER_FACTOR[carrier] * rng.uniform(0.8, 1.2, carrier.shape)
    cny *= base[:, None]
    cny -= EXTRA_COST_CNY
    if instance.family == "ties":
        return np.rint(cny * 10).astype(np.int64) * 100_000
    return np.rint(cny * 1e6).astype(np.int64)


def _lane_parent(instance: Instance) -> np.ndarray:
    """``(num_lanes,) int32``: the lane around each lane, parents first."""
    if instance.family != "nested":
        return np.full(instance.num_lanes, -1, np.int32)
    carrier_of = np.arange(instance.num_lanes) % NUM_CARRIERS
    region_of = np.arange(instance.num_lanes) // NUM_CARRIERS % NUM_REGIONS
    num_regions = NUM_CARRIERS * NUM_REGIONS
    parent = np.concatenate(
        (
            np.full(NUM_CARRIERS, -1),
            np.arange(num_regions) // NUM_REGIONS,
            NUM_CARRIERS + carrier_of * NUM_REGIONS + region_of,
        )
    )
    return parent.astype(np.int32)


def _slots(
    instance: Instance,
    parent: np.ndarray,
    wanted: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """``(num_lanes,) int64``: a share of what the caps demand, rounded at random."""
    if instance.family == "slack":
        return np.ceil(3 * wanted).astype(np.int64)
    share = rng.uniform(*SLOTS_SHARE, len(parent))
    if instance.family == "nested":
        wanted, share = _nested_demand(wanted, parent), share * _level_share(parent)
    return np.floor(share * wanted + rng.random(len(parent))).astype(np.int64)


def _nested_demand(wanted: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Add to each lane what is demanded of the lanes within it."""
    total = wanted.copy()
    for lane in range(len(parent) - 1, -1, -1):
        if parent[lane] >= 0:
            total[parent[lane]] += total[lane]
    return total


def _level_share(parent: np.ndarray) -> np.ndarray:
    """Outlets get more of their demand than regions and carriers: all levels bind."""
    is_root = parent < 0
    is_region = ~is_root & is_root[parent]
    return np.where(is_root, 1.0, np.where(is_region, 1.2, 1.4))
