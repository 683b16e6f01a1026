r"""
The margin arm: fair coins between parcels just inside and just outside the plan.

Parcels of one merchant that would go on one lane are exchangeable for every limit of a
network night: a chosen one that stays behind leaves exactly the place in the cap and
the slot that another one takes. So, after the night is solved, pairs are made of a
chosen parcel and one that is not, and a fair coin says which of the two is recommended.
The plan that is carried out keeps every limit by construction, every propensity in a
pair is exactly 1/2 given all else, and both of its parcels teach.

The certificate is of the plan before the coins. A pair costs the difference of its two
savings where the coin swaps it, and these lie around the cut-off. They carry the
risk of parcels that nearly were, or were, chosen, so that they show more events than
parcels that are drawn blind.

With share :math:`e`, a merchant with :math:`n` chosen parcels gets

.. math:: \lfloor e\,n + u \rfloor, \qquad u \in [0, 1)

pairs: :math:`u` is a hash of seed, date and merchant, so that every merchant takes part
in proportion, small ones on some nights. They are taken one after the other: always the
pair of free parcels on one lane that costs least, equal ones by the keys of both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.experiment import draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optimizer.build.experiment import Experiment
    from optimizer.model.problem import Problem

_HALF = np.uint64(2**63)
_BITS = 64


@dataclass(frozen=True, slots=True, eq=False)
class MarginPairs:
    """
    Pairs of a chosen parcel and one that is not, on the same lane of the same merchant.

    Attributes
    ----------
    inside, outside
        ``(k,) int64``: the option that the plan chose, and the one beside it.
    is_kept
        ``(k,) bool``: whether the coin leaves the plan as it is.
    """

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]
    is_kept: NDArray[np.bool_]

    @property
    def tossed(self) -> Tossed:
        """Both sides of the pairs, each by itself."""
        return Tossed(self.inside, self.is_kept, self.outside, self.is_kept)


@dataclass(frozen=True, slots=True, eq=False)
class Tossed:
    """
    Options inside and outside of pairs, whose other side may be elsewhere.

    Attributes
    ----------
    inside, is_inside_kept
        ``(p,) int64`` and ``bool``: options that the plan chose, and whether the coin
        leaves the plan as it is.
    outside, is_outside_kept
        ``(q,)``: likewise of those beside it.
    """

    inside: NDArray[np.int64]
    is_inside_kept: NDArray[np.bool_]
    outside: NDArray[np.int64]
    is_outside_kept: NDArray[np.bool_]


def toss_coins(
    problem: Problem,
    chosen: NDArray[np.int64],
    merchant_ids: Sequence[str],
    experiment: Experiment,
) -> MarginPairs:
    """
    Make the pairs of a solved network night and toss their coins.

    Parameters
    ----------
    problem
        The night.
    chosen
        ``(num_chosen,) int64``: options of the plan.
    merchant_ids
        By merchant.
    experiment
        Share, seed and date.
    """
    owner = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    merchant = (
        np.searchsorted(problem.merchant_start, np.arange(problem.num_orders), "right")
        - 1
    )
    quota = pair_quotas(
        np.bincount(merchant[owner[chosen]], minlength=problem.num_merchants),
        merchant_ids,
        experiment,
    )
    group = merchant[owner] * problem.num_lanes + problem.option_lane
    inside = chosen[quota[merchant[owner[chosen]]] > 0]
    is_planned = np.zeros(problem.num_orders, np.bool_)
    is_planned[owner[chosen]] = True
    outside = np.flatnonzero(~is_planned[owner] & (quota[merchant[owner]] > 0))
    outside = outside[np.isin(group[outside], group[inside])]
    saving, key = problem.option_saving, problem.key[owner]
    inside = inside[np.lexsort((key[inside], saving[inside], group[inside]))]
    outside = outside[np.lexsort((key[outside], -saving[outside], group[outside]))]
    ends = _Ends(inside.tolist(), outside.tolist(), group, owner, saving, key)
    pairs = _pair(ends, quota, merchant)
    first = np.array([pair[0] for pair in pairs], np.int64)
    second = np.array([pair[1] for pair in pairs], np.int64)
    coin = draw(key[first], experiment, "margin") < _HALF
    return MarginPairs(first, second, coin)


def pair_quotas(
    num_planned: NDArray[np.int64], merchant_ids: Sequence[str], experiment: Experiment
) -> NDArray[np.int64]:
    """
    Pairs of each merchant at most, ``(num_merchants,) int64``.

    Parameters
    ----------
    num_planned, merchant_ids
        By merchant: parcels of its plan, and its id.
    experiment
        Share, seed and date.
    """
    share, quota = experiment.coin_share, np.zeros(len(num_planned), np.int64)
    for at in np.flatnonzero(num_planned).tolist():
        text = f"{experiment.seed}|{experiment.day}|margin|{merchant_ids[at]}"
        part = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
        whole = (share.numerator * int(num_planned[at]) << _BITS) // share.denominator
        quota[at] = (whole + part) >> _BITS
    return quota


@dataclass(frozen=True, slots=True, eq=False)
class _Ends:
    """Options inside and outside by group, the nearest to the cut-off first."""

    inside: list[int]
    outside: list[int]
    group: NDArray[np.int64]
    owner: NDArray[np.int64]
    saving: NDArray[np.int64]
    key: NDArray[np.uint64]

    def by_group(self) -> dict[int, tuple[list[int], list[int]]]:
        """Both lists of each group, the nearest last, so that it is popped first."""
        found: dict[int, tuple[list[int], list[int]]] = {}
        for side, options in enumerate((self.inside, self.outside)):
            for option in reversed(options):
                lists = found.setdefault(int(self.group[option]), ([], []))
                lists[side].append(option)
        return found


def _pair(
    ends: _Ends, quota: NDArray[np.int64], merchant: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """Take each merchant's cheapest pairs, one after the other."""
    groups = ends.by_group()
    left: dict[int, int] = {}
    heaps: dict[int, list[tuple[int, int, int, int]]] = {}
    used: set[int] = set()

    def head(group: int) -> tuple[int, int, int, int] | None:
        """The cheapest free pair of a group: cost, both keys, and the group."""
        inner, outer = groups[group]
        while outer and int(ends.owner[outer[-1]]) in used:
            outer.pop()
        if not inner or not outer:
            return None
        first, second = inner[-1], outer[-1]
        cost = int(ends.saving[first]) - int(ends.saving[second])
        return cost, int(ends.key[first]), int(ends.key[second]), group

    for group in groups:
        if (start := head(group)) is not None:
            who = int(merchant[ends.owner[groups[group][0][-1]]])
            heaps.setdefault(who, []).append(start)
            left[who] = int(quota[who])
    found: list[tuple[int, int]] = []
    for who, heap in heaps.items():
        heapify(heap)
        while heap and left[who]:
            seen = heappop(heap)
            group = seen[-1]
            now = head(group)
            if now == seen:
                first, second = groups[group][0].pop(), groups[group][1].pop()
                used.add(int(ends.owner[second]))
                found.append((first, second))
                left[who] -= 1
                now = head(group)
            if now is not None:
                heappush(heap, now)
    return sorted(found)
