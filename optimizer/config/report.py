"""What the report shows."""

from typing import Annotated

from pydantic import Field

from optimizer.config.fields import ConfigModel

#: Recommended orders that a report lists, where nothing else is said.
MAX_ORDERS = 10_000


class Report(ConfigModel):
    """
    Extent of a night's report.

    It decides how much of a night its page shows, and nothing of the night.
    """

    max_orders: Annotated[int, Field(strict=True, ge=0, le=50_000)] = Field(
        MAX_ORDERS,
        description="Recommended orders that the page lists, those with the largest "
        "saving; 0: no list. The published tables have all of them.",
    )
