"""
Learners of EconML, CausalML and scikit-uplift on the outcomes of a world.

Each learns from the randomised parcels of the same history as the shipped learner, by
the columns that everybody sees, and says what premium is worth to a parcel, in CNY.
They are no dependency of this project: who wants them beside the others installs them
into an environment of their own, and where one is missing the rest still run.
"""

from __future__ import annotations

import importlib.util
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.visible_columns import COSTS, OUTCOME_OF, Columns

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

#: A side with fewer parcels teaches nothing, and some of the libraries stop there; a
#: leaf of a tree has no fewer.
LEAST_ROWS = 40


class Trial:
    """
    The randomised parcels of a history, as arrays.

    Attributes
    ----------
    x
        ``(n, k) float64``, dummies and standardised numbers.
    premium
        ``(n,) int64``, 1 on premium service.
    chance
        ``(n,) float64``: the propensity that the night wrote down.
    harms
        By harm, ``(n,) int64``: whether it happened.
    """

    def __init__(self, history: pl.DataFrame) -> None:
        import polars as pl

        drawn = pl.col("propensity").fill_null(0).is_between(0, 1, closed="none")
        rows = history.filter(drawn)
        self.columns = Columns(rows) if len(rows) else None
        self.x = self.columns.dense(rows) if self.columns else np.empty((0, 0))
        self.premium = rows["is_premium"].cast(int).to_numpy()
        self.chance = rows["propensity"].to_numpy()
        self.harms = {
            harm: rows[name].cast(int).to_numpy() for harm, name in OUTCOME_OF.items()
        }

    def is_enough(self) -> bool:
        """Whether both services have parcels, with and without harm."""
        sides = [self.premium == side for side in (0, 1)]
        return all(
            inside.sum() >= LEAST_ROWS and 0 < happened[inside].sum() < inside.sum()
            for inside in sides
            for happened in self.harms.values()
        )

    def harm_cny(self) -> np.ndarray:
        """``(n,) float64``: what happened to each parcel, as money."""
        return sum(cost * self.harms[harm] for harm, cost in COSTS.items()) + 0.0


#: Boosted trees of every learner here, small ones, as there is little to learn from.
SMALL_TREES = {"max_iter": 60, "learning_rate": 0.05, "max_leaf_nodes": 8}


def trees(least_rows: int = LEAST_ROWS) -> Any:
    """Boosted trees for amounts, with so many rows in a leaf at least."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**SMALL_TREES, min_samples_leaf=least_rows)


def classes(least_rows: int = LEAST_ROWS) -> Any:
    """Boosted trees for what happens or not, likewise."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**SMALL_TREES, min_samples_leaf=least_rows)


def _econml_dr(trial: Trial) -> Callable[[np.ndarray], np.ndarray]:
    """EconML's DR-learner with a linear last stage, its own choice of default."""
    from econml.dr import LinearDRLearner
    from sklearn.linear_model import LogisticRegression

    learner = LinearDRLearner(
        model_propensity=LogisticRegression(C=0.1),
        model_regression=trees(),
        random_state=0,
    )
    learner.fit(trial.harm_cny(), trial.premium, X=trial.x)
    return lambda x: -learner.effect(x)


def _econml_forest(trial: Trial) -> Callable[[np.ndarray], np.ndarray]:
    """EconML's causal forest."""
    from econml.dml import CausalForestDML
    from sklearn.linear_model import LogisticRegression

    learner = CausalForestDML(
        model_y=trees(),
        model_t=LogisticRegression(C=0.1),
        discrete_treatment=True,
        n_estimators=200,
        min_samples_leaf=20,
        random_state=0,
    )
    learner.fit(trial.harm_cny(), trial.premium, X=trial.x)
    return lambda x: -learner.effect(x)


def _causalml_x(trial: Trial) -> Callable[[np.ndarray], np.ndarray]:
    """CausalML's X-learner of boosted trees, with the propensities of the nights."""
    from causalml.inference.meta import BaseXRegressor

    learner = BaseXRegressor(learner=trees())
    learner.fit(X=trial.x, treatment=trial.premium, y=trial.harm_cny(), p=trial.chance)
    mean = trial.chance.mean()
    return lambda x: -learner.predict(X=x, p=np.full(len(x), mean)).ravel()


def _sklift_two(trial: Trial) -> Callable[[np.ndarray], np.ndarray]:
    """scikit-uplift's two models of boosted trees, one corrected by the other."""
    from sklift.models import TwoModels

    fits = {}
    for harm, happened in trial.harms.items():
        fits[harm] = TwoModels(classes(), classes(), method="ddr_control")
        fits[harm].fit(trial.x, happened, trial.premium)
    return lambda x: -sum(COSTS[harm] * fit.predict(x) for harm, fit in fits.items())


#: By name in the tables: the module that it needs, and what fits it.
LEARNERS: dict[str, tuple[str, Callable[[Trial], Any]]] = {
    "econml_dr": ("econml", _econml_dr),
    "econml_forest": ("econml", _econml_forest),
    "causalml_x": ("causalml", _causalml_x),
    "sklift_two": ("sklift", _sklift_two),
}


def installed() -> list[str]:
    """Names of the learners whose library is here."""
    return [
        name
        for name, (module, _) in LEARNERS.items()
        if importlib.util.find_spec(module) is not None
    ]


def versions() -> dict[str, str]:
    """Versions of the packages behind them, as far as they are here."""
    packages = {"econml": "econml", "causalml": "causalml", "sklift": "scikit-uplift"}
    used = {LEARNERS[name][0] for name in installed()}
    return {
        packages[module]: metadata.version(packages[module]) for module in sorted(used)
    }


def fit_all(history: pl.DataFrame) -> dict[str, Callable[[pl.DataFrame], np.ndarray]]:
    """
    Every learner that is installed, fitted to a history.

    A history too small for them gives none: their rankings would be of nothing.

    Returns
    -------
    dict
        By name, a function from a table of orders to ``(n,) float64`` in CNY.
    """
    names = installed()
    trial = Trial(history) if names else None
    if trial is None or not trial.is_enough():
        return {}
    columns = trial.columns
    found = {}
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            effect = LEARNERS[name][1](trial)
        found[name] = lambda frame, effect=effect: np.asarray(
            effect(columns.dense(frame)), float
        )
    return found
