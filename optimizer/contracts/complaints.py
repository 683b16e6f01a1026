"""Complaint reasons, and the benefit of premium service that each belongs to."""

from __future__ import annotations

#: The five benefits that premium service promises.
BENEFITS = (
    "door",
    "last_mile_speed",
    "transit_priority",
    "complaint_care",
    "exclusive_desk",
)

#: Codes as order-management systems write them. Which benefit a reason belongs to is
#: our reading: the benefit that, if it had been kept, would have prevented it.
BENEFIT_OF_REASON = {
    "NO_DOORSTEP_DELIVERY": "door",
    "NO_DELIVERY_NOTICE": "door",
    "NO_PICKUP_CODE": "door",
    "FALSE_SIGNATURE": "door",
    "DELIVERY_FAILED": "last_mile_speed",
    "DELIVERY_DELAY": "last_mile_speed",
    "LOGISTICS_MISROUTED": "transit_priority",
    "LOST_PACKAGE": "transit_priority",
    "PACKAGE_DAMAGE": "transit_priority",
    "POOR_COURIER_ATTITUDE": "complaint_care",
    "CLAIM_UNPAID": "complaint_care",
    "WHY_RETURNED": "exclusive_desk",
    "INTERCEPTION": "exclusive_desk",
}

#: Reasons that say that the promise of the door was broken.
BROKEN_PROMISE = ("NO_DOORSTEP_DELIVERY", "FALSE_SIGNATURE")
