r"""
Savings that are one draw of what a learned model knows and does not know.

A night is decided by the savings of one draw of the model's posterior (Thompson
sampling): parcels of which little is known are chosen in some nights and not in others,
by as much as they may be worth it, and those that are surely not worth it never. The
plan is the proved optimum of the drawn savings, as of any others.

The night's draw has the seed :math:`H(\text{seed}|\text{date}|\text{thompson})`, with
SHA-256 as :math:`H`, and :math:`K` further draws have that of the same text with
:math:`|k` behind it. All :math:`K + 1` are alike before the night is decided, so *given
these draws* the night's is any of them with the same probability. A parcel that
:math:`n` of the :math:`K + 1` plans choose therefore has the propensity

.. math:: p = \frac{n}{K + 1},

which is between :math:`1 / (K + 1)` and :math:`K / (K + 1)` wherever it is random at
all, and no estimate of anything: a parcel with 0 or 1 is in none of these plans or in
all, and teaches nothing about the effect.

The plan of the night's own draw is the solved one. To solve all others would take as
long as :math:`K` nights; their plans are *filled* at the night's shadow prices
(:func:`fill`): options in the order of their drawn saving less the prices of their
lane, each taken if its saving is above 0 and order, cap and slots have room for it. At
the right prices this is the optimum up to ties; prices are those of the night's draw,
so the plan of another draw is a good one and not always the best. Of parcels that
solving and filling would treat differently, the propensity is off by as much.

All parcels of a night share its draw. Those that are alike are chosen together or not
at all: what a night tells is one observation of them, not many, and intervals take
whole nights as clusters.

References
----------
Thompson, W. R. (1933). On the likelihood that one unknown probability exceeds another
in view of the evidence of two samples. Biometrika 25, 285-294.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.model_draws import drawn_model
from optimizer.errors import ConfigError
from optimizer.model.frozen import freeze_arrays
from optimizer.model.lane_tree import effective_price, least_slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from optimizer.build.encode import OptionArrays
    from optimizer.build.experiment import Experiment
    from optimizer.build.learned_model import Effect, LearnedModel
    from optimizer.model.problem import Problem


@dataclass(frozen=True, slots=True)
class DrawnModels:
    """
    The models of a night whose savings are drawn.

    Attributes
    ----------
    seed
        SHA-256 in hexadecimal; as a whole number it is the seed of the night's draw.
    mean
        The learned model as it was measured, without any benefit of doubt.
    night
        The draw that decides.
    further
        Those that propensities are counted from.
    """

    seed: str
    mean: LearnedModel
    night: LearnedModel
    further: tuple[LearnedModel, ...]


def draw_seed(experiment: Experiment, number: int = 0) -> str:
    """
    The seed of a draw, SHA-256 in hexadecimal.

    Parameters
    ----------
    experiment
        Seed and date.
    number
        0: the night's own draw; above: a further one.

    Examples
    --------
    >>> import datetime as dt
    >>> from fractions import Fraction
    >>> from optimizer.build.experiment import Experiment
    >>> night = Experiment(Fraction(0), Fraction(0), 7, dt.date(2026, 11, 22))
    >>> draw_seed(night)[:8], draw_seed(night, 1)[:8]
    ('6657970f', 'b40d29b9')
    """
    text = f"{experiment.seed}|{experiment.day}|thompson"
    text += f"|{number}" if number else ""
    return hashlib.sha256(text.encode()).hexdigest()


def draw_models(
    model: LearnedModel | None, experiment: Experiment, *, is_asked: bool
) -> DrawnModels | None:
    """
    Draw the models of a night; ``None`` where savings are not drawn.

    Parameters
    ----------
    model
        What was learned.
    experiment
        With ``num_draws``.
    is_asked
        Whether the night's savings are the model's: its tables lack premium
        probabilities.

    Raises
    ------
    ConfigError
        When there is nothing to draw from.
    """
    if not experiment.num_draws:
        return None
    if model is None or not is_asked:
        raise ConfigError(
            "objective.explore: thompson draws savings from the learned model, and the "
            "tables bring premium probabilities of their own, which leave nothing to "
            "draw: leave these columns out, or explore in another way"
        )
    if not any(map(_is_uncertain, model.effect.values())):
        raise ConfigError(
            f"objective.explore: thompson has nothing to draw: the effects of model "
            f"{model.version} are stated without any uncertainty; state "
            "learning.prior.spread above 0 and learn again, or explore in another way"
        )
    seeds = [draw_seed(experiment, k) for k in range(experiment.num_draws + 1)]
    night, *further = (drawn_model(model, seed=int(seed, 16)) for seed in seeds)
    return DrawnModels(seeds[0], _as_measured(model), night, tuple(further))


def _as_measured(model: LearnedModel) -> LearnedModel:
    """The model whose effects are the means of its draws."""
    effects = {
        harm: effect.model_copy(
            update={
                "intercept": effect.intercept - effect.raised,
                "raised": 0.0,
                "doubt": None,
            }
        )
        for harm, effect in model.effect.items()
    }
    return model.model_copy(update={"effect": effects})


def _is_uncertain(effect: Effect) -> bool:
    has_variance = any(row[at] > 0 for at, row in enumerate(effect.covariance))
    return has_variance or bool(
        effect.forest is not None
        and effect.forest_slope
        and len(effect.forest.members) > 1
    )


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """
    Savings of options by the mean and by further draws, micro-CNY.

    Attributes
    ----------
    seed
        Of the night's own draw, SHA-256 in hexadecimal.
    mean
        ``(num_options,) int64``.
    option
        ``(p,) int64``, ascending: those to which a further draw gives more than 0.
    saving
        ``(p, num_draws) int64``: by each of these draws.
    """

    seed: str
    mean: NDArray[np.int64]
    option: NDArray[np.int64]
    saving: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Freeze the arrays: stages hand them on."""
        freeze_arrays(self)

    @property
    def num_draws(self) -> int:
        """Further draws beside the night's own."""
        return int(self.saving.shape[1])

    def placed(self, source: NDArray[np.int64]) -> Draws:
        """
        The same by the options of a problem.

        Parameters
        ----------
        source
            ``(num_options,) int64``: which of ours each of its options is.
        """
        place = np.empty(len(source), np.int64)
        place[source] = np.arange(len(source))
        option = place[self.option]
        first = np.argsort(option)
        return Draws(self.seed, self.mean[source], option[first], self.saving[first])


