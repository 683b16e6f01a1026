"""
Worlds: laws by which premium helps, or not, that no learner knows beforehand.

``plain`` is the law of :mod:`optimizer.simulate.draw`: its orders carry the platform's
honest belief about each parcel. In every other world the platform believes that a kept
promise removes half of any harm, whatever is true; its scores of the risk stay honest
but where the world says otherwise. Orders have two columns more: ``category_id``, and
``station_distance_m``, which no contract knows and ``learning.features`` may name. With
the same seed all worlds have the same merchants, parcels, values and capacity, so
that they can be compared parcel by parcel.

The truth has both potential outcomes of each parcel everywhere, and where a world needs
them ``true_take_up_prob``, ``*_delay_days``, ``*_crowded`` with ``station_id`` and
``station_slots``, and ``is_score_kept``, by which outcomes are revealed.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.errors import ConfigError
from optimizer.simulate.dates import START
from optimizer.simulate.draw import Beyond
from optimizer.simulate.ids import Stream, stream
from optimizer.simulate.world import CARRIER_IDS, IS_REMOTE, NUM_CARRIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from numpy.typing import NDArray

    from optimizer.simulate.draw import Harm, OrderDraws
    from optimizer.simulate.world import World

CATEGORIES = ("apparel", "beauty", "electronics", "food", "furniture", "home")
BELIEVED_EFFECT = 0.5
"""What the platform believes in every world but ``plain``."""

#: Risks are higher than in ``plain``, so that small nights have events enough.
COMPLAINT_FACTOR, RETURN_FACTOR, MAX_RISK = 2.5, 1.3, 0.6
#: The carrier that worsens, from when, over how many days, and to what share of before.
WORSENING, WORSENS_AFTER_DAYS, WORSENS_OVER_DAYS, WORSE = "yuantong", 6, 4, 0.25
#: Mean days until a harm is known, on standard and on premium service.
DELAY_DAYS = MappingProxyType({"standard": 6.0, "premium": 2.0})
#: Factor on the harm of standard parcels at a station whose premium slots are all
#: taken, where the complaint score is above ``DEMANDING``: the courier hurries them.
CROWDED, DEMANDING = 1.3, 0.2


class Batch(NamedTuple):
    """A batch of parcels that a law changes: its day, and what it may draw from."""

    day: date
    rng: np.random.Generator
    orders: OrderDraws
    category: NDArray[np.int64]
    distance: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Law:
    """
    A world by name.

    Attributes
    ----------
    name
        As in ``--world``.
    sentence
        What is true in it.
    change
        Turns the parcels of ``plain`` into this world's; ``None`` in ``plain``.
    kept_factor
        ``(NUM_CARRIERS,) float64`` of a day: factor on the promises that carriers keep.
    crowded
        Factor on harm of demanding standard parcels at a station whose premium slots
        are all taken; 1: none.
    keeps_score
        Whether outcomes hold the scores that nights are decided by.
    """

    name: str
    sentence: str
    change: Callable[[Batch], OrderDraws] | None = None
    kept_factor: Callable[[date], NDArray[np.float64]] | None = None
    crowded: float = 1.0
    keeps_score: bool = True


def find_law(name: str) -> Law:
    """
    The world of a name.

    Raises
    ------
    ConfigError
        When there is none; names the nearest, and all.

    Examples
    --------
    >>> find_law("null").sentence
    'Premium changes nothing.'
    """
    if name in WORLDS:
        return WORLDS[name]
    near = difflib.get_close_matches(name, WORLDS, 1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise ConfigError(
        f"world: there is no {name!r}; {guess}known are {', '.join(WORLDS)}"
    )


def apply_law(world: World, day: date, orders: OrderDraws) -> OrderDraws:
    """
    Parcels as they are in a world; those of ``plain`` unchanged.

    Parameters
    ----------
    world
        With its law.
    day
        Date of the night.
    orders
        As ``plain`` has them.
    """
    law = find_law(world.law)
    if law.change is None:
        return orders
    size = len(orders.number)
    rng = stream(world.seed, Stream.LAW, day.toordinal(), int(orders.number[0]))
    # Most of what a merchant sells is of one category.
    of_merchants = stream(world.seed, Stream.LAW)
    main = of_merchants.integers(0, len(CATEGORIES), len(world.merchants.weight))
    other = rng.integers(0, len(CATEGORIES), size)
    category = np.where(rng.random(size) < 0.6, main[orders.merchant], other)
    remote = IS_REMOTE[orders.region]
    distance = np.exp(rng.normal(6.2 + 0.6 * remote, 0.7, size)).round()
    scaled = replace(
        orders,
        complaint=_scaled(orders.complaint, COMPLAINT_FACTOR),
        logistics_return=_scaled(orders.logistics_return, RETURN_FACTOR),
        beyond=Beyond(category, distance.astype(np.int64)),
    )
    return law.change(Batch(day, rng, scaled, category, distance))


def _scaled(harm: Harm, factor: float) -> Harm:
    """A harm that comes more often."""
    believed = np.minimum(harm.believed * factor, MAX_RISK).round(6)
    same = np.full(len(believed), BELIEVED_EFFECT)
    return replace(harm, believed=believed, believed_effect=same)


def _with_effect(batch: Batch, effect: NDArray[np.float64]) -> OrderDraws:
    """Let a kept promise remove this share of both harms, and nothing but it."""
    return _with_effects(batch, effect, effect)


def _with_effects(
    batch: Batch, complaint: NDArray[np.float64], returned: NDArray[np.float64]
) -> OrderDraws:
    orders = batch.orders
    ones = np.ones(len(complaint))
    return replace(
        orders,
        complaint=replace(orders.complaint, effect=complaint, effect_noise=ones),
        logistics_return=replace(
            orders.logistics_return, effect=returned, effect_noise=ones
        ),
    )


def _with_risk(
    orders: OrderDraws,
    believed: NDArray[np.float64] | float,
    hidden: NDArray[np.float64] | float = 1.0,
) -> OrderDraws:
    """Multiply the risks: as the platform scores them, and beyond what it knows."""

    def changed(harm: Harm) -> Harm:
        score = np.minimum(harm.believed * believed, MAX_RISK).round(6)
        return replace(harm, believed=score, risk_noise=harm.risk_noise * hidden)

    return replace(
        orders,
        complaint=changed(orders.complaint),
        logistics_return=changed(orders.logistics_return),
    )


def _sigmoid(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-score)))


def _two_harms(batch: Batch) -> OrderDraws:
    """The higher the score, the more of it is the product's; categories differ."""
    lean = np.array([0.8, -0.8, -1.2, 0.4, 1.2, -0.4])[batch.category]

    def share(harm: Harm) -> NDArray[np.float64]:
        level = np.log(np.maximum(harm.believed, 1e-4) / np.median(harm.believed))
        return 0.85 * _sigmoid(0.8 + lean - 1.3 * level)

    orders = batch.orders
    return _with_effects(batch, share(orders.complaint), share(orders.logistics_return))


