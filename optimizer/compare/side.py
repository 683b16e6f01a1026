"""One of two nights that are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Side:
    """
    A compared night in a few figures.

    Attributes
    ----------
    day, version
        Its date, and the folder of its version.
    num_orders, num_chosen, saving_cny
        Its parcels, those that are recommended, and the expected harm avoided.
    """

    day: str
    version: str
    num_orders: int
    num_chosen: int
    saving_cny: float
