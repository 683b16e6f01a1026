"""Monitoring of runs; nothing here affects a night."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from optimizer.config.fields import ConfigModel, DatedPath, Money, Name, Share

Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class Splitting(ConfigModel):
    """
    Orders that look split to make a merchant's base larger.

    Orders of one merchant, each below ``below_cny``, that agree in all ``columns`` are
    a group; a group of ``group_size`` or more counts as one order, and a merchant whose
    floor cap is lower then is named.
    """

    columns: tuple[Name, ...] = Field(
        (),
        description="Columns of the orders, such as a salted key of who orders, or the "
        "minute; none: not looked for.",
    )
    below_cny: Money = Field(
        Decimal("20"),
        description="Value of an order, CNY.",
    )
    group_size: Count = Field(5, description="Orders in a group at least.")


class Alerts(ConfigModel):
    """When a published night needs attention."""

    quarantine_share: Share = Field(
        Decimal("0.0005"),
        description="Share of rows in quarantine.",
    )
    input_change: Share = Field(
        Decimal("0.3"),
        description="Rows of an input, against the same weekday before or the median.",
    )
    dead_lane_nights: Count = Field(
        3, description="Nights in a row in which a lane had slots and no parcel."
    )
    splitting: Splitting = Field(
        default_factory=Splitting, description="Orders split to make the base larger."
    )


class Operations(ConfigModel):
    """Logs, metrics, lineage, alerts."""

    logs: Literal["text", "json"] = Field(
        "text", description="Lines of the log; json: one object a line, with all steps."
    )
    metrics: DatedPath | None = Field(
        None, description="Prometheus text file, written anew by every run."
    )
    lineage: DatedPath | None = Field(
        None, description="OpenLineage events, one JSON object a line, added to."
    )
    alerts: Alerts = Field(default_factory=Alerts, description="When to look.")
