r"""
What makes a history unfit to be measured, whatever its numbers say.

- *Sample ratio*: of parcels with propensities :math:`e_i` the number on premium has
  mean :math:`\sum e_i` and variance :math:`\sum e_i (1 - e_i)`. Where it is further
  away than one history in 1,000 would be, rows are missing or propensities are of other
  decisions, and no interval holds.
- *Leak*: a column that tells the outcome of nearly every parcel was written after it,
  whether it is a number or a name; of names, and of numbers with few values, by how
  often it happened to other parcels with the same one. That there is no value is one:
  a reason of refund is there only where somebody complained. Nothing is learned from
  it.
- *Staleness*: what was true months ago need not be true tonight.
- *Spill-over*: where a station was full, a premium parcel takes the courier's time from
  the standard ones that it is compared with.

References
----------
Fabijan, A. et al. (2019). Diagnosing sample ratio mismatch in online controlled
experiments. Proceedings of KDD 2019, 2156-2164.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.model_prediction import columns_of
from optimizer.contracts.tables import OUTCOMES
from optimizer.contracts.warnings import warn
from optimizer.learn.risk import folds
from optimizer.learn.units import BY_STATION

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.features import Features
    from optimizer.learn.maturity import Maturity

#: A ratio rarer than this is no chance.
RARE = 0.001
#: Share of pairs of a parcel to which it happened and one to which it did not that a
#: score orders rightly: above, it was written after the outcome.
TELLS_ALL = 0.99
#: Values of a number up to which each is looked at like a name.
_FEW_VALUES = 60
#: Parcels of either kind that this is judged on.
_ENOUGH = 10
#: Days after the last night from which on a history is stale.
STALE_DAYS = 60
#: Share of compared parcels without room from which on it is said.
MANY_FULL = 0.2
SCORE_OF = {
    "complaint": "complaint_prob_standard",
    "logistics_return": "return_prob_standard",
}


#: Names by which promises, caps and accounts are kept, whatever is learned from them.
KEYS = ("carrier_id", "region_id", "merchant_id")


def history_alarms(
    rows: pl.DataFrame,
    maturity: Mapping[str, Maturity],
    as_of: dt.date,
    features: Features,
) -> list[CodedWarning]:
    """
    Look for mismatched sample ratios, scores that leak, and old age.

    Parameters
    ----------
    rows
        Outcomes, ascending by date, with the unit of their nights: parcels of a station
        that was kept back whole are no draws of their own.
    maturity
        Which of them are ripe.
    as_of
        Day of learning.
    features
        Columns that are learned from.
    """
    found = [
        *_sample_ratios(rows),
        *_leaks(rows, maturity, features),
    ]
    num_days = (as_of - rows["date"][-1]).days
    if num_days > STALE_DAYS:
        found.append(
            warn("HISTORY_IS_STALE", last_date=str(rows["date"][-1]), num_days=num_days)
        )
    return found


def _sample_ratios(rows: pl.DataFrame) -> Iterator[CodedWarning]:
    import polars as pl

    chance = pl.col("propensity")
    drawn = rows.filter((chance > 0) & (chance < 1)).with_columns(
        pl.col("arm").fill_null("policy")
    )
    each = chance * (1 - chance)
    # Drawn savings are one draw for a night, whoever carries.
    by_night = pl.col("arm") == "thompson"
    whole = pl.col(BY_STATION) & (pl.col("arm") == "policy") | by_night
    lane = pl.when(~by_night).then("carrier_id").alias("carrier_id")
    # At most as if a carrier's parcels of a day were one draw.
    together = drawn.group_by("arm", lane, "date").agg(
        num_parcels=pl.len(),
        num_premium=pl.col("is_premium").sum(),
        expected=chance.sum(),
        variance=pl.when(whole.first())
        .then(each.mean() * pl.len() ** 2)
        .otherwise(each.sum()),
    )
    names = ("num_parcels", "num_premium", "expected", "variance")
    arms = together.group_by("arm").agg(pl.col(*names).sum())
    for arm in arms.sort("arm").iter_rows(named=True):
        distance = abs(arm["num_premium"] - arm["expected"]) / arm["variance"] ** 0.5
        if 2 * NormalDist().cdf(-distance) * len(arms) < RARE:
            yield warn(
                "SAMPLE_RATIO",
                arm=arm["arm"],
                num_premium=arm["num_premium"],
                num_parcels=arm["num_parcels"],
                expected=f"{arm['expected']:,.0f}",
            )


def _leaks(
    rows: pl.DataFrame, maturity: Mapping[str, Maturity], features: Features
) -> Iterator[CodedWarning]:
    import polars as pl

    for outcome, score in SCORE_OF.items():
        is_ripe = pl.Series(maturity[outcome].is_ripe)
        standard = rows.filter(is_ripe & ~rows["is_premium"])
        used = (score, *columns_of(features.numbers), *features.levels)
        for column in dict.fromkeys(used):
            known = standard.drop_nulls(column)
            looks = [standard] if len(known) == len(standard) else [known, standard]
            told = [_told_share(own, column, outcome) for own in looks]
            share = max((one for one in told if one is not None), default=0.0)
            if share > TELLS_ALL:
                yield warn(
                    "SCORE_LEAKS", score=column, outcome=outcome, share=f"{share:.3f}"
                )


def leaking(found: Iterable[CodedWarning]) -> frozenset[str]:
    """
    Columns of the contract that tell an outcome.

    Parameters
    ----------
    found
        Alarms, as :func:`history_alarms` found them.
    """
    columns = {str(one.values["score"]) for one in found if one.code == "SCORE_LEAKS"}
    return frozenset(columns & {*OUTCOMES.column_names})


def emptied(rows: pl.DataFrame, columns: frozenset[str]) -> pl.DataFrame:
    """
    Leave columns empty, so that whatever predicts by them does without.

    Parameters
    ----------
    rows
        Outcomes.
    columns
        Such as :func:`leaking` names. ``KEYS`` stay: others count by them.
    """
    import polars as pl

    names = sorted(columns.difference(KEYS))
    return rows.with_columns(
        pl.lit(None, rows.schema[name]).alias(name) for name in names
    )


def _told_share(own: pl.DataFrame, column: str, outcome: str) -> float | None:
    """Share of pairs that a column orders rightly, whichever way round it counts."""
    happened, value = own[outcome].to_numpy(), own[column]
    is_number, has_gaps = value.dtype.is_numeric(), value.null_count() > 0
    shares = []
    if is_number and not has_gaps:
        shares.append(ordered_share(value.to_numpy(), happened))
    elif is_number:
        # Without a value a parcel may be below all others, or above.
        known = value.cast(float)
        shares += [
            ordered_share(known.fill_null(end).to_numpy(), happened)
            for end in (-np.inf, np.inf)
        ]
    if not is_number or value.n_unique() <= _FEW_VALUES:
        shares.append(ordered_share(_rate_of_others(own, column, outcome), happened))
    return max((max(s, 1 - s) for s in shares if s is not None), default=None)


def _rate_of_others(
    own: pl.DataFrame, column: str, outcome: str
) -> NDArray[np.float64]:
    """How often it happened to parcels of other folds with the same value, ``(n,)``."""
    import polars as pl

    table = own.select(
        value=pl.col(column),
        happened=pl.col(outcome).cast(pl.Float64),
        fold=pl.Series(folds(own)),
    )

    def of_others(what: pl.Expr) -> pl.Expr:
        return what.sum().over("value") - what.sum().over("value", "fold")

    happened, num = pl.col("happened"), of_others(pl.col("one"))
    # A value that no other parcel has says nothing.
    rate = (of_others(happened) + happened.mean()) / (num + 1)
    return table.with_columns(one=pl.lit(1.0)).select(rate).to_series().to_numpy()


def ordered_share(
    score: NDArray[np.float64], happened: NDArray[np.bool_]
) -> float | None:
    """
    Share of pairs that a score orders rightly (AUC), ties as halves.

    Returns
    -------
    float or None
        ``None`` where too few parcels of either kind can say.

    Examples
    --------
    >>> happened = np.repeat([True, False], 20)
    >>> ordered_share(happened * 0.9, happened), ordered_share(np.ones(40), happened)
    (1.0, 0.5)
    """
    num = int(happened.sum())
    others = len(happened) - num
    if min(num, others) < _ENOUGH:
        return None
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    total = float(rank[place][happened].sum())
    return (total - num * (num + 1) / 2) / (num * others)


def full_stations(compared: pl.DataFrame) -> list[CodedWarning]:
    """Say where the two services were compared at full stations."""
    known = compared["has_room"].drop_nulls()
    share = 1 - float(known.mean() or 0.0) if len(known) else 0.0  # type: ignore[arg-type]
    if share < MANY_FULL:
        return []
    return [warn("STATIONS_WERE_FULL", share=f"{share:.3f}")]
