"""The whole page: both languages, one of them in view, no script and no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.insight.report import compared, limits, origin, overview, scarce
from optimizer.insight.report.figures import draw_figures
from optimizer.insight.report.language import LANGUAGES
from optimizer.insight.report.markup import Html, element, text
from optimizer.insight.report.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.insight.report.figures import Figures
    from optimizer.insight.report.language import Language

_HEAD = """\
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">"""
#: Before everything that they switch: style sheets can only look ahead.
_SWITCH = """\
<input type="radio" name="language" id="show-en" checked>
<input type="radio" name="language" id="show-zh-CN">
<div class="switch">
<label for="show-en" lang="en">English</label>
<label for="show-zh-CN" lang="zh-CN">中文</label>
</div>"""
_SECTIONS = (
    overview.glance,
    overview.warnings,
    compared.compared,
    overview.reasons,
    scarce.capacity,
    scarce.value_of_more,
    scarce.merchants,
    limits.limits,
    compared.chance,
    origin.quarantine,
    origin.origin,
    origin.footer,
)


def report_html(record: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> str:
    """
    Write a night's report: one page of HTML that needs nothing else.

    The same night gives the same text, whenever and wherever it is written:
    ``run_measurements`` are not looked at. Whatever the night, it stays below 2 MB.

    Parameters
    ----------
    record
        As in ``run.json``.
    tables
        The published tables by file name: ``lanes.parquet``, ``merchants.parquet``,
        ``quarantine.parquet`` and ``nights.parquet``; ``rows.parquet`` and
        ``conflicts.parquet`` where the night has them.

    Returns
    -------
    str
        To be written as UTF-8.
    """
    night = draw_figures(record, tables)
    title = element(
        "title", text(record["date"]), Html(" · "), LANGUAGES[0].say("title")
    )
    articles = "\n".join(_article(night, language) for language in LANGUAGES)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{_HEAD}\n{title}\n'
        f"<style>\n{STYLE}</style>\n</head>\n<body>\n{_SWITCH}\n"
        f"<main>\n{articles}\n</main>\n</body>\n</html>\n"
    )


def _article(night: Figures, language: Language) -> Html:
    header = element(
        "header",
        element("p", language.say("report"), class_="label"),
        element("h1", language.day(night.record["date"])),
    )
    parts = [section(night, language) for section in _SECTIONS]
    return element("article", header, *parts, lang=language.code)
