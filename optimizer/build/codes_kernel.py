"""
The compiled loops behind :mod:`optimizer.build.codes`: tables with open addressing.

A table is ``(2^b,) int32``: codes, -1 where it is free. A value stands at the first
free place from where its mixed bits point.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, inner_kernel


@inner_kernel
def mixed(bits):
    """
    Mix 64 bits, so that each has a part in all (MurmurHash3's finalizer).

    Parameters
    ----------
    bits
        ``uint64``.
    """
    bits ^= bits >> np.uint64(33)
    bits *= np.uint64(0xFF51AFD7ED558CCD)
    bits ^= bits >> np.uint64(33)
    bits *= np.uint64(0xC4CEB9FE1A85EC53)
    return bits ^ (bits >> np.uint64(33))


@bare_kernel
def place_codes(bits, num_known, table):
    """
    Fill an empty table with the codes of known values.

    Parameters
    ----------
    bits
        ``(n,) int64``: what is mixed of each, by code.
    num_known
        How many of them there are.
    table
        ``(2^b,) int32``: more than twice as large; all -1.
    """
    last = len(table) - 1
    for code in range(num_known):
        place = np.int64(mixed(np.uint64(bits[code]))) & last
        while table[place] >= 0:
            place = (place + 1) & last
        table[place] = code


@bare_kernel
def code_numbers(numbers, known, num_known, table, codes):
    """
    Code each number; a new one gets the next code.

    Parameters
    ----------
    numbers
        ``(n,) int64``.
    known
        ``(m,) int64``: known numbers, by code, with room for all new ones.
    num_known
        How many of them there are.
    table
        ``(2^b,) int32``: their codes; more than twice as large as ``known``.
    codes
        ``(n,) int32``: filled.

    Returns
    -------
    int
        How many numbers are known now.
    """
    last = len(table) - 1
    for row in range(len(numbers)):
        number = numbers[row]
        place = np.int64(mixed(np.uint64(number))) & last
        while table[place] >= 0 and known[table[place]] != number:
            place = (place + 1) & last
        if table[place] < 0:
            table[place] = num_known
            known[num_known] = number
            num_known += 1
        codes[row] = table[place]
    return num_known


@bare_kernel
def code_texts(text, ends, bits, known_text, known_ends, num_known, table, codes):
    """
    Code each text; a new one gets the next code.

    Parameters
    ----------
    text, ends
        ``(b,) uint8`` and ``(n + 1,) int64``: the texts' bytes, and where each begins.
    bits
        ``(m,) int64``: hashes (FNV-1a) of known texts, by code, with room for new ones.
    known_text, known_ends
        ``(c,) uint8`` and ``(m + 1,) int64``: bytes of known texts, and where each
        begins, likewise.
    num_known
        How many of them there are.
    table
        ``(2^b,) int32``: their codes; more than twice as large as ``bits``.
    codes
        ``(n,) int32``: filled.

    Returns
    -------
    int
        How many texts are known now.
    """
    last = len(table) - 1
    for row in range(len(codes)):
        first, size = ends[row], ends[row + 1] - ends[row]
        state = np.uint64(0xCBF29CE484222325)
        for at in range(first, first + size):
            state = (state ^ np.uint64(text[at])) * np.uint64(0x100000001B3)
        mine = np.int64(state)
        place = np.int64(mixed(state)) & last
        while table[place] >= 0:
            code = table[place]
            begin = known_ends[code]
            if bits[code] == mine and known_ends[code + 1] - begin == size:
                at = 0
                while at < size and known_text[begin + at] == text[first + at]:
                    at += 1
                if at == size:
                    break
            place = (place + 1) & last
        if table[place] < 0:
            table[place] = num_known
            bits[num_known] = mine
            begin = known_ends[num_known]
            for at in range(size):
                known_text[begin + at] = text[first + at]
            known_ends[num_known + 1] = begin + size
            num_known += 1
        codes[row] = table[place]
    return num_known
