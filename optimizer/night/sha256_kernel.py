"""SHA-256 of many short texts, compiled: a call of ``hashlib`` costs more."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import inner_kernel, kernel


def _fractions(power: float, count: int) -> np.ndarray:
    """First 32 bits of the fractional parts of roots of primes, exactly."""
    primes = [p for p in range(2, 312) if all(p % q for q in range(2, p))][:count]
    root = 2 if power == 0.5 else 3
    found = []
    for prime in primes:
        wanted, guess = prime << (32 * root), 1 << 40
        while guess**root > wanted:  # Newton from above, in whole numbers
            guess -= max(1, (guess**root - wanted) // (root * guess ** (root - 1)))
        found.append(guess & 0xFFFFFFFF)
    return np.array(found, np.uint32)


_START, _ROUND = _fractions(0.5, 8), _fractions(1 / 3, 64)


@inner_kernel
def _turn(x, n):  # n typed: as a plain number each would be compiled by itself
    return np.uint32((x >> n) | (x << (np.uint32(32) - n)))


@inner_kernel
def _compress(block, words, state, constants):
    """
    Take one block of 64 bytes into the state (FIPS 180-4, 6.2.2).

    Parameters
    ----------
    block
        ``(64,) uint8``: the block.
    words
        ``(64,) uint32``: scratch for the message schedule.
    state
        ``(8,) uint32``: the hash so far; updated in place.
    constants
        ``(64,) uint32``: the round constants.
    """
    for t in range(16):
        at = 4 * t
        words[t] = (
            (np.uint32(block[at]) << np.uint32(24))
            | (np.uint32(block[at + 1]) << np.uint32(16))
            | (np.uint32(block[at + 2]) << np.uint32(8))
            | np.uint32(block[at + 3])
        )
    for t in range(16, 64):
        x, y = words[t - 15], words[t - 2]
        s0 = _turn(x, np.uint32(7)) ^ _turn(x, np.uint32(18)) ^ (x >> np.uint32(3))
        s1 = _turn(y, np.uint32(17)) ^ _turn(y, np.uint32(19)) ^ (y >> np.uint32(10))
        words[t] = np.uint32(words[t - 16] + s0 + words[t - 7] + s1)
    a, b, c, d = state[0], state[1], state[2], state[3]
    e, f, g, h = state[4], state[5], state[6], state[7]
    for t in range(64):
        s1 = _turn(e, np.uint32(6)) ^ _turn(e, np.uint32(11)) ^ _turn(e, np.uint32(25))
        choice = (e & f) ^ (~e & g)
        first = np.uint32(h + s1 + choice + constants[t] + words[t])
        s0 = _turn(a, np.uint32(2)) ^ _turn(a, np.uint32(13)) ^ _turn(a, np.uint32(22))
        second = np.uint32(s0 + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e = g, f, e, np.uint32(d + first)
        d, c, b, a = c, b, a, np.uint32(first + second)
    for t, value in enumerate((a, b, c, d, e, f, g, h)):
        state[t] = np.uint32(state[t] + value)


@kernel
def _hash_all(text, ends, out, start, constants):
    """
    Hash all texts.

    Parameters
    ----------
    text
        ``(b,) uint8``: all texts, one after the other.
    ends
        ``(n + 1,) int64``: where each text begins, and the end of the last.
    out
        ``(n, 32) uint8``: filled with the hashes.
    start, constants
        ``(8,) uint32`` and ``(64,) uint32``: the first state, and the round constants.
    """
    words, state = np.empty(64, np.uint32), np.empty(8, np.uint32)
    block = np.empty(64, np.uint8)
    for row in range(len(out)):
        at, last = ends[row], ends[row + 1]
        num_bits = np.uint64(last - at) * np.uint64(8)
        for place in range(8):
            state[place] = start[place]
        while last - at >= 64:
            for place in range(64):
                block[place] = text[at + place]
            _compress(block, words, state, constants)
            at += 64
        left = last - at
        for place in range(64):
            block[place] = text[at + place] if place < left else 0
        block[left] = 128
        if left >= 56:
            _compress(block, words, state, constants)
            for place in range(64):
                block[place] = 0
        for place in range(8):
            block[56 + place] = (num_bits >> np.uint64(56 - 8 * place)) & np.uint64(255)
        _compress(block, words, state, constants)
        for place in range(32):
            word = state[place // 4]
            out[row, place] = (word >> np.uint32(24 - 8 * (place % 4))) & np.uint32(255)


def sha256_rows(text: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """
    Hash the texts ``text[ends[i]:ends[i + 1]]``.

    Parameters
    ----------
    text
        (b,) uint8, all texts one after the other.
    ends
        (n + 1,) int64, ascending.

    Returns
    -------
    ndarray
        (n, 32) uint8.
    """
    out = np.empty((len(ends) - 1, 32), np.uint8)
    _hash_all(text, ends, out, _START, _ROUND)
    return out
