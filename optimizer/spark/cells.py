"""
Binary cells: arrays packed so that a task reads them where Arrow has put them.

A text of names and kinds comes first, then the arrays one after the other, each at a
multiple of ``ALIGNED`` bytes. Integers are kept in the narrowest kind that holds them,
or the steps between them: what crosses from Java to Python in each pass costs more
than making them wide again.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import mmap
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Bytes of a cell, where they lie.
Cell = bytes | memoryview
#: Arrays of a cell begin at multiples of so many bytes.
ALIGNED = 64
#: The length of a cell's text stands in so many.
LENGTH_BYTES = 8
_NARROW = (np.int8, np.int16, np.int32)


def pack(**arrays: Any) -> bytes:
    """
    Pack arrays into one binary cell.

    Raises
    ------
    TypeError
        Of objects, which are nothing elsewhere.

    Examples
    --------
    >>> cell = pack(cap=np.array([3, 5]), most=np.int64(7))
    >>> {name: values.tolist() for name, values in unpack(cell).items()}
    {'cap': [3, 5], 'most': 7}
    """
    kept = {}
    for name, given in arrays.items():
        values = _plain(given)
        first, narrow = narrowed(values)
        kept[name] = _Lying(narrow, values.dtype.str, first)
    return _packed(kept)


def pack_as_is(**arrays: NDArray[Any]) -> bytes:
    """
    Pack arrays of numbers in the kinds that they have: to be read where they lie.

    Examples
    --------
    >>> unpack(pack_as_is(cap=np.array([3, 5])))["cap"].base is not None
    True
    """
    plain = {name: _plain(given) for name, given in arrays.items()}
    return _packed({n: _Lying(each, each.dtype.str, None) for n, each in plain.items()})


class _Lying(NamedTuple):
    """An array as it lies in a cell, its kind once unpacked, and the first of steps."""

    values: NDArray[Any]
    kind: str
    first: int | None


def _plain(given: Any) -> NDArray[Any]:
    """As an array whose bytes are what it is."""
    values = np.asarray(given, order="C")
    if values.dtype.hasobject:
        raise TypeError("a cell takes arrays of numbers")
    return values


def _packed(kept: Mapping[str, _Lying]) -> bytes:
    told = [
        (name, kind, values.dtype.str, values.shape, first)
        for name, (values, kind, first) in kept.items()
    ]
    text = json.dumps(told).encode()
    parts: list[Cell] = [len(text).to_bytes(LENGTH_BYTES, "little"), text]
    parts.append(bytes(-sum(map(len, parts)) % ALIGNED))
    for values, _, _ in kept.values():
        flat = values.reshape(-1).view(np.uint8)
        parts += [flat.data, bytes(-flat.nbytes % ALIGNED)]
    return b"".join(parts)


def unpack(cell: Cell | mmap.mmap) -> dict[str, NDArray[Any]]:
    """
    Unpack the arrays of a cell; those kept as they were are views of it, read-only.

    Parameters
    ----------
    cell
        From :func:`pack` or :func:`pack_as_is`.
    """
    held = np.frombuffer(cell, np.uint8)
    held.flags.writeable = False
    end = LENGTH_BYTES + int.from_bytes(held[:LENGTH_BYTES].tobytes(), "little")
    found, at = {}, end + -end % ALIGNED
    for name, kind, narrow, shape, first in json.loads(
        held[LENGTH_BYTES:end].tobytes()
    ):
        num_bytes = np.dtype(narrow).itemsize * math.prod(shape)
        values = held[at : at + num_bytes].view(narrow).reshape(shape)
        if first is not None:
            values = summed(first, values, kind)
        elif kind != narrow or not values.flags.aligned:  # which no kernel takes
            values = values.astype(kind)
        found[name] = values
        at += num_bytes + -num_bytes % ALIGNED
    return found


def narrowed(values: NDArray[Any]) -> tuple[int | None, NDArray[Any]]:
    """
    Integers, or the steps between them, in the narrowest kind that holds them.

    Returns
    -------
    int or None
        The first of them, where steps are given.
    numpy.ndarray
        The steps, or the integers; what is no row of integers, or needs its kind, as
        it is.

    Examples
    --------
    >>> [narrowed(np.array(values))[1].dtype.name for values in ([5, 300], [5, 9**9])]
    ['int16', 'int32']
    >>> narrowed(np.array([1_000, 1_001, 1_003]))
    (1000, array([1, 2], dtype=int8))
    """
    if values.dtype not in (np.int64, np.int32) or values.ndim != 1 or not values.size:
        return None, values
    plain = _narrow(values)
    if values.size > 1:  # steps beyond the kind wrap around, there and back
        steps = _narrow(np.diff(values))
        if steps.itemsize < plain.itemsize:
            return int(values[0]), steps
    return None, plain


def summed(first: int, steps: NDArray[Any], kind: str) -> NDArray[Any]:
    """
    Give back integers from the steps between them.

    Parameters
    ----------
    first, steps
        From :func:`narrowed`.
    kind
        Of the integers.
    """
    values = np.empty(len(steps) + 1, kind)
    values[0], values[1:] = first, steps
    return np.cumsum(values, dtype=kind, out=values)


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """The same in the narrowest kind that holds them."""
    low, high = values.min(), values.max()
    for kind in _NARROW:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return values.astype(kind, copy=False)
    return values
