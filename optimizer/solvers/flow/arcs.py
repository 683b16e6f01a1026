"""The network in which a minimum cost flow is sought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """
    A flow network with one source and one sink.

    Attributes
    ----------
    tail, head
        ``(num_arcs,) int32``.
    capacity, cost
        ``(num_arcs,) int64``; cost in micro-CNY, negative for a saving.
    option
        ``(k,) int64``: options that can be worth choosing; their arcs come first.
    num_nodes
        Source and sink included; they are nodes 0 and 1.
    supply
        Units that the source sends to the sink.
    """

    tail: NDArray[np.int32]
    head: NDArray[np.int32]
    capacity: NDArray[np.int64]
    cost: NDArray[np.int64]
    option: NDArray[np.int64]
    num_nodes: int
    supply: int
