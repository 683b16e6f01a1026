"""A checked date as an object: text, tables, and a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.errors import counted
from optimizer.report.carriers import way_on
from optimizer.report.inputs import inputs_html, inputs_text
from optimizer.report.language import by_name
from optimizer.report.page import Page
from optimizer.views import Shown, View, listed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import polars as pl


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Checked(Shown):
    """
    What a person looks at before a date is solved.

    Attributes
    ----------
    day
        The date.
    values
        All that was found, ready for JSON: what ``optimizer validate --json`` prints.
    """

    day: dt.date
    values: Mapping[str, Any]

    @property
    def lanes(self) -> pl.DataFrame:
        """
        Demand beside capacity, the largest shortage first.

        Columns ``carrier_id``, ``region_id``, ``num_orders``, ``num_slots``,
        ``num_short`` and ``slots_per_order``; null: for all, or no row covers it.
        """
        import polars as pl

        columns = {
            "carrier_id": pl.String,
            "region_id": pl.String,
            "num_orders": pl.Int64,
            "num_slots": pl.Int64,
            "num_short": pl.Int64,
            "slots_per_order": pl.Float64,
        }
        return pl.DataFrame(self.values["capacity"]["lanes"], schema=columns)

    @property
    def quarantine(self) -> pl.DataFrame:
        """Refused rows: ``source``, ``column``, ``rule`` and ``num_rows``."""
        import polars as pl

        columns = {
            "source": pl.String,
            "column": pl.String,
            "rule": pl.String,
            "num_rows": pl.Int64,
        }
        return pl.DataFrame(self.values["quarantine"]["by_rule"], schema=columns)

    def text(self, language: str = "en") -> str:
        """
        Say it as the command does; ``str`` gives the English.

        Parameters
        ----------
        language
            ``"en"`` or ``"zh"``.

        Raises
        ------
        ConfigError
            When it is another language.
        """
        text = inputs_text(self.values, by_name(language))
        told = way_on(self.values["warnings"])
        return f"{text}\n  {told}" if told else text

    def report(self, language: str = "en") -> Page:
        """
        Make a page for people: a notebook shows it, and ``.save(path)`` writes it.

        Parameters
        ----------
        language
            In view when it is opened: ``"en"`` or ``"zh"``; the other is a click away.

        Raises
        ------
        ConfigError
            When it is another language.
        """
        return Page(inputs_html(self.values, by_name(language)))

    def __str__(self) -> str:
        return self.text()

    def _view(self) -> View:
        found = self.values
        sizes = [f"{num:,} {name}" for name, num in found["num_rows"].items()]
        given, tonight = found["merchants"], found["merchants"]["tonight"]
        with_slots = f"{tonight['num_merchants_with']:,} of {given['num_merchants']:,}"
        short = self.lanes.filter(self.lanes["num_short"] > 0).height
        rows = (
            ("rows", ", ".join(sizes)),
            ("merchants", f"{with_slots} with a slot, {tonight['num_slots']:,} slots"),
            ("lanes", f"{counted(short, 'lane')} with fewer slots than orders"),
            ("quarantine", counted(found["num_quarantined"], "row")),
            ("missing", listed(each["code"] for each in found["missing"]) or "nothing"),
        )
        more = [(each["code"], "warning") for each in found["warnings"]]
        return View(f"{self.day}: a run would go on to solve it", rows, tuple(more))
