r"""
Risk on standard service: penalised logistic regression, cross-fitted.

Levels (carrier, region, category, merchant) have the prior :math:`N(0, \sigma^2)`
on the logit scale, so a level with little history is shrunk to the pooled risk:
that is the cold start of a new carrier or merchant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.learned_model import Risk, numbers, risk_of
from optimizer.errors import DataError, counted
from optimizer.extras import import_extra
from optimizer.io.order_keys import order_keys

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

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
NUM_FOLDS = 3
#: What needs an extra here, in its messages.
LEARNING = "learning and measuring"
#: Predictions stay in it: nothing is impossible, and no variance is 0.
RANGE = (1e-4, 1 - 1e-4)


def number_names(frame: pl.DataFrame, harm: str) -> list[str]:
    """Numbers that a history has in every row, by name."""
    wanted = {f"{harm}_prob_standard": "logit", "order_value_cny": "log1p"}
    return [
        f"{kind}({column})"
        for column, kind in wanted.items()
        if frame[column].null_count() == 0
    ]


def fit_risk(frame: pl.DataFrame, harm: str) -> Risk:
    """
    Fit the risk of a harm on standard parcels.

    Parameters
    ----------
    frame
        Outcomes of parcels on standard service.
    harm
        ``complaint`` or ``return``.

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
            "learned from that: check the feed, take a longer window, or state the "
            "risks (learning.prior with effect, complaint_prob and return_prob)"
        )
    names = number_names(frame, harm)
    value = numbers(frame, names)
    center, spread = value.mean(axis=0), value.std(axis=0) + 1e-12
    scaled = (value - center) / spread * SLOPE_SPREAD
    levels, matrix = dummies(frame)
    sparse = import_extra("scipy.sparse", needed_by=LEARNING)
    design = sparse.csr_matrix(sparse.hstack([sparse.csr_matrix(scaled), matrix]))
    # Newton steps: as exact as L-BFGS at a third of the time.
    fit = linear_model.LogisticRegression(C=1.0, solver="newton-cg", max_iter=1_000)
    fit.fit(design, happened)
    weight = fit.coef_[0]
    slopes = weight[: len(names)] * SLOPE_SPREAD / spread
    offsets = weight[len(names) :] * np.array([LEVEL_SPREAD[c] for c, _ in levels])
    found: dict[str, dict[str, float]] = {column: {} for column in LEVEL_SPREAD}
    for (column, level), offset in zip(levels, offsets.tolist(), strict=True):
        found[column][level] = round(offset, 9)
    return Risk(
        intercept=float(fit.intercept_[0] - slopes @ center),
        slopes=dict(zip(names, slopes.tolist(), strict=True)),
        levels=found,
    )


def dummies(frame: pl.DataFrame) -> tuple[list[tuple[str, str]], Any]:
    """A column for each level, scaled by its prior; sparse."""
    sparse = import_extra("scipy.sparse", needed_by=LEARNING)
    names: list[tuple[str, str]] = []
    blocks = []
    for column, spread in LEVEL_SPREAD.items():
        known = sorted(frame[column].drop_nulls().unique().to_list())
        place = {level: at for at, level in enumerate(known)}
        codes = frame[column].replace_strict(place, default=-1).fill_null(-1).to_numpy()
        rows = np.flatnonzero(codes >= 0)
        ones = np.full(len(rows), spread)
        shape = (len(frame), len(known))
        blocks.append(sparse.csr_matrix((ones, (rows, codes[rows])), shape=shape))
        names += [(column, level) for level in known]
    return names, sparse.hstack(blocks)


def folds(frame: pl.DataFrame) -> NDArray[np.int64]:
    """Fold of each row by a hash of its order: the same in any row order."""
    key, _ = order_keys(frame["order_id"], salt=1)
    return (key % np.uint64(NUM_FOLDS)).astype(np.int64)


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


def at_rows(fit: CrossFit, row: NDArray[np.int64]) -> CrossFit:
    """The predictions of some rows."""
    return CrossFit(fit.standard[row], fit.premium[row])


def cross_fit(frame: pl.DataFrame, harm: str) -> CrossFit:
    """
    Predict both potential outcomes of each row from the other folds.

    The premium prediction removes one share of the risk from all parcels; where it
    is wrong, the randomised part of the doubly robust estimate corrects it.

    Raises
    ------
    DataError
        When the harm happened to none of the standard parcels, or to all.
    """
    fold, is_premium = folds(frame), frame["is_premium"].to_numpy()
    happened = frame[OUTCOME_OF[harm]].to_numpy().astype(np.float64)
    standard, share = np.zeros(len(frame)), np.zeros(len(frame))
    for k in range(NUM_FOLDS):
        inside = fold == k
        risk = fit_risk(frame.filter(~inside & ~is_premium), harm)
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
