r"""
Champion and challengers: whose plan is worth more on parcels that it has not seen.

Each learner is fitted without a third of the orders and values these; so each parcel of
the history gets a saving from every learner, of a model that has not seen it. A plan is
what nights would choose by them: of each merchant's parcels those of the highest saving
above 0, as many as the cap allows of all its nights.

The value of a plan is the sum over its parcels of the harm avoided less the fee. For
parcel :math:`i` the harm avoided is taken to be :math:`\hat g_i`, what ``logistic``
predicts from other folds, and where :math:`i` could have got either service this is
corrected by its doubly robust score :math:`\psi_i`:

.. math:: \hat V = \sum_{i \in S} w_i \hat g_i
          + \sum_{i \in S \cap P} (\psi_i - \hat g_i)
          + \min\Bigl(\frac{n_{S \setminus P}}{n_{S \cap E}}, c\Bigr)
            \sum_{i \in S \cap E} (\psi_i - \hat g_i).

:math:`P` are parcels whose randomisation was part of the plan of their night; :math:`E`
those of the explore arm that no plan would have chosen, which stand for all that were
not randomised; the weights are normalised by the plan itself, and no parcel stands for
more than ``MOST`` others: beyond that the prediction stays as it is. The difference of
two plans has the variance of what differs: of the scores, and where there are none of
the prediction. A challenger takes over when the probability that its plan is worth more
reaches ``learning.confidence``; of several, the one whose plan is worth most.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.learned_model import HARMS, Candidate
from optimizer.build.model_prediction import coefficients, kept_effect, premium_risk
from optimizer.learn.calibration import UNTRIED, flattened, slope_of
from optimizer.learn.clusters import cluster_sums
from optimizer.learn.doubt import doubt_of, raised, steps_of
from optimizer.learn.learners import FIRST, LEARNERS, odds_by_fold
from optimizer.learn.risk import NUM_FOLDS, folds
from optimizer.learn.together import drawn_together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Doubt, Effect
    from optimizer.learn.learners import ByFold, Trial

#: Most parcels for which one of the explore arm stands.
MOST = 10.0
#: The learner whose predictions fill in for parcels that were not randomised.
_NEUTRAL = "logistic"


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """
    A history in which plans are compared.

    Attributes
    ----------
    frame
        All ``n`` parcels.
    row
        ``(m,) int64``: those that could have got either service.
    trials
        By harm, the same parcels.
    risk
        By harm, ``(n,) float64``: risk on standard service as a night would have it.
    reach
        ``(n,) float64``: probability that a recommendation is bought and kept.
    weight
        ``(n,) float64``: for how many parcels of the history each stands.
    cost_cny
        By harm.
    fee_cny, rate
        Fee of a recommendation, and share of a merchant's parcels that may be chosen.
    cluster
        ``(m,) int64``: parcels that were drawn together; ``None``: each on its own.
    by_station
        Whether parcels of a station and a day are in one fold.
    """

    frame: pl.DataFrame
    row: NDArray[np.int64]
    trials: Mapping[str, Trial]
    risk: Mapping[str, NDArray[np.float64]]
    reach: NDArray[np.float64]
    weight: NDArray[np.float64]
    cost_cny: Mapping[str, float]
    fee_cny: float
    rate: float
    cluster: NDArray[np.int64] | None = None
    by_station: bool = False

    @property
    def fold(self) -> NDArray[np.int64]:
        """Fold of each parcel, ``(n,) int64``."""
        return folds(self.frame, by_station=self.by_station)

    @property
    def num_harms(self) -> int:
        """Harms of randomised parcels, of the service that had fewer."""
        trials = list(self.trials.values())
        if not trials:
            return 0
        happened = np.sum([trial.happened for trial in trials], axis=0)
        sides = (trials[0].is_premium, ~trials[0].is_premium)
        return min(int(happened[side].sum()) for side in sides)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """
    Effects by harm that were fitted without each fold, and the fold of each row.

    Of their differences the part that holds on other folds.
    """

    effects: Sequence[Mapping[str, Effect]]
    fold: NDArray[np.int64]
    slope: float


def compare(contest: Contest, in_force: str, confidence: float) -> list[Candidate]:
    """
    Compare all learners with the one in force.

    Parameters
    ----------
    contest
        The history.
    in_force
        The learner in force.
    confidence
        From which on a challenger takes over.

    Returns
    -------
    list of Candidate
        In the order of :data:`~optimizer.learn.learners.LEARNERS`.
    """
    num_harms = contest.num_harms
    fold = contest.fold[contest.row]
    odds = {
        harm: odds_by_fold(trial, fold, NUM_FOLDS)
        for harm, trial in contest.trials.items()
    }
    held = {
        name: _held_out(contest, name, odds)
        for name, learner in LEARNERS.items()
        if name in (in_force, _NEUTRAL) or learner.min_harms <= num_harms
    }
    savings = {name: saving_cny(contest, one) for name, one in held.items()}
    plans = {name: plan(contest, saving) for name, saving in savings.items()}
    worth = _Worth(contest, held[_NEUTRAL], savings[_NEUTRAL])
    rows = []
    for name, chosen in plans.items():
        more, error = worth.difference(chosen, plans[in_force])
        sure = NormalDist().cdf(more / error) if error > 0 else 0.5
        rows.append((name, worth.value(chosen), more, error, sure))
    better = [row for row in rows if row[2] > 0 and row[4] >= confidence]
    # Of those that are surely better the one that is worth most.
    best = max(better, key=lambda row: (row[2], row[0]), default=None)
    champion = in_force if best is None else best[0]
    return [
        Candidate(
            learner=name,
            value_cny=round(value, 2),
            more_cny=round(more, 2),
            error_cny=round(error, 2),
            confidence=round(sure, 4),
            is_champion=name == champion,
            slopes=dict.fromkeys(contest.trials, round(held[name].slope, 3)),
        )
        for name, value, more, error, sure in rows
    ]


def only(in_force: str = FIRST) -> list[Candidate]:
    """A table without a contest: nothing was randomised that could decide it."""
    return [
        Candidate(
            learner=in_force,
            value_cny=0.0,
            more_cny=0.0,
            error_cny=0.0,
            confidence=0.5,
            is_champion=True,
        )
    ]


def _held_out(
    contest: Contest,
    name: str,
    odds: Mapping[str, ByFold],
) -> _Held:
    fold = contest.fold
    fitted = [
        {
            harm: one.effects[k]
            if name == _NEUTRAL
            else LEARNERS[name].fit(contest.trials[harm].where(fold[contest.row] != k))
            for harm, one in odds.items()
        }
        for k in range(NUM_FOLDS)
    ]
    standard = {harm: one.standard for harm, one in odds.items()}
    slope = slope_of(contest.trials, standard, fold[contest.row], fitted)
    slopes = dict.fromkeys(contest.trials, slope)
    effects = [
        with_doubt(contest, calibrated(contest.trials, one, slopes)) for one in fitted
    ]
    return _Held(effects, fold, slope)


def calibrated(
    trials: Mapping[str, Trial],
    effects: Mapping[str, Effect],
    slopes: Mapping[str, float],
) -> dict[str, Effect]:
    """
    Effects whose differences are as large as parcels that they had not seen say.

    Parameters
    ----------
    trials
        Randomised parcels, by harm.
    effects
        As fitted.
    slopes
        By harm; see :mod:`optimizer.learn.calibration`. Without one, learners were
        not held against parcels: what differs is not earned yet.
    """
    return {
        harm: flattened(effect, trials[harm], slopes.get(harm, UNTRIED))
        for harm, effect in drawn_together(trials, effects).items()
    }


def with_doubt(contest: Contest, effects: Mapping[str, Effect]) -> dict[str, Effect]:
    """
    Effects with the benefit of doubt; see :mod:`optimizer.learn.doubt`.

    Parameters
    ----------
    contest
        The history.
    effects
        By harm.
    """
    worth = {
        harm: contest.cost_cny[harm] * contest.risk[harm] * contest.reach
        for harm in effects
        if harm in contest.risk
    }
    # Whatever premium does of it, the plan of stated risk has these.
    top = plan(contest, np.sum(list(worth.values()), axis=0))
    few = {harm: value[top] for harm, value in worth.items()}
    steps = steps_of(contest.frame.filter(top), effects, few)

    caps, merchant = _caps(contest), _merchants(contest)
    room = contest.frame["has_room"].fill_null(value=True).to_numpy()
    kept = {harm: kept_effect(contest.frame, one) for harm, one in effects.items()}

    def num_chosen(more: Mapping[str, float]) -> float:
        saving = np.full(len(room), -contest.fee_cny)
        for harm, effect in effects.items():
            risk = contest.risk[harm]
            left = premium_risk(risk, kept[harm] + more[harm], effect.link)
            saving += contest.cost_cny[harm] * contest.reach * (risk - left)
        weight = np.where((saving > 0) & room, contest.weight, 0.0)
        wanted = np.bincount(merchant, weight, len(caps))
        return float(np.minimum(wanted, caps).sum())

    def told(harm: str, effect: Effect, more: float) -> Doubt:
        trial = contest.trials[harm]
        return doubt_of(trial.frame, trial.risk, effect, more)

    return raised(effects, steps, num_chosen, told)


def _merchants(contest: Contest) -> NDArray[np.int64]:
    """Each parcel's merchant as a number, ``(n,) int64``."""
    return contest.frame["merchant_id"].rank("dense").to_numpy().astype(np.int64) - 1


