"""What risk and effect may depend on: numbers and levels of the contract and beyond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.model_prediction import columns_of, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import Config
    from optimizer.config.learning import Learning

#: Numbers of the contract.
_CONTRACT = ("logit(complaint_prob_standard)", "logit(return_prob_standard)")
_VALUE = "log1p(order_value_cny)"
#: Names of the contract that an order of tonight has too.
_LEVELS = ("carrier_id", "region_id", "category_id", "merchant_id")
#: Values in which a number may lie, as quantiles of the history.
_WITHIN = (0.005, 0.995)


@dataclass(frozen=True, slots=True)
class Features:
    """
    Columns that a history has, as a model names them.

    Attributes
    ----------
    numbers
        Such as ``log1p(order_value_cny)``.
    levels
        Columns of names.
    fills
        What counts where a column has no value: its median.
    ranges
        Between which values each number lies, extremes aside.
    """

    numbers: tuple[str, ...]
    levels: tuple[str, ...]
    fills: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]]

    def values(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Numbers of some rows, a column each, within their ranges."""
        found = numbers(frame, self.numbers, self.fills)
        for place, name in enumerate(self.numbers):
            found[:, place] = np.clip(found[:, place], *self.ranges[name])
        return found


def features_of(
    frame: pl.DataFrame, config: Config, left_out: frozenset[str] = frozenset()
) -> Features:
    """
    Find what a history can be learned from.

    A number of the contract counts where every row has it. A column that the
    configuration names may have gaps: its median stands there.

    Parameters
    ----------
    frame
        Outcomes.
    config
        With ``learning.features`` and ``learning.categories``.
    left_out
        Columns of the contract that are not learned from.
    """
    learning = config.learning
    own = [
        name
        for name in (*_CONTRACT, _VALUE)
        if columns_of([name])[0] not in left_out
        and frame[columns_of([name])[0]].null_count() == 0
    ]
    named, fills = _named_numbers(frame, learning, columns_of(own))
    names = [*own, *named]
    value = numbers(frame, names, fills)
    varies = [name for name, v in zip(names, value.T, strict=True) if np.ptp(v) > 0]
    value = numbers(frame, varies, fills)
    low, high = (
        np.quantile(value, _WITHIN, axis=0) if varies else np.zeros((2, 0))
    ).round(9)
    bounds = zip(low.tolist(), high.tolist(), strict=True)
    levels = [
        c for c in _LEVELS if c not in left_out and frame[c].null_count() < len(frame)
    ]
    levels += [c for c in learning.categories if c not in levels]
    asked = columns_of(varies)
    return Features(
        numbers=tuple(varies),
        levels=tuple(levels),
        fills={name: fill for name, fill in fills.items() if name in asked},
        ranges=dict(zip(varies, bounds, strict=True)),
    )


def _named_numbers(
    frame: pl.DataFrame, learning: Learning, known: Sequence[str]
) -> tuple[list[str], dict[str, float]]:
    """Numbers that the configuration names, with what fills their gaps."""
    names, fills = [], {}
    for column in learning.features:
        value = frame[column]
        if column in known or value.null_count() == len(value):
            continue
        is_amount = bool((value.drop_nulls() >= 0).all())
        names.append(f"log1p({column})" if is_amount else f"value({column})")
        fills[column] = round(float(value.median()), 9)  # type: ignore[arg-type]
    return names, fills
