"""A model out of a stated belief alone, for a first night without any history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.build.learned_model import BEFORE_ANY_NIGHT, FORMAT, HARMS, LearnedModel
from optimizer.build.model_file import named
from optimizer.contracts.warnings import warn
from optimizer.errors import ConfigError
from optimizer.learn.effect import pooled_prior, prior_effect
from optimizer.learn.learned import Learned
from optimizer.learn.learners import POOLED
from optimizer.learn.promise import stated_kept_share, unproved
from optimizer.learn.rates import stated_risks

if TYPE_CHECKING:
    from optimizer.config import Config
    from optimizer.config.learning import Prior


def is_stated(config: Config) -> bool:
    """Whether the configuration states risks to begin with."""
    prior = config.learning.prior
    return prior is not None and prior.complaint_prob is not None


def stated_model(config: Config) -> Learned:
    """
    Make a model in which all orders bear the stated risks.

    Every order has the same risk and effect, so a night that rests on it chooses by the
    stable hash among orders alike: by lot. It is a start for measuring, and its card
    and each night say so.

    Raises
    ------
    ConfigError
        When ``learning.prior`` does not state the risks.
    """
    prior = config.learning.prior
    if prior is None or prior.complaint_prob is None:
        raise ConfigError(
            "learning.prior must state effect, complaint_prob and return_prob where "
            "there is no history to learn from (no return_prob where "
            "objective.return_cost_cny is 0)"
        )
    risks = stated_risks(config)
    unnamed = LearnedModel(
        format=FORMAT,
        version="",
        first_date=BEFORE_ANY_NIGHT,
        last_date=BEFORE_ANY_NIGHT,
        regime_breaks=[],
        kind="prior",
        risk=risks,
        effect=dict.fromkeys(HARMS, prior_effect(prior)),
        promises=[unproved(stated_kept_share(config))],
        learner=POOLED,
        pooled=dict.fromkeys(HARMS, pooled_prior(prior)),
    )
    model = named(unnamed, "stated")
    told = (warn("EFFECT_IS_PRIOR"), warn("RISK_IS_STATED"))
    confidence = float(config.learning.confidence)
    return Learned(model, _card(model, prior), told, confidence)


def _card(model: LearnedModel, prior: Prior) -> str:
    returns = "cost nothing"
    if prior.return_prob is not None:
        returns = f"{prior.return_prob:.3%}"
    kept = "as premium parcels are delivered"
    if prior.kept_share is not None:
        kept = f"{prior.kept_share:.0%}"
    return "\n".join(
        [
            f"# Model {model.version}",
            "",
            "Stated, not learned: no outcome of any parcel is in it.",
            "",
            "| | stated |",
            "|---|---:|",
            f"| complaints on standard service | {prior.complaint_prob:.3%} |",
            f"| logistics returns on standard service | {returns} |",
            f"| share of both that premium removes | {prior.effect:.0%} |",
            f"| standard deviation of that share | {prior.spread:.0%} |",
            f"| promises kept | {kept} |",
            "",
            "All orders are alike to it, so who is chosen is chosen by lot. Let some",
            "explore (`holdout.explore_share`), collect outcomes, and learn from them.",
            "",
        ]
    )
