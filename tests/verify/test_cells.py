"""What a cell says is stated a second time, in SQL, and it is the same."""

from __future__ import annotations

import datetime as dt
import itertools
import random

import duckdb
import polars as pl
import pytest

from optimizer.io.cells import (
    ALL_WORD,
    DATE_SPELLINGS,
    FLAG_WORDS,
    NULL_WORD,
    CellRules,
    days_of,
)
from optimizer.verify.cells import cells_text

YEARS, MONTHS, DAYS = (
    ("2026", "1999", "0026", "26"),
    ("1", "02", "12", "13"),
    ("1", "29", "31", "32", "0"),
)
CLOCKS = ("", " 0:00", "T00:00:00", " 23:59:59", " 24:00", " 15:59:60", "T16:00:00.123")
OFFSETS = ("", "Z", " Z", "z", "+08", "+0800", "+08:00", " -05:30", "+8", "+99:99")


TODAY: dict[str, object] = {"null_words": [], "not_null_words": [], "timezone": "UTC"}


def texts(num: int) -> list[str]:
    """Dates, half of them in no spelling at all."""
    draw = random.Random(7)
    found = set()
    for _ in range(num):
        year, month, day = draw.choice(YEARS), draw.choice(MONTHS), draw.choice(DAYS)
        between = draw.choice(["-", "/", ".", ""])
        orders = ((year, month, day), (day, month, year), (month, day, year))
        date = draw.choice([*map(between.join, orders), f"{year}年{month}月{day}日"])
        after = draw.choice(CLOCKS) + draw.choice(OFFSETS)
        found.add(draw.choice(["", " ", "\t"]) + date + after)
    return sorted(found)


def stated(
    expression: str, given: list[str], config: dict[str, object]
) -> list[object]:
    """Ask the SQL, in a session of another time zone."""
    engine = duckdb.connect()
    engine.execute("SET TimeZone = 'Asia/Tokyo'")
    engine.execute(
        "CREATE MACRO bare(text) AS trim(text::VARCHAR, E' \\t\\r\\n\\v\\f');"
        "CREATE MACRO config_text(way) AS json_extract_string("
        f'json(\'{{"timezone": "{config["timezone"]}"}}\'), way);' + cells_text(config)
    )
    engine.register("given_texts", pl.DataFrame({"x": given}).to_arrow())
    rows = engine.execute(f"SELECT {expression} FROM given_texts").fetchall()
    return [value for (value,) in rows]


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
@pytest.mark.parametrize("without", ["MM/DD/YYYY", "DD/MM/YYYY"])
def test_days_of_text_are_stated(zone: str, without: str) -> None:
    """Both read the same days of the same texts, and refuse the same."""
    formats = [name for name in DATE_SPELLINGS if name != without]
    given = texts(4_000)
    ours = days_of(pl.Series("x", given), CellRules(zone, (), tuple(formats)))
    config = TODAY | {"date_formats": formats, "timezone": zone}
    theirs = stated("as_date(x)", given, config)

    assert ours.to_list() == theirs
    assert 100 < ours.is_not_null().sum() < len(given) - 100
    assert all(isinstance(day, dt.date | None) for day in theirs)


WORDS = (
    "NULL",
    "(null)",
    "\\N",
    "#N/A",
    "N/A",
    "-",
    "—",
    "/",
    "无",
    "暂无",
    "NaN",
    "nil",
    "nana",
    "N",
    "--",
    "a-b",
    "",
    *(
        "N.A.",
        "#NA",
        "#N/A N/A",
        "-1.#IND",
        "1.#QNAN",
        "-nan",
        "nul",
        "nullptr",
        "#####",
    ),
    *(
        "__HIVE_DEFAULT_PARTITION__",
        "(blank)",
        "（空白）",
        "空值",
        "缺失",
        "未填写",
        "－",
        "———",
    ),
    *(
        "?",
        "？？",
        ".",
        "……",
        "\\",
        '""',
        "''",
        "{}",
        "[]",
        "NA",
        "N A",
        "#1",
        "a?",
        "(x)",
    ),
)


def test_words_are_stated() -> None:
    """Words for no value and words of flags are the same, in any case."""
    config = TODAY
    given = [
        w for word in (*WORDS, *FLAG_WORDS) for w in (word, word.upper(), f" {word}")
    ]
    is_word = pl.Series(given).str.contains(NULL_WORD).to_list()
    assert stated("is_null_word(x)", given, config) == is_word
    kept = config | {"not_null_words": ["NA", "'"]}
    but = [found and word != "NA" for found, word in zip(is_word, given, strict=True)]
    assert stated("is_null_word(x)", given, kept) == but
    plain = ["null", "NUL", "NaN", "na", "NA", "nullptr", "null1", "ALL"]
    assert stated("is_plain_null(x)", plain, kept) == [
        *[True] * 4,
        False,
        True,
        *[False] * 2,
    ]

    limits = ["*", "ALL", "Total", "合计", "全国", "allo", "a*", "", "NA"]
    is_all = pl.Series(limits).str.contains(ALL_WORD).to_list()
    assert stated("is_all_word(x)", limits, config) == is_all
    assert is_all == [True] * 5 + [False] * 4

    known = [word for word in given if word.strip().lower() in FLAG_WORDS]
    flags = [FLAG_WORDS[word.strip().lower()] for word in known]
    assert stated("as_flag(x)", known, config) == flags
    assert stated("as_flag(x)", ["2", "oui", "1.5", ""], config) == [None] * 4


def test_configured_words_are_stated() -> None:
    """Quotes and backslashes stand for themselves."""
    words = ["\\N", "o'clock", 'a"b']
    config = TODAY | {"null_words": words}
    given = list(itertools.chain(words, ["N", " \\N "]))
    assert stated("given(x)", given, config) == [None, None, None, "N", None]


def test_words_and_offsets_of_older_nights_stay_names() -> None:
    """A night of before a word was listed is stated as it was read."""
    before = {"null_words": [], "timezone": "Asia/Shanghai"}
    given = ["(blank)", "nul", "NULL", "—", "?"]
    is_word = [False, False, True, True, False]
    assert stated("is_null_word(x)", given, before) == is_word
    assert stated("is_plain_null(x)", ["nul", "null"], before) == [False, True]
    far = ["2026-11-22 00:00:00+99:99"]
    assert stated("as_date(x)", far, before) == [dt.date(2026, 11, 18)]
    assert stated("as_date(x)", far, TODAY) == [None]


def test_numbers_and_instants_are_stated() -> None:
    """Underscores are in no number; instants are so in nanoseconds too."""
    given = ["0.1_0", "1_0", "0.1", " 1e-1 "]
    assert stated("as_number(x)", given, TODAY) == [None, None, 0.1, 0.1]
    moment = "CAST(TIMESTAMP '2026-11-21 19:00:00+00' AS TIMESTAMPTZ_NS)"
    zone = TODAY | {"timezone": "Asia/Shanghai"}
    assert stated(f"as_date({moment})", ["x"], zone) == [dt.date(2026, 11, 22)]