def _categories(batch: Batch) -> OrderDraws:
    """Food, which waits at the door, is hurt, and is complained about most."""
    risk = np.array([1.0, 0.8, 1.1, 1.7, 1.0, 1.3])[batch.category]
    effect = np.array([0.75, 0.6, 0.45, -0.6, 0.7, 0.1])[batch.category]
    return _with_risk(_with_effect(batch, effect), risk)


def _hidden(batch: Batch) -> OrderDraws:
    """Whether somebody is at home decides; category and value together hint at it."""
    is_dear = batch.orders.value_cny > 60
    is_first = batch.category < len(CATEGORIES) // 2
    chance = np.where(is_dear == is_first, 0.85, 0.1)
    at_home = batch.rng.random(len(chance)) < chance
    return _with_effect(batch, np.where(at_home, 0.85, -0.1))


def _distance(batch: Batch) -> OrderDraws:
    """Who lives beside the station gains nothing."""
    return _with_effect(batch, 0.9 * _sigmoid(3 * np.log(batch.distance / 500)))


def _hidden_score(batch: Batch) -> OrderDraws:
    """The same effect for all; only the outcomes are short of columns."""
    return _with_effect(batch, np.full(len(batch.category), 0.5))


def _drift(batch: Batch) -> OrderDraws:
    """Effects wander from category to category, risks with week and season."""
    days = (batch.day - START).days
    place = batch.category / len(CATEGORIES)
    effect = 0.35 + 0.45 * np.cos(2 * np.pi * (days / 60 - place))
    season = 0.3 * np.sin(2 * np.pi * days / 7) + 0.4 * np.sin(
        2 * np.pi * (days / 45 + batch.orders.region / 31)
    )
    return _with_risk(_with_effect(batch, effect), 1.0, np.exp(season))


def _half(batch: Batch) -> OrderDraws:
    """A share around one half, by category a little more or less."""
    effect = np.array([0.6, 0.55, 0.5, 0.5, 0.45, 0.4])[batch.category]
    return _with_effect(batch, effect)


def _worsening(batch: Batch) -> OrderDraws:
    """The carrier's parcels are complained about more too."""
    worse = np.ones(NUM_CARRIERS)
    at = CARRIER_IDS.index(WORSENING)
    worse[at] = 1 + 0.5 * _worsened(batch.day)
    return _with_risk(_half(batch), 1.0, worse[batch.orders.carriers[:, 0]])


