"""Pass or fail: a night's numbers checked against rules, to test configurations."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from optimizer.compare.runs import flatten
from optimizer.contracts.headline import by_mean
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optimizer.config.rules import AcceptanceRule


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """
    One rule and its result.

    Attributes
    ----------
    metric, value
        The number that was looked at.
    wanted
        The rule as text.
    is_met
        Whether the number keeps it.
    """

    metric: str
    value: Decimal
    wanted: str
    is_met: bool


def metrics_of(
    record: Mapping[str, Any], against: Mapping[str, Any] | None = None
) -> dict[str, Decimal]:
    """
    Numbers of a night by name.

    Parameters
    ----------
    record
        As in ``run.json``.
    against
        The record of another night, for ``against.*``: this night's number less that
        one's, and ``against.relative_saving_change``.

    Returns
    -------
    dict
        The summary's numbers (``num_chosen``, ``saving_cny``, ``reasons.CAP_FULL``,
        ``fees_cny.total``, …), ``relative_gap``, ``chosen_share`` (of all orders),
        ``cap_use`` (of all caps), ``quarantine_share`` and ``num_warnings``. Where
        savings are drawn, ``saving_cny`` is by the mean of the model, and
        ``drawn_saving_cny`` by the draw.
    """
    found = {
        name: Decimal(str(value))
        for name, value in flatten(by_mean(record["summary"])).items()
        if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", str(value))
    }
    read = found["num_orders"] + found["num_quarantined"]
    found |= {
        "relative_gap": Decimal(str(record["certificate"]["relative_gap"])),
        "chosen_share": _share(found["num_chosen"], found["num_orders"]),
        "cap_use": _share(found["num_chosen"], found["sum_of_caps"]),
        "quarantine_share": _share(found["num_quarantined"], read),
        "num_warnings": Decimal(len(record["warnings"])),
    }
    if against is None:
        return found
    other = metrics_of(against)
    change = found["saving_cny"] - other["saving_cny"]
    beside = {f"against.{n}": found[n] - other[n] for n in found if n in other}
    beside["against.relative_saving_change"] = _share(change, other["saving_cny"])
    return found | beside


def check_rules(
    rules: Iterable[AcceptanceRule], metrics: Mapping[str, Decimal]
) -> list[RuleFinding]:
    """
    Check numbers against rules.

    Raises
    ------
    ConfigError
        When there is no rule, or a rule names an unknown number.
    """
    found = [_check(rule, metrics) for rule in rules]
    if not found:
        raise ConfigError(
            "there is nothing to hold the night against: add rules to acceptance, "
            "such as {metric: relative_gap, max: 0}"
        )
    return found


def _check(rule: AcceptanceRule, metrics: Mapping[str, Decimal]) -> RuleFinding:
    if rule.metric not in metrics:
        near = difflib.get_close_matches(rule.metric, metrics, 3)
        page = "docs/how-to/ask-questions.md"
        hint = f"did you mean {' or '.join(near)}?" if near else f"see {page}"
        if rule.metric.startswith("against."):
            hint = "numbers against another night need --against"
        raise ConfigError(f"acceptance: there is no metric {rule.metric!r}; {hint}")
    value = metrics[rule.metric]
    is_met = (rule.min is None or value >= rule.min) and (
        rule.max is None or value <= rule.max
    )
    limits = (("at least", rule.min), ("at most", rule.max))
    words = " and ".join(f"{word} {end}" for word, end in limits if end is not None)
    return RuleFinding(rule.metric, value, words, is_met)


def _share(part: Decimal, whole: Decimal) -> Decimal:
    return part / whole if whole else Decimal(0)
