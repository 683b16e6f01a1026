r"""
Learners of the effect that compete: each fits, and predicts with uncertainty.

All of them learn the effect from the parcels alone that could have got either service;
risk on standard service is the same for all. They differ in what the effect may depend
on, from nothing to anything:

- ``stated-risk``: one share for all, so that the parcels with the highest risk are
  chosen.
- ``share``: a share by carrier, region, category and number, each shrunk to the pool.
- ``logistic``: the same on the scale of odds. With the risk :math:`p` predicted from
  other rows, reach :math:`r`, service :math:`T` and its propensity :math:`e`, an
  outcome has the probability

  .. math:: (1 - T r)\, s(\operatorname{logit} p + z^\top c)
            + T r\, s(\operatorname{logit} p + z^\top c - x^\top g),

  with :math:`s` the logistic function: :math:`c` is what the risk model missed on these
  parcels and :math:`g` the effect, both penalised; :math:`g` is what is kept. Beside
  :math:`x`, :math:`z` has :math:`\operatorname{logit} e`: parcels of the plan are
  riskier than explored ones in ways that no column may tell, and get premium more
  often. It begins as one effect for all and tells parcels apart as far as these do,
  so it is in force until another is better.
- ``boosted``: ``share``, and beside it the sum of a few small trees, boosted on what
  one share for all leaves of the doubly robust scores (a DR-learner), times a slope. It
  is fitted to what trees from other rows predict, and is 0 where they predict nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from optimizer.build.learned_model import Effect, Forest, Tree
from optimizer.build.model_prediction import (
    coefficients,
    forest_inputs,
    values_of,
    walk,
)
from optimizer.build.model_prediction import columns_of as _columns_of
from optimizer.extras import import_extra
from optimizer.io.order_keys import order_keys
from optimizer.learn.effect import (
    Belief,
    Design,
    Scores,
    design_of,
    effect_of,
    fit_shares,
    start_of,
)
from optimizer.learn.posterior import Group, posterior
from optimizer.learn.risk import LEARNING

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.learn.features import Features


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """
    Parcels that could have got either service, and one harm.

    Attributes
    ----------
    frame
        ``n`` outcomes.
    happened, is_premium, propensity
        ``(n,)``: what happened, and how.
    risk
        ``(n,) float64``: risk on standard service as a night would have it.
    reach
        ``(n,) float64``: probability that a recommendation is bought and kept.
    scores
        Doubly robust.
    features
        What the effect may depend on.
    belief
        About the share before any parcel was measured.
    widening
        For how many of its parcels one counts; see :mod:`optimizer.learn.clusters`. The
        variances of the scores have it.
    """

    frame: pl.DataFrame
    happened: NDArray[np.float64]
    is_premium: NDArray[np.bool_]
    propensity: NDArray[np.float64]
    risk: NDArray[np.float64]
    reach: NDArray[np.float64]
    scores: Scores
    features: Features
    belief: Belief
    widening: float = 1.0

    def where(self, keep: NDArray[np.bool_]) -> Trial:
        """Some of the parcels."""
        return replace(
            self,
            frame=self.frame.filter(keep),
            happened=self.happened[keep],
            is_premium=self.is_premium[keep],
            propensity=self.propensity[keep],
            risk=self.risk[keep],
            reach=self.reach[keep],
            scores=Scores(self.scores.score[keep], self.scores.variance[keep]),
        )


class Learner(Protocol):
    """
    What competes: its name, and how it fits the effect on one harm.

    Attributes
    ----------
    name
        As in models and on cards.
    min_harms
        Harms of randomised parcels of either service without which it does not compete.
    """

    name: str
    min_harms: int

    def fit(self, trial: Trial) -> Effect:
        """Fit the effect, with its uncertainty."""
        ...


class _StatedRisk:
    name = "stated-risk"
    min_harms = 0

    def fit(self, trial: Trial) -> Effect:
        """One share for all: what was stated, and what randomised parcels say."""
        design = design_of(trial.frame, None, is_pooled=True)
        return fit_shares(design, trial.scores, trial.risk * trial.reach, trial.belief)


class _Share:
    name = "share"
    min_harms = 0

    def fit(self, trial: Trial) -> Effect:
        """A share by level and number."""
        design = design_of(trial.frame, trial.features)
        return fit_shares(design, trial.scores, trial.risk * trial.reach, trial.belief)


class _Logistic:
    name = "logistic"
    min_harms = 0

    def fit(self, trial: Trial) -> Effect:
        """Penalised logistic regression with treatment interactions."""
        design = design_of(trial.frame, trial.features)
        return _fit_odds(trial, design)[0]


class _Boosted:
    name = "boosted"
    #: Trees ask for interactions, of which fewer events say nothing.
    min_harms = 150

    def fit(self, trial: Trial) -> Effect:
        """Trees beside shares, as far as they predict other rows."""
        return _fit_trees(trial, design_of(trial.frame, trial.features))


#: By name.
LEARNERS: dict[str, Learner] = {
    learner.name: learner
    for learner in (_StatedRisk(), _Share(), _Logistic(), _Boosted())
}
#: In force to begin with, and the one by which the effect on the whole is told.
FIRST, POOLED = "logistic", "stated-risk"

#: Steps of the logistic fit; it moves less than a thousandth after so many.
_STEPS, _LEARNING_STEPS = 12, 3
#: Furthest that one step goes, on the scale of odds.
_STRIDE = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class ByFold:
    """
    What ``logistic`` finds of one harm without each fold.

    Attributes
    ----------
    effects
        A fold each.
    standard
        ``(n,) float64``: risk on standard service, with what was missed of it on
        parcels of other folds.
    """

    effects: list[Effect]
    standard: NDArray[np.float64]


def odds_by_fold(trial: Trial, fold: NDArray[np.int64], num_folds: int) -> ByFold:
    """
    Fit ``logistic`` without each fold.

    Parameters
    ----------
    trial
        Randomised parcels and one harm.
    fold
        ``(n,) int64``: the fold of each.
    num_folds
        How many there are.
    """
    design = design_of(trial.frame, trial.features)
    asked = _as_chosen(trial, design)
    effects, missed = [], np.zeros(len(fold))
    for k in range(num_folds):
        inside = fold == k
        others = replace(design, rows=design.rows[~inside])
        effect, found = _fit_odds(trial.where(~inside), others)
        effects.append(effect)
        missed[inside] = asked[inside] @ found
    return ByFold(effects, _sigmoid(_logit(trial.risk) + missed))


def _logit(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    chance = np.clip(chance, 1e-5, 1 - 1e-5)
    return np.asarray(np.log(chance) - np.log1p(-chance))


def _as_chosen(trial: Trial, design: Design) -> NDArray[np.float64]:
    """What missed risk may depend on: the design, and how likely premium was."""
    return np.column_stack([design.rows, _logit(trial.propensity)])


def _fit_odds(trial: Trial, design: Design) -> tuple[Effect, NDArray[np.float64]]:
    """Newton steps by Fisher scoring, spreads learned at each: effect, missed risk."""
    offset = _logit(trial.risk)
    reach = np.where(trial.is_premium, trial.reach, 0.0)
    x, z = design.rows, _as_chosen(trial, design)
    size = z.shape[1]
    # A share s of a small risk is log(1 / (1 - s)) of its odds.
    left = 1 - min(trial.belief.mean, 0.95)
    odds = Belief(-np.log(left), min(trial.belief.spread / left, 2.0))
    start_c, spread_c = start_of(design, Belief(0.0, 1.0))
    start_g, spread_g = start_of(design, odds)
    start = np.concatenate([start_c, [0.0], start_g])
    spread = np.concatenate([spread_c, [1.0], spread_g])
    groups = [
        *design.groups,
        *(
            Group(tuple(p + size for p in g.places), g.scale / left)
            for g in design.groups
        ),
    ]
    found = start.copy()
    for number in range(_STEPS):
        base = offset + z @ found[:size]
        without, with_it = _sigmoid(base), _sigmoid(base - x @ found[size:])
        chance = (1 - reach) * without + reach * with_it
        slope_g = -reach * with_it * (1 - with_it)
        slope_c = (1 - reach) * without * (1 - without) - slope_g
        jacobian = np.hstack([z * slope_c[:, None], x * slope_g[:, None]])
        variance = trial.widening * chance * (1 - chance)
        weighted = jacobian / variance[:, None]
        information = weighted.T @ jacobian
        moment = weighted.T @ (trial.happened - chance) + information @ found
        # Spreads are learned at the first steps; later ones move little.
        learn = groups if number < _LEARNING_STEPS else []
        learned = posterior(information, moment, start, spread, learn)
        step = np.clip(learned.mean - found, -_STRIDE, _STRIDE)
        found, spread = found + step, learned.spread
        if np.abs(step).max() < 1e-3:
            break
    covariance = learned.covariance[size:, size:]
    return effect_of(design, found[size:], covariance, link="logit"), found[:size]


def _sigmoid(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(score, -35, 35))))


#: Boosting: trees of a member, their depth, their shrinkage, rows of a leaf.
_NUM_TREES, _DEPTH, _RATE, _LEAF_SHARE = 20, 2, 0.15, 0.05
#: Members, each on its own resample of the orders; parts that predict one another.
_NUM_MEMBERS, _NUM_PARTS = 3, 2
#: Share of orders that a level needs to be an input.
_COMMON = 0.02
#: Trees are believed in half before other rows are asked.
_FOREST = Belief(0.5, 0.5)


def _fit_trees(trial: Trial, design: Design) -> Effect:
    inputs = _inputs(trial)
    plain = fit_shares(design, trial.scores, trial.risk * trial.reach, trial.belief)
    part, other = _parts(trial.frame), np.zeros(len(trial.happened))
    for k in range(_NUM_PARTS):
        inside = part == k
        if inside.any() and not inside.all():
            forest = _grow(trial.where(~inside), inputs, seed=k, members=1)
            drawn = forest_inputs(trial.frame.filter(inside), forest, plain.fills)
            other[inside] = walk(forest, drawn)
    with_trees = replace(
        design,
        names=[*design.names, ("", "forest")],
        rows=np.column_stack([design.rows, other]),
    )
    reach = trial.risk * trial.reach
    z = with_trees.rows * reach[:, None]
    weighted = z / trial.scores.variance[:, None]
    start, spread = start_of(with_trees, trial.belief)
    start[-1], spread[-1] = _FOREST.mean, _FOREST.spread
    learned = posterior(
        weighted.T @ z, weighted.T @ trial.scores.score, start, spread, design.groups
    )
    effect = effect_of(with_trees, learned.mean, learned.covariance)
    slopes = dict(effect.slopes)
    slope = slopes.pop("forest")
    forest = _grow(trial, inputs, seed=_NUM_PARTS, members=_NUM_MEMBERS)
    return effect.model_copy(
        update={"slopes": slopes, "forest": forest, "forest_slope": slope}
    )


def _parts(frame: pl.DataFrame) -> NDArray[np.int64]:
    """Part of each order by a hash of its own, whatever its fold."""
    key, _ = order_keys(frame["order_id"], salt=9)
    return (key % np.uint64(_NUM_PARTS)).astype(np.int64)


def _inputs(trial: Trial) -> list[tuple[str, str]]:
    """Levels that are inputs of trees: of the order, and not rare."""
    found = []
    for column in trial.features.levels:
        if column == "carrier_id":
            continue
        counts = trial.frame[column].drop_nulls().value_counts().sort(column)
        least = max(2.0, _COMMON * len(trial.frame))
        found += [(column, name) for name, num in counts.iter_rows() if num >= least]
    return found


def _grow(
    trial: Trial, levels: list[tuple[str, str]], *, seed: int, members: int
) -> Forest:
    """Boost small trees on what one share for all leaves of the scores."""
    ensemble = import_extra("sklearn.ensemble", needed_by=LEARNING)
    reach = trial.risk * trial.reach
    weight = reach**2 / trial.scores.variance
    target = trial.scores.score / np.maximum(reach, 1e-9)
    pooled = float((weight @ target) / max(float(weight.sum()), 1e-12))
    numbers = list(trial.features.numbers)
    empty = Forest(numbers=numbers, levels=levels, members=[[]])
    inputs = forest_inputs(trial.frame, empty, trial.features.fills)
    if inputs.shape[1] == 0 or not weight.any():
        return empty
    rng, grown = np.random.default_rng(seed), []
    for member in range(members):
        drawn = np.ones(len(target))
        if members > 1:
            drawn = rng.poisson(1.0, len(target)).astype(np.float64)
        fit = ensemble.GradientBoostingRegressor(
            n_estimators=_NUM_TREES,
            max_depth=_DEPTH,
            learning_rate=_RATE,
            subsample=0.5,
            min_weight_fraction_leaf=_LEAF_SHARE,
            max_features=0.5,
            init="zero",
            random_state=seed * 100 + member,
        )
        fit.fit(inputs, target - pooled, sample_weight=weight * drawn + 1e-12)
        grown.append([_plain(part[0].tree_, _RATE) for part in fit.estimators_])
    return Forest(numbers=numbers, levels=levels, members=grown)


def _plain(tree: Any, rate: float) -> Tree:
    """A fitted tree as lists; its leaves are multiplied by the learning rate."""
    left = tree.children_left.tolist()
    return Tree(
        input=[at if at >= 0 else -1 for at in tree.feature.tolist()],
        threshold=[
            round(float(t), 9) if at >= 0 else 0.0
            for t, at in zip(tree.threshold, left, strict=True)
        ],
        left=left,
        right=tree.children_right.tolist(),
        value=[round(rate * float(v), 9) for v in tree.value[:, 0, 0]],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """
    What a kept promise removes of each parcel's harm; see ``Effect.link``.

    Attributes
    ----------
    mean, spread
        ``(n,) float64``: with one standard deviation.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def predict(frame: pl.DataFrame, effect: Effect) -> Prediction:
    """
    Predict with uncertainty.

    Parameters
    ----------
    frame
        Parcels.
    effect
        As fitted.
    """
    rows = coefficients(frame, effect)
    mean = rows @ values_of(effect)
    variance = np.einsum("ij,jk,ik->i", rows, np.array(effect.covariance), rows)
    return Prediction(mean, np.sqrt(np.maximum(variance, 0.0)))


def columns_needed(effect: Effect) -> list[str]:
    """Columns of numbers that an effect asks orders for."""
    names = [*effect.slopes, *(effect.forest.numbers if effect.forest else ())]
    return sorted({*_columns_of(names)})
