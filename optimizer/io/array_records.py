"""Records of arrays, joined and filtered field by field."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Arrays = TypeVar("_Arrays")

#: Fields of fewer bytes are joined by the caller alone: threads would cost more.
_LARGE_FIELD_BYTES = 1 << 23
#: Fields that are joined at a time; more would hold more parts beside what is joined.
_NUM_FIELDS_AT_ONCE = 2


def join(parts: list[_Arrays]) -> _Arrays:
    """Concatenate records, a field or two at a time, and release the parts."""
    kind = type(parts[0])
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    pieces = {name: [getattr(part, name) for part in parts] for name in names}
    parts.clear()

    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate(pieces.pop(name))

    sizes = [sum(piece.nbytes for piece in found) for found in pieces.values()]
    if max(sizes) < _LARGE_FIELD_BYTES:
        return kind(**{name: joined(name) for name in names})
    with ThreadPoolExecutor(_NUM_FIELDS_AT_ONCE) as pool:
        return kind(**dict(zip(names, pool.map(joined, names), strict=True)))


def take(arrays: _Arrays, keep: NDArray[np.bool_]) -> _Arrays:
    """Keep some rows of a record; absent fields stay absent."""
    kind = type(arrays)
    columns = {f.name: getattr(arrays, f.name) for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: c[keep] if len(c) else c for name, c in columns.items()})
