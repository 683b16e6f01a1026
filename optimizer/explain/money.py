r"""
Money of a plan: harm avoided, fees, and the view of each party.

A party that bears the share :math:`h` of the harm and :math:`\phi` of the fee gains
:math:`h H - \phi F n` from a plan that avoids harm :math:`H` with :math:`n` parcels at
fee :math:`F`. It is indifferent at :math:`F^* = h H / (\phi n)`: above that it loses by
this plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.config import PolicyRow
    from optimizer.config.scenarios import HarmBorne

PARTIES = ("merchant", "platform", "consumer")


@dataclass(frozen=True, slots=True)
class Money:
    """
    Exact amounts of a plan, CNY.

    Attributes
    ----------
    num_chosen
        Recommended parcels.
    saving
        Harm avoided less the fee as far as it counts.
    harm_avoided
        The same without the fee.
    fees
        What all recommended parcels cost.
    borne
        The fees by party.
    """

    num_chosen: int
    saving: Decimal
    harm_avoided: Decimal
    fees: Decimal
    borne: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class View:
    """
    A plan as one party sees it, CNY.

    Attributes
    ----------
    party
        merchant, platform or consumer.
    harm_avoided, fees
        Harm that it is spared, and fees that it pays.
    indifferent_fee
        Fee for a parcel at which the two are equal; ``None`` where it pays nothing,
        or nothing is recommended.
    """

    party: str
    harm_avoided: Decimal
    fees: Decimal
    indifferent_fee: Decimal | None

    @property
    def net(self) -> Decimal:
        """Harm avoided less fees."""
        return self.harm_avoided - self.fees


def money_of(
    saving: int, num_chosen: int, counted_fee: int, policy: PolicyRow
) -> Money:
    """
    Add up a plan's money.

    Parameters
    ----------
    saving
        What its parcels save, micro-CNY.
    num_chosen
        Recommended parcels.
    counted_fee
        The part of the fee in each saving, micro-CNY.
    policy
        Fee and payers.
    """
    harm = saving + counted_fee * num_chosen
    fees = policy.fee.amount_cny * num_chosen
    payer = policy.fee.payer
    borne = {party: fees * getattr(payer, party) for party in PARTIES}
    exact = Decimal(saving).scaleb(-6), Decimal(harm).scaleb(-6)
    return Money(num_chosen, *exact, fees, borne)


def views_of(money: Money, policy: PolicyRow, harm_borne: HarmBorne) -> list[View]:
    """
    A plan's money from the view of each party.

    Examples
    --------
    >>> from optimizer.config.models import Fee, PolicyRow, Cap
    >>> from optimizer.config.scenarios import HarmBorne
    >>> row = PolicyRow(valid_from="2022-01-12", cap=Cap(rate="0.03"),
    ...                 fee=Fee(amount_cny="0.8"), carriers=("yunda",))
    >>> money = Money(10, Decimal(12), Decimal(20), Decimal(8), {"merchant": Decimal(8),
    ...               "platform": Decimal(0), "consumer": Decimal(0)})
    >>> merchant, *_ = views_of(money, row, HarmBorne(merchant="0.5", platform="0.5"))
    >>> float(merchant.net), float(merchant.indifferent_fee)
    (2.0, 1.0)
    """
    found = []
    for party in PARTIES:
        harm = money.harm_avoided * getattr(harm_borne, party)
        paying = getattr(policy.fee.payer, party) * money.num_chosen
        at = harm / paying if paying else None
        found.append(View(party, harm, money.borne[party], at))
    return found
