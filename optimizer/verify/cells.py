"""Rules for reading cells, as SQL: present macros, or those of older nights."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS = {"YYYY": ("year", "([12][0-9]{3})"), "MM": ("month", ""), "DD": ("day", "")}
#: A time of day, and how far it is from UTC.
_TIME = (
    "(?:[T ]([0-9]{1,2}):([0-9]{2})(?::([0-5][0-9])(?:\\.[0-9]{1,9})?)?"
    " ?(?:(Z)|([+-])([0-9]{2}):?([0-9]{2})?)?)?"
)
_TIMES = ("hour", "minute", "second", "utc", "sign", "hours", "minutes")


def is_of_today(config: Mapping[str, Any]) -> bool:
    """Whether a night was read with ``null_words`` and days of its zone."""
    return "null_words" in config


def cells_text(config: Mapping[str, Any]) -> str:
    """
    Write the macros that read cells.

    Parameters
    ----------
    config
        As recorded.
    """
    name = "2_cells" if is_of_today(config) else "2_cells_before"
    text = files(__package__).joinpath("statement", f"{name}.sql").read_text("utf-8")
    spellings = ["YYYY-MM-DD", *config.get("date_formats", ())]
    days = ",\n    ".join(map(_day, spellings))
    words = [word.replace("'", "''") for word in config.get("null_words", ())]
    return (
        text.replace("{dates}", ", ".join(spellings))
        .replace("{text_day}", f"coalesce(\n    {days}, NULL)")
        .replace("{null_words}", ", ".join(f"'{word}'" for word in words) or "NULL")
    )


def _day(spelling: str) -> str:
    """The day of a text in one spelling, as SQL; null for other texts."""
    pattern, names = spelling.replace(".", "\\."), []
    digits = "{2}" if spelling == "YYYYMMDD" else "{1,2}"
    for letters, (name, year) in sorted(
        _PARTS.items(), key=lambda part: spelling.index(part[0])
    ):
        pattern = pattern.replace(letters, year or f"([0-9]{digits})")
        names.append(f"'{name}'")
    listed = ", ".join([*names, *(f"'{name}'" for name in _TIMES)])
    return f"day_in(regexp_extract(t, '^{pattern}{_TIME}$', [{listed}]))"
