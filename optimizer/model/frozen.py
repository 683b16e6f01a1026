"""Arrays that several stages hold are not written to."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np


def freeze_arrays(record: Any) -> None:
    """
    Make all arrays of a record read-only: a stage that changes one makes a new one.

    Parameters
    ----------
    record
        A dataclass; its other fields are left alone.

    Examples
    --------
    >>> from optimizer.model.solution import Solution, Termination
    >>> nothing = np.zeros(1, np.int64)
    >>> plan = Solution(nothing, nothing, nothing, Termination("OPTIMAL"))
    >>> freeze_arrays(plan)
    >>> plan.chosen[0] = 1
    Traceback (most recent call last):
    ValueError: assignment destination is read-only
    """
    for name in _names(record.__class__):
        value = getattr(record, name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Names of a dataclass's fields."""
    return tuple(field.name for field in fields(kind))
