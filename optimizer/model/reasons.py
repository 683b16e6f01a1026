"""The reason for each order's outcome, as one word in files and messages."""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """
    The outcome of one order; tables hold the name, arrays the number.

    The numbers are stored nowhere: only their order within one run matters.
    """

    CHOSEN = 0
    #: No saving is positive: premium would cost more than it avoids.
    NO_SAVING = 1
    #: The merchant's cap is 0.
    CAP_ZERO = 2
    #: The merchant's slots went to parcels that save more.
    CAP_FULL = 3
    #: The lanes that could take it went to parcels that save more.
    CAPACITY_FULL = 4
    #: Neither more cap nor more capacity alone, or either, decides it.
    CAP_AND_CAPACITY = 5
    #: Not to be considered: flagged by the platform, or the merchant is not enrolled.
    INELIGIBLE = 6
    #: None of its carriers is in the policy's roster on that date.
    CARRIER_INACTIVE = 7
    #: Pinned to "never".
    PINNED_OUT = 8
    #: The row was refused; it is in the quarantine table and not in the decisions.
    QUARANTINED = 9
    #: A budget for fees, the merchant's or the platform's, went to parcels that save
    #: more.
    BUDGET = 10
    #: Kept back at random, to measure what premium does.
    HELD_OUT = 11
    #: Recommended at random, to measure what premium does.
    EXPLORED = 12
    #: The options table has no row for it.
    NO_OPTION = 13
    #: No platform takes it: none of its carriers is one of theirs, or its id is unsafe.
    NOT_DELIVERABLE = 14


#: Names by number, for tables.
REASON_NAMES = tuple(reason.name for reason in Reason)
