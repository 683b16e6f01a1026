"""First rows of the nights that were looked at last, made beside the pages."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from optimizer.desk.first_rows import find_first_rows
from optimizer.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.desk.first_rows import FirstRows

logger = logging.getLogger(__name__)

#: Nights whose first rows are kept: some forty megabytes each.
NUM_NIGHTS = 4


class KeptRows:
    """
    First rows by night, one night made at a time; versions of nights never change.

    No page waits for them: until they are there, it reads the file.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(1, "first-rows")
        self._made: OrderedDict[Path, Future[FirstRows | None]] = OrderedDict()

    def of(self, folder: Path) -> FirstRows | None:
        """First rows of a night; ``None`` while they are made, or where none are."""
        made = self.begun(folder)
        return made.result() if made.done() and not made.cancelled() else None

    def begun(self, folder: Path) -> Future[FirstRows | None]:
        """The same, to wait for; whoever asks first has them made."""
        with self._lock:
            made = self._made.get(folder)
            if made is None:
                made = self._made[folder] = self._begin(folder)
            self._made.move_to_end(folder)
            while len(self._made) > NUM_NIGHTS:
                self._made.popitem(last=False)
            return made

    def close(self) -> None:
        """Make no more, and give up the ones that are being made."""
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, folder: Path) -> Future[FirstRows | None]:
        if self._ended.is_set():
            nothing: Future[FirstRows | None] = Future()
            nothing.set_result(None)
            return nothing
        return self._pool.submit(self._make, folder)

    def _make(self, folder: Path) -> FirstRows | None:
        """Make them; why a night has none is told to who reads its file."""

        def is_given_up() -> bool:
            with self._lock:
                return self._ended.is_set() or folder not in self._made

        try:
            return find_first_rows(folder, is_given_up=is_given_up)
        except DataError as error:
            logger.info("first rows of %s are not kept: %s", folder.name, error)
        except Exception:
            logger.exception("first rows of %s are not kept", folder.name)
        return None
