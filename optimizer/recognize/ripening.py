"""Until when past parcels wait before they count: learned of an export, or assumed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.config.learning import ASSUMED_DAYS
from optimizer.io.cells import DATE_SPELLINGS, CellRules, days_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optimizer.recognize.propose import Proposal

#: What says how old a parcel's complaints and returns are.
_TELLING = ("complaint_date", "return_date", "observed_until")
#: Old parcels without which a history cannot wait: fewer teach no rate.
_LEAST_OLD = 100
_KEYS = {"complaint": "complaint", "logistics_return": "return"}
_WORDS = {"complaint": "a complaint", "logistics_return": "a return"}
_MEANING = """\
  # A parcel without a complaint so far may still get one. It counts once it is so many
  # days old; what comes later does not count. These days are assumed. Yours: of old
  # parcels, how many days after the parcel nearly all (199 of 200) had come. Or export
  # the day of each (complaint_date, return_date), and take the key out to learn them.
"""


@dataclass(frozen=True, slots=True)
class Ripening:
    """
    When parcels count.

    Attributes
    ----------
    num_days
        Assumed days, by outcome; empty where the history tells them.
    told_by
        Columns of the history that tell them.
    num_old, num_seen
        Of the rows that were looked at, how many are that old on the night; ``None``:
        there is no history.
    label
        The history's name.
    night
        The first night.
    is_waited_for
        Whether young parcels wait: not where hardly any would be left.
    """

    num_days: Mapping[str, int]
    told_by: tuple[str, ...] = ()
    num_old: int | None = None
    num_seen: int = 0
    label: str = ""
    night: str = ""
    is_waited_for: bool = True


def ripening(history: Proposal | None, night: str, *, counts_returns: bool) -> Ripening:
    """
    Find until when parcels of a history wait.

    Parameters
    ----------
    history
        Outcomes, if there are some.
    night
        The first night, on which is learned.
    counts_returns
        Whether a return costs something.
    """
    asked = [*ASSUMED_DAYS] if counts_returns else ["complaint"]
    days = {name: ASSUMED_DAYS[name] for name in asked}
    if history is None:
        return Ripening(days)
    told_by = tuple(_telling(history))
    if told_by:
        return Ripening({}, told_by)
    days = {name: num for name, num in days.items() if name not in history.missing}
    if not days:
        return Ripening({})
    rules = CellRules(date_formats=tuple(DATE_SPELLINGS))
    written = history.series("date")
    dates = days_of(written, rules) if written is not None else None
    last = dt.date.fromisoformat(night) - dt.timedelta(max(days.values()) + 1)
    num_old = 0 if dates is None else int((dates <= last).sum())
    # Rows after the sample may be older.
    is_waited_for = num_old >= _LEAST_OLD or not history.sample.is_whole
    return Ripening(
        days,
        num_old=num_old,
        num_seen=len(history.sample.rows),
        label=history.sample.label,
        night=night,
        is_waited_for=is_waited_for,
    )


def _telling(history: Proposal) -> Iterator[str]:
    """Columns of the history with days in them, by its own names."""
    for choice in history.choices:
        cells = history.sample.rows[choice.written].str.strip_chars()
        if choice.column in _TELLING and (cells.fill_null("") != "").any():
            yield choice.written


def ripening_yaml(found: Ripening) -> str:
    """Lines of ``learning``, with their meaning; empty where nothing is assumed."""
    if not found.num_days:
        return ""
    pairs = ", ".join(f"{_KEYS[name]}: {num}" for name, num in found.num_days.items())
    key = f"maturity_days: {{{pairs}}}\n"
    if found.is_waited_for:
        return f"{_MEANING}  {key}"
    return (
        f"{_MEANING}"
        f"  # On {found.night} too few parcels of the history are that old, so young "
        "ones count\n"
        "  # too, and make complaints look rarer than they are. Once older ones are "
        "there, take\n"
        f"  # the sign off:\n  # {key}"
    )


def ripening_told(found: Ripening, config: str) -> list[str]:
    """Say until when parcels wait, and who says so."""
    if found.told_by:
        days = ", ".join(found.told_by)
        return [f"until when a parcel may get a complaint is learned from {days}"]
    if not found.num_days:
        return []
    days = " and ".join(
        f"{num} days for {_WORDS[name]}" for name, num in found.num_days.items()
    )
    if found.is_waited_for:
        where = f"learning.maturity_days in {config}"
        line = f"assumed: a parcel counts after {days} ({where})"
        if found.num_old is None:
            return [line]
        old = f"{found.num_old:,} of {found.num_seen:,} rows of {found.label}"
        return [f"{line}: {old} on {found.night}"]
    return [
        f"note: on {found.night} {found.num_old:,} of {found.num_seen:,} rows of "
        f"{found.label} are old enough for all to be known ({days}, assumed), so young "
        "ones count too, and make complaints look rarer than they are: export older "
        f"parcels, or their complaint_date; then see learning.maturity_days in {config}"
    ]
