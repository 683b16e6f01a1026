"""
Do intervals of ``evaluate`` hold the truth on worlds whose law no learner knows?

A repetition is one platform of one world: nights decided by what was stated before the
first of them, with its holdout and exploration, revealed, and evaluated when all harm
is known. The model stays the first one, since what is learned changes the plan and not
the experiment; so a repetition takes a tenth of that of :mod:`benchmarks.worlds`.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Power beyond which a wrong sign counts: the true effect over its standard error.
CLEAR = 2.8
#: After the last night, where harm comes late: about half of the parcels are ripe.
EARLY_DAYS = 25
#: Standard errors from the middle to the end of a 95 % interval.
HALF = 1.96


def main(words: list[str]) -> None:
    """Run repetitions and append each to a file; print the table."""
    given = worlds.repetitions_parser("intervals", repetitions=24).parse_args(words)
    sizes = {"num_orders": worlds.NUM_ORDERS, "num_merchants": worlds.NUM_MERCHANTS}
    worlds.run_missing(
        given, lambda name, seed: repetition(name, seed, given.nights, sizes)
    )
    print(table(worlds.read_records([given.file])))


def repetition(
    world: str, seed: int, num_nights: int, sizes: dict[str, int]
) -> dict[str, Any]:
    """Nights of one platform by what was stated, and the intervals of their effects."""
    from optimizer.errors import DataError
    from optimizer.simulate.dates import START

    start = time.process_time()
    platform = worlds.Platform(world, seed, sizes)
    settings = worlds.SETTINGS
    past: list[tuple[Any, Any, dt.date]] = []
    with tempfile.TemporaryDirectory() as folder:
        own = settings["learning"] | {"models": folder}
        history = worlds.reveal(platform, past, START)
        again = settings | {"learning": own}
        path = worlds.learned(history, again, START, Path(folder))
        stated = settings | {"model": path, "learning": own}
        for number in range(num_nights):
            day = START + dt.timedelta(number)
            night = platform.night(day)
            orders = night.orders.drop(worlds.PREMIUM)
            past.append(
                (night, worlds.decide(night, orders, day, stated).decisions, day)
            )
        wait = worlds.WAIT_DAYS if worlds.is_delayed(world) else 0
        ripe = START + dt.timedelta(num_nights + wait)
        history = worlds.reveal(platform, past, ripe)
        found = worlds.measured(platform, history, past, settings, ripe)
        early = None
        if wait:
            day = START + dt.timedelta(num_nights + EARLY_DAYS)
            history = worlds.reveal(platform, past, day)
            try:
                early = worlds.measured(platform, history, past, settings, day)
            except DataError:  # no parcel of the experiment is ripe
                early = []
    return {
        "world": world,
        "seed": seed,
        "nights": num_nights,
        "intervals": worlds.last_told(found),
        "by_method": found,
        **({} if early is None else {"early": worlds.last_told(early)}),
        "seconds": round(time.process_time() - start, 1),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """
    Markdown: intervals that hold the truth, and signs that are wrong, by world.

    A sign is wrong where the whole interval lies on the other side of 0. Of effects
    that such an experiment finds in four of five cases or more, it is said apart.
    """
    lines = [
        "| world | platforms | intervals that hold the truth | wrong sign | of clear "
        "effects | false alarms | error / effect |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for world in dict.fromkeys(row["world"] for row in rows):
        own = [row for row in rows if row["world"] == world]
        lines.append(f"| `{world}` | {len(own)} | " + " | ".join(_cells(own)) + " |")
    if rows:
        lines.append(f"| all | {len(rows)} | " + " | ".join(_cells(rows)) + " |")
    early = [row for row in rows if "early" in row]
    if early:
        lines += [
            "",
            f"| {EARLY_DAYS} days after the last night | platforms with a ripe "
            "experiment | intervals that hold the truth | false alarms |",
            "|---|--:|--:|--:|",
        ]
    for world in dict.fromkeys(row["world"] for row in early):
        own = [row for row in early if row["world"] == world]
        every = _with_platform(own, "early")
        null = [one for one in every if abs(one["true"]) <= 1e-12]
        cells = (f"{sum(bool(row['early']) for row in own)} of {len(own)}",)
        cells += (_share(every, _holds), _share(null, _alarms))
        lines.append(f"| `{world}` | " + " | ".join(cells) + " |")
    whole = [row for row in rows if "by_method" in row]
    return "\n".join(lines + (["", *_by_method(whole)] if whole else []))


def _by_method(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The same intervals by each method, over the platforms that have them all."""
    yield (
        f"| method, {len(rows)} platforms | intervals that hold the truth | false "
        "alarms | those for who looks each night hold it | width, to `difference` |"
    )
    yield "|---|--:|--:|--:|--:|"
    every = _with_platform(rows, "by_method")
    plain = _width(one for one in every if one["method"] == "difference")
    for method in dict.fromkeys(one["method"] for one in every):
        own = [one for one in every if one["method"] == method]
        null = [one for one in own if abs(one["true"]) <= 1e-12]
        cells = (
            _share(own, _holds),
            _share(null, _alarms),
            _share(own, lambda o: o["low_always"] <= o["true"] <= o["high_always"]),
            f"{_width(own) / plain:.2f}",
        )
        yield f"| `{method}` | " + " | ".join(cells) + " |"


