"""
The night of a scenario: changed arrays where that is exact, else built again.

On a night with caps and lanes only, a change of cap, fee, slots or carriers is an array
operation. Floors, budgets, shares and draws depend on caps, fees and slots together: a
night with any of them is read and built again under the scenario's rules.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.build.costs import costs_of
from optimizer.build.lookups import Lookup, count_lookup
from optimizer.build.night import take_in
from optimizer.clock import StageClock
from optimizer.errors import ConfigError
from optimizer.io.asked_columns import contracts
from optimizer.io.cells import cell_rules
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source
from optimizer.io.small_tables import checked_table
from optimizer.whatif.base import caps_under
from optimizer.whatif.perturb import (
    with_caps,
    with_fee_change,
    with_scaled_slots,
    without_lanes,
    without_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optimizer.config import Config, PolicyRow
    from optimizer.config.scenarios import Scenario
    from optimizer.model.problem import Problem
    from optimizer.whatif.base import Base


def has_lanes_and_caps_alone(base: Base) -> bool:
    """Whether only caps and lanes can limit the night, under any scenario."""
    intake = base.night.intake
    return (
        intake.problem.side is None
        and intake.index.limits is None
        and intake.index.counting is None
    )


def can_change_by_arrays(base: Base) -> bool:
    """Whether a scenario's night can be made from the base by changing arrays."""
    return has_lanes_and_caps_alone(base) and base.night.names.pool is None


def built_anew(
    base: Base, config: Config, policy: PolicyRow, scenario: Scenario | None = None
) -> Problem:
    """
    Read and build the night again under other rules.

    Parameters
    ----------
    base
        The solved night.
    config, policy
        The rules.
    scenario
        Multiplies slots of capacity rows; the product is exact, rounded down.

    Raises
    ------
    DataError
        When an input is refused under these rules.
    """
    tables: dict[str, Any] = dict(base.paths)
    if scenario is not None and scenario.scales_slots:
        require_carriers(base, "slots_by_carrier", scenario.slots_by_carrier)
        contract, cells = contracts(config)["capacity"], cell_rules(config)
        source = open_source(tables["capacity"], contract, rules=cells)
        rows = checked_table(source, QuarantineLog()).drop("row")
        slots = [
            _times(count, scenario.slots_factor_of(carrier))
            for carrier, count in rows.select("carrier_id", "slots").iter_rows()
        ]
        tables["capacity"] = rows.with_columns(slots=np.array(slots, np.int64))
    return take_in(
        tables, config, policy, StageClock(), base.night.earlier_nights
    ).problem


def _times(count: int, factor: Decimal) -> int:
    over, under = factor.as_integer_ratio()
    return count * over // under


class ScenarioRules(NamedTuple):
    """Configuration and policy row that a scenario amounts to."""

    config: Config
    policy: PolicyRow


def changed_night(
    base: Base, problem: Problem, scenario: Scenario, rules: ScenarioRules
) -> Problem:
    """
    Apply a scenario to a night that has only caps and lanes.

    Parameters
    ----------
    base
        The solved night.
    problem
        The base's problem, or the same at other costs of harm.
    scenario
        What changes.
    rules
        Configuration and policy row under the scenario.
    """
    policy = rules.policy
    if policy != base.night.policy:
        problem = with_caps(problem, caps_under(base, policy))
    if fee_change := counted_fee_change(base, rules):
        problem = with_fee_change(problem, fee_change)
    return with_slots_of(base, problem, scenario) if scenario.scales_slots else problem


def with_slots_of(base: Base, problem: Problem, scenario: Scenario) -> Problem:
    """
    The night with its slots multiplied as a scenario says.

    Raises
    ------
    ConfigError
        When it names no carrier of the night, nor of any policy row.
    """
    require_carriers(base, "slots_by_carrier", scenario.slots_by_carrier)
    index = base.night.names
    # Places without a row have room for nothing or for all: no row to scale.
    open_places = set(index.uncovered)
    factors = [scenario.slots_factor_of(place.carrier_id) for place in index.places]
    for factor in set(factors) - {Decimal(1)}:
        is_scaled = np.array(
            [
                own == factor and place not in open_places
                for own, place in zip(factors, index.places, strict=True)
            ],
            bool,
        )
        problem = with_scaled_slots(problem, factor, is_scaled)
    return problem


def counted_fee_change(base: Base, rules: ScenarioRules) -> int:
    """Rise of the counted part of the fee against tonight, micro-CNY."""
    return costs_of(*rules).fee - costs_of(base.config, base.night.policy).fee


def require_carriers(base: Base, key: str, names: Iterable[str]) -> None:
    """
    Refuse a name that would change nothing.

    Raises
    ------
    ConfigError
        When one is no carrier of the night, nor of any policy row.
    """
    known = {place.carrier_id for place in base.night.names.places}
    known |= {carrier for row in base.config.policy for carrier in row.carriers}
    for name in sorted(names):
        count = count_lookup(Lookup(key, "carrier_id", {name: ""}, known))
        if count.num_found == 0:
            raise ConfigError(f"{count.text}: it would change nothing")


def without_carriers(base: Base, problem: Problem, out: frozenset[str]) -> Problem:
    """
    The night without some carriers; lanes are those of the base.

    Raises
    ------
    ConfigError
        When one of them is no carrier of the night, nor of any policy row.
    """
    places = base.night.names.places
    require_carriers(base, "without_carriers", out)
    is_out = np.array([place.carrier_id in out for place in places], bool)
    if problem.side is None:
        return without_lanes(problem, is_out)
    return replace(
        problem, side=without_options(problem.side, is_out[problem.option_lane])
    )
