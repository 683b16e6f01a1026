r"""
What a plan would save if premium did less: the effect at its lower 95 % bound.

With :math:`A_k` the harm that the plan avoids for each unit more of coefficient
:math:`k` of the effect, and :math:`\Sigma` the covariance of the coefficients
:math:`g`, the plan avoids least, within the 95 % interval of what it avoids, about at

.. math:: g - 1.96\, \frac{\Sigma A}{\sqrt{A^\top \Sigma A}}.

What it saves there is added up parcel by parcel, as the objective does, for both harms
at once. :math:`A` is whole micro-CNY, so that it does not depend on the order of rows.
This holds for every learner: shares by level, slopes, odds and trees have coefficients
and a covariance alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.costs import saving_micro_cny
from optimizer.build.learned_model import HARMS
from optimizer.build.learned_probabilities import fill_orders
from optimizer.build.model_draws import moved_effect
from optimizer.build.model_prediction import coefficients, kept_effect, premium_risk
from optimizer.contracts.warnings import warn
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import read_batches
from optimizer.io.validate import check_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.encode import CodeParams
    from optimizer.build.learned_model import Effect, LearnedModel
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.read import Source

#: Standard errors to the ends of a 95 % interval.
NUM_ERRORS = 1.96


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """
    Ways of a plan.

    Attributes
    ----------
    rows
        Checked rows of the orders table, in pieces, with who carries each
        (``taken_by``).
    saving
        Micro-CNY, of all of them; ``None`` where these are drawn, and what was measured
        is to be told.
    """

    rows: Iterable[pl.DataFrame]
    saving: int | None


def at_lower_bound(
    model: LearnedModel, chosen: Chosen, params: CodeParams
) -> CodedWarning:
    """
    Say what a plan would save if the effect were at the lower end of its interval.

    Parameters
    ----------
    model
        Gives the probabilities on premium service.
    chosen
        The plan's ways.
    params
        Costs, take-up and promises.
    """
    parts = [_valued(part, model, params) for part in chosen.rows]
    costs = params.worth.complaint, params.worth.logistics_return
    lowered, measured = {}, {}
    for harm, cost in zip(HARMS, costs, strict=True):
        effect = model.effect[harm]
        reach = np.zeros(len(effect.names), np.int64)
        for part in parts:
            reach += _reach(part, harm, effect, cost)
        lowered[harm] = lowered_effect(effect, reach.tolist())
        measured[harm] = lowered_effect(effect, [0] * len(effect.names))
    low, saving = _saved(parts, lowered, params), chosen.saving
    if saving is None:
        saving = _saved(parts, measured, params)
    return warn(
        "SAVING_IF_LOW",
        saving_cny=cny(saving),
        low_cny=cny(low),
        lost_cny=cny(saving - low),
    )


def _saved(
    parts: Sequence[_Valued], effects: Mapping[str, Effect], params: CodeParams
) -> int:
    """What a plan saves with other effects, micro-CNY."""
    total = 0
    for part in parts:
        drops = [part.drop(harm, effects[harm]) for harm in HARMS]
        saving = saving_micro_cny(params.worth, drops[0], drops[1], part.weight)
        total += int(saving.sum())
    return total


def lowered_effect(effect: Effect, reach: Sequence[int]) -> Effect:
    """
    An effect where, within its 95 % interval, a plan avoids least, without any doubt.

    Parameters
    ----------
    effect
        With a coefficient and a row of its covariance for each name.
    reach
        By name, what the plan avoids for each unit more.

    Examples
    --------
    >>> from optimizer.build.learned_model import Effect
    >>> effect = Effect(intercept=0.5, levels={}, names=[("", "")], covariance=[[0.01]])
    >>> lowered_effect(effect, [7]).intercept
    0.304
    """
    along = [
        math.fsum(one * other for one, other in zip(row, reach, strict=True))
        for row in effect.covariance
    ]
    terms = (one * other for one, other in zip(along, reach, strict=True))
    error = math.sqrt(max(0.0, math.fsum(terms)))
    moves = [-NUM_ERRORS * one / error if error else 0.0 for one in along]
    return moved_effect(effect, dict(zip(effect.names, moves, strict=True)))


def chosen_rows(
    row: NDArray[np.int64], carriers: Sequence[str | None], orders: Source
) -> Iterable[pl.DataFrame]:
    """
    Checked rows of a plan, with the carrier that takes each.

    Parameters
    ----------
    row
        ``(k,) int64``: rows in the orders table.
    carriers
        Who carries each.
    orders
        The table, to be read again.
    """
    import polars as pl

    taken = pl.DataFrame(
        {"row": row, "taken_by": carriers},
        schema={"row": pl.Int64, "taken_by": pl.String},
    )
    log = QuarantineLog()
    for raw in read_batches(orders):
        part = raw.join(taken, on="row", how="semi")
        if len(part):
            yield check_batch(part, orders, log).join(taken, on="row", how="left")


@dataclass(frozen=True, slots=True, eq=False)
class _Valued:
    """
    Ways of a plan, as the objective values them.

    Attributes
    ----------
    ways
        ``n`` orders, each with the carrier that takes it.
    standard
        By harm, ``(n,) float64``: risk on standard service.
    weight
        ``(n,) float64``: take-up times promises kept.
    """

    ways: pl.DataFrame
    standard: Mapping[str, NDArray[np.float64]]
    weight: NDArray[np.float64]

    def left(self, harm: str, effect: Effect) -> NDArray[np.float64]:
        """Risk on premium service, ``(n,) float64``."""
        removed = kept_effect(self.ways, effect)
        return premium_risk(self.standard[harm], removed, effect.link)

    def drop(self, harm: str, effect: Effect) -> NDArray[np.float64]:
        """Risk that premium service removes, ``(n,) float64``."""
        return self.standard[harm] - self.left(harm, effect)


def _valued(part: pl.DataFrame, model: LearnedModel, params: CodeParams) -> _Valued:
    filled = fill_orders(part, model)
    ways = filled.with_columns(carrier_id="taken_by")
    standard = {harm: filled[f"{harm}_prob_standard"].to_numpy() for harm in HARMS}
    return _Valued(ways, standard, _weight(ways, params))


def _weight(ways: pl.DataFrame, params: CodeParams) -> NDArray[np.float64]:
    take_up: dict[str, float] = {}
    if params.merchants is not None:
        take_up = dict(params.merchants.select("merchant_id", "take_up").iter_rows())
    kept = {
        (row.carrier_id, row.region_id): float(row.probability)
        for row in params.fulfilment
    }
    bought = [take_up.get(merchant, 1.0) for merchant in ways["merchant_id"]]
    places = zip(ways["carrier_id"], ways["region_id"], strict=True)
    shares = [kept.get(place, kept.get((place[0], None), 1.0)) for place in places]
    return np.array(bought) * np.array(shares)


def _reach(part: _Valued, harm: str, effect: Effect, cost: int) -> NDArray[np.int64]:
    """Micro-CNY of harm that a unit more of each coefficient avoids on these ways."""
    slope = part.standard[harm]
    if effect.link == "logit":
        left = part.left(harm, effect)
        slope = left * (1 - left)
    each = (part.weight * cost * slope)[:, None] * coefficients(part.ways, effect)
    return np.asarray(np.rint(each).astype(np.int64).sum(axis=0))


def cny(micro: int) -> str:
    """
    Micro-CNY as decimals, with as many digits as money has.

    Examples
    --------
    >>> cny(-1_234_567_891), cny(5)
    ('-1,234.57', '0.00')
    """
    sign, whole = "-" * (micro < 0), (abs(micro) + 5_000) // 10_000
    return f"{sign if whole else ''}{whole // 100:,}.{whole % 100:02d}"