def _width(intervals: Iterable[dict[str, Any]]) -> float:
    return float(np.mean([one["high"] - one["low"] for one in intervals]))


def _cells(rows: list[dict[str, Any]]) -> Iterator[str]:
    every = _with_platform(rows, "intervals")
    yield _share(every, _holds)
    signed = [one for one in every if abs(one["true"]) > 1e-12]
    yield _share(signed, _is_wrong)
    yield _share([one for one in signed if _is_clear(one)], _is_wrong)
    null = [one for one in every if abs(one["true"]) <= 1e-12]
    yield _share(null, _alarms)
    planned = [one for one in signed if one.get("population") == "policy"]
    parts = [_error(one) / abs(one["true"]) for one in planned]
    yield f"{np.median(parts):.2f}" if parts else ""


def _is_wrong(one: dict[str, Any]) -> bool:
    return bool(one["high"] < 0 if one["true"] > 0 else one["low"] > 0)


def _is_clear(one: dict[str, Any]) -> bool:
    """Whether the experiment finds an effect of this size in four of five cases."""
    return abs(one["true"]) >= CLEAR * _error(one)


def _error(one: dict[str, Any]) -> float:
    return float(one["high"] - one["low"]) / (2 * HALF)


def _with_platform(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [
        one | {"platform": number}
        for number, row in enumerate(rows)
        for one in row[name]
    ]


def _holds(one: dict[str, Any]) -> bool:
    return bool(one["low"] <= one["true"] <= one["high"])


def _alarms(one: dict[str, Any]) -> bool:
    return not one["low"] <= 0 <= one["high"]


def _share(
    intervals: list[dict[str, Any]], is_so: Callable[[dict[str, Any]], bool]
) -> str:
    """A count of a whole, with its 95 % interval where it says something."""
    if not intervals:
        return ""
    found = np.array([is_so(one) for one in intervals])
    low, high = clustered(found, np.array([one["platform"] for one in intervals]))
    share = f"{found.sum()}/{len(found)}: {found.mean():.1%}"
    return f"{share} ({low:.1%} to {high:.1%})"


def clustered(found: np.ndarray, platform: np.ndarray) -> tuple[float, float]:
    r"""
    Interval of a share (95 %, Wilson) where what is of one platform is alike.

    Intervals of one platform are of the same nights and parcels, so that one that
    misses is rarely alone. The :math:`n` intervals count as :math:`n/d`, where
    :math:`d \ge 1` is the variance of the share over platforms to that of independent
    ones; where all are alike, as many as there are platforms.

    Parameters
    ----------
    found
        ``(n,) bool``.
    platform
        ``(n,) int``.

    Examples
    --------
    >>> one_each = clustered(np.arange(40) < 38, np.arange(40))
    >>> [round(float(end), 3) for end in one_each]
    [0.833, 0.986]
    >>> alike = clustered(np.arange(40) < 36, np.arange(40) // 4)
    >>> [round(float(end), 3) for end in alike]
    [0.577, 0.983]
    """
    platforms, place = np.unique(platform, return_inverse=True)
    n, m, p = len(found), len(platforms), found.mean()
    count = float(n) if n == m else float(m)
    off = np.bincount(place, found - p, m)
    if m > 1 and 0 < p < 1:
        over_platforms = m / (m - 1) * (off**2).sum() / n**2
        count = n / max(over_platforms / (p * (1 - p) / n), 1.0)
    z2 = HALF**2
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    half = HALF * np.sqrt(p * (1 - p) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)
