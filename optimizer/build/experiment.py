r"""
Randomisation of a night, so that the effect of premium can be measured.

Two arms are drawn here, both from a keyed hash of the order's key, the date and the
seed: the same night gives the same draw whatever the order of rows.

**Policy arm.** The night is solved in full. Of the chosen parcels a share :math:`h`
is then held out: ``HELD_OUT``, on standard service. A chosen parcel therefore gets
premium with probability exactly :math:`1 - h`, one that is not chosen with 0. The
slots of held-out parcels stay empty: they are the arm's part of caps and capacity.
Giving them to the next best parcels would bias the measurement twice. A parcel that
moves up would do so *because* another was held out. And at the prices of the thinned
night, parcels would count as "would have been chosen" that were not: alone on a lane
of one slot, every parcel would. So the certificate is of the whole plan, held-out
parcels included. It is the optimum; the delivered plan is a subset of it, hence
feasible, and the cost of measuring is exactly the savings of the held-out parcels.

With ``holdout.unit: station-day`` the draw is of the lane of a chosen parcel instead
of the parcel: all chosen parcels of a carrier's station are held out that night, or
none (a switchback over days). Every propensity is the same, and parcels that take a
courier's time from each other are in the same arm.

**Explore arm.** The optimum never shows the effect of premium on parcels that it
does not choose. Before the night is solved, each open order enters a pool with a
small probability, blind to its saving, and a fair coin gives premium to half of the
pool. With explore share :math:`e`, cap :math:`c_m` and :math:`n_m` open orders of
the merchant, slots :math:`s_r` and :math:`n_r` orders that may come in each row
around its lane,

.. math:: \Pr(\text{pool}) = \min\bigl(1,\, 2 e\, c_m / n_m,\,
          \min_r 2 e\, s_r / n_r\bigr),

so that the arm is expected to use at most the share :math:`e` of each cap and each
row. Orders are drawn one after the other, in the order of a second hash. An order that
finds no room when its turn comes is not in the pool, whatever its coin. The coin is
therefore fair given everything before it: every propensity in the pool is exactly 1/2.
The slots of the pool's premium parcels are taken off caps and lanes *before* the solve,
and the pool takes no part in it; the certificate is of the remaining night. The value
of the reserved slots is bounded at the certificate's prices.

``objective.explore`` says how the explore share is used: ``blind`` as here, ``margin``
as in :mod:`optimizer.build.margin_coins`, which takes the place of the explore arm.
With ``thompson`` savings themselves are drawn: :mod:`optimizer.build.drawn_savings`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.errors import ConfigError
from optimizer.io.order_keys import order_keys

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optimizer.build.lanes import Place
    from optimizer.config import Holdout, Objective

#: Chance of premium in the pool of the explore arm.
COIN = 0.5
_HALF = np.uint64(2**63)
_FULL = 2**64
_BLOCK_KEYS = 1 << 22
#: Multiples of this, the odd part of the golden ratio, tell options of an order apart.
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Experiment:
    """
    The rules of a night's draws.

    Attributes
    ----------
    hold_share, explore_share
        Exact shares of the two arms.
    seed, day
        Keys of the hash.
    coin_share
        Exact share of the chosen parcels that get a coin of the margin arm.
    num_draws
        Further draws of the savings beside the night's own; 0: savings are not drawn.
    """

    hold_share: Fraction
    explore_share: Fraction
    seed: int
    day: dt.date | None
    is_by_station: bool = False
    coin_share: Fraction = Fraction(0)
    num_draws: int = 0

    @property
    def is_random(self) -> bool:
        """Whether anything is left to chance."""
        return bool(self.hold_share or self.is_exploring)

    @property
    def is_exploring(self) -> bool:
        """Whether parcels may be premium that the best plan would not choose."""
        return bool(self.explore_share or self.coin_share or self.num_draws)


def make_experiment(
    holdout: Holdout, day: dt.date | None, objective: Objective | None = None
) -> Experiment:
    """
    Read the rules of a night's draws.

    Parameters
    ----------
    holdout
        Shares and seed.
    day
        The night's date.
    objective
        With what the explore share is used for; left out: to explore blind.

    Raises
    ------
    ConfigError
        When there are random draws and the night has no date to key them by.
    """
    none, share = Fraction(0), Fraction(holdout.explore_share)
    explore = "blind" if objective is None else objective.explore
    made = Experiment(
        hold_share=Fraction(holdout.share),
        explore_share=share if explore == "blind" else none,
        seed=holdout.seed,
        day=day,
        is_by_station=holdout.unit == "station-day",
        coin_share=share if explore == "margin" else none,
        num_draws=objective.num_draws if objective and explore == "thompson" else 0,
    )
    if day is None and made.is_random:
        raise ConfigError(
            "holdout: a share above 0 needs the date of the night (date=): it keys "
            "the draw, so that a parcel that comes again is drawn again"
        )
    return made


def draw(
    key: NDArray[np.uint64], experiment: Experiment, purpose: str
) -> NDArray[np.uint64]:
    """
    Hash order keys to numbers that are uniform below 2**64.

    Parameters
    ----------
    key
        ``(n,) uint64``.
    experiment
        Seed and date.
    purpose
        Draws for different purposes are independent.

    Examples
    --------
    >>> import datetime as dt
    >>> experiment = Experiment(Fraction(1, 50), Fraction(0), 7, dt.date(2026, 11, 22))
    >>> uniform = draw(np.arange(100_000, dtype=np.uint64), experiment, "hold")
    >>> abs(float((uniform < np.uint64(2**64 // 50)).mean()) - 0.02) < 0.002
    True
    """
    text = f"{experiment.seed}|{experiment.day}|{purpose}".encode()
    digest = hashlib.sha256(text).digest()
    first, second = (np.uint64(int.from_bytes(digest[i : i + 8])) for i in (0, 8))
    found = np.empty(len(key), np.uint64)
    for start in range(0, len(key), _BLOCK_KEYS):
        block = slice(start, start + _BLOCK_KEYS)
        found[block] = mix(mix(key[block] ^ first) + second)
    return found


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix as MurmurHash3 ends: every input bit moves every output bit."""
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xFF51AFD7ED558CCD)
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def is_held(key: NDArray[np.uint64], experiment: Experiment) -> NDArray[np.bool_]:
    """
    Which chosen orders the policy arm holds out, ``(n,) bool``.

    Parameters
    ----------
    key
        ``(n,) uint64``: of the orders, or of their stations (:func:`station_keys`).
    experiment
        The rules.
    """
    if experiment.hold_share == 0:
        return np.zeros(len(key), np.bool_)
    if experiment.hold_share == 1:
        return np.ones(len(key), np.bool_)
    limit = np.uint64(int(experiment.hold_share * _FULL))
    return draw(key, experiment, "hold") < limit


def station_keys(places: Sequence[Place]) -> NDArray[np.uint64]:
    """Key of each lane by its carrier, region and outlet, ``(num_lanes,) uint64``."""
    import polars as pl

    names = ["|".join(part or "" for part in place[:3]) for place in places]
    return order_keys(pl.Series(names, dtype=pl.String))[0]


@dataclass(frozen=True, slots=True, eq=False)
class ExplorePool:
    """
    The orders of the explore arm, and all their options.

    Attributes
    ----------
    row
        ``(p,) int64``: rows of the orders table.
    is_premium
        ``(p,) bool``: result of the coin.
    lane, saving
        ``(p,) int32`` and ``(p,) int64`` micro-CNY: of the drawn option.
    merchant
        ``(p,) int32``.
    start
        ``(p + 1,) int64``: options of pool order ``j`` are ``start[j] : start[j+1]``.
    option_lane, option_saving
        ``(q,) int32`` and ``(q,) int64``: all their options.
    used_cap, used_slots
        ``(num_merchants,)`` and ``(num_lanes,) int64``: places that the arm takes.
    """

    row: NDArray[np.int64]
    is_premium: NDArray[np.bool_]
    lane: NDArray[np.int32]
    saving: NDArray[np.int64]
    merchant: NDArray[np.int32]
    start: NDArray[np.int64]
    option_lane: NDArray[np.int32]
    option_saving: NDArray[np.int64]
    used_cap: NDArray[np.int64]
    used_slots: NDArray[np.int64]


def empty_pool(num_merchants: int, num_lanes: int) -> ExplorePool:
    """A pool without orders."""
    whole, lane = np.zeros(0, np.int64), np.zeros(0, np.int32)
    none = np.zeros(0, np.bool_)
    return ExplorePool(
        row=whole,
        is_premium=none,
        lane=lane,
        saving=whole,
        merchant=lane,
        start=np.zeros(1, np.int64),
        option_lane=lane,
        option_saving=whole,
        used_cap=np.zeros(num_merchants, np.int64),
        used_slots=np.zeros(num_lanes, np.int64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class ExploreField:
    """
    The night from which the explore arm is drawn.

    Attributes
    ----------
    key, row
        ``(n,) uint64``, ``(n,) int64``: of all orders.
    merchant
        ``(n,) int32``.
    is_open
        ``(n,) bool``.
    order, lane, saving
        ``(k,)``: order, lane and saving of each option.
    cap, slots, parent
        Limits of merchants and lanes, and the parent of each lane.
    """

    key: NDArray[np.uint64]
    row: NDArray[np.int64]
    merchant: NDArray[np.int32]
    is_open: NDArray[np.bool_]
    order: NDArray[np.int64]
    lane: NDArray[np.int32]
    saving: NDArray[np.int64]
    cap: NDArray[np.int64]
    slots: NDArray[np.int64]
    parent: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class EntryLimits:
    """
    Below which of 2**64 an order's hash brings it into the explore arm.

    Attributes
    ----------
    by_cap, by_lane
        ``(num_merchants,)`` and ``(num_lanes,) uint64``: the less of both counts.
    """

    by_cap: NDArray[np.uint64]
    by_lane: NDArray[np.uint64]


def entry_limits(
    experiment: Experiment,
    *,
    cap: NDArray[np.int64],
    num_open: NDArray[np.int64],
    slots: NDArray[np.int64],
    demand: NDArray[np.int64],
    parent: NDArray[np.int32],
) -> EntryLimits:
    """
    Find how likely an order comes into the explore arm.

    Parameters
    ----------
    experiment
        The rules.
    cap, num_open
        ``(num_merchants,) int64``: caps, and orders that may be recommended.
    slots, demand, parent
        ``(num_lanes,)``: slots, options of such orders that go to the lane itself, and
        the parent of each.
    """
    demand = demand.astype(np.int64)
    for lane in range(len(demand) - 1, -1, -1):
        if parent[lane] >= 0:
            demand[parent[lane]] += demand[lane]
    by_lane = _limits(experiment, slots, demand)
    for lane, above in enumerate(parent.tolist()):
        if above >= 0:
            by_lane[lane] = min(by_lane[lane], by_lane[above])
    return EntryLimits(_limits(experiment, cap, num_open), by_lane)


def draw_pool(
    field: ExploreField, experiment: Experiment, limits: EntryLimits | None = None
) -> tuple[ExplorePool, NDArray[np.int64]]:
    """
    Draw the explore arm.

    Parameters
    ----------
    field
        The night before it is solved.
    experiment
        The rules.
    limits
        Of the whole night, where the field has only some of its orders, all that
        :func:`candidates_of` finds among them; left out: the field is the night.

    Returns
    -------
    pool, member
        The arm; and ``(p,) int64``: positions of its orders among all orders,
        ascending by key.
    """
    none = empty_pool(len(field.cap), len(field.slots)), np.zeros(0, np.int64)
    if experiment.explore_share == 0 or not field.is_open.any():
        return none
    limits = limits or _limits_of(field, experiment)
    candidate, picked, options = candidates_of(field, experiment, limits)
    coin = draw(field.key[candidate], experiment, "coin") < _HALF
    turn = draw(field.key[candidate], experiment, "turn")
    turns = _take_turns(field, candidate, picked, coin, turn)
    is_in = turns.has_room
    drawn = _Drawn(candidate[is_in], picked[is_in], coin[is_in])
    return _gather(field, drawn, options, turns)


def _limits_of(field: ExploreField, experiment: Experiment) -> EntryLimits:
    """The limits of a whole night."""
    merchant = field.merchant[field.is_open]
    return entry_limits(
        experiment,
        cap=field.cap,
        num_open=np.bincount(merchant, minlength=len(field.cap)),
        slots=field.slots,
        demand=np.bincount(field.lane, minlength=len(field.slots)),
        parent=field.parent,
    )


def candidates_of(
    field: ExploreField, experiment: Experiment, limits: EntryLimits
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """
    Find the orders whose hash would bring them into the explore arm.

    Parameters
    ----------
    field
        Orders; caps, slots and parents are not looked at.
    experiment, limits
        The rules, and the limits of the whole night.

    Returns
    -------
    candidate, picked
        ``(p,) int64``: positions of the orders, and the option drawn for each.
    options
        ``(q,) int64``: options of those whose cap lets them in, by order and lane.
    """
    entry = draw(field.key, experiment, "pool")
    is_in = field.is_open & (entry < limits.by_cap[field.merchant])
    candidate = np.flatnonzero(is_in)
    picked, options = _pick_options(field, candidate, experiment)
    candidate = candidate[picked >= 0]
    picked = picked[picked >= 0]
    fits = entry[candidate] < limits.by_lane[field.lane[picked]]
    return candidate[fits], picked[fits], options


def _limits(
    experiment: Experiment, limit: NDArray[np.int64], demand: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """``min(1, 2 e limit / demand)`` of 2**64, in whole numbers."""
    share = 2 * experiment.explore_share
    pairs = zip(limit.tolist(), demand.tolist(), strict=True)
    exact = [
        min(share.numerator * c * _FULL // (share.denominator * max(n, 1)), _FULL - 1)
        for c, n in pairs
    ]
    return np.array(exact, np.uint64)


def _pick_options(
    field: ExploreField, candidate: NDArray[np.int64], experiment: Experiment
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Pick one option of each candidate by hash; -1 where it has none.

    Also all their options, by candidate and lane.
    """
    is_candidate = np.zeros(len(field.key), np.bool_)
    is_candidate[candidate] = True
    options = np.flatnonzero(is_candidate[field.order])
    options = options[np.lexsort((field.lane[options], field.order[options]))]
    order = field.order[options]
    lot = draw(field.key[order], experiment, "option")
    lot = mix(lot + field.lane[options].astype(np.uint64) * _STEP)
    ranked = options[np.lexsort((lot, order))]
    found, first = np.unique(field.order[ranked], return_index=True)
    picked = np.full(len(candidate), -1, np.int64)
    picked[np.searchsorted(candidate, found)] = ranked[first]
    return picked, options


class _Turns(NamedTuple):
    """Which candidates had room, and how much of each limit premium parcels use."""

    has_room: NDArray[np.bool_]
    used_cap: NDArray[np.int64]
    used_slots: NDArray[np.int64]


def _take_turns(
    field: ExploreField,
    candidate: NDArray[np.int64],
    picked: NDArray[np.int64],
    coin: NDArray[np.bool_],
    turn: NDArray[np.uint64],
) -> _Turns:
    """Admit candidates one after the other, while their rows have room."""
    used_cap, used_slots = np.zeros_like(field.cap), np.zeros_like(field.slots)
    has_room = np.zeros(len(candidate), np.bool_)
    for at in np.lexsort((field.key[candidate], turn)).tolist():
        merchant, path = field.merchant[candidate[at]], []
        lane = int(field.lane[picked[at]])
        while lane >= 0:
            path.append(lane)
            lane = int(field.parent[lane])
        has_room[at] = used_cap[merchant] < field.cap[merchant] and bool(
            np.all(used_slots[path] < field.slots[path])
        )
        if has_room[at] and coin[at]:
            used_cap[merchant] += 1
            used_slots[path] += 1
    return _Turns(has_room, used_cap, used_slots)


class _Drawn(NamedTuple):
    """The orders of the arm: their places, drawn options and coins."""

    order: NDArray[np.int64]
    option: NDArray[np.int64]
    coin: NDArray[np.bool_]


def _gather(
    field: ExploreField, drawn: _Drawn, options: NDArray[np.int64], turns: _Turns
) -> tuple[ExplorePool, NDArray[np.int64]]:
    """Assemble the arm, its orders ascending by key."""
    by_key = np.argsort(field.key[drawn.order])
    member, picked = drawn.order[by_key], drawn.option[by_key]
    place = np.full(len(field.key), -1, np.int64)
    place[member] = np.arange(len(member))
    options = options[place[field.order[options]] >= 0]
    owner = place[field.order[options]]
    options = options[np.argsort(owner, kind="stable")]
    start = np.searchsorted(np.sort(owner), np.arange(len(member) + 1))
    pool = ExplorePool(
        row=field.row[member],
        is_premium=drawn.coin[by_key],
        lane=field.lane[picked],
        saving=field.saving[picked],
        merchant=field.merchant[member],
        start=start,
        option_lane=field.lane[options],
        option_saving=field.saving[options],
        used_cap=turns.used_cap,
        used_slots=turns.used_slots,
    )
    return pool, member
