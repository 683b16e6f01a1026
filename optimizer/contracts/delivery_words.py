"""Words for delivery outcomes, as platforms and carriers write them."""

from __future__ import annotations

_CANCELLED = ("cancelled", "canceled", "cancel", "已取消", "取消")
_DELIVERED = ("delivered", "signed", "已签收", "签收", "已送达", "妥投")
#: Statuses that free a slot, in small letters, by the day that it is counted on.
CLOSING = {"ship": _CANCELLED, "delivery": (*_DELIVERED, *_CANCELLED)}
#: Statuses that are known and leave it taken.
TRAVELLING = (
    *(
        "created",
        "pending",
        "packed",
        "collected",
        "shipped",
        "in transit",
        "in_transit",
    ),
    *(
        "out for delivery",
        "out_for_delivery",
        "已揽收",
        "揽收",
        "运输中",
        "派件中",
        "派送中",
    ),
)
