r"""
Promise-keeping: the share of parcels really brought to the door, by carrier and region.

A premium parcel that was bought counts as kept when a scan shows it at the door and
nobody contradicts: a claim, or a complaint that the parcel did not come to the door,
overturns the scan. A parcel without a scan counts as broken, so that a carrier gains
nothing by scanning less. With :math:`k` kept of
:math:`n`, regions scatter around their carrier, carriers around the pool:

.. math:: \theta_{cg} \mid k, n \sim \mathrm{Beta}(s m_c + k,\; s (1 - m_c) + n - k)

where :math:`m_c` is the carrier's posterior mean and the strength :math:`s` is the one
that makes the counts most likely (beta-binomial, empirical Bayes), under a prior of
:math:`1/s`, and never more than the parcels that the mean itself rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.build.learned_model import Promise
from optimizer.contracts.complaints import BROKEN_PROMISE
from optimizer.contracts.warnings import warn
from optimizer.extras import import_extra
from optimizer.learn.risk import LEARNING

if TYPE_CHECKING:
    from decimal import Decimal

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning


#: Beside scanned parcels: any share is as likely as another: two parcels.
PRIOR_MEAN, PRIOR_STRENGTH = 0.5, 2.0
#: Where nothing says how many promises are kept: the effect is that of premium parcels
#: as they are delivered, so nothing is taken off it.
AS_DELIVERED = 1.0
_STRENGTHS = np.geomspace(2, 2_000, 40)


def kept_table(frame: pl.DataFrame) -> pl.DataFrame:
    """
    Count promises given and kept.

    Carriers without a single scan give no evidence, and get no row.

    Returns
    -------
    pl.DataFrame
        ``carrier_id``, ``region_id``, ``num_premium``, ``num_kept``, by both.
    """
    import polars as pl

    is_contradicted = (pl.col("claim_cny").fill_null(0) > 0) | (
        pl.col("complaint") & pl.col("complaint_reason").is_in(BROKEN_PROMISE)
    ).fill_null(value=False)
    is_seen = pl.col("delivered_to_door").fill_null(value=False)
    has_scans = pl.col("delivered_to_door").is_not_null().any().over("carrier_id")
    return (
        frame.filter(pl.col("is_premium") & pl.col("is_bought").fill_null(value=True))
        .filter(has_scans)
        .with_columns(is_kept=is_seen & ~is_contradicted)
        .group_by("carrier_id", "region_id")
        .agg(
            num_premium=pl.len().cast(pl.Int64),
            num_kept=pl.col("is_kept").sum().cast(pl.Int64),
        )
        .sort("carrier_id", "region_id")
    )


def stated_kept_share(config: Config) -> float:
    """The share of promises kept, where no scan says."""
    prior = config.learning.prior
    stated = None if prior is None else prior.kept_share
    return AS_DELIVERED if stated is None else float(stated)


def unproved(kept_share: float) -> Promise:
    """The pool of promises, before any scan."""
    return _promise(None, None, 0, 0, _Posterior(kept_share, 0.0, 1.0))


def promises(frame: pl.DataFrame, kept_share: float = AS_DELIVERED) -> list[Promise]:
    """
    Posterior of each carrier's promise-keeping: the pool, carriers, and their regions.

    Parameters
    ----------
    frame
        Outcomes. A recommendation that was not bought is nobody's promise.
    kept_share
        What counts where there is no scan at all.
    """
    import polars as pl

    counts = kept_table(frame)
    if counts.is_empty():
        return [unproved(kept_share)]
    by_carrier = (
        counts.group_by("carrier_id")
        .agg(pl.col("num_premium", "num_kept").sum())
        .sort("carrier_id")
    )
    given = by_carrier["num_premium"].to_numpy()
    kept = by_carrier["num_kept"].to_numpy()
    pool = _posterior(int(given.sum()), int(kept.sum()), PRIOR_MEAN, PRIOR_STRENGTH)
    among = strength(given, kept, np.full(len(given), pool.mean))
    found = [_promise(None, None, int(given.sum()), int(kept.sum()), pool)]
    among = min(among, PRIOR_STRENGTH + float(given.sum()))
    mean_of: dict[str, float] = {}
    most_of: dict[str, float] = {}
    for carrier, n, k in by_carrier.rows():
        posterior = _posterior(n, k, pool.mean, among)
        mean_of[carrier], most_of[carrier] = posterior.mean, among + n
        found.append(_promise(carrier, None, n, k, posterior))
    center = np.array([mean_of[c] for c in counts["carrier_id"]])
    given, kept = counts["num_premium"].to_numpy(), counts["num_kept"].to_numpy()
    within = strength(given, kept, center)
    for (carrier, region, n, k), mean in zip(counts.rows(), center, strict=True):
        own = min(within, most_of[carrier])
        posterior = _posterior(n, k, float(mean), own)
        found.append(_promise(carrier, region, n, k, posterior))
    return found


def strength(
    given: NDArray[np.int64], kept: NDArray[np.int64], mean: NDArray[np.float64]
) -> float:
    """
    The number of parcels that a group's prior counts as: the most likely of a grid.

    Parameters
    ----------
    given, kept
        ``(g,) int64``.
    mean
        ``(g,) float64``: where the groups scatter around.
    """
    if len(given) == 0:
        return PRIOR_STRENGTH
    log_beta = import_extra("scipy.special", needed_by=LEARNING).betaln
    likelihood = [
        np.sum(
            log_beta(s * mean + kept, s * (1 - mean) + given - kept)
            - log_beta(s * mean, s * (1 - mean))
        )
        - np.log(s)
        for s in _STRENGTHS
    ]
    return float(_STRENGTHS[int(np.argmax(likelihood))])


class _Posterior(NamedTuple):
    """Mean and 95 % interval."""

    mean: float
    low: float
    high: float


def _posterior(given: int, kept: int, mean: float, prior_strength: float) -> _Posterior:
    """The posterior of the share of promises kept."""
    quantile = import_extra("scipy.stats", needed_by=LEARNING).beta.ppf
    a, b = prior_strength * mean + kept, prior_strength * (1 - mean) + given - kept
    low, high = float(quantile(0.025, a, b)), float(quantile(0.975, a, b))
    return _Posterior(a / (a + b), low, high)


def _promise(
    carrier: str | None,
    region: str | None,
    given: int,
    kept: int,
    posterior: _Posterior,
) -> Promise:
    mean, low, high = (min(1.0, max(0.0, round(x, 9))) for x in posterior)
    return Promise(
        carrier_id=carrier,
        region_id=region,
        num_premium=given,
        num_kept=kept,
        mean=mean,
        low=low,
        high=high,
    )


def promise_alerts(found: list[Promise], contract: Decimal) -> list[CodedWarning]:
    """
    Carriers that keep less than the contract says, and such regions of other carriers.

    Reported only where the whole 95 % interval is below the contract.
    """
    below = [p for p in found if p.carrier_id is not None and p.high < contract]
    whole = {p.carrier_id for p in below if p.region_id is None}
    return [
        _below_contract(p, contract)
        for p in below
        if p.region_id is None or p.carrier_id not in whole
    ]


def _below_contract(promise: Promise, contract: Decimal) -> CodedWarning:
    region = promise.region_id
    where = {"carrier": str(promise.carrier_id)} | (
        {"region": region} if region else {}
    )
    return warn(
        "REGION_BELOW_CONTRACT" if region else "CARRIER_BELOW_CONTRACT",
        **where,
        share_kept=f"{promise.mean:.3f}",
        num_kept=promise.num_kept,
        num_premium=promise.num_premium,
        low=f"{promise.low:.3f}",
        high=f"{promise.high:.3f}",
        contract=f"{contract:f}",
    )