def _caps(contest: Contest) -> NDArray[np.float64]:
    """Parcels that each merchant may have chosen in all nights."""
    sums = np.bincount(_merchants(contest), contest.weight)
    return np.asarray(np.floor(sums * contest.rate + 1e-9))


def saving_cny(contest: Contest, held: _Held) -> NDArray[np.float64]:
    """Saving of each parcel by models that have not seen it, fee counted, ``(n,)``."""
    saving = np.zeros(len(contest.frame))
    for k, effects in enumerate(held.effects):
        inside = held.fold == k
        saving[inside] = _saving_cny(contest, effects)[inside]
    return saving


def _saving_cny(contest: Contest, effects: Mapping[str, Effect]) -> NDArray[np.float64]:
    """Saving of each parcel by given effects, fee counted, ``(n,)``."""
    saving = np.full(len(contest.frame), -contest.fee_cny)
    for harm, effect in effects.items():
        risk = contest.risk[harm]
        left = premium_risk(risk, kept_effect(contest.frame, effect), effect.link)
        saving += contest.cost_cny[harm] * contest.reach * (risk - left)
    return saving


def plan(contest: Contest, saving: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What nights would choose: each merchant's best, as many as its caps allow."""
    import polars as pl

    frame = contest.frame
    can = (saving > 0) & frame["has_room"].fill_null(value=True).to_numpy()
    table = pl.DataFrame(
        {
            "row": np.arange(len(frame)),
            "merchant_id": frame["merchant_id"],
            "saving": saving,
            "weight": contest.weight,
            "can": can,
        }
    )
    cap = (pl.col("weight").sum().over("merchant_id") * contest.rate + 1e-9).floor()
    ranked = (
        table.with_columns(cap=cap)
        .filter("can")
        .sort("saving", "row", descending=[True, False])
        .with_columns(taken=pl.col("weight").cum_sum().over("merchant_id"))
        .filter(pl.col("taken") <= pl.col("cap"))
    )
    chosen = np.zeros(len(frame), np.bool_)
    chosen[ranked["row"].to_numpy()] = True
    return chosen


class _Worth:
    """Values plans of one history."""

    def __init__(
        self, contest: Contest, neutral: _Held, predicted: NDArray[np.float64]
    ) -> None:
        size = len(contest.frame)
        self._contest, self._neutral, self._predicted = contest, neutral, predicted
        is_drawn = np.zeros(size, np.bool_)
        is_drawn[contest.row] = True
        explored = (contest.frame["arm"] == "explore").fill_null(value=False).to_numpy()
        self._stands_alone = is_drawn & (~explored | _in_plan(contest))
        self._stands_for_others = is_drawn & ~self._stands_alone
        self._rest = np.zeros(size)
        score = sum(
            contest.cost_cny[harm] * trial.scores.score
            for harm, trial in contest.trials.items()
        )
        self._rest[contest.row] = score - contest.fee_cny - predicted[contest.row]

    def _weights(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Weight of each parcel's correction in the value of a plan."""
        weight = (chosen & self._stands_alone).astype(np.float64)
        others = chosen & self._stands_for_others
        unseen = float(self._contest.weight[chosen & ~self._stands_alone].sum())
        if others.any():
            weight[others] = min(unseen / int(others.sum()), MOST)
        return weight

    def value(self, chosen: NDArray[np.bool_]) -> float:
        """Value of a plan in CNY."""
        predicted = float(self._contest.weight[chosen] @ self._predicted[chosen])
        return predicted + float(self._weights(chosen) @ self._rest)

    def difference(
        self, chosen: NDArray[np.bool_], other: NDArray[np.bool_]
    ) -> tuple[float, float]:
        """How much more a plan is worth than another, with its standard error."""
        weight = self._weights(chosen) - self._weights(other)
        parts = (weight * self._rest)[self._contest.row]
        sums = cluster_sums(parts, self._contest.cluster)
        variance = float((sums**2).sum())
        # Where no score corrects it, the prediction is as sure as its coefficients.
        sign = chosen.astype(np.float64) - other.astype(np.float64)
        variance += self._variance_of_predictions(
            np.where(self._stands_alone, 0.0, sign * self._contest.weight)
        )
        return self.value(chosen) - self.value(other), variance**0.5

    def _variance_of_predictions(self, sign: NDArray[np.float64]) -> float:
        contest, total = self._contest, 0.0
        for harm in contest.trials:
            error = 0.0
            for k, effects in enumerate(self._neutral.effects):
                inside = (self._neutral.fold == k) & (sign != 0)
                if not inside.any():
                    continue
                effect = effects[harm]
                rows = coefficients(contest.frame.filter(inside), effect)
                z = contest.cost_cny[harm] * contest.risk[harm] * contest.reach
                sums = (sign * z)[inside] @ rows
                # Folds share most of their rows, so their errors go together.
                error += float(sums @ np.array(effect.covariance) @ sums) ** 0.5
            total += error**2
        return total


def _in_plan(contest: Contest) -> NDArray[np.bool_]:
    """Explored parcels that the plan of their night would have chosen anyhow."""
    import polars as pl

    frame = contest.frame
    least = (
        pl.when(pl.col("arm") == "policy")
        .then(pl.col("saving_cny"))
        .min()
        .over("merchant_id", "date")
    )
    found = frame.select((pl.col("saving_cny") >= least).fill_null(value=False))
    return found.to_series().to_numpy()


def harm_costs(complaint_cny: float, return_cny: float) -> dict[str, float]:
    """Costs by harm."""
    return dict(zip(HARMS, (complaint_cny, return_cny), strict=True))
