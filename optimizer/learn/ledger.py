r"""
Promised against realised, by night and by carrier, in CNY of harm avoided.

A plan chooses the parcels whose predicted savings are largest, and with them those that
are predicted too large: what it promises is more than what it realises, even where
every prediction is right on average. What it realised is measured on parcels of the
same plan that were left to chance: with the doubly robust scores :math:`\psi_i` of the
harm avoided and propensities :math:`e_i`, from predictions that have not seen the
parcel,

.. math:: P_g = \sum_{i \in g} e_i (s_i + f), \qquad R_g = \sum_{i \in g} e_i \psi_i

are the promise of the savings :math:`s_i` with their fees :math:`f`, and what came of
it. Both are of the plans that the same night could have had: :math:`R_g` estimates
:math:`\sum e_i \tau_i`, with the harm :math:`\tau_i` that premium avoids, which is
what these plans avoid on average. Where savings were drawn, :math:`s_i` is therefore
the mean of the model: what one draw says of parcels that it did not choose was promised
by nobody. The interval is one of rare events (:mod:`optimizer.learn.rare_sums`); where
the propensities let expect fewer than five parcels of either service there is none. A
night or a carrier alone has few parcels, so beside the measured sum stands the one
shrunk to the ratio of all by empirical Bayes.

References
----------
DerSimonian, R., Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical
Trials 7, 177-188.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.costs import costs_of
from optimizer.build.learned_model import Account, Realised
from optimizer.config import policy_on
from optimizer.contracts.warnings import warn
from optimizer.learn.clusters import cluster_sums, student
from optimizer.learn.effect import scores
from optimizer.learn.overlap import drawn_together
from optimizer.learn.rare_sums import RareHarms, reach
from optimizer.learn.risk import OUTCOME_OF, harm_costs_cny

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.overlap import Comparable
    from optimizer.learn.risk import CrossFit

_MICRO = 1_000_000
#: Groups of the ledger: all together, and each night and carrier.
GROUPS = (None, "date", "carrier_id")
#: Nights and carriers that a model keeps: the last ones, and those that promised most.
NUM_NIGHTS, NUM_CARRIERS = 14, 24
_AMOUNTS = ("promised_cny", "realised_cny", "low", "high")


def ledger(
    data: Comparable, fits: Mapping[str, CrossFit], config: Config
) -> list[dict[str, Any]]:
    """
    Hold what plans promised against what they realised.

    Parameters
    ----------
    data
        Rows that could have got either service; those count that a plan chose, with a
        ``saving_cny`` and a known propensity; of nights whose savings were drawn, with
        a ``mean_saving_cny``.
    fits
        Predictions for these rows of each harm that costs something.
    config
        Costs and fees.

    Returns
    -------
    list of dict
        By ``by`` and ``group``: ``num_parcels``, ``num_premium``, ``promised_cny``,
        ``realised_cny`` with ``low`` and ``high``, ``shrunk_cny``, and ``ratio``,
        promised over realised, with ``ratio_low`` and ``ratio_high`` (``None`` where
        nothing bounds it; ends are ``None`` where propensities let expect too few
        parcels of either service).
    """
    frame = data.frame
    # Parcels explored blindly were chosen for no saving.
    is_planned = frame["arm"].fill_null("policy") != "explore"
    saving = _promised(frame)
    is_known = (is_planned & saving.is_not_null()).to_numpy()
    # The fee of nights from before the policy is not known.
    is_known &= (frame["date"] >= _first_rules(config)).to_numpy()
    if data.kind != "randomised" or not is_known.any():
        return []
    promised = saving.fill_null(0.0).to_numpy() + _fees(data, config)
    realised, variance = _realised(data, fits, config)
    harms, chance = _harms(data, fits, config), data.propensity
    wider = _wider(harms, drawn_together(frame, config))
    whole = chance * promised, chance * realised, chance**2 * variance
    found: list[dict[str, Any]] = []
    for by in GROUPS:
        label = frame[by].cast(str).to_numpy() if by else np.zeros(len(frame), int)
        names = sorted(set(label[is_known].tolist()))
        masks = [is_known & (label == name) for name in names]
        sums = np.array([[part[mask].sum() for part in whole] for mask in masks])
        shrunk = _shrunk(*sums.T)
        for name, mask, row, likely in zip(names, masks, sums, shrunk, strict=True):
            found.append(
                {
                    "by": by,
                    "group": name if by else None,
                    "num_parcels": int(mask.sum()),
                    "num_premium": int(frame["is_premium"].to_numpy()[mask].sum()),
                }
                | _row(float(row[0]), float(row[1]), harms.where(mask), wider)
                | {"shrunk_cny": likely}
            )
    return found


def _promised(frame: pl.DataFrame) -> pl.Series:
    """Savings that plans counted on: by their means where they were drawn."""
    import polars as pl

    is_drawn = (pl.col("arm") == "thompson").any() | (
        pl.col("mean_saving_cny").is_not_null().any()
    )
    saving = (
        pl.when(is_drawn.fill_null(value=False).over("date"))
        .then("mean_saving_cny")
        .otherwise("saving_cny")
    )
    return frame.select(saving.alias("saving")).to_series()


def _fees(data: Comparable, config: Config) -> NDArray[np.float64]:
    """The fee that each row's saving was reduced by, ``(n,) float64``."""
    days = data.frame["date"]
    first = _first_rules(config)
    fee = {
        day: costs_of(config, policy_on(config, day)).fee / _MICRO
        for day in days.unique().to_list()
        if day >= first
    }
    return np.array([fee.get(day, 0.0) for day in days.to_list()])


