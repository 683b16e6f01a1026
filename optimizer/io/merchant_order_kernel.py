"""The compiled loop behind :mod:`optimizer.io.merchant_order`."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel


@bare_kernel
def distinct_words(text, ends, merchant, first_row, num_alike, words):
    """
    Eight bytes of each id, from where the ids of its merchant begin to differ.

    Parameters
    ----------
    text
        ``(b,) uint8``: bytes of all ids, one after the other.
    ends
        ``(n + 1,) int64``: where each id begins, and the end of the last.
    merchant
        ``(n,) int64``: merchant of each id, from 0.
    first_row, num_alike
        ``(num_merchants,) int64``: all -1; filled with a row of each merchant, and how
        many bytes its ids have in common.
    words
        ``(n,) uint64``: filled with the bytes, the first one highest, 0 behind the end.
    """
    for row in range(len(merchant)):
        mine, begin = merchant[row], ends[row]
        size = ends[row + 1] - begin
        if first_row[mine] < 0:
            first_row[mine], num_alike[mine] = row, size
            continue
        other, alike = ends[first_row[mine]], min(num_alike[mine], size)
        place = 0
        while place < alike and text[begin + place] == text[other + place]:
            place += 1
        num_alike[mine] = place
    for row in range(len(merchant)):
        begin, end = ends[row] + num_alike[merchant[row]], ends[row + 1]
        word = np.uint64(0)
        for place in range(begin, begin + 8):
            word <<= np.uint64(8)
            if place < end:
                word |= np.uint64(text[place])
        words[row] = word
