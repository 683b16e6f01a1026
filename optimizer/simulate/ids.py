"""Opaque ids from a permuted counter, and random streams named by their purpose."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Consonants alone: an id can spell no word and hold no run of digits that looks
# like a phone number, and lower case alone leaves no twins.
LETTERS = np.frombuffer(b"bcdfghjkmnpqrtvw", np.uint8)
NUM_LETTERS = 10
ID_BITS = 4 * NUM_LETTERS
NUM_ROUNDS = 4


class Stream(IntEnum):
    """Purpose of a random stream: drawing more from one does not shift another."""

    MERCHANTS = 0
    OUTLETS = 1
    NIGHT = 2
    CAPACITY = 3
    ORDERS = 4
    OPTIONS = 5
    OUTCOMES = 6
    LAW = 7


def stream(seed: int, name: Stream, *place: int) -> np.random.Generator:
    """Open the stream of a day or a batch, independent of all others."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(name, *place)))


def round_keys(rng: np.random.Generator) -> NDArray[np.uint64]:
    """
    Draw the keys of one permutation.

    Returns
    -------
    ``(NUM_ROUNDS,) uint64``.
    """
    return rng.integers(0, 2**64, NUM_ROUNDS, np.uint64)


def permute_bits(
    numbers: NDArray[np.uint64], num_bits: int, keys: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """
    Permute the numbers below ``2 ** num_bits`` by a balanced Feistel network.

    Parameters
    ----------
    numbers
        ``(n,) uint64`` below ``2 ** num_bits``.
    num_bits
        Even.
    keys
        ``(NUM_ROUNDS,) uint64``.

    Examples
    --------
    >>> keys = np.array([3, 1, 4, 1], np.uint64)
    >>> sorted(permute_bits(np.arange(16, dtype=np.uint64), 4, keys).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    """
    half = np.uint64(num_bits // 2)
    mask = np.uint64((1 << (num_bits // 2)) - 1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        left, right = right, left ^ (_mix(right ^ key) & mask)
    return (left << half) | right


def permute_below(
    numbers: NDArray[np.uint64], size: int, keys: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """
    Permute the numbers below ``size``: permute again until the result is below it.

    Parameters
    ----------
    numbers
        ``(n,) uint64`` below ``size``.
    size
        At least 1.
    keys
        ``(NUM_ROUNDS,) uint64``.
    """
    num_bits = max(2, (size - 1).bit_length())
    num_bits += num_bits % 2
    places = permute_bits(numbers, num_bits, keys)
    beyond = np.flatnonzero(places >= size)
    while beyond.size:
        places[beyond] = permute_bits(places[beyond], num_bits, keys)
        beyond = beyond[places[beyond] >= size]
    return places


def order_ids(
    prefix: str, numbers: NDArray[np.uint64], keys: NDArray[np.uint64]
) -> pa.Array:
    """
    Spell order ids: the prefix and ten letters that hide the order's place.

    Parameters
    ----------
    prefix
        ASCII; what makes a day's ids differ from another day's.
    numbers
        ``(n,) uint64`` below ``2 ** 40``; distinct numbers give distinct ids.
    keys
        ``(NUM_ROUNDS,) uint64``.

    Returns
    -------
    String array of n ids.

    Examples
    --------
    >>> keys = np.array([3, 1, 4, 1], np.uint64)
    >>> order_ids("20261122-", np.arange(2, dtype=np.uint64), keys).to_pylist()
    ['20261122-jkncpdrfqg', '20261122-knkkcdtrtc']
    """
    hidden = permute_bits(numbers, ID_BITS, keys)
    shifts = np.arange(ID_BITS - 4, -1, -4, dtype=np.uint64)
    digits = (hidden[:, None] >> shifts) & np.uint64(15)
    text = np.empty((len(numbers), len(prefix) + NUM_LETTERS), np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix.encode("ascii"), np.uint8)
    text[:, len(prefix) :] = LETTERS[digits]
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * np.int32(text.shape[1])
    return pa.StringArray.from_buffers(
        len(numbers), pa.py_buffer(offsets), pa.py_buffer(text)
    )


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix as MurmurHash3 ends: every input bit moves every output bit."""
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xFF51AFD7ED558CCD)
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))
