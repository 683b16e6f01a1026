"""Learned models with uncertainty, for nights whose savings are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from optimizer.build.learned_model import (
    HARMS,
    Doubt,
    Effect,
    Forest,
    LearnedModel,
    Promise,
    Risk,
    Tree,
)
from optimizer.build.model_file import model_text, named

CARRIERS = ("zhongtong", "yuantong", "yunda")
#: What a premium parcel removes of its harm, and how unsure that is.
SHARE, SPREAD = 0.3, 0.25
RAISED = 0.05
NUMBER = "log1p(order_value_cny)"


def a_model(*, spread: float = SPREAD, has_trees: bool = False) -> LearnedModel:
    """A model whose effect is unsure as a whole, by carrier and by value."""
    names = [("", ""), *(("carrier_id", one) for one in CARRIERS), ("", NUMBER)]
    sizes = np.array([spread, *[spread / 2] * len(CARRIERS), spread / 20])
    more = {}
    if has_trees:
        names = [*names, ("", "forest")]
        sizes = np.append(sizes, spread / 4)
        trees = [[_tree(at / 10)] for at in range(1, 4)]
        forest = Forest(
            numbers=[NUMBER], levels=[("carrier_id", "yunda")], members=trees
        )
        more = {"forest": forest, "forest_slope": 1.0}
    covariance = np.diag(sizes**2)
    covariance[0, 1] = covariance[1, 0] = -(sizes[0] * sizes[1]) / 3
    effect = Effect(
        # Some of it is the benefit of doubt, which a draw does not give.
        intercept=SHARE + RAISED,
        raised=RAISED,
        doubt=Doubt(measured=SHARE, error=spread, taken=SHARE + RAISED),
        levels={"carrier_id": dict.fromkeys(CARRIERS, 0.0)},
        names=names,
        covariance=covariance.tolist(),
        slopes={NUMBER: 0.01},
        ranges={NUMBER: (0.0, 8.0)},
        **more,
    )
    kept = Promise(
        carrier_id=None,
        region_id=None,
        num_premium=90,
        num_kept=81,
        mean=0.9,
        low=0.8,
        high=0.95,
    )
    model = LearnedModel(
        format=2,
        version="made",
        first_date="2026-11-01",
        last_date="2026-11-20",
        regime_breaks=[],
        kind="randomised",
        risk=dict.fromkeys(HARMS, Risk(intercept=-3.0, slopes={}, levels={})),
        effect=dict.fromkeys(HARMS, effect),
        promises=[kept],
    )
    return named(model, "made")


def _tree(step: float) -> Tree:
    """A tree that tells two values and two carriers apart."""
    return Tree(
        input=[0, 1, -1, -1, -1],
        threshold=[3.0, 0.5, 0.0, 0.0, 0.0],
        left=[1, 2, -1, -1, -1],
        right=[4, 3, -1, -1, -1],
        value=[0.0, 0.0, -step, step, 2 * step],
    )


def written(folder: Path, model: LearnedModel) -> str:
    """The folder of a model, for ``model:`` in a configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(model_text(model))
    return str(folder)
