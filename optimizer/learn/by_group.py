"""What is measured of each harm: of which parcels, in which groups, how soon."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.contracts.complaints import BENEFIT_OF_REASON, BENEFITS
from optimizer.learn.estimators import LEVEL, Sample, estimate_all, nights_to_see
from optimizer.learn.risk import OUTCOME_OF, at_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from optimizer.learn.overlap import Comparable
    from optimizer.learn.risk import CrossFit

#: Effects whose waiting time is reported, as a drop in probability.
POWER_EFFECTS = (0.01, 0.02, 0.05, 0.10)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
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


def _samples(parts: Mapping[str, Part]) -> Iterator[tuple[str, Comparable, Sample]]:
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


def _by_benefit(part: Part, name: str) -> tuple[Comparable, Sample]:
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


def effects_by_group(parts: Mapping[str, Part]) -> Iterator[dict[str, Any]]:
    """
    Effects by population, group, outcome and method, for comparable parcels.

    The groups of one kind and all harms, or all benefits, are a family, whose intervals
    hold the truth together (Bonferroni).

    Parameters
    ----------
    parts
        What each harm is measured on.
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


def nights_needed(parts: Mapping[str, Part]) -> Iterator[dict[str, Any]]:
    """
    Nights until an effect would be significant, at tonight's group sizes.

    Parameters
    ----------
    parts
        What each harm is measured on.
    """
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
