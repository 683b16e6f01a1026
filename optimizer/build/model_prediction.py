"""
A learned model applied to orders: risk, and what a kept promise removes of it.

The formulas are in :mod:`optimizer.build.learned_model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.learned_model import FOREST
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Effect, Forest, Risk

#: Probabilities are kept this far from 0 and 1 before their logit is taken.
_EDGE = 1e-5


def columns_of(names: Iterable[str]) -> list[str]:
    """
    The columns that numbers are made of.

    Examples
    --------
    >>> columns_of(["logit(complaint_prob_standard)", "log1p(order_value_cny)"])
    ['complaint_prob_standard', 'order_value_cny']
    """
    return [name.partition("(")[2][:-1] for name in names]


def numbers(
    frame: pl.DataFrame, names: Iterable[str], fills: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """
    The numbers that a model depends on, a column for each name.

    ``logit(x)`` of a probability column, ``log1p(x)`` of an amount, ``value(x)`` as it
    is; nulls are nan where nothing fills them.
    """
    columns = []
    for name in names:
        kind, _, rest = name.partition("(")
        column = rest[:-1]
        value = frame[column].cast(float).to_numpy().astype(np.float64)
        if fills and column in fills:
            value = np.where(np.isnan(value), fills[column], value)
        if kind == "logit":
            value = np.clip(value, _EDGE, 1 - _EDGE)
            value = np.log(value) - np.log1p(-value)
        elif kind == "log1p":
            # A feature may be below what the history had; an amount is not.
            value = np.log1p(np.maximum(value, 0.0))
        columns.append(value)
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0))


def _required_numbers(
    frame: pl.DataFrame, names: Iterable[str], fills: Mapping[str, float]
) -> NDArray[np.float64]:
    """
    Numbers of which none may be missing.

    Raises
    ------
    ConfigError
        When one is.
    """
    names = list(names)
    absent = [
        name
        for name, column in zip(names, columns_of(names), strict=True)
        if column not in frame.columns
    ]
    value = np.zeros((0, 0)) if absent else numbers(frame, names, fills)
    lacking = absent or [
        name
        for name, column in zip(names, value.T, strict=True)
        if np.isnan(column).any()
    ]
    if lacking:
        raise ConfigError(
            f"model: it was learned with {', '.join(lacking)}, which orders of this "
            "night lack; give the column, or learn from a history without it"
        )
    return value


def risk_of(frame: pl.DataFrame, risk: Risk) -> NDArray[np.float64]:
    """
    Probability of a harm on standard service, ``(n,) float64``.

    Raises
    ------
    ConfigError
        When a number that the model rests on is missing.
    """
    value = _required_numbers(frame, risk.slopes, risk.fills)
    score = risk.intercept + value @ np.array(list(risk.slopes.values()))
    score = score + level_sum(frame, risk.levels)
    return np.asarray(1 / (1 + np.exp(-score)))


def level_sum(
    frame: pl.DataFrame, levels: dict[str, dict[str, float]]
) -> NDArray[np.float64]:
    """Sum of the offsets of each row's levels; 0 where one is not known."""
    import polars as pl

    total = np.zeros(len(frame))
    for column, offsets in levels.items():
        if column in frame.columns and offsets:
            found = (
                frame[column]
                .cast(pl.String)
                .replace_strict(offsets, default=0.0, return_dtype=pl.Float64)
            )
            total += found.fill_null(0.0).to_numpy()
    return total


def kept_effect(frame: pl.DataFrame, effect: Effect) -> NDArray[np.float64]:
    """
    What a kept promise removes, ``(n,) float64``, not clipped: see ``Effect.link``.

    Raises
    ------
    ConfigError
        When a number that the model rests on is missing.
    """
    value = _required_numbers(frame, effect.slopes, effect.fills)
    for place, name in enumerate(effect.slopes):
        value[:, place] = np.clip(value[:, place], *effect.ranges[name])
    found = effect.intercept + value @ np.array(list(effect.slopes.values()))
    if effect.forest is not None:
        found = found + effect.forest_slope * forest_sum(
            frame, effect.forest, effect.fills
        )
    return np.asarray(found + level_sum(frame, effect.levels))


