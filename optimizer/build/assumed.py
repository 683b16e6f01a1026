r"""
What a night takes for true: where its probabilities come from, and what they rest on.

A proof is about estimates. This lists what the estimates assume, and how much of the
plan's saving would go if premium did less. With :math:`A_k` the harm that the plan
avoids for each unit of coefficient :math:`k` of the effect, and :math:`\Sigma` the
covariance of the coefficients, the effect's lower 95 % bound costs the same plan
:math:`1.96 \sqrt{A^\top \Sigma A}` of each harm, both harms at once. :math:`A` is added
up in integer micro-CNY, so that it does not depend on the order of rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.learned_model import HARMS
from optimizer.build.learned_probabilities import fill_orders
from optimizer.contracts.warnings import some, warn
from optimizer.io.read import read_batches
from optimizer.io.validate import QuarantineLog, check_batch

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.costs import Costs
    from optimizer.build.encode import CodeParams
    from optimizer.build.learned_model import Effect, LearnedModel, Promise, Risk
    from optimizer.config import Config, Fulfilment, PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.read import Source

#: Standard errors to the 95 % bound.
NUM_ERRORS = 1.96


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """
    What a night's estimates rest on.

    Attributes
    ----------
    model
        The learned model; ``None`` where the tables have all probabilities.
    lacks_premium
        Whether the model gives the probabilities on premium service.
    config, policy, day
        The rules of the night.
    names
        Names in the night's orders, by column.
    """

    model: LearnedModel | None
    lacks_premium: bool
    config: Config
    policy: PolicyRow
    day: dt.date | None
    names: Mapping[str, Sequence[str]]


def assumptions(basis: Basis) -> tuple[CodedWarning, ...]:
    """
    List what a night takes for true, as codes with values.

    Parameters
    ----------
    basis
        What its estimates rest on.
    """
    model = basis.model if basis.lacks_premium else None
    found: list[CodedWarning] = []
    if model is None:
        found.append(warn("PROBABILITIES_GIVEN"))
    else:
        found += _of_effect(model, basis.config)
    if basis.model is not None:
        found += _of_risks(basis.model.risk)
        found += _new_names(basis.model, basis.names)
    found += _of_promises(model, basis)
    if basis.model is not None:
        found += _of_history(basis.model, basis.day)
    holdout = basis.config.holdout
    if holdout.share or holdout.explore_share:
        told = {"explored": holdout.explore_share, "held": holdout.share}
        found.append(warn("SOME_AT_RANDOM", **{k: f"{v:f}" for k, v in told.items()}))
    else:
        found.append(warn("NONE_AT_RANDOM"))
    return tuple(found)


def _of_effect(model: LearnedModel, config: Config) -> list[CodedWarning]:
    """How sure the model is of what premium does, and how."""
    prior, found = config.learning.prior, []
    for harm in HARMS:
        effect = model.effect[harm]
        if not _counts(harm, config):
            continue
        share, error = effect.intercept, math.sqrt(effect.covariance[0][0])
        told = {
            "harm": harm,
            "share": _share(share),
            "low": _share(share - NUM_ERRORS * error),
            "high": _share(share + NUM_ERRORS * error),
        }
        is_stated = len(effect.names) == 1
        if not is_stated and not _is_pool_share(effect):
            found.append(warn("EFFECT_LEARNED", harm=harm))
        elif is_stated:
            found.append(warn("EFFECT_STATED", **told))
        elif model.kind != "randomised":
            found.append(warn("EFFECT_NOT_RANDOMISED", **told))
        elif prior is None or not prior.spread:
            found.append(warn("EFFECT_MEASURED", **told))
        else:
            weight = min(1.0, (error / float(prior.spread)) ** 2)
            found.append(warn("EFFECT_WEIGHED", **told, weight=_share(weight)))
    return found


def _is_pool_share(effect: Effect) -> bool:
    """Whether the first coefficient is the share of an order like any other."""
    has_numbers = any(not column and level for column, level in effect.names)
    return not has_numbers and getattr(effect, "link", "share") == "share"


def _counts(harm: str, config: Config) -> bool:
    return harm == "complaint" or config.counts_returns


def _of_risks(risks: Mapping[str, Risk]) -> list[CodedWarning]:
    """Harms of which every order has the same risk; a risk of nothing costs nothing."""
    found = []
    for harm in HARMS:
        risk = risks[harm]
        share = _share(1 / (1 + math.exp(-risk.intercept)))
        if not risk.slopes and not any(risk.levels.values()) and float(share):
            found.append(warn("RISK_TAKEN", harm=harm, share=share))
    return found


def _new_names(
    model: LearnedModel, names: Mapping[str, Sequence[str]]
) -> list[CodedWarning]:
    """Names of the night that the model has no number for, by column."""
    known: dict[str, set[str]] = {}
    for levels in (
        *(risk.levels for risk in model.risk.values()),
        *(effect.levels for effect in model.effect.values()),
    ):
        for column, offsets in levels.items():
            known.setdefault(column, set()).update(offsets)
    found = []
    for column in ("carrier_id", "region_id", "merchant_id"):
        new = sorted({*names.get(column, ())} - known.get(column, set()))
        if known.get(column) and new:
            found.append(
                warn(
                    "NEW_NAMES",
                    num_names=len(new),
                    column=column,
                    names=some(new),
                )
            )
    return found


def _of_promises(model: LearnedModel | None, basis: Basis) -> list[CodedWarning]:
    """Which share of promises is kept, and who says so."""
    stated = {row.carrier_id for row in _configured(basis)}
    others = sorted({*basis.policy.carriers} - stated)
    found = []
    if stated & {*basis.policy.carriers}:
        carriers = some(sorted(stated & {*basis.policy.carriers}))
        found.append(warn("KEPT_STATED", carriers=carriers))
    if model is None:
        if others:
            found.append(warn("KEPT_ALL", carriers=some(others)))
        return found
    pool = next(p for p in model.promises if p.carrier_id is None)
    measured = {p.carrier_id for p in model.promises}
    unknown = [carrier for carrier in others if carrier not in measured]
    if unknown:
        found.append(_pooled(pool, unknown))
    return found


def _configured(basis: Basis) -> Iterable[Fulfilment]:
    from optimizer.config import objective_on

    return objective_on(basis.config, basis.policy).fulfilment


def _pooled(pool: Promise, carriers: list[str]) -> CodedWarning:
    """What counts for carriers of which no promise was ever scanned."""
    if pool.num_premium:
        share = _share(pool.mean)
        return warn("KEPT_AS_POOL", share=share, carriers=some(carriers))
    if pool.mean == 1:
        return warn("KEPT_AS_DELIVERED")
    return warn("KEPT_TAKEN", share=_share(pool.mean))


def _of_history(model: LearnedModel, day: dt.date | None) -> list[CodedWarning]:
    """How old the model is, and what it did not wait for."""
    found = []
    if day is not None and any(risk.levels for risk in model.risk.values()):
        num_days = (day - model.last_day).days
        last = model.last_date
        found.append(warn("MODEL_AGE", num_days=num_days, last_night=last))
    if model.num_waiting:
        found.append(warn("ROWS_WAITED", num_rows=model.num_waiting))
    return found


def _share(value: float) -> str:
    """A share as it stands in a record: four digits, no sign of nothing."""
    return f"{round(value, 4) + 0.0:.4f}"


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """
    Ways of a plan.

    Attributes
    ----------
    row
        ``(k,) int64``: rows in the orders table.
    carriers
        Who carries each.
    saving
        Micro-CNY, of all of them.
    """

    row: NDArray[np.int64]
    carriers: list[str | None]
    saving: int


def at_lower_bound(
    model: LearnedModel | None, chosen: Chosen, orders: Source, params: CodeParams
) -> tuple[CodedWarning, ...]:
    """
    Say what a plan would save if the effect were at its lower 95 % bound.

    Parameters
    ----------
    model
        Gives the probabilities on premium service; ``None``: the tables do.
    chosen
        The plan's ways.
    orders, params
        The orders, to be read again, and costs, take-up and promises.

    Returns
    -------
    tuple of CodedWarning
        None without a model, or without a plan.
    """
    if model is None or not len(chosen.row):
        return ()
    reach = {harm: np.zeros(len(model.effect[harm].names), np.int64) for harm in HARMS}
    for frame in _chosen_rows(chosen, orders):
        standard = fill_orders(frame, model)
        ways = standard.with_columns(carrier_id="taken_by")
        weight = _weight(ways, params)
        for harm, cost in zip(HARMS, _costs(params.worth), strict=True):
            risk = standard[f"{harm}_prob_standard"].to_numpy()
            reach[harm] += _reach(ways, model.effect[harm], weight * cost * risk)
    lost = sum(
        _error(reach[harm].tolist(), model.effect[harm].covariance) for harm in HARMS
    )
    low = chosen.saving - round(NUM_ERRORS * lost)
    told = {"saving_cny": _cny(chosen.saving), "low_cny": _cny(low)}
    return (warn("SAVING_IF_LOW", **told),)


def _costs(worth: Costs) -> tuple[float, float]:
    """Micro-CNY of a harm avoided, with the configured doubt taken off."""
    left = 1 - worth.caution
    return worth.complaint * left, worth.logistics_return * left


def _chosen_rows(chosen: Chosen, orders: Source) -> Iterable[pl.DataFrame]:
    """Checked rows of the plan, with the carrier that takes each."""
    import polars as pl

    taken = pl.DataFrame(
        {"row": chosen.row, "taken_by": chosen.carriers},
        schema={"row": pl.Int64, "taken_by": pl.String},
    )
    log = QuarantineLog()
    for raw in read_batches(orders):
        part = raw.join(taken, on="row", how="semi")
        if len(part):
            yield check_batch(part, orders, log).join(taken, on="row", how="left")


def _weight(ways: pl.DataFrame, params: CodeParams) -> NDArray[np.float64]:
    """Take-up times promises kept, of each way."""
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


def _reach(
    ways: pl.DataFrame, effect: Effect, weight: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Micro-CNY of harm that a unit of each coefficient avoids on these ways."""
    import polars as pl

    found = []
    for column, level in effect.names:
        if not column:
            part = weight
        else:
            is_level = (ways[column].cast(pl.String) == level).fill_null(value=False)
            part = weight * is_level.to_numpy()
        found.append(int(np.rint(part).astype(np.int64).sum()))
    return np.array(found, np.int64)


def _error(reach: list[int], covariance: list[list[float]]) -> float:
    """Standard error of the harm avoided, added up exactly."""
    terms = [
        one * other * value
        for one, row in zip(reach, covariance, strict=True)
        for other, value in zip(reach, row, strict=True)
    ]
    return math.sqrt(max(0.0, math.fsum(terms)))


def _cny(micro: int) -> str:
    """
    Micro-CNY as exact decimals, with as many digits as money has.

    Examples
    --------
    >>> _cny(-1_234_567_891), _cny(5)
    ('-1,234.57', '0.00')
    """
    sign, whole = "-" * (micro < 0), (abs(micro) + 5_000) // 10_000
    return f"{sign if whole else ''}{whole // 100:,}.{whole % 100:02d}"


def json_of(found: Iterable[CodedWarning]) -> list[dict[str, Any]]:
    """Assumptions as ``run.json`` has them."""
    return [one.to_json() for one in found]
