"""
The meaning of cells: text, numbers and timestamps as tools write them.

A cell has one meaning or none: spellings that are not listed here become null, and
validation names them. Dates are days of the configured zone.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from optimizer.contracts.columns import polars_type
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.config import Config
    from optimizer.config.limits import Limits
    from optimizer.config.mapping import InputTable
    from optimizer.contracts.columns import Column

#: Words of a flag, in small letters.
FLAG_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "是"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "否"), False),
}
#: What tools write for no value, as a regular expression; never a name.
NULL_WORD = (
    r"(?i)^[ \t]*(?:nul|null|\(null\)|<null>|\[null\]|nullptr|\\n|nil|none|[+-]?nan|nat"
    r"|na|<na>|n/a|n\.a\.|#na|#n/a|#n/a n/a|#null!|#value!|#ref!|#name\?|#div/0!|#num!"
    r"|#+|-?1\.#(?:ind|qnan)|undefined|__hive_default_partition__"
    r"|\(blank\)|\(empty\)|[(（](?:空|空白|无)[)）]|无|空|空值|空白|暂无|缺失|缺失值"
    r"|未填写|[-–—－―─]+|[?？]+|[.…]+|[/\\]|\"\"|''|\{\}|\[\])[ \t]*$"
)
#: What people write in a limit for "all", or in a line of totals; never a name there.
ALL_WORD = (
    r"(?i)^(?:\*|all|any|every|total|subtotal|grand total|全部|全国|全网|所有|不限|任意"
    r"|合计|总计|小计|汇总|共计)$"
)
#: Days before and after these stand for none: 1970-01-01, 1900-01-00, 2099-12-31.
FIRST_DAY, LAST_DAY = dt.date(2000, 1, 1), dt.date(2099, 12, 30)
#: What ``strip`` takes off a cell: blanks that files have, not those of languages.
BLANKS = " \t\r\n\v\f"

_TEXT = ("id", "text", "pin")
#: A whole number as libraries write it that have no integers with gaps.
_WHOLE = r"^([+-]?[0-9]+)\.0+$"
_YEAR, _ONE, _TWO = "([12][0-9]{3})", "([0-9]{1,2})", "([0-9]{2})"
#: Spellings of a day that may be configured; the groups stand as in the name.
DATE_SPELLINGS = {
    "YYYY/MM/DD": rf"{_YEAR}/{_ONE}/{_ONE}",
    "YYYY.MM.DD": rf"{_YEAR}\.{_ONE}\.{_ONE}",
    "YYYYMMDD": rf"{_YEAR}{_TWO}{_TWO}",
    "YYYY年MM月DD日": rf"{_YEAR}年{_ONE}月{_ONE}日",
    "DD.MM.YYYY": rf"{_ONE}\.{_ONE}\.{_YEAR}",
    "DD/MM/YYYY": rf"{_ONE}/{_ONE}/{_YEAR}",
    "MM/DD/YYYY": rf"{_ONE}/{_ONE}/{_YEAR}",
}
_ISO = rf"{_YEAR}-{_ONE}-{_ONE}"
_PLAIN = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$"
#: A time of day, and perhaps how far it is from UTC.
_TIME = (
    rf"(?:[T ]{_ONE}:{_TWO}(?::([0-5][0-9])(?:\.[0-9]{{1,9}})?)?"
    rf" ?(?:(Z)|([+-])(0[0-9]|1[0-5]):?([0-5][0-9])?)?)?"
)
_PLACES = {"Y": "year", "M": "month", "D": "day"}


def _usual_limits() -> Limits:
    from optimizer.config.limits import Limits

    return Limits()


@dataclass(frozen=True, slots=True)
class CellRules:
    """
    Rules of the configuration for reading cells.

    Attributes
    ----------
    zone
        Time zone of days.
    null_words
        Texts that mean "no value".
    date_formats
        Keys of ``DATE_SPELLINGS`` that are read in addition to ISO 8601.
    not_personal
        Columns whose names and numbers are declared not to be personal.
    limits
        Sizes beyond which a table is refused.
    mappings
        How tables are read that have other names, words or units, by table.
    not_null_words
        Texts that look like "no value" or "all", and are names.
    """

    zone: str = "Asia/Shanghai"
    null_words: tuple[str, ...] = ()
    date_formats: tuple[str, ...] = ()
    not_personal: tuple[str, ...] = ()
    limits: Limits = field(default_factory=_usual_limits)
    mappings: Mapping[str, InputTable] = field(default_factory=dict)
    not_null_words: tuple[str, ...] = ()


def cell_rules(config: Config) -> CellRules:
    """
    Take the rules for reading cells from the configuration.

    Raises
    ------
    ConfigError
        When ``not_null_words`` lists a text that is a name anyway.
    """
    for word in config.not_null_words:
        if not (re.match(NULL_WORD, word) or re.match(ALL_WORD, word)):
            raise ConfigError(
                f"not_null_words: {word!r} is no word for no value, and read as a name "
                "anyway; drop it"
            )
    allowed = config.privacy.allow
    return CellRules(
        zone=config.timezone,
        null_words=config.null_words,
        not_null_words=config.not_null_words,
        date_formats=config.date_formats,
        not_personal=() if allowed is None else allowed.columns,
        limits=config.limits,
        mappings=config.mappings,
    )


def typed(frame: pl.DataFrame, column: Column, rules: CellRules) -> pl.Expr:
    """
    Read a column as its kind; what cannot be read becomes null.

    Parameters
    ----------
    frame
        A batch, ids as text.
    column
        Which of its columns.
    rules
        Zone and spellings of dates.
    """
    import polars as pl

    raw, value = frame.schema[column.name], pl.col(column.name)
    is_text = raw == pl.String
    if column.kind == "flag" and raw != pl.Boolean:
        return _flag(value, is_text=is_text)
    if column.kind == "date":
        return _date(frame[column.name], rules)
    if is_text and column.kind not in _TEXT:
        value = value.str.strip_chars(BLANKS)
        if column.kind == "count":
            value = value.str.replace(_WHOLE, "${1}")
    return value.cast(polars_type(column.kind), strict=False)


def _flag(value: pl.Expr, *, is_text: bool) -> pl.Expr:
    import polars as pl

    if not is_text:
        known = pl.when(value == 1).then(True).when(value == 0).then(False)
        return known.alias(value.meta.output_name())
    text = value.str.strip_chars(BLANKS).str.to_lowercase().str.replace(_WHOLE, "${1}")
    return text.replace_strict(FLAG_WORDS, default=None, return_dtype=pl.Boolean)


def _date(raw: pl.Series, rules: CellRules) -> pl.Expr:
    """The day of a date, of a timestamp, or of text; in the zone if it has one."""
    import polars as pl

    value = pl.col(raw.name)
    if raw.dtype == pl.String:
        return pl.lit(days_of(raw, rules))
    if isinstance(raw.dtype, pl.Datetime) and raw.dtype.time_zone is not None:
        return value.dt.convert_time_zone(rules.zone).dt.date()
    return value.cast(pl.Date, strict=False)


def days_of(text: pl.Series, rules: CellRules) -> pl.Series:
    """
    Read days that are written as text.

    Parameters
    ----------
    text
        Cells, in any spelling; blanks around them do not count.
    rules
        ``date_formats`` are read in addition to ISO 8601, with or without a time. A
        time with an offset from UTC is an instant: its day is that of the zone.

    Returns
    -------
    pl.Series
        Date; null where the text is in no spelling that is listed.

    Examples
    --------
    >>> import polars as pl
    >>> text = pl.Series(["2026-11-22", "2026-11-22T16:00Z", "22.11.2026"])
    >>> days_of(text, CellRules(zone="Asia/Shanghai")).dt.to_string().to_list()
    ['2026-11-22', '2026-11-23', None]
    """
    import polars as pl

    bare = text.str.strip_chars(BLANKS)
    is_plain = bare.str.contains(_PLAIN).fill_null(False)
    found = bare.set(~is_plain, None).str.to_date("%Y-%m-%d", strict=False)
    left = bare.filter(found.is_null() & bare.is_not_null()).unique()
    if len(left) == 0:
        return found
    spellings = {"YYYY-MM-DD": _ISO} | {
        n: DATE_SPELLINGS[n] for n in rules.date_formats
    }
    days = pl.DataFrame({"text": left}).select(
        "text", day=pl.coalesce(_day(n, p, rules.zone) for n, p in spellings.items())
    )
    more = pl.DataFrame({"text": bare}).join(
        days, on="text", how="left", maintain_order="left"
    )
    return found.zip_with(found.is_not_null(), more["day"]).alias(text.name)


@dataclass(frozen=True, slots=True)
class Midnights:
    """
    Times in a date column that may have been dates in another zone.

    Attributes
    ----------
    num_times
        Cells that are a time.
    num_in_utc
        Those with a zone, or an offset, that are midnight in UTC and not in the zone.
    num_naive
        Those without one that would be midnight in the zone, were they in UTC.
    """

    num_times: int = 0
    num_in_utc: int = 0
    num_naive: int = 0


def midnights(raw: pl.Series, zone: str) -> Midnights:
    """
    Count times that look like dates of another zone.

    Examples
    --------
    >>> import polars as pl
    >>> text = pl.Series(["2026-11-22T00:00:00Z", "2026-11-22", "2026-11-21 16:00:00"])
    >>> midnights(text, "Asia/Shanghai")
    Midnights(num_times=2, num_in_utc=1, num_naive=1)
    """
    import polars as pl

    if raw.dtype == pl.String:
        return _midnights_of_text(raw, zone)
    if not isinstance(raw.dtype, pl.Datetime):
        return Midnights()
    times, midnight = raw.drop_nulls(), dt.time(0)
    has_zone = raw.dtype.time_zone is not None
    there = times if has_zone else times.dt.replace_time_zone("UTC")
    is_local = there.dt.convert_time_zone(zone).dt.time() == midnight
    is_utc = there.dt.convert_time_zone("UTC").dt.time() == midnight
    in_utc, naive = int((is_utc & ~is_local).sum()), int((is_local & ~is_utc).sum())
    return Midnights(len(times), in_utc * has_zone, naive * (not has_zone))


def _midnights_of_text(raw: pl.Series, zone: str) -> Midnights:
    times = raw.filter(raw.str.contains(":", literal=True).fill_null(False))
    if len(times) == 0:
        return Midnights()
    starts = {dt.datetime(2026, month, 1, tzinfo=ZoneInfo(zone)) for month in (1, 7)}
    clocks = {f"{start.astimezone(dt.UTC):%H:%M}" for start in starts} - {"00:00"}
    if not clocks:
        return Midnights(len(times))
    end = r"(?::00(?:\.0+)?)?"
    in_utc = times.str.contains(rf"[T ]0?0:00{end} ?(?:Z|[+-]00:?(?:00)?)\s*$")
    naive = times.str.contains(rf"[T ](?:{'|'.join(sorted(clocks))}){end}\s*$")
    return Midnights(len(times), int(in_utc.sum()), int(naive.sum()))


def _day(name: str, pattern: str, zone: str) -> pl.Expr:
    """The day of texts in one spelling, null for others."""
    import polars as pl

    order = [_PLACES[letter] for letter in dict.fromkeys(name) if letter in _PLACES]
    names = [*order, "hour", "minute", "second", "utc", "sign", "hours", "minutes"]
    groups = pl.col("text").str.extract_groups(rf"^{pattern}{_TIME}$")
    part = dict(zip(names, (groups.struct[i] for i in range(len(names))), strict=True))
    clock = ":".join("{}" for _ in range(3))
    moment = pl.format(
        "{}-{}-{} " + clock,
        *(part[name] for name in ("year", "month", "day")),
        *(part[name].fill_null("0") for name in ("hour", "minute", "second")),
    ).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    away = pl.duration(
        hours=part["hours"].fill_null("0").cast(pl.Int64),
        minutes=part["minutes"].fill_null("0").cast(pl.Int64),
    )
    instant = pl.when(part["sign"] == "-").then(moment + away).otherwise(moment - away)
    local = instant.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
    has_zone = part["utc"].is_not_null() | part["sign"].is_not_null()
    return pl.when(has_zone).then(local).otherwise(moment.dt.date())
