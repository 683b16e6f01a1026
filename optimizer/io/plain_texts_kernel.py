"""The compiled loop behind :mod:`optimizer.io.plain_texts`."""

from __future__ import annotations

from optimizer.kernel_cache import kernel

#: What a text may be: a number of each, to be added up.
MAY_BREAK, MAY_BE_PERSONAL, MAY_BE_CHANGED = 1, 2, 4
#: Digits that a number of a person has at least, and before a hidden part of it.
_DIGITS_OF_PERSONS, _DIGITS_BEFORE_X = 10, 3
#: Letters of a month.
_MONTH = 3


@kernel
def look_at(text, ends, longest, found):
    """
    Look at texts ``text[ends[i]:ends[i + 1]]``.

    Parameters
    ----------
    text
        ``(b,) uint8``: bytes of all texts, one after the other.
    ends
        ``(n + 1,) int64``: where each text begins, and the end of the last.
    longest
        Bytes that a text may have. It is odd where one is no digit, letter, ``-`` or
        ``_``.
    found
        ``(n,) uint8``: filled with the sum of what each text may be.
    """
    for row in range(len(found)):
        digits, letters, has_x, has_dash, is_odd = 0, 0, False, False, False
        first, last = ends[row], ends[row + 1]
        for place in range(first, last):
            byte = text[place]
            if 48 <= byte <= 57:
                digits += 1
            elif 97 <= (byte | 32) <= 122:
                letters += 1
                has_x |= (byte | 32) == 120
            elif byte == 45:
                has_dash = True
            elif byte != 95:
                is_odd = True
                break
        state = 0
        if is_odd or digits == 0 or last - first > longest:
            state |= MAY_BREAK
        if (
            is_odd
            or digits >= _DIGITS_OF_PERSONS
            or (has_x and digits >= _DIGITS_BEFORE_X)
        ):
            state |= MAY_BE_PERSONAL
        is_date = has_dash and letters == _MONTH
        if is_odd or digits == 0 or letters == 0 or is_date:
            state |= MAY_BE_CHANGED
        found[row] = state
