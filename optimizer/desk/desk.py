"""What the pages of a desk share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.config import Config
    from optimizer.desk.access import Access
    from optimizer.desk.published import PublishedNights


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
    """

    config: Config
    nights: PublishedNights
    access: Access
    link_key: str | None = None