def forest_sum(
    frame: pl.DataFrame, forest: Forest, fills: Mapping[str, float]
) -> NDArray[np.float64]:
    """
    Mean over the members of the sum of their trees, ``(n,) float64``.

    Raises
    ------
    ConfigError
        When a number that the trees ask for is missing.
    """
    return walk(forest, forest_inputs(frame, forest, fills))


def forest_inputs(
    frame: pl.DataFrame, forest: Forest, fills: Mapping[str, float]
) -> NDArray[np.float64]:
    """Inputs of the trees, ``(n, num_inputs) float64``."""
    value = _required_numbers(frame, forest.numbers, fills)
    flags = [
        (frame[column] == level).fill_null(value=False).to_numpy().astype(np.float64)
        if column in frame.columns
        else np.zeros(len(frame))
        for column, level in forest.levels
    ]
    return np.column_stack([value, *flags])


def walk(forest: Forest, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Lead orders down the trees and add up their leaves.

    Examples
    --------
    >>> from optimizer.build.learned_model import Forest, Tree
    >>> tree = Tree(input=[0, -1, -1], threshold=[0.5, 0, 0], left=[1, -1, -1],
    ...             right=[2, -1, -1], value=[0, 0.1, 0.7])
    >>> forest = Forest(numbers=["value(x)"], levels=[], members=[[tree, tree]])
    >>> walk(forest, np.array([[0.5], [0.6]])).tolist()
    [0.2, 1.4]
    """
    total, rows = np.zeros(len(inputs)), np.arange(len(inputs))
    for member in forest.members:
        for tree in member:
            at = np.zeros(len(inputs), np.int64)
            ask, left = np.array(tree.input), np.array(tree.left)
            right, threshold = np.array(tree.right), np.array(tree.threshold)
            while (is_inner := left[at] >= 0).any():
                goes_left = inputs[rows, np.maximum(ask[at], 0)] <= threshold[at]
                at = np.where(is_inner, np.where(goes_left, left[at], right[at]), at)
            total += np.array(tree.value)[at]
    return total / len(forest.members)


def premium_risk(
    standard: NDArray[np.float64], removed: NDArray[np.float64], link: str = "share"
) -> NDArray[np.float64]:
    """Risk with a kept promise, in [0, 1]; part of it, or of its odds, is removed."""
    if link == "logit":
        left = standard * np.exp(-np.clip(removed, -30.0, 30.0))
        return np.asarray(left / (1 - standard + left))
    return np.clip(standard * (1 - removed), 0.0, 1.0)


def coefficients(frame: pl.DataFrame, effect: Effect) -> NDArray[np.float64]:
    """What each coefficient of an effect is multiplied by, ``(n, k) float64``."""
    names = list(effect.slopes)
    value = numbers(frame, names, effect.fills)
    place = {name: at for at, name in enumerate(names)}
    rows = np.zeros((len(frame), len(effect.names)))
    for at, (column, name) in enumerate(effect.names):
        if column and column in frame.columns:
            is_level = (frame[column] == name).fill_null(value=False)
            rows[:, at] = is_level.to_numpy()
        elif name == FOREST and effect.forest is not None:
            rows[:, at] = forest_sum(frame, effect.forest, effect.fills)
        elif name in place:
            rows[:, at] = np.clip(value[:, place[name]], *effect.ranges[name])
        elif not column:
            rows[:, at] = 1.0
    return rows


def values_of(effect: Effect) -> NDArray[np.float64]:
    """The coefficients of an effect, in the order of its names, ``(k,) float64``."""

    def value(column: str, name: str) -> float:
        if column:
            return effect.levels[column][name]
        if name == FOREST:
            return effect.forest_slope
        return effect.slopes[name] if name else effect.intercept

    return np.array([value(*pair) for pair in effect.names])