def _worsened(day: date) -> float:
    """How far the carrier has come down, 0 to 1."""
    since = (day - START).days - WORSENS_AFTER_DAYS
    return min(max(since / WORSENS_OVER_DAYS, 0.0), 1.0)


def _worsening_promises(day: date) -> NDArray[np.float64]:
    factor = np.ones(NUM_CARRIERS)
    factor[CARRIER_IDS.index(WORSENING)] = 1 - (1 - WORSE) * _worsened(day)
    return factor


def _take_up(batch: Batch) -> OrderDraws:
    """Bought is rather what is dear and what gains nothing by it."""
    orders = batch.orders
    gains = batch.rng.random(len(batch.category)) < 0.5
    wanted = np.where(orders.value_cny > 60, 0.9, 0.6)
    take_up = np.where(gains, 0.45 * wanted, wanted)
    changed = _with_effect(batch, np.where(gains, 0.85, 0.15))
    assert changed.beyond is not None
    return replace(changed, beyond=replace(changed.beyond, take_up=take_up))


def _delayed(batch: Batch) -> OrderDraws:
    return _with_delays(batch, _half(batch))


def _delayed_null(batch: Batch) -> OrderDraws:
    return _with_delays(batch, _null(batch))


def _with_delays(batch: Batch, orders: OrderDraws) -> OrderDraws:
    """Draw when each harm would be known: later on standard service."""
    size = len(batch.category)
    delays = {
        f"{harm}_{service}": batch.rng.geometric(1 / (mean + 1), size) - 1
        for harm in ("complaint", "return")
        for service, mean in DELAY_DAYS.items()
    }
    assert orders.beyond is not None
    return replace(orders, beyond=replace(orders.beyond, delay_days=delays))


def _null(batch: Batch) -> OrderDraws:
    return _with_effect(batch, np.zeros(len(batch.category)))


WORLDS: Mapping[str, Law] = MappingProxyType(
    {
        law.name: law
        for law in (
            Law(
                "plain",
                "Premium removes the same share of harm everywhere but for luck: most "
                "of it for 80 % of the parcels, nothing for 11 %, and 9 % are hurt; "
                "nothing in the columns tells which.",
            ),
            Law(
                "two-harms",
                "Complaints about the product, which premium cannot mend, stand beside "
                "those about delivery, which it can: the higher the score, the more of "
                "it is the product's, by category too.",
                _two_harms,
            ),
            Law(
                "categories",
                "The effect differs by category: from three quarters of the harm "
                "removed to food, which premium hurts and which is complained about "
                "most.",
                _categories,
            ),
            Law(
                "hidden",
                "Premium removes most harm where somebody is at home and adds some "
                "elsewhere; no column says so, category and value together hint at "
                "it and neither alone.",
                _hidden,
            ),
            Law(
                "distance",
                "The effect rises with the distance to the pickup station, a column "
                "that no contract knows.",
                _distance,
            ),
            Law(
                "hidden-score",
                "Parcels are chosen by scores that the outcomes lack, so that chosen "
                "ones are riskier than they look; premium removes half of the harm of "
                "all.",
                _hidden_score,
                keeps_score=False,
            ),
            Law(
                "drift",
                "The effect wanders from category to category in 60 days, and risks "
                "swing with week and season beside what the scores say.",
                _drift,
            ),
            Law(
                "worsening-carrier",
                f"From {WORSENS_AFTER_DAYS} days after {START} on {WORSENING} comes "
                f"down within {WORSENS_OVER_DAYS} days to {WORSE:.0%} of the promises "
                "that it kept, with half as much harm again.",
                _worsening,
                kept_factor=_worsening_promises,
            ),
            Law(
                "take-up",
                "Merchants buy premium for fewer parcels than they state, and rather "
                "for dear ones and for those that gain little by it.",
                _take_up,
            ),
            Law(
                "delayed",
                "Harm is known after a delay, 6 days on average on standard and 2 on "
                "premium service; premium removes about half of it.",
                _delayed,
            ),
            Law(
                "delayed-null",
                "Harm is known after the same unequal delays, and premium changes "
                "nothing.",
                _delayed_null,
            ),
            Law(
                "spill-over",
                "Premium removes about half of a parcel's harm, and a station whose "
                f"premium slots are all taken does {CROWDED - 1:.0%} more harm to "
                "standard parcels of high risk.",
                _half,
                crowded=CROWDED,
            ),
            Law("null", "Premium changes nothing.", _null),
        )
    }
)
"""The worlds by name, ``plain`` first."""
