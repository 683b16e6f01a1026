"""
Parcels that are not worth premium as far as is known, and are if it does what it may.

A night whose effect is hardly known may choose few parcels, or none. That is a lack of
knowledge, and no finding that premium does not help. So the parcels are counted that
save nothing at the mean of the effect, and something at its upper end: each harm's
pooled effect raised to the end of its one-sided 95 % interval.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from optimizer.contracts.warnings import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.build.encode import OptionArrays
    from optimizer.build.learned_model import Effect, LearnedModel
    from optimizer.contracts.warnings import CodedWarning

#: Confidence of the upper end.
_CONFIDENCE = 0.95
#: Few: parcels that save something are fewer than this share of the slots under caps.
_FEW = 0.5


def hopeful_model(model: LearnedModel | None) -> LearnedModel | None:
    """The model with each pooled effect at its upper end; ``None`` without a model."""
    if model is None:
        return None
    raised = {harm: _raised(effect) for harm, effect in model.effect.items()}
    return model.model_copy(update={"effect": raised})


def _raised(effect: Effect) -> Effect:
    spread = float(np.sqrt(max(effect.covariance[0][0], 0.0)))
    by = NormalDist().inv_cdf(_CONFIDENCE) * spread
    # What was raised already is part of the way to the upper end.
    by = max(by - effect.raised, 0.0)
    return effect.model_copy(update={"intercept": effect.intercept + by})


class Hopes:
    """
    Counts open orders by what their best option saves, batch by batch.

    Orders may come in several batches of options.
    """

    def __init__(self) -> None:
        self._worth: list[NDArray[np.int64]] = []
        self._hoped: list[NDArray[np.int64]] = []

    def note(self, known: OptionArrays, hoped: OptionArrays) -> None:
        """
        Note a batch of options.

        Parameters
        ----------
        known
            With savings by what was learned.
        hoped
            The same options with those of the hopeful model.
        """
        self._worth.append(np.unique(known.order[known.saving > 0]))
        self._hoped.append(np.unique(hoped.order[hoped.saving > 0]))

    def warnings(self, num_slots: int) -> list[CodedWarning]:
        """
        Say so where few orders save something for want of knowledge.

        Parameters
        ----------
        num_slots
            Slots under all caps.
        """
        if not self._worth:
            return []
        worth = np.unique(np.concatenate(self._worth))
        hoped = np.setdiff1d(np.concatenate(self._hoped), worth)
        return warn_little(len(hoped), len(worth), num_slots)


def warn_little(num_parcels: int, num_worth: int, num_slots: int) -> list[CodedWarning]:
    """
    Warn where few parcels save something for want of knowledge.

    Parameters
    ----------
    num_parcels, num_worth
        Parcels that save something at the upper end alone, and those that do anyway.
    num_slots
        Slots under all caps.
    """
    if not num_parcels or num_worth >= _FEW * num_slots:
        return []
    return [warn("TOO_LITTLE_KNOWN", num_parcels=num_parcels, num_worth=num_worth)]
