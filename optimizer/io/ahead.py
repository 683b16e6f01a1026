"""Work on the next items while the present one is used, in order, in bounded memory."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

#: Items that are worked on at a time: work that leaves the interpreter to others.
NUM_AHEAD = 2

Given = TypeVar("Given")
Made = TypeVar("Made")


def made_ahead(
    make: Callable[[Given], Made], items: Iterable[Given], num_items: int
) -> Iterator[Made]:
    """
    Make something of each item, in threads, and give it in the order of the items.

    Parameters
    ----------
    make
        Called in another thread, and must not change what others read.
    items
        Taken one by one in this thread.
    num_items
        How many there are, about: of one item nothing is made ahead.

    Examples
    --------
    >>> list(made_ahead(str, range(4), 4))
    ['0', '1', '2', '3']
    """
    if num_items <= 1:
        yield from map(make, items)
        return
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(NUM_AHEAD) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                del item
                if len(waiting) > NUM_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for late in waiting:
                late.cancel()
