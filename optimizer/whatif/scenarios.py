r"""
Scenarios: the same night under other rules, and the front of harm against money.

The inputs are read and valued once. A change of cap, fee, slots or carriers is an
array operation on the built problem, exact to the micro-CNY; only other costs of harm
need new savings, and nights with side constraints are built again for each scenario.
Each problem is solved from prices near its own, where there are any.

The front: with the price :math:`t` on each recommendation,

.. math:: \max_x \; \sum_a (s_a - t) x_a

gives the plan that avoids most harm among all plans that spend as much. Raising
:math:`t` from the point where the fee does not count to the point where nothing is
recommended gives the supported points of the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.costs import costs_of
from optimizer.errors import OptimizerError
from optimizer.explain.money import Money, money_of
from optimizer.model.side_constraints import NO_PIN
from optimizer.whatif.base import Answer, solve_again
from optimizer.whatif.changed import (
    ScenarioRules,
    built_anew,
    can_change_by_arrays,
    changed_night,
    counted_fee_change,
    without_carriers,
)
from optimizer.whatif.perturb import with_fee_change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from optimizer.config import Config, PolicyRow
    from optimizer.config.scenarios import Scenario
    from optimizer.model.problem import Problem
    from optimizer.whatif.base import Base

#: The scenario that changes nothing.
TONIGHT = "tonight"


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioOutcome:
    """
    The result of a scenario.

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
    num_conflicts
        Floors and pins that it does not keep.
    """

    name: str
    answer: Answer
    policy: PolicyRow
    money: Money
    num_kept: int
    num_conflicts: int


@dataclass(frozen=True, slots=True)
class Point:
    """
    A point of the front.

    Attributes
    ----------
    threshold_micro_cny
        Least harm that a parcel must avoid beyond the prices of its cap and lane.
    num_chosen
        Parcels that are recommended.
    harm_micro_cny
        Harm that they avoid, the fee not counted.
    gap_micro_cny
        Bound on how much better the best plan at this threshold is; 0: proved best.
    """

    threshold_micro_cny: int
    num_chosen: int
    harm_micro_cny: int
    gap_micro_cny: int


def run_scenarios(
    base: Base,
    scenarios: tuple[Scenario, ...],
    progress: Callable[[str], None] | None = None,
) -> list[ScenarioOutcome]:
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
        When an input is refused under a scenario's rules; with the scenario's name.
    """
    night = base.night
    tonight = Answer(base.problem, night.solution, night.certificate)
    fee = costs_of(base.config, night.policy).fee
    money = money_of(tonight.saving, tonight.num_chosen, fee, night.policy)
    clashes = num_conflicts(base, tonight)
    found = [
        ScenarioOutcome(
            TONIGHT, tonight, night.policy, money, tonight.num_chosen, clashes
        )
    ]
    rebuilt: dict[tuple[object, object], Problem] = {}
    for number, scenario in enumerate(scenarios, 1):
        if progress is not None:
            progress(f"scenario {number} of {len(scenarios)}: {scenario.name}")
        try:
            found.append(_outcome(base, scenario, rebuilt))
        except OptimizerError as error:
            words = f"scenario {scenario.name!r}: {error}"
            raise type(error)(words) from error
    return found


def _outcome(
    base: Base,
    scenario: Scenario,
    rebuilt: dict[tuple[object, object], Problem],
) -> ScenarioOutcome:
    rules = scenario_rules(base.config, base.night.policy, scenario)
    is_plain = can_change_by_arrays(base)
    if is_plain:
        problem = changed_night(base, _at_costs(base, rules, rebuilt), scenario, rules)
    else:
        problem = built_anew(base, *rules, scenario)
    if out := frozenset(scenario.without_carriers):
        problem = without_carriers(base, problem, out)
    costs = scenario.complaint_cost_cny, scenario.return_cost_cny
    is_near = is_plain and not out and costs == (None, None)
    start = _start(base, counted_fee_change(base, rules)) if is_near else None
    answer = solve_again(base, problem, start)
    fee = costs_of(*rules).fee
    money = money_of(answer.saving, answer.num_chosen, fee, rules.policy)
    num_kept = np.isin(answer.solution.chosen, base.night.solution.chosen).sum()
    clashes = num_conflicts(base, answer)
    return ScenarioOutcome(
        scenario.name, answer, rules.policy, money, int(num_kept), clashes
    )


