"""The night that a study starts from, and how it is solved again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.build import assemble
from optimizer.build.budgets import merchant_budgets
from optimizer.build.carryover import policy_caps
from optimizer.build.experiment import empty_pool
from optimizer.build.learned_probabilities import model_identity, with_model
from optimizer.certify.certificate import Certificate, certify, proved_termination
from optimizer.config import as_config
from optimizer.config.address import is_address
from optimizer.contracts.run_folder import pinned, read_record
from optimizer.contracts.tables import MERCHANTS
from optimizer.errors import ConfigError, DataError
from optimizer.io.cells import cell_rules
from optimizer.io.kept_inputs import found_inputs, found_model, placed_record
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source
from optimizer.io.small_tables import checked_table
from optimizer.model.lane_tree import effective_price
from optimizer.model.solution import SolveParams
from optimizer.night.api import solve_night
from optimizer.night.basis import basis_of_inputs, basis_of_run
from optimizer.night.claims import changed_inputs, read_claims
from optimizer.night.inputs import configured_paths
from optimizer.night.resolve import find_night, open_ledger
from optimizer.night.state.ledger import published_history
from optimizer.solvers import solve

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from optimizer.build.experiment import ExplorePool
    from optimizer.config import Config, PolicyRow
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution
    from optimizer.night.basis import Basis


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """
    A solved night that can be solved again.

    Attributes
    ----------
    config, day
        Its rules and its date.
    paths
        Its input files by table.
    night
        The night, solved and certified.
    basis
        Whether it is the published one, or solved for the question.
    """

    config: Config
    day: dt.date
    paths: dict[str, str | list[str]]
    night: CertifiedNight
    basis: Basis

    @property
    def problem(self) -> Problem:
        """The night's problem."""
        return self.night.problem

    @property
    def price(self) -> NDArray[np.int64]:
        """``(num_lanes,) int64``: the night's effective lane prices, micro-CNY."""
        own = self.night.solution.lane_price
        return effective_price(own, self.problem.lane_parent)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """
    The result of a changed night.

    Attributes
    ----------
    problem, solution, certificate
        The changed night, its plan, and what is proved about it.
    """

    problem: Problem
    solution: Solution
    certificate: Certificate

    @property
    def saving(self) -> int:
        """What the plan's parcels save, micro-CNY; penalties of floors not counted."""
        return int(self.problem.option_saving[self.solution.chosen].sum())

    @property
    def num_chosen(self) -> int:
        """Parcels that the plan recommends."""
        return len(self.solution.chosen)


def base_of_run(
    run_dir: Path | str, progress: Callable[[str], None] | None = None
) -> Base:
    """
    Build a published night again from its record and inputs, and solve it.

    Raises
    ------
    DataError
        When the folder is not a run, or its inputs are not there or were changed.
    """
    folder = pinned(run_dir)
    record = read_record(folder)
    read_claims(record)
    claims = read_claims(placed_record(record, found_inputs(folder, record)))
    config = with_model(as_config(claims.config), found_model(folder, record))
    changed = changed_inputs(claims)
    identity = claims.identity.model_dump()
    model = model_identity(config, claims.day)
    if any(identity.get(name) != value for name, value in model.items()):
        changed = [*changed, "the model is not the one of that night"]
    if changed:
        raise DataError(f"{folder}: cannot be solved again: {'; '.join(changed)}")
    paths: dict[str, str | list[str]] = {
        name: [file.path for file in claim.files]
        for name, claim in claims.inputs.given().items()
    }
    solved = solve_night(
        paths,
        config,
        date=claims.day,
        previous=folder,
        progress=progress,
        history=published_history(folder, claims.day),
    )
    basis = basis_of_run(run_dir, claims.day)
    return _base(config, claims.day, paths, solved.night, basis)


def base_of_config(
    config: Config, day: dt.date, progress: Callable[[str], None] | None = None
) -> Base:
    """
    Read and solve the night of a date, without publishing it.

    Raises
    ------
    ConfigError
        When the configuration has no inputs.
    """
    paths, history, identity = input_paths(config, day), None, None
    if config.output is not None:
        with (
            open_ledger(config, day, None) as ledger,
            find_night(ledger, config, day, None, progress, None) as found,
        ):
            history, identity = found.before.history, found.identity
    solved = solve_night(
        paths, config, date=day, previous=None, progress=progress, history=history
    )
    basis = basis_of_inputs(config, day, identity)
    return _base(config, day, paths, solved.night, basis)


def _base(
    config: Config,
    day: dt.date,
    paths: dict[str, str | list[str]],
    night: CertifiedNight,
    basis: Basis,
) -> Base:
    """A night whose basis says whether its savings are drawn."""
    is_drawn = night.names.draws is not None
    return Base(config, day, paths, night, replace(basis, is_drawn=is_drawn))


def input_paths(config: Config, day: dt.date) -> dict[str, str | list[str]]:
    """
    Configured input files of a date, by table.

    Parameters
    ----------
    config
        With ``inputs``.
    day
        The business date.

    Raises
    ------
    ConfigError
        When no inputs are configured, or one is an address.
    """
    if config.inputs is None:
        raise ConfigError("this needs inputs in the configuration")
    paths: dict[str, str | list[str]] = {}
    for name, path in configured_paths(config, day).items():
        if is_address(path):
            raise ConfigError(
                f"inputs.{name} is an address, and this reads files: run the night, "
                "and give its folder instead of --config"
            )
        paths[name] = path
    return paths


def solve_again(
    base: Base, problem: Problem, start: NDArray[np.int64] | None
) -> Answer:
    """
    Solve a changed night and certify the answer.

    Parameters
    ----------
    base
        The night that it was made from.
    problem
        The changed night; lanes as before.
    start
        ``(num_lanes,) int64`` effective prices near its own; ``None`` where none are
        known, since distant prices are worse than none.
    """
    settings = base.config.solver
    params = SolveParams(
        float(settings.time_limit_seconds),
        float(settings.relative_gap),
        settings.num_threads,
        start,
    )
    solution = solve(problem, settings.method, params)
    certificate = certify(problem, solution)
    stop = proved_termination(solution.termination, certificate)
    return Answer(problem, replace(solution, termination=stop), certificate)


def explored(base: Base) -> ExplorePool:
    """Caps and slots that parcels explored at random take before the solve."""
    pool = base.night.names.pool
    return pool or empty_pool(base.problem.num_merchants, base.problem.num_lanes)


def caps_under(base: Base, policy: PolicyRow) -> NDArray[np.int64]:
    """The caps of the night's merchants under another policy row."""
    merchants = None
    if "merchants" in base.paths:
        source = open_source(
            base.paths["merchants"], MERCHANTS, rules=cell_rules(base.config)
        )
        merchants = checked_table(source, QuarantineLog())
    index = base.night.names
    ids, num_orders = index.merchant_ids, index.merchant_num_orders
    override = assemble.merchant_column(merchants, "cap_override", ids)
    history = base.night.earlier_nights
    caps, _ = policy_caps(
        policy.cap, num_orders, index.merchant_num_open, override, ids, history
    )
    return merchant_budgets(caps, [*ids], merchants, policy)[0]
