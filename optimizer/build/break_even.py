"""
Why a plan has no parcel, and from where on premium would pay.

The best parcel's saving and the fee say what it avoids. Where a complaint costs
:math:`C`, the fee that counts is :math:`F` and a carrier keeps the share :math:`f` of
its promises, premium pays from :math:`F / (C f)` on: this is the least product of an
order's risk and the share of it that a kept promise removes, with complaints alone and
every recommendation bought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.build.lower_bound import cny
from optimizer.contracts.warnings import warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optimizer.build.encode import CodeParams
    from optimizer.contracts.warnings import CodedWarning


def nobody_chosen(
    counts: Mapping[str, int], best: int | None, params: CodeParams
) -> Iterator[CodedWarning]:
    """
    Say why nobody is chosen.

    Parameters
    ----------
    counts
        Orders by the name of their reason.
    best
        Micro-CNY that the best order would save; ``None``: no order could be chosen.
    params
        Costs, fee and promises of the night.
    """
    most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = tuple(f"{name} {num:,}" for name, num in most if num)
    yield warn("NOBODY_CHOSEN", reasons=reasons)
    if best is None or best > 0:
        return
    worth = params.worth
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
    if worth.complaint and (needed := _needed(params)):
        yield warn("BREAK_EVEN", cost_cny=cny(worth.complaint), shares=needed)


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
