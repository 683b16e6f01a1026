"""The measured effect of premium: estimates, rules, claims, and power."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.learned_model import HARMS, kept_effect
from optimizer.config import policy_on
from optimizer.contracts.complaints import BENEFIT_OF_REASON, BENEFITS
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted
from optimizer.io.order_keys import order_keys
from optimizer.learn.effect import configured_belief, fit_effect, kept_share, scores
from optimizer.learn.estimators import Sample, estimate_all, nights_to_see
from optimizer.learn.history import Window, read_history, require_ripe
from optimizer.learn.overlap import Comparable, comparable
from optimizer.learn.promise import promise_alerts, promises
from optimizer.learn.risk import (
    NUM_FOLDS,
    OUTCOME_OF,
    at_rows,
    cross_fit,
    folds,
    plain_fit,
)
from optimizer.learn.uplift import judge
from optimizer.views import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Promise
    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.risk import CrossFit


#: Effects whose waiting time is reported, as a drop in probability.
POWER_EFFECTS = (0.01, 0.02, 0.05, 0.10)
#: A rule is judged on at least so many parcels of either service.
MIN_RANKED = 50


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """
    Results of the measurement, JSON-ready.

    Attributes
    ----------
    window
        First and last date, parcels, on what basis they are compared, and how many
        wait for each outcome.
    effects
        By population, group, outcome and method: estimate, low, high, num_treated,
        num_control. Positive: harm avoided, as a probability.
    rules
        Rankings that people would use and the measured one, in CNY.
    power
        Nights until an effect of a given size would be significant.
    claims
        Compensation by carrier; not part of any objective.
    promises
        Promise-keeping by carrier and region.
    alerts, warnings
        What a person should look at.
    """

    window: Mapping[str, Any]
    effects: list[dict[str, Any]]
    rules: list[dict[str, Any]]
    power: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    promises: list[dict[str, Any]]
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

    def __repr__(self) -> str:
        return self._view().text()

    def _repr_html_(self) -> str:
        return self._view().html()


def _effect_row(row: Mapping[str, Any]) -> tuple[str, str]:
    """An effect as harm avoided, in percentage points."""
    estimate, low, high = (100 * row[name] for name in ("estimate", "low", "high"))
    return (
        f"{row['population']} {row['outcome']}",
        f"{estimate:+.2f} [{low:+.2f}, {high:+.2f}] points of harm avoided, "
        f"{row['method']}",
    )


def evaluate(history: Any, config: Config, window: Window) -> Evaluation:
    """
    Measure what premium did on past nights.

    Parameters
    ----------
    history
        A path, a glob, or a table, by the outcomes contract.
    config
        Costs, the cap's rate, and ``learning``.
    window
        Which nights.

    Raises
    ------
    DataError
        When nothing can be compared, or the history breaks a rule.
    ConfigError
        When scikit-learn is not installed.
    """
    past = read_history(history, config, window)
    require_ripe(past, config)
    frame = past.frame
    data = comparable(frame)
    fits, found = _fits(frame)
    own = {harm: at_rows(fit, data.row) for harm, fit in fits.items()}
    kept = promises(frame)
    rules, more = _rules(data, own, kept, config)
    nights = frame["date"].n_unique()
    return Evaluation(
        window={
            "first_date": str(past.first),
            "last_date": str(past.last),
            "num_nights": nights,
            "num_parcels": len(past.rows),
            "maturity": [one.to_json() for one in past.maturity.values()],
            "num_compared": len(data.frame),
            "kind": data.kind,
        },
        effects=list(_effects(data, own)),
        rules=rules,
        power=list(_power(data, own, nights)),
        claims=claims_ledger(frame),
        promises=[p.model_dump() for p in kept],
        alerts=promise_alerts(kept, config.learning.contract_kept_share),
        warnings=[*past.warnings, *data.warnings, *found, *more],
    )


def _fits(frame: pl.DataFrame) -> tuple[dict[str, CrossFit], list[CodedWarning]]:
    """Predictions of both harms; plain means and a warning where none can be made."""
    fits, found = {}, []
    for harm in HARMS:
        try:
            fits[harm] = cross_fit(frame, harm)
        except DataError:
            fits[harm] = plain_fit(frame, harm)
            found.append(_no_predictions(frame, OUTCOME_OF[harm]))
    return fits, found


def _no_predictions(frame: pl.DataFrame, outcome: str) -> CodedWarning:
    happened = frame.filter(~frame["is_premium"])[outcome]
    return warn(
        "NO_PREDICTIONS",
        outcome=outcome,
        num_happened=int(happened.sum()),
        num_parcels=len(happened),
    )


def _samples(
    data: Comparable, fits: Mapping[str, CrossFit]
) -> Iterator[tuple[str, Sample]]:
    """The two harms, and complaints by the benefit that would have prevented them."""
    frame = data.frame
    is_premium = frame["is_premium"].to_numpy()
    for harm, fit in fits.items():
        happened = frame[OUTCOME_OF[harm]].to_numpy().astype(np.float64)
        yield (
            OUTCOME_OF[harm],
            Sample(happened, is_premium, data.propensity, fit.standard, fit.premium),
        )
    benefit = frame["complaint_reason"].replace_strict(BENEFIT_OF_REASON, default=None)
    for name in BENEFITS:
        is_it = (benefit == name).fill_null(value=False) & frame["complaint"]
        happened = is_it.to_numpy().astype(np.float64)
        # No predictions by reason: the overall share of complaints does.
        share = happened.sum() / max(1.0, float(frame["complaint"].sum()))
        fit = fits["complaint"]
        yield (
            f"complaint:{name}",
            Sample(
                happened,
                is_premium,
                data.propensity,
                share * fit.standard,
                share * fit.premium,
            ),
        )


def _effects(
    data: Comparable, fits: Mapping[str, CrossFit]
) -> Iterator[dict[str, Any]]:
    """Effects by population, group, outcome and method, for comparable parcels."""
    masks = list(_groups(data))
    for outcome, sample in _samples(data, fits):
        for population, by, group, mask in masks:
            if ":" in outcome and by:
                continue
            for method, found in estimate_all(sample.where(mask)).items():
                yield {
                    "population": population,
                    "by": by,
                    "group": group,
                    "outcome": outcome,
                    "method": method,
                } | asdict(found)


def _groups(
    data: Comparable,
) -> Iterator[tuple[str, str | None, str | None, NDArray[np.bool_]]]:
    """
    The arms, and each by carrier and by region.

    ``policy``: the effect on parcels that the optimum chooses. ``explore``: the effect
    on any parcel that could have premium. ``margin``: on parcels around the cut-off.
    """
    frame = data.frame
    if data.kind == "observational":
        arms = {"observed": np.ones(len(frame), np.bool_)}
    else:
        named = frame["arm"].fill_null("policy")
        names = ("policy", "explore", "margin")
        arms = {name: (named == name).to_numpy() for name in names}
    for arm, inside in arms.items():
        if not inside.any():
            continue
        yield arm, None, None, inside
        for column in ("carrier_id", "region_id"):
            for level in sorted(frame.filter(inside)[column].unique().to_list()):
                yield arm, column, level, inside & (frame[column] == level).to_numpy()


def _rules(
    data: Comparable,
    fits: Mapping[str, CrossFit],
    kept: list[Promise],
    config: Config,
) -> tuple[list[dict[str, Any]], list[CodedWarning]]:
    """
    Judge rankings where any parcel could get premium: in the explore arm.

    The measured ranking is by predicted harm avoided, from other folds.
    """
    frame = data.frame
    inside = np.ones(len(frame), np.bool_)
    if data.kind == "randomised":
        inside = (frame["arm"] == "explore").fill_null(value=False).to_numpy()
    is_premium = frame["is_premium"].to_numpy()
    if min((inside & is_premium).sum(), (inside & ~is_premium).sum()) < MIN_RANKED:
        return [], [warn("RULES_NOT_COMPARED", num_needed=MIN_RANKED)]
    cost = {
        "complaint": float(config.objective.complaint_cost_cny),
        "return": float(config.objective.return_cost_cny),
    }
    happened = {h: frame[OUTCOME_OF[h]].to_numpy().astype(float) for h in HARMS}
    harm_cny = sum(cost[h] * happened[h] for h in HARMS)
    risk_cny = sum(cost[h] * fits[h].standard for h in HARMS)
    gain_cny = sum(
        cost[h] * _predicted_gain(data, fits[h], h, kept, config) for h in HARMS
    )
    lot = order_keys(frame["order_id"], salt=3)[0].astype(np.float64)
    value = frame["order_value_cny"].fill_null(0.0).to_numpy()
    rate = float(policy_on(config, frame["date"][-1]).cap.rate)
    ranks = {"random": lot, "risk": risk_cny, "value": value, "measured": gain_cny}
    return [
        {"rule": name}
        | asdict(
            judge(
                np.asarray(rank)[inside],
                np.asarray(harm_cny)[inside],
                is_premium[inside],
                data.propensity[inside],
                rate,
            )
        )
        for name, rank in ranks.items()
    ], []


def _predicted_gain(
    data: Comparable,
    fit: CrossFit,
    harm: str,
    kept: list[Promise],
    config: Config,
) -> NDArray[np.float64]:
    """Harm avoided by premium, predicted by a model that has not seen the parcel."""
    frame, fold = data.frame, folds(data.frame)
    gain = np.zeros(len(frame))
    reach = fit.standard * frame["take_up"].to_numpy() * kept_share(frame, kept)
    for k in range(NUM_FOLDS):
        inside, others = fold == k, np.flatnonzero(fold != k)
        part = Comparable(frame[others], others, data.propensity[others], data.kind, ())
        own = at_rows(fit, others)
        drawn = scores(part, own, harm)
        belief = configured_belief(config.learning.prior)
        effect = fit_effect(part, drawn, own.standard, kept, belief)
        share = kept_effect(frame.filter(inside), effect)
        gain[inside] = reach[inside] * share
    return gain


def _power(
    data: Comparable, fits: Mapping[str, CrossFit], nights: int
) -> Iterator[dict[str, Any]]:
    """Nights until an effect would be significant, at tonight's group sizes."""
    for outcome, sample in list(_samples(data, fits))[: len(HARMS)]:
        for population, by, _, mask in _groups(data):
            if by is not None:
                continue
            treated, control = sample.where(mask).sizes
            base = float(sample.standard[mask].mean())
            for effect in POWER_EFFECTS:
                if effect > base:
                    continue
                needed = nights_to_see(effect, base, treated / nights, control / nights)
                yield {
                    "population": population,
                    "outcome": outcome,
                    "effect": effect,
                    "base": base,
                    "num_nights": int(np.ceil(needed)) if np.isfinite(needed) else None,
                }


def claims_ledger(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """
    Compensation by carrier: money between carrier and payee, not in any objective.

    A carrier that breaks more promises pays more, and its parcels save less: broken
    promises lower ``fulfilment``. The payments are counted nowhere else.
    """
    import polars as pl

    table = (
        frame.filter("is_premium")
        .group_by("carrier_id")
        .agg(
            num_premium=pl.len(),
            num_claims=(pl.col("claim_cny").fill_null(0) > 0).sum(),
            claims_cny=pl.col("claim_cny").fill_null(0).sum(),
        )
        .sort("carrier_id")
    )
    return table.to_dicts()
