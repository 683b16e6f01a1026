"""Sums of 64-bit integers that cannot overflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOW = 0xFFFFFFFF
_SAFE = 2**62
#: Values that are looked at between looks whether their unit is 1.
_BLOCK = 4_096


def exact_sum(values: NDArray[np.int64]) -> int:
    """
    Add integers without overflow, by adding high and low halves separately.

    Exact for up to 2**31 values of any size.

    Examples
    --------
    >>> exact_sum(np.array([2**62, 2**62, 2**62, -1]))
    13835058055282163711
    """
    return (int((values >> 32).sum()) << 32) + int((values & _LOW).sum())


def common_unit(*parts: NDArray[np.int64]) -> int:
    """
    The greatest common divisor of all values; 1 where all are 0.

    Every sum of the values is a multiple of it.

    Examples
    --------
    >>> common_unit(np.array([6_000, 0, -9_000]), np.array([15_000]))
    3000
    """
    unit = 0
    for part in parts:
        for first in range(0, len(part), _BLOCK):
            if unit == 1:
                return 1
            block = np.abs(part[first : first + _BLOCK])
            unit = int(np.gcd(np.gcd.reduce(block), unit))
    return max(unit, 1)


def exact_dot(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """
    Add up products without overflow; both sides at least 0.

    Examples
    --------
    >>> exact_dot(np.array([2**40, 1]), np.array([2**40, 3])) == 2**80 + 3
    True
    """
    used = np.flatnonzero((left != 0) & (right != 0))
    if len(used) == 0:
        return 0
    left, right = left[used], right[used]
    if int(left.max()) * int(right.max()) < _SAFE:
        return exact_sum(left * right)
    return sum(int(a) * int(b) for a, b in zip(left, right, strict=True))


def exact_sums(values: NDArray[np.int64]) -> list[int]:
    """
    Sum of each row, as :func:`exact_sum`.

    Examples
    --------
    >>> exact_sums(np.array([[2**62, 2**62], [1, -2]]))
    [9223372036854775808, -1]
    """
    high, low = (values >> 32).sum(axis=1), (values & _LOW).sum(axis=1)
    pairs = zip(high.tolist(), low.tolist(), strict=True)
    return [(a << 32) + b for a, b in pairs]


def exact_dots(left: NDArray[np.int64], right: NDArray[np.int64]) -> list[int]:
    """
    Sum of products of each row with a vector, without overflow; any signs.

    Examples
    --------
    >>> exact_dots(np.array([[2**40, 1], [-1, 2]]), np.array([2**40, 3]))
    [1208925819614629174706179, -1099511627770]
    """
    if _largest(left) * _largest(right) < _SAFE:
        return exact_sums(left * right)
    by = right.tolist()
    return [sum(a * b for a, b in zip(row, by, strict=True)) for row in left.tolist()]


def _largest(values: NDArray[np.int64]) -> int:
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))
