r"""
From probabilities to integer savings.

.. math::

   s_{i,a} = \operatorname{round}\Bigl( u_m f_{a,g}
     \bigl[ (p^c_i - q^c_{i,a})\, C_c + (p^r_i - q^r_{i,a})\, C_r \bigr] \Bigr)
     - \operatorname{round}(F\,\phi)

with take-up :math:`u` of the merchant, fulfilment :math:`f` of the carrier in
the region, probabilities :math:`p` on standard and :math:`q` on premium service,
costs :math:`C` and fee :math:`F` in micro-CNY, and :math:`\phi` the share of the
fee that counts. With ``objective.confidence`` :math:`\gamma` and relative error
:math:`\rho` the bracket :math:`h` is replaced by its lower bound
:math:`h - \Phi^{-1}(\gamma)\,\rho\,|h|`. From here on everything is integer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.config import objective_on
from optimizer.config.money import micro_cny

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.config import Config, PolicyRow


@dataclass(frozen=True, slots=True)
class Costs:
    """
    Costs of a complaint, a return and the service, in integer micro-CNY.

    Attributes
    ----------
    complaint, logistics_return
        Harm of one complaint and of one logistics-reason return.
    fee
        The part of the fee that counts against the saving.
    caution
        Share of the harm avoided that is subtracted for uncertainty (and added to harm
        done); 0 where the mean counts.
    """

    complaint: int
    logistics_return: int
    fee: int
    caution: float = 0.0


def costs_of(config: Config, policy: PolicyRow) -> Costs:
    """Read the costs that a night's savings are computed from."""
    objective = objective_on(config, policy)
    counted = policy.fee.amount_cny * objective.fee_share
    return Costs(
        complaint=micro_cny(objective.complaint_cost_cny),
        logistics_return=micro_cny(objective.return_cost_cny),
        fee=int((counted * 1_000_000).to_integral_value()),
        caution=objective.caution,
    )


def saving_micro_cny(
    worth: Costs,
    complaint_drop: NDArray[np.float64],
    return_drop: NDArray[np.float64],
    kept_share: NDArray[np.float64],
) -> NDArray[np.int64]:
    """
    Value premium service, once, in integers.

    Parameters
    ----------
    worth
        Costs in micro-CNY.
    complaint_drop, return_drop
        ``(k,) float64``: probability on standard less that on premium service;
        negative where premium hurts.
    kept_share
        ``(k,) float64`` in [0, 1]: take-up times fulfilment.

    Returns
    -------
    ``(k,) int64`` micro-CNY, rounded half to even; may be negative.

    Examples
    --------
    >>> worth = Costs(complaint=30_000_000, logistics_return=18_000_000, fee=800_000)
    >>> drop, nothing, always = np.array([0.1]), np.array([0.0]), np.array([1.0])
    >>> saving_micro_cny(worth, drop, nothing, always).tolist()
    [2200000]
    """
    harm = complaint_drop * worth.complaint + return_drop * worth.logistics_return
    if worth.caution:
        harm = harm - worth.caution * np.abs(harm)
    return np.rint(kept_share * harm).astype(np.int64) - worth.fee