class GatheredDraws:
    """
    Takes the savings of options, batch by batch.

    Parameters
    ----------
    models
        Which were drawn; ``None``: nothing is taken.
    """

    def __init__(self, models: DrawnModels | None) -> None:
        self._models = models
        self._mean: list[NDArray[np.int64]] = []
        self._option: list[NDArray[np.int64]] = []
        self._saving: list[NDArray[np.int64]] = []
        self._num_options = 0

    def note(self, options: Sequence[OptionArrays]) -> OptionArrays | None:
        """
        Note a batch of options.

        Parameters
        ----------
        options
            With savings by the mean, and by each further draw; empty: not drawn.

        Returns
        -------
        OptionArrays or None
            Those by the mean.
        """
        if not options:
            return None
        mean, *further = (each.saving for each in options)
        saving = np.column_stack(further)
        worth = np.flatnonzero(saving.max(axis=1) > 0)
        self._mean.append(mean)
        self._option.append(worth + self._num_options)
        self._saving.append(saving[worth])
        self._num_options += len(mean)
        return options[0]

    def whole(self) -> Draws | None:
        """All of them, in the order in which they came; ``None`` where none were."""
        if self._models is None:
            return None
        parts = self._mean, self._option, self._saving
        return Draws(self._models.seed, *map(np.concatenate, parts))


def count_plans(
    problem: Problem,
    chosen: NDArray[np.int64],
    lane_price: NDArray[np.int64],
    draws: Draws,
) -> NDArray[np.int64]:
    """
    Count the plans of all draws that choose each order, ``(num_orders,) int64``.

    Parameters
    ----------
    problem
        A network night.
    chosen
        ``(num_chosen,) int64``: options of the night's own plan.
    lane_price
        ``(num_lanes,) int64`` micro-CNY, each row's own.
    draws
        The further draws.
    """
    owner = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    found = np.zeros(problem.num_orders, np.int64)
    found[owner[chosen]] = 1
    price = effective_price(lane_price, problem.lane_parent)
    for plan in fill(problem, price, draws.option, draws.saving):
        found[owner[plan]] += 1
    return found


def fill(
    problem: Problem,
    price: NDArray[np.int64],
    option: NDArray[np.int64],
    saving: NDArray[np.int64],
) -> Iterator[NDArray[np.int64]]:
    """
    Fill caps and slots once for each draw.

    Options come in the order of their saving less the price of their lane; equal ones
    by the key of the order, then by lane.

    Parameters
    ----------
    problem
        A network night.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    option
        ``(p,) int64``: options that may be worth something.
    saving
        ``(p, num_draws) int64`` micro-CNY.

    Yields
    ------
    numpy.ndarray
        Options that the plan of a draw takes.
    """
    # Numba takes half a second, and most commands draw nothing.
    from optimizer.build.fill_kernel import take_in_turn

    owner = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    merchant = np.repeat(
        np.arange(problem.num_merchants), np.diff(problem.merchant_start)
    )
    lane = problem.option_lane
    can = problem.cap[merchant[owner[option]]] > 0
    can &= least_slots(problem.slots, problem.lane_parent)[lane[option]] > 0
    option, saving = option[can], saving[can]
    first = np.lexsort((lane[option], problem.key[owner[option]]))
    option, saving = option[first], saving[first]
    plan = np.empty(len(option), np.int64)
    for each in saving.T:
        worth = np.flatnonzero(each > 0)
        net = each[worth] - price[lane[option[worth]]]
        turn = option[worth[np.argsort(-net, kind="stable")]]
        size = take_in_turn(
            turn=turn,
            owner=owner,
            merchant=merchant,
            lane=lane,
            lane_parent=problem.lane_parent,
            cap=problem.cap.copy(),
            slots=problem.slots.copy(),
            is_taken=np.zeros(problem.num_orders, np.bool_),
            plan=plan,
        )
        yield plan[:size].copy()
