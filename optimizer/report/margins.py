"""How orders lie around the cut-off: numbers of orders by their margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

#: Steps to each side of the cut-off.
NUM_STEPS = 8
#: Of the orders above the cut-off, so many lie within the steps: the nearest.
SHARE = 0.5
#: Of the width of a column, so much is left free beside it.
_BETWEEN = 0.12
#: Leading digits of the width of a step.
_ROUND = (1.0, 2.5, 5.0, 10.0)
#: The least width, CNY: a fen.
_LEAST = 0.01


@dataclass(frozen=True, slots=True)
class MarginStep:
    """
    Orders whose margin lies in a step.

    Attributes
    ----------
    low, high
        CNY, ``low <= margin < high``.
    number
        Orders there.
    """

    low: float
    high: float
    number: int


@dataclass(frozen=True, slots=True)
class Margins:
    """
    Numbers of orders around the cut-off.

    Attributes
    ----------
    steps
        From the largest margin down; from 0 up orders are worth their place.
    num_above, num_below
        Orders beyond the steps.
    num_unknown
        Orders without an exact margin.
    """

    steps: list[MarginStep]
    num_above: int
    num_below: int
    num_unknown: int

    @property
    def num_known(self) -> int:
        """Orders with an exact margin."""
        inside = sum(step.number for step in self.steps)
        return inside + self.num_above + self.num_below

    @property
    def nearest(self) -> tuple[MarginStep, MarginStep]:
        """The steps above and below the cut-off."""
        return self.steps[NUM_STEPS - 1], self.steps[NUM_STEPS]

    @property
    def columns(self) -> list[tuple[str, float, float, float]]:
        """
        Columns of the picture, the lowest margin on the left.

        Each has its kind, and as shares of the picture its left edge, its width, and
        its height: its number beside the largest one.
        """
        most = max(1, *(step.number for step in self.steps))
        wide = 1 / len(self.steps)
        return [
            (
                "used" if step.low >= 0 else "rest",
                (place + _BETWEEN / 2) * wide,
                (1 - _BETWEEN) * wide,
                step.number / most,
            )
            for place, step in enumerate(reversed(self.steps))
        ]


def margins_of(decisions: pl.LazyFrame) -> Margins:
    """
    Count a night's orders by steps of their margin.

    Parameters
    ----------
    decisions
        With ``margin_cny``, CNY; it is gone through twice, and what is kept of it are
        the margins from 0 up.
    """
    import polars as pl

    rows = decisions.select("margin_cny")
    margin = pl.col("margin_cny")
    inside = rows.filter(margin >= 0).collect(engine="streaming")
    width = step_width(inside["margin_cny"])
    counted = rows.group_by(step_of(width)).len().collect(engine="streaming")
    return counted_margins(width, dict(counted.iter_rows()))


def step_width(inside: pl.Series) -> float:
    """
    Width of a step, CNY.

    Parameters
    ----------
    inside
        Margins from 0 up, CNY.
    """
    return round_width((inside.quantile(SHARE) or 0.0) / NUM_STEPS)


def step_of(width: float) -> pl.Expr:
    """
    The step of a margin, as of :func:`counted_margins`.

    Parameters
    ----------
    width
        Of a step, CNY.
    """
    import polars as pl

    step = (pl.col("margin_cny") / width).floor().clip(-NUM_STEPS - 1, NUM_STEPS)
    return step.cast(pl.Int64)


def counted_margins(width: float, number: Mapping[int | None, int]) -> Margins:
    """
    Put numbers of orders into the steps that they are of.

    Parameters
    ----------
    width
        Of a step, CNY.
    number
        By step, 0 from the cut-off up; the last on each side is all beyond, and
        ``None`` those without an exact margin.
    """
    steps = [
        MarginStep(round(k * width, 9), round((k + 1) * width, 9), number.get(k, 0))
        for k in range(NUM_STEPS - 1, -NUM_STEPS - 1, -1)
    ]
    above, below = number.get(NUM_STEPS, 0), number.get(-NUM_STEPS - 1, 0)
    return Margins(steps, above, below, number.get(None, 0))


def round_width(least: float) -> float:
    """
    The next width that is easily read.

    Examples
    --------
    >>> round_width(0.07), round_width(0.2), round_width(0.0)
    (0.1, 0.25, 0.01)
    """
    if least <= _LEAST:
        return _LEAST
    power = 10.0 ** math.floor(math.log10(least))
    return round(next(r for r in _ROUND if r * power >= least * 0.999) * power, 9)
