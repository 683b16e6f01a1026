"""Say numbers, dates and texts of the night in English or in Chinese."""

from __future__ import annotations

import datetime as dt
import html
import re
from dataclasses import dataclass
from gettext import NullTranslations, translation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.contracts.warnings import read_warning, sentence, text_of
from optimizer.insight.report.markup import Html, money, text
from optimizer.insight.report.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)
_DAYS = (
    ("Monday", "星期一"),
    ("Tuesday", "星期二"),
    ("Wednesday", "星期三"),
    ("Thursday", "星期四"),
    ("Friday", "星期五"),
    ("Saturday", "星期六"),
    ("Sunday", "星期日"),
)

_RULES = {
    "is missing": "缺失",
    "is empty": "为空",
    "is not a number": "不是数字",
    "is not a whole number": "不是整数",
    "is not a finite number": "不是有限数字",
    "is not true or false": "不是 true 或 false",
    "is negative": "为负数",
    "is outside [0, 1]": "超出 [0, 1] 范围",
    "has outer spaces or control characters": "首尾有空格或含控制字符",
    'is not "must" or "never"': "不是“must”或“never”",
    "names no order": "没有对应的订单",
}
_RULE_PATTERNS = (
    (r"is below (\S+)", r"小于 \1"),
    (r"is above (\S+)", r"大于 \1"),
)
_LONGEST_WARNING = 600


@dataclass(frozen=True, slots=True)
class Language:
    """
    A language of the report: says a text by its key.

    Attributes
    ----------
    code
        For ``lang`` attributes, and as a prefix of ids.
    position
        Of its texts in ``WORDS``.
    catalogue
        Translations of English messages.
    """

    code: str
    position: int
    catalogue: NullTranslations

    def say(self, key: str, **values: Html) -> Html:
        """
        Say a text of ``WORDS``, with values put in.

        Examples
        --------
        >>> ENGLISH.say("cny", amount=money(3))
        '<data value="3">3.00</data> CNY'
        """
        words = html.escape(WORDS[key][self.position], quote=False)
        return Html(words.format_map(values))

    def cny(self, amount: Decimal | float | str) -> Html:
        """Say an amount of money."""
        return self.say("cny", amount=money(amount))

    def day(self, date: str) -> Html:
        """
        Say a date.

        Examples
        --------
        >>> ENGLISH.day("2026-11-22"), CHINESE.day("2026-11-22")
        ('Sunday, 22 November 2026', '2026年11月22日 星期日')
        """
        day = dt.date.fromisoformat(date)
        name = _DAYS[day.weekday()][self.position]
        if self.position == 0:
            return Html(f"{name}, {day.day} {_MONTHS[day.month - 1]} {day.year}")
        return Html(f"{day.year}年{day.month}月{day.day}日 {name}")

    def rule(self, rule: str) -> Html:
        """Say a rule of the quarantine table; an unknown one as it is."""
        if self.position and rule in _RULES:
            return text(_RULES[rule])
        return text(self._translated(rule, _RULE_PATTERNS))

    def warning(self, recorded: str | Mapping[str, Any]) -> Html:
        """Say a warning of the record; one that is not known here as it stands."""
        found = read_warning(recorded)
        words = text_of(recorded) if found is None else sentence(found, self.catalogue)
        return text(words, _LONGEST_WARNING)

    def _translated(self, words: str, patterns: tuple[tuple[str, str], ...]) -> str:
        if self.position:
            for english, chinese in patterns:
                if found := re.fullmatch(english, words, re.DOTALL):
                    return found.expand(chinese)
        return words


_LOCALE = Path(__file__).with_name("locale")
ENGLISH = Language("en", 0, NullTranslations())
CHINESE = Language("zh-CN", 1, translation("optimizer", _LOCALE, ["zh"]))
LANGUAGES = (ENGLISH, CHINESE)
