"""Records of arrays, joined and filtered field by field."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Arrays = TypeVar("_Arrays")


def join(parts: list[_Arrays]) -> _Arrays:
    """Concatenate records field by field, and release the parts."""
    kind = type(parts[0])
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    pieces = {name: [getattr(part, name) for part in parts] for name in names}
    parts.clear()
    return kind(**{name: np.concatenate(pieces.pop(name)) for name in names})


def take(arrays: _Arrays, keep: NDArray[np.bool_]) -> _Arrays:
    """Keep some rows of a record; absent fields stay absent."""
    kind = type(arrays)
    columns = {f.name: getattr(arrays, f.name) for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: c[keep] if len(c) else c for name, c in columns.items()})
