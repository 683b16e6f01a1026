"""
Nights of a cluster that this process gave their names.

No link of this machine tells of them; if the process is stopped, its last word does.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True)
class FarName:
    """
    A night that got its name, or was about to.

    Attributes
    ----------
    folder
        Address of the date.
    day
        The date.
    is_sure
        Whether it has its name; else it was being written.
    """

    folder: str
    day: dt.date
    is_sure: bool


_GIVEN: ContextVar[tuple[FarName, ...]] = ContextVar("far_names", default=())


def again(day: dt.date) -> str:
    """
    The command that does what was left undone after a far night was published.

    Examples
    --------
    >>> import datetime as dt
    >>> again(dt.date(2026, 11, 22))
    'optimizer run --date 2026-11-22 --config FILE'
    """
    return f"optimizer run --date {day} --config FILE"


def forget_names() -> None:
    """Begin anew, as a command does."""
    _GIVEN.set(())


def note_name(name: FarName) -> None:
    """Note a name, in place of what was noted of its date."""
    others = [one for one in _GIVEN.get() if one.folder != name.folder]
    _GIVEN.set((*others, name))


def unnote_name(folder: str) -> None:
    """Take a note back, as the night did not get the name."""
    _GIVEN.set(tuple(one for one in _GIVEN.get() if one.folder != folder))


def given_names() -> tuple[FarName, ...]:
    """
    Names that were noted, in their order.

    Examples
    --------
    >>> import datetime as dt
    >>> forget_names()
    >>> note_name(FarName("s3a://runs/2026-11-22", dt.date(2026, 11, 22), False))
    >>> note_name(FarName("s3a://runs/2026-11-22", dt.date(2026, 11, 22), True))
    >>> [(name.folder, name.is_sure) for name in given_names()]
    [('s3a://runs/2026-11-22', True)]
    >>> unnote_name("s3a://runs/2026-11-22")
    >>> given_names()
    ()
    """
    return _GIVEN.get()
