"""Scenarios as tables: one row for each, for each point of the front, for each view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.errors import counted
from optimizer.explain.money import PARTIES, views_of
from optimizer.report.page import Page
from optimizer.views import Shown, View, counts

if TYPE_CHECKING:
    import datetime as dt

    import polars as pl

    from optimizer.config import PolicyRow
    from optimizer.config.scenarios import HarmBorne
    from optimizer.night.basis import Basis
    from optimizer.report.page import Page
    from optimizer.whatif.scenarios import Point, ScenarioOutcome

#: Scenarios at a prompt, and in a notebook; the table has them all.
_SHOWN, _LISTED = 5, 30


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scenarios(Shown):
    """
    A night under other rules.

    Attributes
    ----------
    day
        Date of the night.
    scenarios, front, views
        As :func:`scenario_table`, :func:`front_table` and :func:`view_table` make them.
    basis
        Whether they are of the published night, or of one solved anew.
    """

    day: dt.date
    scenarios: pl.DataFrame
    front: pl.DataFrame
    views: pl.DataFrame
    basis: Basis

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
        from optimizer.report.language import language_code
        from optimizer.report.page import Page
        from optimizer.whatif.pages import scenario_page

        tables = {
            "scenarios": self.scenarios,
            "front": self.front,
            "views": self.views,
        }
        return Page(scenario_page(self.basis, tables, language_code(language)))

    def _view(self) -> View:
        names = ("name", "num_chosen", "saving_cny", "saving_change_cny")
        rows = [
            (name, f"{num:,} parcels, {saving:,.2f} CNY, {change:+,.2f} CNY")
            for name, num, saving, change in self.scenarios.select(names).iter_rows()
        ]
        parts = counts({"points of the front": self.front.height})
        title = f"Scenarios of {self.day}: {counted(len(rows) - 1, 'other night')}"
        title += f"; {parts}" if parts else ""
        return View(title, tuple(rows[:_SHOWN]), tuple(rows[_SHOWN:_LISTED]))


def scenario_table(outcomes: list[ScenarioOutcome]) -> pl.DataFrame:
    """
    List scenarios with their key figures, one a row.

    Returns
    -------
    pl.DataFrame
        ``name``, ``num_chosen``, ``num_kept`` (recommended tonight too),
        ``saving_cny``, ``saving_change_cny`` (against tonight), ``harm_avoided_cny``,
        ``fees_cny`` and what each party bears of them, ``num_caps_binding``,
        ``num_lanes_binding``, ``penalties_cny`` (of floors that are not reached; not
        taken off the saving), ``num_conflicts``, ``gap_cny``.
    """
    import polars as pl

    tonight = outcomes[0].money.saving
    rows: list[dict[str, Any]] = []
    for outcome in outcomes:
        money, solution = outcome.money, outcome.answer.solution
        proof = outcome.answer.certificate
        caps = (solution.merchant_price > 0) & (outcome.answer.problem.cap > 0)
        rows.append(
            {
                "name": outcome.name,
                "num_chosen": money.num_chosen,
                "num_kept": outcome.num_kept,
                "saving_cny": float(money.saving),
                "saving_change_cny": float(money.saving - tonight),
                "harm_avoided_cny": float(money.harm_avoided),
                "fees_cny": float(money.fees),
                **{f"{who}_fees_cny": float(money.borne[who]) for who in PARTIES},
                "num_caps_binding": int(np.sum(caps)),
                "num_lanes_binding": int(np.sum(solution.lane_price > 0)),
                "penalties_cny": (outcome.answer.saving - proof.primal_bound) / 1e6,
                "num_conflicts": outcome.num_conflicts,
                "gap_cny": proof.gap / 1e6,
            }
        )
    return pl.DataFrame(rows)


def front_table(points: list[Point], policy: PolicyRow) -> pl.DataFrame:
    """
    Points of the front, from most to least money.

    Returns
    -------
    pl.DataFrame
        ``num_chosen``, ``fees_cny``, ``harm_avoided_cny``, ``threshold_cny`` (what a
        parcel must avoid at least), ``gap_cny`` (0: proved best at that threshold).
    """
    import polars as pl

    rows = [
        (
            point.num_chosen,
            float(policy.fee.amount_cny * point.num_chosen),
            point.harm_micro_cny / 1e6,
            point.threshold_micro_cny / 1e6,
            point.gap_micro_cny / 1e6,
        )
        for point in points
    ]
    columns = {
        "num_chosen": pl.Int64,
        "fees_cny": pl.Float64,
        "harm_avoided_cny": pl.Float64,
        "threshold_cny": pl.Float64,
        "gap_cny": pl.Float64,
    }
    return pl.DataFrame(rows, schema=columns, orient="row")


def view_table(
    outcomes: list[ScenarioOutcome], harm_borne: HarmBorne | None
) -> pl.DataFrame:
    """
    Each scenario as merchant, platform and consumer see it.

    Returns
    -------
    pl.DataFrame
        ``name``, ``party``, ``harm_avoided_cny``, ``fees_cny``, ``net_cny``,
        ``indifferent_fee_cny`` (null where the party pays nothing); no rows where
        nobody said who bears the harm.
    """
    import polars as pl

    rows = []
    for outcome in outcomes if harm_borne else []:
        assert harm_borne is not None
        for view in views_of(outcome.money, outcome.policy, harm_borne):
            at = None if view.indifferent_fee is None else float(view.indifferent_fee)
            amounts = float(view.harm_avoided), float(view.fees), float(view.net)
            rows.append((outcome.name, view.party, *amounts, at))
    columns = {
        "name": pl.String,
        "party": pl.String,
        "harm_avoided_cny": pl.Float64,
        "fees_cny": pl.Float64,
        "net_cny": pl.Float64,
        "indifferent_fee_cny": pl.Float64,
    }
    return pl.DataFrame(rows, schema=columns, orient="row")