def num_conflicts(base: Base, answer: Answer) -> int:
    """Floors and pins that a changed night misses; all pins are those of tonight."""
    stopped = len(base.night.names.stopped_pins)
    pins = [
        0 if problem.side is None else int(np.sum(problem.side.pin_rank != NO_PIN))
        for problem in (base.problem, answer.problem)
    ]
    return len(answer.certificate.conflicts) + stopped + pins[0] - pins[1]


def _at_costs(
    base: Base,
    rules: ScenarioRules,
    rebuilt: dict[tuple[object, object], Problem],
) -> Problem:
    """The night at a scenario's costs of harm; fee, caps and slots as tonight."""
    objective, before = rules.config.objective, base.config.objective
    costs = objective.complaint_cost_cny, objective.return_cost_cny
    if costs == (before.complaint_cost_cny, before.return_cost_cny):
        return base.problem
    if costs not in rebuilt:
        tonight = objective.model_copy(update={"fee_share": before.fee_share})
        config = base.config.model_copy(update={"objective": tonight})
        rebuilt[costs] = built_anew(base, config, base.night.policy)
    return rebuilt[costs]


def scenario_rules(
    config: Config, policy: PolicyRow, scenario: Scenario
) -> ScenarioRules:
    """Configuration and policy row under a scenario."""
    fee = {"amount_cny": scenario.fee_cny, "payer": scenario.payer}
    cap = {} if scenario.cap_rate is None else {"rate": scenario.cap_rate}
    row = policy.model_copy(
        update={
            "cap": policy.cap.model_copy(update=cap),
            "fee": policy.fee.model_copy(update=_given(fee)),
        }
    )
    names = ("complaint_cost_cny", "return_cost_cny", "fee_share")
    if row.fee.amount_cny * row.fee.payer.platform == 0:
        # A budget for what the platform does not pay limits nothing.
        row = row.model_copy(update={"subsidy_budget_cny": None})
    costs = _given({name: getattr(scenario, name) for name in names})
    objective = config.objective.model_copy(update=costs)
    return ScenarioRules(config.model_copy(update={"objective": objective}), row)


def _given(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _start(base: Base, fee_change: int) -> NDArray[np.int64]:
    """Prices to start from: tonight's, less what the fee takes off every saving."""
    return np.maximum(base.price - fee_change, 0)


def pareto_front(
    base: Base,
    num_points: int,
    progress: Callable[[str], None] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> list[Point]:
    """
    Plans that avoid most harm for the money they spend, from most to least money.

    Parameters
    ----------
    base
        The solved night.
    num_points
        Points to look for; those that are equal are given once.
    progress
        Called as each point starts.
    is_over
        Asked before each point but the first; once it says so, those with more money
        stand alone.
    """
    if num_points == 0:
        return []
    fee = costs_of(base.config, base.night.policy).fee
    free = solve_again(base, with_fee_change(base.problem, -fee), _start(base, -fee))
    points = [Point(0, free.num_chosen, free.saving, free.certificate.gap)]
    savings = np.sort(free.problem.option_saving[free.solution.chosen])
    places = np.linspace(0, len(savings), num_points + 1)[1:-1].astype(np.int64)
    for number, place in enumerate(places.tolist(), 2):
        if is_over():
            break
        if progress is not None:
            progress(f"front: point {number} of {num_points}")
        threshold = int(savings[place])
        shift = threshold - fee
        answer = solve_again(
            base, with_fee_change(base.problem, shift), _start(base, shift)
        )
        harm = answer.saving + threshold * answer.num_chosen
        gap = answer.certificate.gap
        points.append(Point(threshold, answer.num_chosen, harm, gap))
    return list({point.num_chosen: point for point in points}.values())
