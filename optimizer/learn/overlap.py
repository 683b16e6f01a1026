"""Parcels that could have got either service: randomised or, failing that, alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from optimizer.build.model_prediction import numbers
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted
from optimizer.extras import import_extra
from optimizer.learn.risk import LEARNING, NUM_FOLDS, dummies, folds
from optimizer.learn.units import drawn_whole
from optimizer.learn.waiting import waiting, what_waits

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.waiting import Waiting

#: Estimated propensities beyond are left out: nobody like that got the other service.
TRIM = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Comparable:
    """
    The rows on which the two services can be compared.

    Attributes
    ----------
    frame
        Rows that could have got either service.
    row
        ``(n,) int64``: their positions in the history.
    propensity
        ``(n,) float64`` strictly between 0 and 1.
    kind
        ``randomised`` where it is known, ``observational`` where it is estimated.
    warnings
        What a person should know; the overlap report of observational data.
    """

    frame: pl.DataFrame
    row: NDArray[np.int64]
    propensity: NDArray[np.float64]
    kind: Literal["randomised", "observational"]
    warnings: tuple[CodedWarning, ...]


def comparable(frame: pl.DataFrame, young: Waiting | None = None) -> Comparable:
    """
    Find the rows whose service was randomised; failing that, estimate propensities.

    Parameters
    ----------
    frame
        Ripe outcomes.
    young
        Those that are not ripe: what is missing among the others may be among them;
        ``None``: there are none.

    Raises
    ------
    DataError
        When all parcels got the same service, or nobody could have got the other.
    """
    young = young or waiting(frame, ())
    premium = int(frame["is_premium"].sum())
    if premium in (0, len(frame)):
        which = "premium" if premium else "standard"
        other = young.standard if premium else young.premium
        if len(other):
            raise DataError(
                f"outcomes: all {counted(len(frame), 'ripe parcel')} got {which} "
                f"service, so the effect cannot be measured yet: {young.told()}"
            )
        raise DataError(
            f"outcomes: all {counted(len(frame), 'parcel')} got {which} service, so "
            "the effect cannot be measured; hold some out at random (holdout.share) "
            "and let some explore (holdout.explore_share), and join what published "
            "nights decided (--runs FOLDER)"
        )
    if is_left_to_chance(frame):
        is_drawn = _is_drawn(frame)
        row, chance = np.flatnonzero(is_drawn), frame["propensity"].to_numpy()
        drawn = frame.filter(is_drawn)
        return Comparable(drawn, row, chance[is_drawn], "randomised", ())
    return _observational(frame, young)


def is_left_to_chance(frame: pl.DataFrame) -> bool:
    """
    Whether parcels of both services are there whose propensity is known.

    Parameters
    ----------
    frame
        Outcomes.
    """
    drawn = frame.filter(_is_drawn(frame))
    return 0 < int(drawn["is_premium"].sum()) < len(drawn)


def undrawn_merchants(frame: pl.DataFrame) -> list[str]:
    """
    Merchants of whose parcels none was left to chance, ascending.

    Examples
    --------
    >>> import polars as pl
    >>> rows = {"merchant_id": ["a", "a", "b", "c"], "propensity": [0.5, 0, 1, None]}
    >>> undrawn_merchants(pl.DataFrame(rows, strict=False))
    ['b', 'c']
    """
    drawn = frame.filter(_is_drawn(frame))["merchant_id"]
    return sorted({*frame["merchant_id"]}.difference(drawn))


def _is_drawn(frame: pl.DataFrame) -> NDArray[np.bool_]:
    chance = frame["propensity"].fill_null(0.0).to_numpy()
    return np.asarray((chance > 0) & (chance < 1))


def drawn_together(frame: pl.DataFrame, config: Config) -> NDArray[np.int64] | None:
    """
    Parcels that were drawn together; ``None`` where each was drawn on its own.

    Stations are lanes, which the outcomes do not name; all of a carrier's parcels of a
    day hold whatever its lanes are, and make no interval too narrow. Drawn savings are
    one draw for a whole night.
    """
    import polars as pl

    arm = frame["arm"].fill_null("policy")
    by_night = arm == "thompson"
    by_station = (arm == "policy") & drawn_whole(frame, config)
    if not (by_night | by_station).any():
        return None
    size = len(frame)
    station = frame.select("carrier_id", "date").to_struct().rank("dense")
    night = frame["date"].rank("dense").cast(pl.Int64) + 2 * size
    own = pl.Series(np.arange(size) + size + 1)
    found = station.cast(pl.Int64).zip_with(by_station, own)
    return night.zip_with(by_night, found).to_numpy()


def _observational(frame: pl.DataFrame, young: Waiting) -> Comparable:
    """Estimate each parcel's propensity from its columns, and trim."""
    chance = estimate_propensity(frame)
    is_common = (chance > TRIM) & (chance < 1 - TRIM)
    kept = frame.filter(is_common)
    if kept["is_premium"].sum() in (0, len(kept)):
        raise DataError(
            "outcomes: every propensity is 0 or 1, and no premium parcel looks like a "
            "standard one, so nothing can be compared"
            + (
                f" yet: {young.told()}"
                if len(young.at_random)
                else "; keep some back at random (holdout.share)"
            )
        )
    told = (*_report(frame, chance, is_common), *what_waits(young.at_random))
    row = np.flatnonzero(is_common)
    return Comparable(kept, row, chance[is_common], "observational", told)


def estimate_propensity(frame: pl.DataFrame) -> NDArray[np.float64]:
    """Propensity of premium by logistic regression, cross-fitted, ``(n,) float64``."""
    linear_model = import_extra("sklearn.linear_model", needed_by=LEARNING)
    sparse = import_extra("scipy.sparse", needed_by=LEARNING)
    names = [
        f"{kind}({column})"
        for column, kind in (
            ("complaint_prob_standard", "logit"),
            ("return_prob_standard", "logit"),
            ("order_value_cny", "log1p"),
        )
        if frame[column].null_count() == 0
    ]
    value = numbers(frame, names)
    value = (value - value.mean(axis=0)) / (value.std(axis=0) + 1e-12)
    design = sparse.csr_matrix(
        sparse.hstack(
            [sparse.csr_matrix(np.hstack([value, value**2])), dummies(frame)[1]]
        )
    )
    fold, is_premium = folds(frame), frame["is_premium"].to_numpy()
    chance = np.full(len(frame), is_premium.mean())
    for k in range(NUM_FOLDS):
        inside = fold == k
        if inside.any() and 0 < is_premium[~inside].sum() < (~inside).sum():
            fit = linear_model.LogisticRegression(solver="newton-cg", max_iter=500)
            fit.fit(design[~inside], is_premium[~inside])
            chance[inside] = fit.predict_proba(design[inside])[:, 1]
    return chance


def _report(
    frame: pl.DataFrame, chance: NDArray[np.float64], is_common: NDArray[np.bool_]
) -> tuple[CodedWarning, ...]:
    """Warn of the limits of observational data, and report where the groups overlap."""
    is_premium = frame["is_premium"].to_numpy()
    low, high = (
        [f"{np.quantile(chance[side], q):.3f}" for side in (is_premium, ~is_premium)]
        for q in (0.05, 0.95)
    )
    left_out = float((~is_common)[is_premium].mean())
    overlap = warn(
        "OVERLAP",
        premium_low=low[0],
        premium_high=high[0],
        standard_low=low[1],
        standard_high=high[1],
        share_alone=f"{left_out:.3f}",
        lowest=f"{TRIM:g}",
        highest=f"{1 - TRIM:g}",
    )
    return (warn("NOT_RANDOMISED"), overlap)
