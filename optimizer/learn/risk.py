r"""
Risk on standard service: penalised logistic regression, cross-fitted.

Levels (carrier, region, category, merchant) have the prior :math:`N(0, \sigma^2)`
on the logit scale, so a level with little history is shrunk to the pooled risk:
that is the cold start of a new carrier or merchant.

Parcels on standard service that could have got premium with propensity :math:`e`
stand for all that were like them, and weigh :math:`1/(1 - e)`, at most ``MOST``: where
parcels were chosen for what the table lacks, those held out say what their risk is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.learned_model import Risk
from optimizer.build.model_prediction import columns_of, numbers, risk_of
from optimizer.errors import DataError, counted
from optimizer.extras import import_extra
from optimizer.io.order_keys import order_keys
from optimizer.learn.features import Features

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import Config

#: Columns of the outcomes table by harm.
OUTCOME_OF = {"complaint": "complaint", "return": "logistics_return"}
#: Prior standard deviation of a level's offset, on the logit scale.
LEVEL_SPREAD = {
    "carrier_id": 0.5,
    "region_id": 0.3,
    "category_id": 0.5,
    "merchant_id": 0.5,
}
#: Of a slope, in standard deviations of its number.
SLOPE_SPREAD = 3.0
#: Of the offset of a level that the configuration names.
OTHER_SPREAD = 0.5
#: Greatest weight of a held-out parcel.
MOST = 20.0
NUM_FOLDS = 3
#: What needs an extra here, in its messages.
LEARNING = "learning and measuring"
#: Predictions stay in it: nothing is impossible, and no variance is 0.
RANGE = (1e-4, 1 - 1e-4)


def fit_risk(frame: pl.DataFrame, harm: str, features: Features | None = None) -> Risk:
    """
    Fit the risk of a harm on standard parcels.

    Parameters
    ----------
    frame
        Outcomes of parcels on standard service.
    harm
        ``complaint`` or ``return``.
    features
        What it may depend on; left out: all that the contract has.

    Raises
    ------
    DataError
        When it happened to none of them, or to all.
    """
    linear_model = import_extra("sklearn.linear_model", needed_by=LEARNING)
    happened = frame[OUTCOME_OF[harm]].to_numpy()
    if happened.all() or not happened.any():
        word = "all" if len(happened) and happened.all() else "none"
        raise DataError(
            f"outcomes: {OUTCOME_OF[harm]} is true for {word} of "
            f"{counted(len(happened), 'parcel')} on standard service; nothing can be "
            "learned from that"
        )
    asked = features or plain_features(frame)
    names = list(asked.numbers)
    value = numbers(frame, names, asked.fills)
    center, spread = value.mean(axis=0), value.std(axis=0) + 1e-12
    scaled = (value - center) / spread * SLOPE_SPREAD
    levels, matrix = dummies(frame, asked.levels)
    sparse = import_extra("scipy.sparse", needed_by=LEARNING)
    design = sparse.csr_matrix(sparse.hstack([sparse.csr_matrix(scaled), matrix]))
    # Newton steps: as exact as L-BFGS at a third of the time.
    fit = linear_model.LogisticRegression(C=1.0, solver="newton-cg", max_iter=1_000)
    fit.fit(design, happened, sample_weight=standard_weight(frame))
    weight = fit.coef_[0]
    slopes = weight[: len(names)] * SLOPE_SPREAD / spread
    spreads = np.array([LEVEL_SPREAD.get(c, OTHER_SPREAD) for c, _ in levels])
    offsets = weight[len(names) :] * spreads
    found: dict[str, dict[str, float]] = {column: {} for column in asked.levels}
    for (column, level), offset in zip(levels, offsets.tolist(), strict=True):
        found[column][level] = round(offset, 9)
    return Risk(
        intercept=float(fit.intercept_[0] - slopes @ center),
        slopes=dict(zip(names, slopes.tolist(), strict=True)),
        levels=found,
        fills=dict(asked.fills),
    )


def plain_features(
    frame: pl.DataFrame, left_out: frozenset[str] = frozenset()
) -> Features:
    """
    What the contract has of a history, without a configuration.

    Parameters
    ----------
    frame
        Outcomes.
    left_out
        Columns that are not learned from.
    """
    wanted = ("logit(complaint_prob_standard)", "logit(return_prob_standard)")
    columns = {*frame.columns}
    names = [
        name
        for name, column in zip(
            (*wanted, "log1p(order_value_cny)"),
            columns_of([*wanted, "log1p(order_value_cny)"]),
            strict=True,
        )
        if column in columns - left_out and frame[column].null_count() == 0
    ]
    levels = tuple(name for name in LEVEL_SPREAD if name not in left_out)
    return Features(tuple(names), levels, {}, {})


def standard_weight(frame: pl.DataFrame) -> NDArray[np.float64]:
    """For how many parcels each one on standard service stands, ``(n,) float64``."""
    if "propensity" not in frame.columns:
        return np.ones(len(frame))
    chance = frame["propensity"].fill_null(0.0).to_numpy()
    return np.minimum(1 / np.maximum(1 - chance, 1e-9), MOST)


def dummies(
    frame: pl.DataFrame, columns: Sequence[str] = tuple(LEVEL_SPREAD)
) -> tuple[list[tuple[str, str]], Any]:
    """A column for each level, scaled by its prior; sparse."""
    sparse = import_extra("scipy.sparse", needed_by=LEARNING)
    names: list[tuple[str, str]] = []
    blocks = [sparse.csr_matrix((len(frame), 0))]
    for column in columns:
        spread = LEVEL_SPREAD.get(column, OTHER_SPREAD)
        known = sorted(frame[column].drop_nulls().unique().to_list())
        place = {level: at for at, level in enumerate(known)}
        codes = frame[column].replace_strict(place, default=-1).fill_null(-1).to_numpy()
        rows = np.flatnonzero(codes >= 0)
        ones = np.full(len(rows), spread)
        shape = (len(frame), len(known))
        blocks.append(sparse.csr_matrix((ones, (rows, codes[rows])), shape=shape))
        names += [(column, level) for level in known]
    return names, sparse.hstack(blocks)


def folds(frame: pl.DataFrame, *, by_station: bool = False) -> NDArray[np.int64]:
    """
    Fold of each row by a hash of its order: the same in any row order.

    Parameters
    ----------
    frame
        Outcomes.
    by_station
        Whether the plan's parcels of a carrier and a day are in one fold: they were
        drawn together, and what happened there that day happened to all of them, so
        that some of them would tell of the others. Fewer than two of these for each
        fold are too few to be kept whole.
    """
    # Parcels of a night whose savings were drawn share who got premium, not what
    # happened to them: no outcome is in its own prediction, and intervals take the
    # night as a cluster. Whole nights as folds would need six nights and more, and
    # predict each from other days alone.
    key, _ = order_keys(frame["order_id"], salt=1)
    fold = (key % np.uint64(NUM_FOLDS)).astype(np.int64)
    if not by_station:
        return fold
    import polars as pl

    day = pl.col("date").cast(pl.String)
    carrier = pl.col("carrier_id").fill_null("")
    names = frame.select(pl.concat_str(carrier, day, separator="|")).to_series()
    of_plan = (frame["arm"].fill_null("policy") == "policy").to_numpy()
    known = names.filter(pl.Series(of_plan)).unique().sort()
    if len(known) < 2 * NUM_FOLDS:
        return fold
    turn = np.empty(len(known), np.int64)
    order = np.argsort(order_keys(known, salt=1)[0], kind="stable")
    turn[order] = np.arange(len(known))
    place = np.searchsorted(known.to_list(), names.to_list())
    place = np.minimum(place, len(known) - 1)
    return np.where(of_plan, turn[place] % NUM_FOLDS, fold)


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """
    Cross-fitted predictions of one harm: no row took part in its own.

    Attributes
    ----------
    standard, premium
        ``(n,) float64``: probability on either service.
    """

    standard: NDArray[np.float64]
    premium: NDArray[np.float64]


def harm_costs_cny(config: Config) -> dict[str, float]:
    """What each harm costs, in CNY, by harm as in :data:`OUTCOME_OF`."""
    objective = config.objective
    return {
        "complaint": float(objective.complaint_cost_cny),
        "return": float(objective.return_cost_cny),
    }


def at_rows(fit: CrossFit, row: NDArray[np.int64]) -> CrossFit:
    """The predictions of some rows."""
    return CrossFit(fit.standard[row], fit.premium[row])


def cross_fit(
    frame: pl.DataFrame,
    harm: str,
    features: Features | None = None,
    *,
    by_station: bool = False,
) -> CrossFit:
    """
    Predict both potential outcomes of each row from the other folds.

    The premium prediction removes one share of the risk from all parcels; where it
    is wrong, the randomised part of the doubly robust estimate corrects it.

    Parameters
    ----------
    frame
        ``n`` parcels, of both services.
    harm
        ``complaint`` or ``return``.
    features
        What the risk may depend on; left out: all that the contract has.
    by_station
        Whether a station's day is in one fold, since it was drawn whole.

    Raises
    ------
    DataError
        When the harm happened to none of the standard parcels, or to all.
    """
    fold = folds(frame, by_station=by_station)
    is_premium = frame["is_premium"].to_numpy()
    happened = frame[OUTCOME_OF[harm]].to_numpy().astype(np.float64)
    standard, share = np.zeros(len(frame)), np.zeros(len(frame))
    for k in range(NUM_FOLDS):
        inside = fold == k
        risk = fit_risk(frame.filter(~inside & ~is_premium), harm, features)
        standard[inside] = np.clip(risk_of(frame.filter(inside), risk), *RANGE)
        other = ~inside & is_premium
        expected = risk_of(frame.filter(other), risk).sum()
        # Half an event on either side keeps an empty fold at no effect.
        share[inside] = 1 - (happened[other].sum() + 0.5) / (expected + 0.5)
    premium = np.clip(standard * (1 - share), *RANGE)
    return CrossFit(standard, premium)


def plain_fit(frame: pl.DataFrame, harm: str) -> CrossFit:
    """Both potential outcomes as the means of the two groups, without a model."""
    is_premium = frame["is_premium"].to_numpy()
    happened = frame[OUTCOME_OF[harm]].to_numpy()
    means = [happened[side].mean() for side in (~is_premium, is_premium)]
    return CrossFit(*(np.full(len(frame), np.clip(m, *RANGE)) for m in means))
