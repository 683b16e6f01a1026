"""When names that are not found are warned of, and when the night is refused."""

from decimal import Decimal

from pydantic import Field

from optimizer.config.fields import ConfigModel, Share


class Lookups(ConfigModel):
    """
    Names of merchants and capacity rows that are not found in the orders.

    The share is of what could be found: of the names in the table or of those in the
    night, whichever are fewer.
    """

    warn_below: Share = Field(
        Decimal("0.5"), description="Below this share of names found, warn."
    )
    refuse_below: Share | None = Field(
        None,
        description="Below this share of names found, refuse the night; left out: "
        "where none is found, of a table whose every row names one.",
    )
