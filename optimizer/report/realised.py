"""Promised against realised: the last nights as a picture, and all as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Size of the picture, and what is left free at its edges.
WIDTH, HEIGHT, EDGE = 960, 180, 14
#: A picture of one night says no more than its row.
FEWEST = 2


@dataclass(frozen=True, slots=True)
class NightMark:
    """
    A night in the picture: where its figures are, from the upper left.

    Attributes
    ----------
    name
        Its date.
    at
        Across.
    promised, realised, low, high
        Down.
    """

    name: str
    at: float
    promised: float
    realised: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LedgerPicture:
    """
    Nights beside each other: promised as a stroke, realised as a dot with its interval.

    Attributes
    ----------
    marks
        One for each night.
    zero
        How far down 0 is.
    highest, lowest
        CNY at the upper and the lower edge.
    width, height, edge
        Of the picture.
    """

    marks: tuple[NightMark, ...]
    zero: float
    highest: float
    lowest: float
    width: int = WIDTH
    height: int = HEIGHT
    edge: int = EDGE


def ledger_picture(nights: list[Mapping[str, Any]]) -> LedgerPicture | None:
    """
    Draw the nights of a model's ledger.

    Parameters
    ----------
    nights
        As in ``by_night`` of ``realised``, oldest first.

    Returns
    -------
    LedgerPicture or None
        ``None`` where there are fewer than two.

    Examples
    --------
    >>> row = {"promised_cny": 40, "realised_cny": 30, "low": -20, "high": 80}
    >>> drawn = ledger_picture([{"name": "2026-11-01"} | row] * 2)
    >>> round(drawn.zero), [round(mark.realised) for mark in drawn.marks]
    (136, [90, 90])
    >>> ledger_picture([{"name": "2026-11-01"} | row]) is None
    True
    """
    if len(nights) < FEWEST:
        return None
    names = ("promised_cny", "low", "high")
    ends = [0.0, *(night[name] for night in nights for name in names)]
    highest, lowest = max(ends), min(ends)
    scale = (HEIGHT - 2 * EDGE) / ((highest - lowest) or 1.0)
    step = (WIDTH - 2 * EDGE) / len(nights)

    def down(amount: float) -> float:
        return EDGE + scale * (highest - amount)

    marks = tuple(
        NightMark(
            name=night["name"],
            at=EDGE + step * (place + 0.5),
            promised=down(night["promised_cny"]),
            realised=down(night["realised_cny"]),
            low=down(night["low"]),
            high=down(night["high"]),
        )
        for place, night in enumerate(nights)
    )
    return LedgerPicture(marks, down(0.0), highest, lowest)


def ledger_rows(realised: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """
    List all nights together, carriers, and nights, the last first, each with its kind.

    Parameters
    ----------
    realised
        As in ``run.json`` and in a model.
    """
    yield "all", realised
    for carrier in realised.get("by_carrier", ()):
        yield "carrier", carrier
    for night in reversed(realised.get("by_night", ())):
        yield "night", night
