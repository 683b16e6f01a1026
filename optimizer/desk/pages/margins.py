"""How orders lie around the cut-off: numbers of orders by their margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.contracts.tables import DECISIONS
from optimizer.desk.asked import day_of
from optimizer.desk.render import page_text
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.published_tables import scan_table

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from optimizer.desk.desk import Desk

#: Steps to each side of the cut-off.
NUM_STEPS = 8
#: Of the orders above the cut-off, so many lie within the steps.
SHARE = 0.75
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
    def most(self) -> int:
        """Orders of the step with most, and at least 1."""
        return max(1, *(step.number for step in self.steps))


def margins_page(desk: Desk, request: Request) -> str:
    """
    Show how a night's orders lie around the cut-off.

    Raises
    ------
    PageProblem
        When the night is not published.
    """
    night = desk.nights.open(day_of(request.path_params["day"]))
    return page_text(
        request,
        "margins.html.j2",
        day=night.day.isoformat(),
        margins=margins_of(night.folder),
    )


def margins_of(folder: Path) -> Margins:
    """
    Count a night's orders by steps of their margin.

    Raises
    ------
    DataError
        When the decisions are missing or damaged.
    """
    import polars as pl

    with damaged_is_data_error(str(folder / DECISIONS.file)):
        rows = scan_table(folder, DECISIONS.file).select("margin_cny")
        margin = pl.col("margin_cny")
        inside = margin.filter(margin >= 0).quantile(SHARE)
        reach, unknown = (
            rows.select(inside.alias("reach"), margin.null_count().alias("unknown"))
            .collect()
            .row(0)
        )
        width = round_width((reach or 0.0) / NUM_STEPS)
        step = (margin / width).floor().clip(-NUM_STEPS - 1, NUM_STEPS)
        counted = rows.filter(margin.is_not_null()).group_by(step.cast(pl.Int64)).len()
        number = dict(counted.collect(engine="streaming").iter_rows())
    steps = [
        MarginStep(round(k * width, 9), round((k + 1) * width, 9), number.get(k, 0))
        for k in range(NUM_STEPS - 1, -NUM_STEPS - 1, -1)
    ]
    above, below = number.get(NUM_STEPS, 0), number.get(-NUM_STEPS - 1, 0)
    return Margins(steps, above, below, unknown)


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
