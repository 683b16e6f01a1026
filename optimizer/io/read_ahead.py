"""The next batch is made while this one is used: two in flight, results in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_Item = TypeVar("_Item")


def read_ahead(items: Iterable[_Item]) -> Iterator[_Item]:
    """
    Make each item in a thread while the one before it is used.

    Items come in their order, and what making one raises is raised in its place:
    whoever uses them sees nothing of the thread. The first one is made at once, by the
    caller's own.

    Parameters
    ----------
    items
        Made by one thread at a time.

    Examples
    --------
    >>> list(read_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    iterator = iter(items)
    try:
        first = next(iterator)
    except StopIteration:
        return
    with ThreadPoolExecutor(1) as thread:
        while True:
            coming = thread.submit(_next, iterator)
            yield first
            left = coming.result()
            if not left:
                return
            (first,) = left


def _next(iterator: Iterator[_Item]) -> list[_Item]:
    """The next item alone; nothing at the end."""
    for item in iterator:
        return [item]
    return []
