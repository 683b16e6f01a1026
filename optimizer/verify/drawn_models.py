r"""
A learned model whose effects are drawn, drawn again.

A draw has the whole number that the SHA-256 of seed, date and ``thompson``, and of a
further draw its number behind them, is. Each harm's coefficients are moved by
:math:`L u`: :math:`L` is the lower factor of their covariance, :math:`u` of each
coefficient the normal quantile of a hash of the draw, the harm and its own name. Moved
coefficients are rounded to nine significant digits. Of resampled trees one member is
taken, by another hash.
"""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGITS = 9
#: Pivots below this share of their own variance are none.
_LEAST = 1e-12


def num_draws(record: Mapping[str, Any]) -> int:
    """Further draws of a night; 0 where savings are not drawn."""
    objective = record["config"]["objective"]
    if objective.get("explore") != "thompson":
        return 0
    return int(objective["num_draws"])


def as_measured(model: Mapping[str, Any]) -> dict[str, Any]:
    """The model without the benefit of doubt: the mean of its draws."""
    effects = {
        harm: {**effect, "intercept": effect["intercept"] - effect.get("raised", 0.0)}
        for harm, effect in model["effect"].items()
    }
    return {**model, "effect": effects}


def drawn_again(
    model: Mapping[str, Any], record: Mapping[str, Any], number: int = 0
) -> dict[str, Any]:
    """
    Draw a model's effects once more.

    Parameters
    ----------
    model
        As learned.
    record
        With seed and date.
    number
        0: the night's draw; above: a further one.
    """
    text = f"{record['config']['holdout']['seed']}|{record['date']}|thompson"
    text += f"|{number}" * (number > 0)
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest())
    effects = {
        harm: _moved(effect, f"{seed}|{harm}")
        for harm, effect in model["effect"].items()
    }
    return {**model, "effect": effects}


def _moved(effect: Mapping[str, Any], key: str) -> dict[str, Any]:
    names = [tuple(name) for name in effect["names"]]
    noise = [_quantile(f"{key}|{column}|{level}") for column, level in names]
    factor = _factor(effect["covariance"])
    by = {
        name: sum(part * one for part, one in zip(row, noise, strict=False))
        for name, row in zip(names, factor, strict=True)
    }
    moved = dict(effect)
    measured = effect["intercept"] - effect.get("raised", 0.0)
    moved["intercept"] = _rounded(measured + by["", ""])
    moved["levels"] = {
        column: {
            level: _rounded(share + by[column, level])
            for level, share in offsets.items()
        }
        for column, offsets in effect["levels"].items()
    }
    moved["slopes"] = {
        name: _rounded(slope + by["", name])
        for name, slope in effect.get("slopes", {}).items()
    }
    if forest := effect.get("forest"):
        at = _whole(f"{key}|forest") % len(forest["members"])
        moved["forest"] = {**forest, "members": [forest["members"][at]]}
        moved["forest_slope"] = _rounded(effect["forest_slope"] + by["", "forest"])
    return moved


def _rounded(value: float) -> float:
    return float(format(value, f".{_DIGITS}g"))


def _factor(covariance: list[list[float]]) -> list[list[float]]:
    """The lower Cholesky factor, row by row; what is left of no variance is 0."""
    rows: list[list[float]] = []
    pivots: list[float] = []
    for i in range(len(covariance)):
        row: list[float] = []
        for j in range(i + 1):
            one, other = row, rows[j] if j < i else row
            both = left = (covariance[i][j] + covariance[j][i]) / 2
            for a, b in zip(one, other, strict=False):
                left -= a * b
            if j == i:
                pivots.append(math.sqrt(left) if left > _LEAST * both else 0.0)
            row.append(left / pivots[j] if pivots[j] else 0.0)
        rows.append(row)
    return rows


def _whole(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _quantile(text: str) -> float:
    return NormalDist().inv_cdf(((_whole(text) >> 12) + 0.5) / 2**52)
