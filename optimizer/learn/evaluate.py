"""The measured effect of premium: estimates, rules, claims, and power."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.learned_model import HARMS
from optimizer.build.model_prediction import kept_effect
from optimizer.config import policy_on
from optimizer.contracts.complaints import BENEFIT_OF_REASON, BENEFITS
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted
from optimizer.io.order_keys import order_keys
from optimizer.learn.alarms import full_stations
from optimizer.learn.effect import configured_belief, fit_effect, kept_share, scores
from optimizer.learn.estimators import LEVEL, Sample, estimate_all, nights_to_see
from optimizer.learn.history import Window, read_history, require_ripe
from optimizer.learn.ledger import broken_promises, ledger
from optimizer.learn.one_thread import on_one_thread
from optimizer.learn.overlap import Comparable, comparable, drawn_together
from optimizer.learn.promise import promise_alerts, promises
from optimizer.learn.risk import (
    NUM_FOLDS,
    OUTCOME_OF,
    at_rows,
    cross_fit,
    folds,
    harm_costs_cny,
    plain_fit,
)
from optimizer.learn.uplift import judge
from optimizer.learn.waiting import what_waits
from optimizer.views import Shown, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Promise
    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.history import History
    from optimizer.learn.risk import CrossFit
    from optimizer.report.page import Page


#: Standard parcels beside the randomised ones that risks are learned from, at most.
#: More would not make them surer, and so a table need not fit into memory.
MOST_BESIDE = 1_000_000
#: Effects whose waiting time is reported, as a drop in probability.
POWER_EFFECTS = (0.01, 0.02, 0.05, 0.10)
#: A rule is judged on at least so many parcels of either service.
MIN_RANKED = 50


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


@on_one_thread
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
    past = read_history(history, config, window, MOST_BESIDE)
    parts, found = _parts(past, config)
    if not parts:
        _refuse_nothing_recorded(past)
        require_ripe(past, config)
    first = next(iter(parts.values()))
    known = past.ripe("complaint" if "complaint" in parts else "logistics_return")
    kept = promises(known)
    common, lacking = _common(past, parts, config)
    rules, more = _rules(*common, kept, config) if common else _no_rules()
    more = lacking or [*more, *_explorers_wait(past, rules)]
    accounts = ledger(*common, config) if common else []
    nights = past.rows["date"].n_unique()
    return Evaluation(
        window={
            "first_date": str(past.first),
            "last_date": str(past.last),
            "num_nights": nights,
            "num_parcels": len(past.rows),
            "maturity": [one.to_json() for one in past.maturity.values()],
            "num_compared": max(len(part.data.frame) for part in parts.values()),
            "kind": first.data.kind,
        },
        effects=list(_effects(parts)),
        rules=rules,
        power=list(_power(parts)),
        claims=claims_ledger(past.rows, is_recorded="claim_cny" not in past.absent),
        promises=[p.model_dump() for p in kept],
        ledger=accounts,
        alerts=[
            *broken_promises(accounts),
            *promise_alerts(kept, config.learning.contract_kept_share),
        ],
        warnings=[
            *past.warnings,
            *_not_told(past),
            *first.data.warnings,
            *found,
            *full_stations(first.data.frame),
            *more,
        ],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """
    What one harm is measured on.

    Attributes
    ----------
    data
        Ripe rows that could have got either service.
    fit
        Predictions for all rows that are ripe for the harm.
    cluster
        Parcels that were drawn together, of the compared rows.
    """

    data: Comparable
    fit: CrossFit
    cluster: NDArray[np.int64] | None

    @property
    def own(self) -> CrossFit:
        """The predictions for the compared rows."""
        return at_rows(self.fit, self.data.row)


def _parts(
    past: History, config: Config
) -> tuple[dict[str, _Part], list[CodedWarning]]:
    """Each recorded harm with ripe rows; plain means where nothing predicts it."""
    parts, found = {}, []
    for harm in HARMS:
        if OUTCOME_OF[harm] in past.absent:
            continue
        frame = past.ripe(OUTCOME_OF[harm])
        if len(frame) == 0:
            continue
        data = comparable(frame, past.young(OUTCOME_OF[harm]))
        try:
            by_station = config.holdout.unit == "station-day"
            fit = cross_fit(frame, harm, by_station=by_station)
        except DataError:
            fit = plain_fit(frame, harm)
            found.append(_no_predictions(frame, OUTCOME_OF[harm]))
        parts[harm] = _Part(data, fit, drawn_together(data.frame, config))
    return parts, found


def _refuse_nothing_recorded(past: History) -> None:
    if past.absent >= {*OUTCOME_OF.values()}:
        raise DataError(
            "outcomes: record neither complaints nor returns, so no harm can be "
            "measured; name the columns that have them (learning.history: columns)"
        )


def _not_told(past: History) -> list[CodedWarning]:
    """What the outcomes do not record: nothing is said of it."""
    names = [*OUTCOME_OF.values(), "complaint_reason"]
    absent = [name for name in names if _is_absent(past, name)]
    return [warn("OUTCOMES_LACK", columns=tuple(absent))] if absent else []


def _is_absent(past: History, name: str) -> bool:
    return name in past.absent or past.rows[name].is_null().all()


def _common(
    past: History, parts: Mapping[str, _Part], config: Config
) -> tuple[tuple[Comparable, dict[str, CrossFit]] | None, list[CodedWarning]]:
    """
    Compared rows on which every harm is known, and the predictions of each.

    A harm that is not recorded and costs nothing is in no saving. One that costs
    something is: what came of the plans cannot be known then.
    """
    costs = harm_costs_cny(config)
    absent = [harm for harm in HARMS if OUTCOME_OF[harm] in past.absent]
    lacking = [OUTCOME_OF[harm] for harm in absent if costs[harm]]
    if lacking:
        return None, [warn("SAVINGS_ARE_NOT_KNOWN", columns=tuple(lacking))]
    recorded = [harm for harm in HARMS if harm not in absent]
    masks = {harm: past.maturity[OUTCOME_OF[harm]].is_ripe for harm in recorded}
    both = np.logical_and.reduce([*masks.values()])
    frame = past.rows.filter(both)
    if len(parts) < len(recorded) or frame["is_premium"].n_unique() <= 1:
        return None, []
    data = comparable(frame, past.young(*map(OUTCOME_OF.__getitem__, recorded)))
    fits = {
        harm: at_rows(part.fit, np.flatnonzero(both[masks[harm]])[data.row])
        for harm, part in parts.items()
    }
    return (data, fits), []


def _explorers_wait(past: History, rules: list[dict[str, Any]]) -> list[CodedWarning]:
    """Where rules are not compared: parcels that would tell them apart, and wait."""
    recorded = [name for name in OUTCOME_OF.values() if name not in past.absent]
    explorers = past.young(*recorded).at_random.filter(arm="explore")
    return [] if rules else what_waits(explorers)


def _no_rules() -> tuple[list[dict[str, Any]], list[CodedWarning]]:
    return [], [warn("RULES_NOT_COMPARED", num_needed=MIN_RANKED)]


def _no_predictions(frame: pl.DataFrame, outcome: str) -> CodedWarning:
    if frame[outcome].all():
        return warn("ALWAYS_HAPPENED", outcome=outcome, num_parcels=len(frame))
    happened = frame.filter(~frame["is_premium"])[outcome]
    return warn(
        "NO_PREDICTIONS",
        outcome=outcome,
        num_happened=int(happened.sum()),
        num_parcels=len(happened),
    )


def _samples(parts: Mapping[str, _Part]) -> Iterator[tuple[str, Comparable, Sample]]:
    """The two harms, and complaints by the benefit that would have prevented them."""
    for harm, part in parts.items():
        frame, fit = part.data.frame, part.own
        happened = frame[OUTCOME_OF[harm]].to_numpy().astype(np.float64)
        is_premium = frame["is_premium"].to_numpy()
        chance = part.data.propensity
        predicted = fit.standard, fit.premium
        whole = Sample(happened, is_premium, chance, *predicted, part.cluster)
        yield OUTCOME_OF[harm], part.data, whole
    told = parts.get("complaint")
    if told is not None and told.data.frame["complaint_reason"].is_not_null().any():
        for name in BENEFITS:
            yield f"complaint:{name}", *_by_benefit(told, name)


def _by_benefit(part: _Part, name: str) -> tuple[Comparable, Sample]:
    frame, fit = part.data.frame, part.own
    benefit = frame["complaint_reason"].replace_strict(BENEFIT_OF_REASON, default=None)
    is_it = (benefit == name).fill_null(value=False) & frame["complaint"]
    happened = is_it.to_numpy().astype(np.float64)
    # No predictions by reason: the overall share of complaints does.
    share = happened.sum() / max(1.0, float(frame["complaint"].sum()))
    is_premium = frame["is_premium"].to_numpy()
    chance = part.data.propensity
    predicted = share * fit.standard, share * fit.premium
    return part.data, Sample(happened, is_premium, chance, *predicted, part.cluster)


def _effects(parts: Mapping[str, _Part]) -> Iterator[dict[str, Any]]:
    """
    Effects by population, group, outcome and method, for comparable parcels.

    The groups of one kind and all harms, or all benefits, are a family, whose intervals
    hold the truth together (Bonferroni).
    """
    groups = {harm: list(_groups(part.data)) for harm, part in parts.items()}
    for outcome, data, sample in _samples(parts):
        harm = next(h for h, part in parts.items() if part.data is data)
        family = len(BENEFITS) if ":" in outcome else len(parts)
        sizes = Counter(by for _, by, *_ in groups[harm])
        for population, by, group, mask in groups[harm]:
            if ":" in outcome and by:
                continue
            own, num = sample.where(mask), family * sizes[by]
            together = estimate_all(own, 1 - (1 - LEVEL) / num)
            for method, found in estimate_all(own).items():
                yield (
                    {
                        "population": population,
                        "by": by,
                        "group": group,
                        "outcome": outcome,
                        "method": method,
                    }
                    | asdict(found)
                    | {
                        "low_together": together[method].low,
                        "high_together": together[method].high,
                        "num_together": num,
                    }
                )


def _groups(
    data: Comparable,
) -> Iterator[tuple[str, str | None, str | None, NDArray[np.bool_]]]:
    """
    The arms, and each by carrier and by region.

    ``policy``: the effect on parcels that the optimum chooses. ``explore``: the effect
    on any parcel that could have premium. ``margin``: on parcels around the cut-off.
    ``thompson``: on parcels that some draws of the savings choose, and others do not.
    """
    frame = data.frame
    if data.kind == "observational":
        arms = {"observed": np.ones(len(frame), np.bool_)}
    else:
        named = frame["arm"].fill_null("policy")
        names = ("policy", "explore", "margin", "thompson")
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
        return _no_rules()
    cost = harm_costs_cny(config)
    happened = {h: frame[OUTCOME_OF[h]].to_numpy().astype(float) for h in fits}
    harm_cny = sum(cost[h] * happened[h] for h in fits)
    risk_cny = np.asarray(sum(cost[h] * fit.standard for h, fit in fits.items()))
    left_cny = np.asarray(sum(cost[h] * fit.premium for h, fit in fits.items()))
    gain_cny = sum(
        cost[h] * _predicted_gain(data, fit, h, kept, config) for h, fit in fits.items()
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
                standard=risk_cny[inside],
                premium=left_cny[inside],
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
    frame = data.frame
    fold = folds(frame, by_station=config.holdout.unit == "station-day")
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


def _power(parts: Mapping[str, _Part]) -> Iterator[dict[str, Any]]:
    """Nights until an effect would be significant, at tonight's group sizes."""
    for outcome, data, sample in _samples(parts):
        if ":" in outcome:
            continue
        nights = data.frame["date"].n_unique()
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


def claims_ledger(
    frame: pl.DataFrame, *, is_recorded: bool = True
) -> list[dict[str, Any]]:
    """
    Compensation by carrier: money between carrier and payee, not in any objective.

    A carrier that breaks more promises pays more, and its parcels save less: broken
    promises lower ``fulfilment``. The payments are counted nowhere else. Where the
    outcomes do not record them, ``num_claims`` and ``claims_cny`` are ``None``.
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
    if not is_recorded:
        table = table.with_columns(num_claims=None, claims_cny=None)
    return table.to_dicts()
