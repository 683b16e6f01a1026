"""The compiled loop behind :mod:`optimizer.io.order_keys`."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import inner_kernel, kernel


@inner_kernel
def _finish(state):
    state ^= state >> np.uint64(33)
    state *= np.uint64(0xFF51AFD7ED558CCD)
    state ^= state >> np.uint64(33)
    state *= np.uint64(0xC4CEB9FE1A85EC53)
    return state ^ (state >> np.uint64(33))


@kernel
def hash_texts(text, ends, salt, key, folded):
    """
    Hash texts ``text[ends[i]:ends[i + 1]]``, as they are and folded.

    Parameters
    ----------
    text
        ``(b,) uint8``: bytes of all texts, one after the other.
    ends
        ``(n + 1,) int64``: where each text begins, and the end of the last.
    salt
        ``uint64``: another salt gives other hashes.
    key, folded
        ``(n,) uint64``: filled with the hash of each text, and of the text without case
        and outer spaces.
    """
    prime = np.uint64(0x100000001B3)
    start = np.uint64(0xCBF29CE484222325) ^ (salt * np.uint64(0x9E3779B97F4A7C15))
    for row in range(len(key)):
        first, last = ends[row], ends[row + 1]
        begin, end = first, last
        while begin < end and (text[begin] == 32 or 9 <= text[begin] <= 13):
            begin += 1
        while begin < end and (text[end - 1] == 32 or 9 <= text[end - 1] <= 13):
            end -= 1
        plain, lower = start, start
        for place in range(first, begin):
            plain = (plain ^ np.uint64(text[place])) * prime
        # Each hash waits for its product: two side by side take as long as one.
        for place in range(begin, end):
            byte = np.uint64(text[place])
            plain = (plain ^ byte) * prime
            if np.uint64(65) <= byte <= np.uint64(90):
                byte += np.uint64(32)
            lower = (lower ^ byte) * prime
        for place in range(end, last):
            plain = (plain ^ np.uint64(text[place])) * prime
        key[row] = _finish(plain)
        folded[row] = _finish(lower)
