"""What a night rests on, for tests of what it takes for true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.build.assumed import Grounds
from optimizer.build.learned_model import HARMS
from optimizer.build.learned_probabilities import Gaps

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from optimizer.build.learned_model import LearnedModel
    from optimizer.config import Config


def grounds_of(
    model: LearnedModel,
    config: Config,
    day: dt.date,
    num_orders: Mapping[str, int] | None = None,
) -> Grounds:
    """A night whose risks and effect are all a model's."""
    return Grounds(
        model=model,
        gaps=Gaps(premium=True, risks=frozenset(HARMS)),
        config=config,
        policy=config.policy[0],
        day=day,
        unseen={},
        num_orders=num_orders or {},
    )
