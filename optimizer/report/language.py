"""Write dates, rules and warnings of the night in English or in Chinese."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from gettext import NullTranslations, translation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.contracts.warnings import read_warning, sentence, text_of
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


def N_(phrase: str) -> str:
    """Mark a phrase for catalogues: the name is one that extractors know."""
    return phrase


_MONTHS = (
    *(N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June")),
    *(N_("July"), N_("August"), N_("September"), N_("October"), N_("November")),
    N_("December"),
)
_WEEKDAYS = (
    *(N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday")),
    *(N_("Saturday"), N_("Sunday")),
)
_DATE = N_("{weekday}, {day} {month} {year}")
#: Rules of the quarantine table; numbers in a rule stand as ``{number}``.
RULES = (
    *(N_("is missing"), N_("is empty"), N_("is not a number"), N_("is negative")),
    *(N_("is not a whole number"), N_("is not a finite number")),
    *(N_("is not true or false"), N_("is outside [0, 1]")),
    *(N_("is below {number}"), N_("is above {number}")),
    N_("is longer than {number} bytes"),
    N_("is not a date such as {number}"),
    N_("is a day that stands for none, such as {number}"),
    N_("has outer spaces or control characters"),
    N_('is not "must" or "never"'),
    N_("is a word for no value, such as NULL"),
    N_("is a word for all, or for a total"),
    N_("is the name of its column"),
    N_("is a rounded number, as spreadsheets write it"),
    N_("is a number with a decimal point"),
    N_("is a formula, as spreadsheets write it"),
    N_("begins with an apostrophe"),
    N_("names no order"),
)
_NUMBER = re.compile(r"\d[\d,.-]*")


@dataclass(frozen=True, slots=True)
class Language:
    """
    A language of the report.

    Attributes
    ----------
    code
        For ``lang`` attributes, and as a prefix of ids.
    name
        What it calls itself.
    catalogue
        Translations of English messages.
    """

    code: str
    name: str
    catalogue: NullTranslations

    @property
    def between(self) -> str:
        """
        What stands between two sentences: Chinese ones end with their own room.

        Examples
        --------
        >>> ENGLISH.between, CHINESE.between
        (' ', '')
        """
        return "" if self.code.startswith("zh") else " "

    def day(self, date: str) -> str:
        """
        Say a date.

        Examples
        --------
        >>> ENGLISH.day("2026-11-22"), CHINESE.day("2026-11-22")
        ('Sunday, 22 November 2026', '2026年11月22日 星期日')
        """
        say, day = self.catalogue.gettext, dt.date.fromisoformat(date)
        return say(_DATE).format(
            weekday=say(_WEEKDAYS[day.weekday()]),
            day=day.day,
            month=say(_MONTHS[day.month - 1]),
            year=day.year,
        )

    def rule(self, rule: str) -> str:
        """
        Say a rule of the quarantine table; an unknown one as it is.

        Examples
        --------
        >>> ENGLISH.rule("is above 1,000"), CHINESE.rule("is above 1,000")
        ('is above 1,000', '大于 1,000')
        """
        say, number = self.catalogue.gettext, _NUMBER.search(rule)
        if rule in RULES or number is None:
            return say(rule) if rule in RULES else rule
        known = _NUMBER.sub("{number}", rule, count=1)
        return say(known).format(number=number[0]) if known in RULES else rule

    def warning(self, recorded: str | Mapping[str, Any]) -> str:
        """Say a warning of the record; an unknown one as it is."""
        found = read_warning(recorded)
        return text_of(recorded) if found is None else sentence(found, self.catalogue)


_LOCALE = Path(__file__).with_name("locale")
ENGLISH = Language("en", "English", NullTranslations())
CHINESE = Language("zh-CN", "中文", translation("optimizer", _LOCALE, ["zh"]))
LANGUAGES = (ENGLISH, CHINESE)


def language_code(name: str) -> str:
    """
    Find the code that pages have for a language.

    Raises
    ------
    ConfigError
        When there is no such language.

    Examples
    --------
    >>> language_code("en"), language_code("zh")
    ('en', 'zh-CN')
    """
    codes = {"en": ENGLISH.code, "zh": CHINESE.code}
    if name not in codes:
        raise ConfigError(f"language must be en or zh, got {name!r}")
    return codes[name]


def by_name(name: str) -> Language:
    """
    Find a language by its name in Python: ``en`` or ``zh``.

    Raises
    ------
    ConfigError
        When there is no such language.
    """
    language_code(name)
    return by_code(name)


def by_code(code: str) -> Language:
    """The language of a code of the command line: ``en`` or ``zh``."""
    return CHINESE if code == "zh" else ENGLISH