def _first_rules(config: Config) -> dt.date:
    return min(row.valid_from for row in config.policy)


def _realised(
    data: Comparable, fits: Mapping[str, CrossFit], config: Config
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score of the harm avoided, and its variance, ``(n,) float64`` each, in CNY."""
    cost = harm_costs_cny(config)
    gain, variance = np.zeros(len(data.frame)), np.zeros(len(data.frame))
    guess = np.zeros(len(data.frame))
    for harm in fits:
        drawn = scores(data, fits[harm], harm)
        gain += cost[harm] * drawn.score
        variance += cost[harm] ** 2 * drawn.variance
        guess += cost[harm] * (fits[harm].standard - fits[harm].premium)
    # A parcel that complains also comes back more often: as much as the rows show, and
    # no less than predictions say of rows to which nothing happened.
    left = gain - guess
    observed = max(1.0, float((left**2).sum() / variance.sum()))
    return gain, variance * observed


def _harms(data: Comparable, fits: Mapping[str, CrossFit], config: Config) -> RareHarms:
    """What happened and what was predicted, in CNY."""
    cost = harm_costs_cny(config)
    is_premium = data.frame["is_premium"].to_numpy()
    seen, predicted = np.zeros(len(data.frame)), np.zeros(len(data.frame))
    for harm, fit in fits.items():
        seen += cost[harm] * data.frame[OUTCOME_OF[harm]].to_numpy()
        predicted += cost[harm] * np.where(is_premium, fit.premium, fit.standard)
    most = float(sum(cost[harm] for harm in fits))
    return RareHarms(seen, predicted, is_premium, data.propensity, most)


def _wider(harms: RareHarms, cluster: NDArray[np.int64] | None) -> float:
    """By how much parcels that were drawn together widen an interval."""
    if cluster is None:
        return 1.0
    square = float(harms.left @ harms.left)
    sums = cluster_sums(harms.left, cluster)
    seen = float(sums @ sums) / square if square else 1.0
    sides = (harms.is_premium, ~harms.is_premium)
    fewer = min(len(np.unique(cluster[side])) for side in sides)
    return max(1.0, seen) ** 0.5 * student(fewer)


def _shrunk(
    promised: NDArray[np.float64],
    realised: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> list[float]:
    """Realised sums, shrunk to the common ratio by what of them is chance."""
    pool = realised.sum() / promised.sum() if promised.sum() else 0.0
    safe = np.where(promised == 0, 1.0, promised)
    ratio, error = realised / safe, variance / safe**2
    weight = np.where(promised == 0, 0.0, 1 / np.maximum(error, 1e-12))
    total = weight.sum()
    excess = (weight * (ratio - pool) ** 2).sum() - (np.count_nonzero(weight) - 1)
    scale = total - (weight**2).sum() / total if total else 0.0
    among = max(0.0, excess / scale) if scale > 0 else 0.0
    own = among / (among + error) if among else np.zeros(len(ratio))
    return ((pool + own * (ratio - pool)) * promised).tolist()


def _row(
    promised: float, realised: float, harms: RareHarms, wider: float
) -> dict[str, float | None]:
    low = high = None
    if harms.is_enough:
        below, above = reach(harms)
        low, high = realised - wider * below, realised + wider * above

    def over(value: float | None) -> float | None:
        return promised / value if value is not None and value > 0 else None

    return {
        "promised_cny": promised,
        "realised_cny": realised,
        "low": low,
        "high": high,
        "ratio": over(realised),
        "ratio_low": over(high),
        "ratio_high": over(low),
    }


def kept_accounts(found: list[dict[str, Any]]) -> Realised | None:
    """
    Keep of a ledger what a model has: all together, the last nights, the carriers.

    Parameters
    ----------
    found
        As :func:`ledger` gives it.

    Returns
    -------
    Realised or None
        ``None`` where nobody can say, or all are too few for an interval. Nights and
        carriers that are too few for one are not kept.
    """
    told = [row for row in found if row["low"] is not None]
    if not told or not all(math.isfinite(told[0][name]) for name in _AMOUNTS):
        return None
    nights = [row for row in told if row["by"] == "date"]
    carriers = [row for row in told if row["by"] == "carrier_id"]
    most = sorted(carriers, key=lambda row: (-row["promised_cny"], row["group"]))
    named = {row["group"] for row in most[:NUM_CARRIERS]}
    return Realised(
        num_parcels=found[0]["num_parcels"],
        num_nights=sum(row["by"] == "date" for row in found),
        by_night=[_account(row) for row in nights[-NUM_NIGHTS:]],
        by_carrier=[_account(row) for row in carriers if row["group"] in named],
        **_amounts(found[0]),
    )


def _account(row: Mapping[str, Any]) -> Account:
    return Account(
        name=row["group"],
        num_parcels=row["num_parcels"],
        likely_cny=round(row["shrunk_cny"], 2),
        **_amounts(row),
    )


def _amounts(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: round(row[name], 2) for name in _AMOUNTS}


def broken_promises(found: list[dict[str, Any]]) -> Iterator[CodedWarning]:
    """Say where all nights together realised less, or more, than they promised."""
    for row in found[:1]:
        if row["low"] is None:
            continue
        if not row["low"] <= row["promised_cny"] <= row["high"]:
            yield warn(
                "PROMISED_IS_NOT_REALISED",
                promised_cny=f"{row['promised_cny']:,.2f}",
                realised_cny=f"{row['realised_cny']:,.2f}",
                low=f"{row['low']:,.2f}",
                high=f"{row['high']:,.2f}",
            )
