r"""
How well a plan does when the probabilities are wrong.

In each draw, the harm that option :math:`a` of order :math:`i` with carrier :math:`c`
avoids is

.. math::

   g_a \Bigl(1 + \rho \bigl(\sqrt{\eta}\, Z_c + \sqrt{1-\eta}\, \varepsilon_i\bigr)
   \Bigr), \qquad Z_c, \varepsilon_i \sim N(0, 1),

with the estimate :math:`g_a` (the mean, also where the plan counts a lower bound),
the relative error :math:`\rho` and the share :math:`\eta` of it that all parcels of a
carrier have in common: independent errors cancel out over a night, common ones do not.
Plans are made on the estimates and valued on the draws; the regret is how much more the
best plan for the draw would save.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.costs import costs_of
from optimizer.build.learned_probabilities import fill_orders, model_of
from optimizer.errors import SolveError, counted
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import read_batches
from optimizer.io.validate import check_batch
from optimizer.model.solution import SolveParams
from optimizer.solvers import solve
from optimizer.views import Shown, View
from optimizer.whatif.base import solve_again

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.night.basis import Basis
    from optimizer.report.page import Page
    from optimizer.whatif.base import Base

PLANS = ("optimum", "greedy", "random", "highest risk")
_ORDER_NOISE, _CARRIER_NOISE, _RANDOM_PLAN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Doubt:
    """
    Assumed errors of the estimates, and the draws to take.

    Attributes
    ----------
    relative_error
        Standard error of the harm avoided, as a share of it.
    shared
        Share of its variance that all parcels of a carrier have in common.
    num_draws
        Draws that plans are valued on.
    num_hindsight
        Of these, how many are solved anew for the regret.
    seed
        Same seed, same draws.
    """

    relative_error: float
    shared: float = 0.5
    num_draws: int = 100
    num_hindsight: int = 5
    seed: int = 7


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Robustness(Shown):
    """
    Results of the draws.

    Attributes
    ----------
    plans
        ``plan``, ``num_chosen``, ``estimate_cny``, ``mean_cny``, ``low_cny`` and
        ``high_cny`` (5 and 95 per cent of draws), ``beaten_share``: in how many draws
        the optimum saves more than this plan (null for itself).
    draws
        ``draw`` and a column of each plan's saving, CNY; ``regret_cny`` (at most, by
        the proved bound) where the draw was solved anew, else null.
    day, doubt
        Date of the night, and what was assumed.
    basis
        Whether it is of the published night, or of one solved anew.
    """

    plans: pl.DataFrame
    draws: pl.DataFrame
    day: dt.date
    doubt: Doubt
    basis: Basis

    def report(self, language: str = "en") -> Page:
        """
        Make a page for people: a notebook shows it, and ``.save(path)`` writes it.

        Parameters
        ----------
        language
            In view when it is opened: ``"en"`` or ``"zh"``; the other is a click away.

        Raises
        ------
        ConfigError
            When it is another language.
        """
        from optimizer.report.language import language_code
        from optimizer.report.page import Page
        from optimizer.whatif.pages import robustness_page

        tables, code = (
            {"plans": self.plans, "draws": self.draws},
            language_code(language),
        )
        return Page(robustness_page(self.basis, asdict(self.doubt), tables, code))

    def _view(self) -> View:
        names = ("plan", "mean_cny", "low_cny", "high_cny", "beaten_share")
        rows = []
        for plan, mean, low, high, beaten in self.plans.select(names).iter_rows():
            text = f"{mean:,.2f} CNY on average [{low:,.2f}, {high:,.2f}]"
            if beaten is not None:
                text += f"; the optimum saves more in {beaten:.0%}"
            rows.append((plan, text))
        title = f"Robustness: plans in {counted(self.draws.height, 'draw')}"
        return View(title, tuple(rows))


def robustness(
    base: Base, doubt: Doubt, progress: Callable[[str], None] | None = None
) -> Robustness:
    """
    Value the night's plan, and simpler plans, under errors of the estimates.

    The others keep the same caps and slots: ``greedy`` takes the largest saving
    first, ``random`` any order first, and ``highest risk`` the order with most
    expected harm on standard service first.

    Parameters
    ----------
    base
        The solved night.
    doubt
        How wrong the estimates may be, and how often to try.
    progress
        Called at each step.

    Raises
    ------
    SolveError
        When the night has loads, floors, pins or side rows: the simpler plans handle
        caps and nested capacity rows only.
    """
    import polars as pl

    problem = base.problem
    if problem.side is not None:
        raise SolveError(
            "robustness compares with simpler plans, and these are made for nights of "
            "caps and nesting capacity rows alone: this one has loads, floors, pins, "
            "a budget or crossing rows"
        )
    fee = costs_of(base.config, base.night.policy).fee
    plans = _plans(base, doubt.seed)
    values = np.zeros((doubt.num_draws, len(PLANS)), np.int64)
    regret: list[float | None] = [None] * doubt.num_draws
    for draw in range(doubt.num_draws):
        if progress is not None:
            progress(f"draw {draw + 1} of {doubt.num_draws}")
        drawn = drawn_savings(base, doubt, fee, draw)
        values[draw] = [drawn[chosen].sum() for chosen in plans]
        if draw < doubt.num_hindsight:
            best = solve_again(base, replace(problem, option_saving=drawn), None)
            regret[draw] = (best.certificate.dual_bound - int(values[draw, 0])) / 1e6
    draws = pl.DataFrame(
        {"draw": np.arange(doubt.num_draws)}
        | {f"{plan}_cny": values[:, at] / 1e6 for at, plan in enumerate(PLANS)}
        | {"regret_cny": pl.Series(regret, dtype=pl.Float64)}
    )
    summary = _summary(problem, plans, values)
    return Robustness(summary, draws, base.day, doubt, base.basis)


def _summary(
    problem: Problem, plans: list[NDArray[np.int64]], values: NDArray[np.int64]
) -> pl.DataFrame:
    import polars as pl

    rows = []
    for at, (plan, chosen) in enumerate(zip(PLANS, plans, strict=True)):
        own = values[:, at]
        low, high = np.quantile(own, (0.05, 0.95), method="nearest")
        beaten = float(np.mean(values[:, 0] > own)) if at else None
        estimate = int(problem.option_saving[chosen].sum())
        amounts = (estimate / 1e6, float(own.mean()) / 1e6, low / 1e6, high / 1e6)
        rows.append((plan, len(chosen), *amounts, beaten))
    money = dict.fromkeys(("estimate_cny", "mean_cny", "low_cny", "high_cny"), float)
    columns = {"plan": str, "num_chosen": int, **money, "beaten_share": float}
    return pl.DataFrame(rows, schema=columns, orient="row")


def drawn_savings(base: Base, doubt: Doubt, fee: int, draw: int) -> NDArray[np.int64]:
    """
    Savings under one draw.

    Parameters
    ----------
    base
        The night.
    doubt
        How wrong the estimates may be.
    fee
        The counted part of the fee in each saving, micro-CNY.
    draw
        Its number: the same number, the same draw.

    Returns
    -------
    ``(num_options,) int64`` micro-CNY.
    """
    problem = base.problem
    places = base.night.names.places
    carriers, carrier = np.unique(
        [place.carrier_id for place in places], return_inverse=True
    )
    seeds = [[doubt.seed, draw, kind] for kind in (_ORDER_NOISE, _CARRIER_NOISE)]
    by_order = np.random.default_rng(seeds[0]).standard_normal(problem.num_orders)
    by_carrier = np.random.default_rng(seeds[1]).standard_normal(len(carriers))
    order = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    noise = np.sqrt(1 - doubt.shared) * by_order[order]
    noise += np.sqrt(doubt.shared) * by_carrier[carrier[problem.option_lane]]
    counted, caution = problem.option_saving + fee, base.config.objective.caution
    harm = counted / np.where(counted > 0, 1 - caution, 1 + caution)
    return np.rint(harm * (1 + doubt.relative_error * noise)).astype(np.int64) - fee


def _plans(base: Base, seed: int) -> list[NDArray[np.int64]]:
    """Chosen options of each plan."""
    problem = base.problem
    order = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    chance = np.random.default_rng([seed, _RANDOM_PLAN]).permutation(problem.num_orders)
    risk = np.argsort(np.argsort(_risk(base), kind="stable"), kind="stable")
    params = SolveParams(num_threads=base.config.solver.num_threads)

    def by_rank(rank: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take orders by rank, the highest first, wherever there is room."""
        ranked = replace(problem, option_saving=1 + rank[order])
        return solve(ranked, "greedy", params).chosen

    greedy = solve(problem, "greedy", params).chosen
    return [base.night.solution.chosen, greedy, by_rank(chance), by_rank(risk)]


def _risk(base: Base) -> NDArray[np.float64]:
    """Expected harm of each order on standard service, CNY; a model's where it is."""
    costs, source = base.config.objective, base.night.intake.orders
    weights = {
        "complaint_prob_standard": float(costs.complaint_cost_cny),
        "return_prob_standard": float(costs.return_cost_cny),
    }
    model, log = model_of(base.config, base.day), QuarantineLog()
    risk = np.zeros(len(base.night.names.status))
    for raw in read_batches(source):
        frame = fill_orders(check_batch(raw, source, log), model)
        found = sum(
            weight * frame[name].fill_null(0).to_numpy()
            for name, weight in weights.items()
        )
        risk[frame["row"].to_numpy()] = found
    return risk[base.problem.row]
