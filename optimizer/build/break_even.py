"""
Why a plan has no parcel, and from where on premium would pay.

The best parcel's saving and the fee say what it avoids. Where a complaint costs
:math:`C`, the fee that counts is :math:`F` and a carrier keeps the share :math:`f` of
its promises, premium pays from :math:`F / (C f)` on: this is the least product of an
order's risk and the share of it that a kept promise removes, with complaints alone and
every recommendation bought.

What would let the first order be chosen follows from integers. Of the orders that have
a slot of their carrier and of their merchant's cap, the best one avoids the harm
:math:`A` in micro-CNY, fee not counted. It is chosen from a saving of 1 on, that is at
a fee of at most :math:`A - 1`; and as :math:`A` is rounded, it is chosen where harm
costs, or premium avoids, :math:`(F + 1) / (A - 1/2)` times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.build.lower_bound import cny
from optimizer.contracts.warnings import warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optimizer.build.costs import Costs
    from optimizer.build.encode import CodeParams
    from optimizer.contracts.warnings import CodedWarning


@dataclass(frozen=True, slots=True)
class Best:
    """
    What the best orders would save.

    Attributes
    ----------
    of_all
        Micro-CNY, of those that may be chosen; ``None``: there is none.
    with_place
        The same of those that have a slot of their carrier and of their cap.
    """

    of_all: int | None
    with_place: int | None


def nobody_chosen(
    counts: Mapping[str, int], found: Best, params: CodeParams
) -> Iterator[CodedWarning]:
    """
    Say why nobody is chosen.

    Parameters
    ----------
    counts
        Orders by the name of their reason.
    found
        What the best orders would save.
    params
        Costs, fee and promises of the night.
    """
    most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = tuple(f"{name} {num:,}" for name, num in most if num)
    yield warn("NOBODY_CHOSEN", reasons=reasons)
    best, worth = found.of_all, params.worth
    if best is None or best > 0:
        return
    if found.with_place is None:
        yield warn("NONE_HAS_PLACE")

    fee, avoided = worth.fee, best + worth.fee
    if avoided <= 0:
        yield warn("NONE_AVOIDS_HARM")
        return
    yield warn(
        "NONE_WORTH_FEE",
        fee_cny=cny(fee),
        avoided_cny=cny(avoided),
        times=f"{fee / avoided:,.1f}",
    )
    if found.with_place is not None and found.with_place + fee > 0:
        yield first_chosen_at(worth, found.with_place + fee)
    if worth.complaint and (needed := _needed(params)):
        yield warn("BREAK_EVEN", cost_cny=cny(worth.complaint), shares=needed)


def first_chosen_at(worth: Costs, avoided: int) -> CodedWarning:
    """
    Say what would let the first order be chosen.

    Parameters
    ----------
    worth
        Costs and fee of the night, in micro-CNY.
    avoided
        Micro-CNY above 0 that the best order avoids, fee not counted.

    Examples
    --------
    >>> from optimizer.build.costs import Costs
    >>> found = first_chosen_at(Costs(20_000_000, 0, 800_000), 400_000)
    >>> found.values["fee_cny"], found.values["complaint_cny"], found.values["times"]
    ('0.399999', '40.000101', '2.0001')
    """
    above, below = 2 * (worth.fee + 1), 2 * avoided - 1
    costs = (worth.complaint, worth.logistics_return)
    complaint, logistics_return = (-(-cost * above // below) for cost in costs)
    return warn(
        "FIRST_CHOSEN_AT",
        fee_cny=exact_cny(avoided - 1),
        complaint_cny=exact_cny(complaint),
        return_cny=exact_cny(logistics_return),
        times=_four_digits(-(-10_000 * above // below)),
    )


def exact_cny(micro: int) -> str:
    """
    Micro-CNY as decimals, every digit of them, and two at least.

    Examples
    --------
    >>> exact_cny(1_399_999), exact_cny(2_500_000)
    ('1.399999', '2.50')
    """
    whole, rest = divmod(micro, 1_000_000)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{whole:,}.{digits}"


def _four_digits(tenthousandths: int) -> str:
    return f"{tenthousandths // 10_000:,}.{tenthousandths % 10_000:04d}"


def _needed(params: CodeParams) -> tuple[str, ...]:
    """By carrier, the risk times share from which on premium pays."""
    worth, kept = params.worth, most_kept(params)
    reach = {
        carrier: worth.complaint * (1 - worth.caution) * share
        for carrier, share in kept.items()
    }
    return tuple(
        f"{carrier} {worth.fee / value:.2%}"
        for carrier, value in reach.items()
        if value > 0
    )


def most_kept(params: CodeParams) -> dict[str, float]:
    """By carrier of the roster, the share of promises kept where it keeps most."""
    shares: dict[str, dict[str | None, float]] = {}
    for row in params.fulfilment:
        of_carrier = shares.setdefault(row.carrier_id, {})
        of_carrier[row.region_id] = float(row.probability)
    return {
        carrier: max(({None: 1.0} | shares.get(carrier, {})).values())
        for carrier in sorted(params.roster)
    }
