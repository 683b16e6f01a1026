"""What the pages of a desk share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optimizer.desk.kept_rows import KeptRows

if TYPE_CHECKING:
    from optimizer.config import Config
    from optimizer.desk.access import Access
    from optimizer.desk.published import PublishedNights
    from optimizer.desk.solver_process import SolverProcess


@dataclass(frozen=True, slots=True)
class Desk:
    """
    A desk that is served.

    Attributes
    ----------
    config
        With ``output``.
    nights
        What is published there.
    access
        Who may read it.
    link_key
        Signs links for merchants; ``None``: there are none.
    solver
        Solves nights under other rules; ``None``: there is no such page.
    first_rows
        Of the nights that are looked at.
    """

    config: Config
    nights: PublishedNights
    access: Access
    link_key: str | None = None
    solver: SolverProcess | None = None
    first_rows: KeptRows = field(default_factory=KeptRows)
