"""What was measured, ready for JSON, for people and for pages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from optimizer.errors import counted
from optimizer.views import Shown, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optimizer.contracts.warnings import CodedWarning
    from optimizer.report.page import Page


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evaluation(Shown):
    """
    Results of the measurement, JSON-ready.

    Attributes
    ----------
    window
        First and last date, parcels, on what basis they are compared, and how many
        wait for each outcome.
    effects
        By population, group, outcome and method: estimate, low, high, num_treated,
        num_control; low_together and high_together, which hold the truth for all of
        the num_together groups and harms of a kind; low_always and high_always, for
        all looks. Positive: harm avoided, as a probability.
    rules
        Rankings that people would use and the measured one, in CNY.
    power
        Nights until an effect of a given size would be significant.
    claims
        Compensation by carrier; not part of any objective.
    promises
        Promise-keeping by carrier and region.
    ledger
        Harm avoided that was promised and realised, in CNY: of all nights, by night, by
        carrier; see :mod:`optimizer.learn.ledger`.
    alerts, warnings
        What a person should look at.
    """

    window: Mapping[str, Any]
    effects: list[dict[str, Any]]
    rules: list[dict[str, Any]]
    power: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    promises: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    alerts: list[CodedWarning]
    warnings: list[CodedWarning]

    def _view(self) -> View:
        window = self.window
        title = (
            f"Evaluation of {window['first_date']} to {window['last_date']}: "
            f"{window['num_compared']:,} of {window['num_parcels']:,} parcels compared "
            f"({window['kind']})"
        )
        pooled = [row for row in self.effects if row["by"] is None]
        best = {(row["population"], row["outcome"]): row for row in pooled}
        rows = [_effect_row(row) for (_, what), row in best.items() if ":" not in what]
        found = f"{counted(len(self.warnings), 'warning')}, "
        found += f"{counted(len(self.alerts), 'alert')}"
        rules = (
            (f"rule {row['rule']}", f"{row['top']['value']:+.2f} CNY a parcel on top")
            for row in self.rules
        )
        return View(title, (*rows[:4], ("look at", found)), tuple(rules))

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for JSON."""
        told = {
            name: [warning.to_json() for warning in getattr(self, name)]
            for name in ("alerts", "warnings")
        }
        return asdict(self) | told

    def report(self, language: str = "en") -> Page:
        """
        Make a page of it: what is shown as text, for people.

        Parameters
        ----------
        language
            The one that it opens in, ``en`` or ``zh``.

        Raises
        ------
        ConfigError
            When there is no such language.
        """
        from optimizer.report.evaluation import evaluation_html
        from optimizer.report.language import by_code, language_code
        from optimizer.report.page import Page

        language_code(language)
        return Page(evaluation_html(self.to_json(), by_code(language)))


def _effect_row(row: Mapping[str, Any]) -> tuple[str, str]:
    """An effect as harm avoided, in percentage points."""
    estimate, low, high = (100 * row[name] for name in ("estimate", "low", "high"))
    return (
        f"{row['population']} {row['outcome']}",
        f"{estimate:+.2f} [{low:+.2f}, {high:+.2f}] points of harm avoided, "
        f"{row['method']}",
    )
