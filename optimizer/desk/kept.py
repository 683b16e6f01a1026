"""Answers that are kept: a page is the same until another night is published."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

#: Bytes of all answers that are kept.
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A page: its status, its bytes, and headers of its own."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class KeptAnswers:
    """
    The answers that were asked for last; whoever asks meanwhile waits for the same one.

    Attributes
    ----------
    max_bytes
        Of all that are kept.
    """

    max_bytes: int = MAX_BYTES
    _kept: OrderedDict[Hashable, Answer] = field(default_factory=OrderedDict)
    _made: dict[Hashable, asyncio.Task[Answer]] = field(default_factory=dict)
    _num_bytes: int = 0

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """
        Give the answer for a key, made once.

        Parameters
        ----------
        key
            All that the answer depends on.
        make
            Makes it; what it raises goes to all who wait.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        task = self._made.get(key)
        if task is None:

            async def made() -> Answer:
                return await make()

            task = asyncio.ensure_future(made())
            self._made[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(task)

    def _keep(self, key: Hashable, done: asyncio.Task[Answer]) -> None:
        self._made.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        self._kept[key] = answer
        self._num_bytes += len(answer.body)
        while self._num_bytes > self.max_bytes:
            _, old = self._kept.popitem(last=False)
            self._num_bytes -= len(old.body)
