"""
Compiled loops over flat arrays; each has a plain numpy twin in the tests.

Serial functions that release the lock (``nogil``) and are cached on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

#: How every kernel is compiled: no fast-math, so the same bits everywhere.
compiled: Callable[..., Any] = njit(cache=True, nogil=True)
