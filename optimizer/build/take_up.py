r"""
How slots are counted: by recommendations, or by the purchases that they lead to.

A merchant buys each recommendation with probability :math:`u_m`, independently.
Counted by *expectation*, a row with :math:`c` slots takes plans with
:math:`\sum u \le c`. Counted by *quantile* :math:`q`, it takes plans with
:math:`P(\text{purchases} > c) \le 1 - q`. Where all take-ups on a row are equal,
purchases are binomial, and the largest number of recommendations is exact. Where they
differ, of all plans with mean :math:`\mu \le c` on :math:`n` parcels the binomial one
with probability :math:`\mu / n` has the largest tail above :math:`c` [1]_: the largest
such :math:`\mu` is safe for every plan.

Take-ups that differ are counted in thousandths of a parcel, rounded up; in larger
parts of a parcel where all of them are whole multiples.

References
----------
.. [1] Hoeffding, W. (1956). On the Distribution of the Number of Successes in
       Independent Trials. Annals of Mathematical Statistics 27(3).
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from optimizer.config.models import CapacityRules

#: Parts of a parcel in which take-ups that differ are counted.
PARTS = 1_000
#: Exact enough for any tail, and the same on every machine.
_EXACT = decimal.Context(prec=50, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)


@dataclass(frozen=True, slots=True, eq=False)
class Counting:
    """
    How slots are counted this night.

    Attributes
    ----------
    rule
        ``recommendations``, ``expected`` or ``quantile``.
    quantile
        Share of nights in which purchases fit.
    take_up
        By merchant, exact.
    part
        ``(num_merchants,) int64``: weight of a recommendation.
    scale
        Weight of one parcel; 1 where all take-ups are equal.
    """

    rule: str
    quantile: Decimal
    take_up: tuple[Fraction, ...]
    part: NDArray[np.int64]
    scale: int

    @property
    def is_equal(self) -> bool:
        """Whether recommendations are counted whole."""
        return self.scale == 1

    def room(self, slots: int, most: int, low: Fraction, high: Fraction) -> int:
        """
        Capacity of a row, in counted parts.

        Parameters
        ----------
        slots
            Purchases that it takes.
        most
            What all options that count in it take together.
        low, high
            Least and greatest take-up of those.
        """
        if self.rule == "recommendations" or slots == 0:
            return slots
        if low == high or most == 0:
            fits = recommendations(slots, high, most, self._limit)
            return fits * _part(high, self.scale) if self.scale > 1 else fits
        if self._limit is None:
            return slots * self.scale
        return mean_parts(slots, most, self.scale, self._limit)

    @property
    def _limit(self) -> Decimal | None:
        """Share of nights in which purchases may be too many; ``None``: expectation."""
        return 1 - self.quantile if self.rule == "quantile" else None


def make_counting(
    rules: CapacityRules, take_up: Sequence[float], is_used: NDArray[np.bool_]
) -> Counting:
    """
    Find how a night's slots are counted.

    Parameters
    ----------
    rules
        The configuration.
    take_up
        By merchant.
    is_used
        ``(num_merchants,) bool``: merchants that have options.
    """
    exact = tuple(Fraction(repr(float(u))) for u in take_up)
    used = {
        u for u, has_option in zip(exact, is_used.tolist(), strict=True) if has_option
    }
    part, scale = np.ones(len(exact), np.int64), 1
    if rules.count != "recommendations" and len(used) > 1:
        scale = PARTS // gcd(PARTS, *(_part(u, PARTS) for u in used))
        part = np.array([_part(u, scale) for u in exact], np.int64)
    return Counting(rules.count, rules.quantile, exact, part, scale)


def refuse_loads(counting: Counting, loads: Mapping[str, NDArray[np.int64]]) -> None:
    """
    Refuse quantiles of parcels that take several slots, or units of a resource.

    Parameters
    ----------
    counting
        How slots are counted.
    loads
        ``(num_options,) int64`` by column: what each option takes.

    Raises
    ------
    ConfigError
        With what to do instead.
    """
    for column, taken in loads.items():
        if counting.rule == "quantile" and taken.max(initial=1) > 1:
            raise ConfigError(
                "capacity.count: quantile counts parcels that take one slot each, and "
                f"the {column} column has others: use count: expected, or drop the "
                "loads"
            )


def _part(take_up: Fraction, scale: int) -> int:
    """Weight of a recommendation, rounded up, at least 1."""
    return max(1, ceil(take_up * scale))


@lru_cache(maxsize=100_000)
def recommendations(
    slots: int, take_up: Fraction, num_options: int, limit: Decimal | None
) -> int:
    """
    Most recommendations of equal take-up that fit.

    Parameters
    ----------
    slots
        Purchases that fit.
    take_up
        Probability of each.
    num_options
        More than these need not fit.
    limit
        Largest probability of more purchases than slots; ``None``: by expectation.

    Examples
    --------
    >>> recommendations(13, Fraction(1, 4), 1_000, None)
    52
    >>> recommendations(13, Fraction(1, 4), 1_000, Decimal("0.05"))
    36
    """
    most = max(slots, num_options)
    if limit is None:
        return min(int(slots / take_up), most) if take_up else most
    fits, too_many = slots, most + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if tail(middle, take_up, slots) <= limit:
            fits = middle
        else:
            too_many = middle
    return fits


@lru_cache(maxsize=100_000)
def mean_parts(slots: int, num_options: int, scale: int, limit: Decimal) -> int:
    """
    Largest mean of purchases, in parts of a parcel, that is safe for every plan.

    Parameters
    ----------
    slots
        Slots of the row.
    num_options
        Parcels that could go there.
    scale
        Parts of one parcel.
    limit
        Largest accepted probability that purchases exceed the slots.

    Examples
    --------
    >>> mean_parts(13, 1_000, 1_000, Decimal("0.05"))
    8483
    """
    fits, too_many = 0, min(slots, num_options) * scale + 1
    if num_options <= slots:
        return slots * scale
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if tail(num_options, Fraction(middle, scale * num_options), slots) <= limit:
            fits = middle
        else:
            too_many = middle
    return fits


def tail(number: int, chance: Fraction, slots: int) -> Decimal:
    """
    Probability that more than ``slots`` of some independent purchases happen.

    Examples
    --------
    >>> tail(2, Fraction(1, 2), 1)
    Decimal('0.25')
    """
    if slots >= number:
        return Decimal(0)
    with decimal.localcontext(_EXACT):
        yes = Decimal(chance.numerator) / Decimal(chance.denominator)
        if yes == 1:
            return Decimal(1)
        odds, term = yes / (1 - yes), (1 - yes) ** number
        total = term
        for k in range(1, slots + 1):
            term *= odds * (number - k + 1) / k
            total += term
        return max(Decimal(0), 1 - total)
