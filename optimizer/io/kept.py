"""What was made last, kept for the next who asks for the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Value = TypeVar("_Value")


class Same:
    """
    A thing as part of a key: equal to itself alone, whatever it holds.

    Examples
    --------
    >>> one = [1]
    >>> Same(one) == Same(one), Same(one) == Same([1])
    (True, False)
    """

    __slots__ = ("_it",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, it: object) -> None:
        self._it = it

    def __eq__(self, other: object) -> bool:
        """Whether the other is of the very same thing."""
        return isinstance(other, Same) and self._it is other._it


class Kept(Generic[_Value]):
    """
    The last few things that were made, by all that they were made from.

    For keys that can be compared, but have no hash. Threads may make the same thing
    twice; each gets one that is right.

    Parameters
    ----------
    num_kept
        How many are kept; the one that was asked for longest ago goes first.

    Examples
    --------
    >>> kept = Kept(2)
    >>> made = [kept.get((x,), lambda x=x: [x]) for x in "aba"]
    >>> made[0] is made[2], made[0] is made[1]
    (True, False)
    """

    def __init__(self, num_kept: int) -> None:
        self._num_kept = num_kept
        self._found: tuple[tuple[tuple[Any, ...], _Value], ...] = ()

    def get(self, key: tuple[Any, ...], make: Callable[[], _Value]) -> _Value:
        """
        Give what was made from an equal key; else make it. What fails is not kept.

        Parameters
        ----------
        key
            All that it is made from; nothing of it may be changed later.
        make
            Makes it.
        """
        entries = self._found
        known = next((entry for entry in entries if entry[0] == key), None)
        if known is None:
            known = key, make()
        elif entries[0] is known:
            return known[1]
        others = [entry for entry in entries if entry is not known]
        self._found = (known, *others[: self._num_kept - 1])
        return known[1]
