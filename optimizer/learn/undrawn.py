"""
Premium parcels that nobody left to chance: what they seem to say, and who decides.

They were chosen for something, and what they were chosen for harms them too: where
nights chose by a score that the outcomes lack, parcels that look alike made a true
share of +0.5 look like -1.9, seven standard errors away. No doubt is wide enough
for that, so a stated effect decides, and they are a diagnostic beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted
from optimizer.learn.effect import (
    NO_BELIEF,
    Belief,
    configured_belief,
    contradicts,
)
from optimizer.learn.learners import LEARNERS, POOLED
from optimizer.learn.overlap import comparable, is_left_to_chance
from optimizer.learn.risk import OUTCOME_OF

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.config.learning import Prior
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.learners import Trial
    from optimizer.learn.overlap import Comparable
    from optimizer.learn.waiting import Waiting


def compared(
    frame: pl.DataFrame, young: Waiting, prior: Prior | None
) -> Comparable | None:
    """
    Find the parcels on which services are compared, where randomised ones decide.

    Parameters
    ----------
    frame
        Ripe outcomes.
    young
        Those that are not ripe.
    prior
        As configured.

    Returns
    -------
    Comparable or None
        ``None``: the prior decides, and no parcel can be held against it.

    Raises
    ------
    DataError
        When nothing was randomised and no effect is stated, or all got premium.
    """
    if prior is None and _needs_prior(frame, young):
        num = counted(int(frame["is_premium"].sum()), "premium parcel")
        waits = f" yet: {young.told()}" if len(young.at_random) else ""
        raise DataError(
            f"outcomes: none of {num} was left to chance beside a standard one{waits}; "
            "who is chosen differs from who is not in ways that nobody recorded, so "
            "that even the sign of the effect cannot be learned of them; state what "
            "you believe (learning: {prior: {effect: 0.3}}, the share of the harm that "
            "a premium parcel removes), and let some explore (holdout.explore_share), "
            "so that it will be measured"
        )
    if prior is None or frame["is_premium"].all() or is_left_to_chance(frame):
        return comparable(frame, young)
    try:
        return comparable(frame, young)
    except DataError:
        # Nobody could have got the other service: nothing can be held against it.
        return None


def _needs_prior(frame: pl.DataFrame, young: Waiting) -> bool:
    """Whether both services are there, and no parcel of either was left to chance."""
    has_both = 0 < int(frame["is_premium"].sum()) < len(frame)
    return has_both and not is_left_to_chance(frame)


def prior_decides(
    frame: pl.DataFrame, trials: Mapping[str, Trial], prior: Prior
) -> list[CodedWarning]:
    """
    Say that the prior decides, and what unrandomised parcels seem to say beside it.

    Parameters
    ----------
    frame
        Ripe outcomes.
    trials
        By harm, parcels that look alike; none where nothing could be compared.
    prior
        As configured.
    """
    found = [warn("PRIOR_DECIDES", num_parcels=int(frame["is_premium"].sum()))]
    stated = configured_belief(prior)
    for harm, trial in trials.items():
        pooled = LEARNERS[POOLED].fit(replace(trial, belief=NO_BELIEF))
        seen = Belief(pooled.intercept, pooled.covariance[0][0] ** 0.5)
        code = "UNDRAWN_CONTRADICT" if contradicts(seen, stated) else "UNDRAWN_SEEM"
        found.append(
            warn(
                code,
                outcome=OUTCOME_OF[harm],
                seen=f"{seen.mean:+.2f}",
                error=f"{seen.spread:.2f}",
                stated=f"{stated.mean:+.2f}",
                spread=f"{stated.spread:.2f}",
            )
        )
    return found
