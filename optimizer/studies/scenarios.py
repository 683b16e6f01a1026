r"""
Scenarios: the same night under other rules, and the front of harm against money.

The inputs are read and valued once. A change of cap, fee, slots or carriers is an
array operation on the built problem, exact to the micro-CNY; only other costs of harm
need the savings anew. Each problem is solved from prices near its own.

The front: with the price :math:`t` on each recommendation,

.. math:: \max_x \; \sum_a (s_a - t) x_a

gives the plan that avoids most harm of all plans that spend as much; raising
:math:`t` from where the fee does not count to where nothing is recommended gives the
supported points of the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.clock import StageClock
from optimizer.insight.money import Money, money_of
from optimizer.intake import take_in
from optimizer.model.change import (
    with_caps,
    with_fee_change,
    with_scaled_slots,
    without_lanes,
)
from optimizer.model.saving import worth_of
from optimizer.studies.base import Answer, caps_at, solve_again

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from optimizer.config import Config, PolicyRow
    from optimizer.config.scenarios import Scenario
    from optimizer.model.problem import Problem
    from optimizer.studies.base import Base

#: The scenario that changes nothing.
TONIGHT = "tonight"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """
    What a scenario gives.

    Attributes
    ----------
    name
        Of the scenario.
    answer
        Its problem, plan and proof.
    policy
        Its policy row.
    money
        Harm avoided, fees and who bears them.
    num_kept
        Of its recommended parcels, how many are recommended tonight too.
    """

    name: str
    answer: Answer
    policy: PolicyRow
    money: Money
    num_kept: int


@dataclass(frozen=True, slots=True)
class Point:
    """
    A point of the front.

    Attributes
    ----------
    threshold_micro_cny
        What a parcel must avoid at least, its place with merchant and carrier paid.
    num_chosen
        Parcels that are recommended.
    harm_micro_cny
        Harm that they avoid, the fee not counted.
    """

    threshold_micro_cny: int
    num_chosen: int
    harm_micro_cny: int


def run_scenarios(
    base: Base,
    scenarios: tuple[Scenario, ...],
    progress: Callable[[str], None] | None = None,
) -> list[Outcome]:
    """
    Solve each scenario, tonight first.

    Parameters
    ----------
    base
        The solved night.
    scenarios
        What to change.
    progress
        Called with the name of each scenario as it starts.

    Raises
    ------
    DataError
        When an input is refused under the scenario's rules.
    """
    solved = base.solved
    tonight = Answer(base.problem, solved.solution, solved.certificate)
    fee = worth_of(base.config, solved.policy).fee
    money = money_of(tonight.certificate, tonight.num_chosen, fee, solved.policy)
    found = [Outcome(TONIGHT, tonight, solved.policy, money, tonight.num_chosen)]
    rebuilt: dict[tuple[object, object], Problem] = {}
    for number, scenario in enumerate(scenarios, 1):
        if progress is not None:
            progress(f"scenario {number} of {len(scenarios)}: {scenario.name}")
        found.append(_outcome(base, scenario, rebuilt))
    return found


def _outcome(
    base: Base,
    scenario: Scenario,
    rebuilt: dict[tuple[object, object], Problem],
) -> Outcome:
    config, policy = scenario_rules(base.config, base.solved.policy, scenario)
    costs = config.objective.complaint_cost_cny, config.objective.return_cost_cny
    was = base.config.objective
    problem, is_near = base.problem, True
    if costs != (was.complaint_cost_cny, was.return_cost_cny):
        is_near = False
        if costs not in rebuilt:
            rebuilt[costs] = _revalued(base, config)
        problem = rebuilt[costs]
    problem, fee_change = _changed(base, problem, scenario, config, policy)
    is_near &= not scenario.without_carriers
    start = _start(base, fee_change) if is_near else None
    answer = solve_again(base, problem, start)
    fee = worth_of(config, policy).fee
    money = money_of(answer.certificate, answer.num_chosen, fee, policy)
    num_kept = np.isin(answer.solution.chosen, base.solved.solution.chosen).sum()
    return Outcome(scenario.name, answer, policy, money, int(num_kept))


def scenario_rules(
    config: Config, policy: PolicyRow, scenario: Scenario
) -> tuple[Config, PolicyRow]:
    """Rules of a scenario: the configuration and policy row that it amounts to."""
    fee = {"amount_cny": scenario.fee_cny, "payer": scenario.payer}
    cap = {} if scenario.cap_rate is None else {"rate": scenario.cap_rate}
    row = policy.model_copy(
        update={
            "cap": policy.cap.model_copy(update=cap),
            "fee": policy.fee.model_copy(update=_given(fee)),
        }
    )
    names = ("complaint_cost_cny", "return_cost_cny", "fee_share")
    costs = _given({name: getattr(scenario, name) for name in names})
    objective = config.objective.model_copy(update=costs)
    return config.model_copy(update={"objective": objective}), row


def _given(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _changed(
    base: Base,
    problem: Problem,
    scenario: Scenario,
    config: Config,
    policy: PolicyRow,
) -> tuple[Problem, int]:
    """Change a problem as a scenario says; and by how much the counted fee rises."""
    index = base.solved.intake.index
    if scenario.cap_rate is not None:
        problem = with_caps(problem, caps_at(base, scenario.cap_rate))
    before = worth_of(base.config, base.solved.policy).fee
    fee_change = worth_of(config, policy).fee - before
    if fee_change:
        problem = with_fee_change(problem, fee_change)
    if scenario.slots_factor is not None:
        # Places without a row have room for nothing or for all: no row to scale.
        open_places = set(index.uncovered)
        is_row = np.array([place not in open_places for place in index.places], bool)
        problem = with_scaled_slots(problem, scenario.slots_factor, is_row)
    if scenario.without_carriers:
        out = set(scenario.without_carriers)
        is_out = np.array([place.carrier_id in out for place in index.places], bool)
        problem = without_lanes(problem, is_out)
    return problem, fee_change


def _revalued(base: Base, config: Config) -> Problem:
    """The night with other costs of harm; fee, caps and slots as tonight."""
    before = base.config.objective
    objective = config.objective.model_copy(update={"fee_share": before.fee_share})
    settings = base.config.model_copy(update={"objective": objective})
    return take_in(base.paths, settings, base.solved.policy, StageClock()).problem


def _start(base: Base, fee_change: int) -> NDArray[np.int64]:
    """Prices to start from: tonight's, less what the fee takes off every saving."""
    return np.maximum(base.price - fee_change, 0)


def pareto_front(
    base: Base, num_points: int, progress: Callable[[str], None] | None = None
) -> list[Point]:
    """
    Plans that avoid most harm of all that spend as much, from most to least money.

    Parameters
    ----------
    base
        The solved night.
    num_points
        Points to look for; those that are equal are given once.
    progress
        Called as each point starts.
    """
    if num_points == 0:
        return []
    fee = worth_of(base.config, base.solved.policy).fee
    free = solve_again(base, with_fee_change(base.problem, -fee), _start(base, -fee))
    points = [Point(0, free.num_chosen, free.saving)]
    savings = np.sort(free.problem.option_saving[free.solution.chosen])
    places = np.linspace(0, len(savings), num_points + 1)[1:-1].astype(np.int64)
    for number, place in enumerate(places.tolist(), 2):
        if progress is not None:
            progress(f"front: point {number} of {num_points}")
        threshold = int(savings[place])
        shift = threshold - fee
        answer = solve_again(
            base, with_fee_change(base.problem, shift), _start(base, shift)
        )
        harm = answer.saving + threshold * answer.num_chosen
        points.append(Point(threshold, answer.num_chosen, harm))
    return list({point.num_chosen: point for point in points}.values())
