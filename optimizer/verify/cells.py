"""Rules for reading cells, as SQL: present macros, or those of older nights."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS = {"YYYY": ("year", "([12][0-9]{3})"), "MM": ("month", ""), "DD": ("day", "")}
#: A time of day, and how far it is from UTC; before rules 2 as far as anything.
_CLOCK = "(?:[T ]([0-9]{1,2}):([0-9]{2})(?::([0-5][0-9])(?:\\.[0-9]{1,9})?)?"
_TIME = _CLOCK + " ?(?:(Z)|([+-])(0[0-9]|1[0-5]):?([0-5][0-9])?)?)?"
_TIME_BEFORE = _CLOCK + " ?(?:(Z)|([+-])([0-9]{2}):?([0-9]{2})?)?)?"
_MORE_NULLS = (
    "|nul|nullptr|[+-]nan|n\\.a\\.|#na|#n/a n/a|#+|-?1\\.#(ind|qnan)"
    "|__hive_default_partition__|\\(blank\\)|\\(empty\\)|[(（](空|空白|无)[)）]|空值|空白"
    "|缺失|缺失值|未填写|[-–—－―─]+|[?？]+|[.…]+|\\\\|\"\"|''''|\\{\\}|\\[\\]"
)
_TIMES = ("hour", "minute", "second", "utc", "sign", "hours", "minutes")


#: See :func:`rules_of`.
RULES_OF_TODAY = 2


def is_of_today(config: Mapping[str, Any]) -> bool:
    """Whether a night was read with ``null_words`` and days of its zone."""
    return "null_words" in config


def rules_of(config: Mapping[str, Any]) -> int:
    """
    Tell which rules a night was read with.

    Parameters
    ----------
    config
        As recorded.

    Returns
    -------
    int
        0: before words for no value; 1: before more of them, words for all and days
        that stand for none; 2: those of today.
    """
    return is_of_today(config) + ("not_null_words" in config)


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
    is_new = rules_of(config) == RULES_OF_TODAY
    days = ",\n    ".join(_day(one, is_new=is_new) for one in spellings)
    words, kept = (
        ", ".join("'" + word.replace("'", "''") + "'" for word in config.get(key, ()))
        for key in ("null_words", "not_null_words")
    )
    return (
        text.replace("{dates}", ", ".join(spellings))
        .replace("{text_day}", f"coalesce(\n    {days}, NULL)")
        .replace("{null_words}", words or "NULL")
        .replace("{more_nulls}", _MORE_NULLS if is_new else "")
        .replace("{more_plain_nulls}", ", 'nul', 'nullptr'" if is_new else "")
        .replace("{unless_kept}", f" AND x NOT IN ({kept})" if kept else "")
    )


def _day(spelling: str, *, is_new: bool) -> str:
    """The day of a text in one spelling, as SQL; null for other texts."""
    pattern, names = spelling.replace(".", "\\."), []
    digits = "{2}" if spelling == "YYYYMMDD" else "{1,2}"
    for letters, (name, year) in sorted(
        _PARTS.items(), key=lambda part: spelling.index(part[0])
    ):
        pattern = pattern.replace(letters, year or f"([0-9]{digits})")
        names.append(f"'{name}'")
    listed = ", ".join([*names, *(f"'{name}'" for name in _TIMES)])
    time = _TIME if is_new else _TIME_BEFORE
    return f"day_in(regexp_extract(t, '^{pattern}{time}$', [{listed}]))"
