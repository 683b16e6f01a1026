"""The bound by branches holds for every plan, and trees with holes are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify import branches, knapsack
from optimizer.certify.certificate import certify
from optimizer.errors import CertificateError
from optimizer.model.branch_tree import BranchTree
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import HARD, NO_CEILING, NO_FLOOR
from optimizer.model.solution import Solution, Termination
from tests.support.examples import examples
from tests.support.packing_oracle import all_plans, best_no_worse_than, random_packing
from tests.support.packing_twin import proved_bound
from tests.support.pairs import pairs_plan, pairs_problem


def random_tree(problem: Problem, draw: np.random.Generator) -> BranchTree:
    """Any tree, with any prices that a certificate accepts."""
    side, nodes, leaves = problem.side, [(-1, -1, True)], [0]
    for _ in range(int(draw.integers(0, 6)) if problem.num_options else 0):
        at = leaves.pop(int(draw.integers(len(leaves))))
        option = int(draw.integers(problem.num_options))
        leaves += [len(nodes), len(nodes) + 1]
        nodes += [(at, option, bool(put_in)) for put_in in draw.permutation(2)]
    parent, option, is_in = zip(*nodes, strict=True)
    count = len(leaves)
    row = draw.integers(-6, 7, (count, side.num_rows))
    row = np.where(side.high >= NO_CEILING, np.minimum(row, 0), row)
    row = np.where(side.low <= NO_FLOOR, np.maximum(row, 0), row)
    row = np.where(side.penalty != HARD, np.maximum(row, -side.penalty), row)
    return BranchTree(
        parent=np.array(parent, np.int64),
        option=np.array(option, np.int64),
        is_in=np.array(is_in, np.bool_),
        lane_price=draw.integers(0, 6, (count, problem.num_lanes)),
        merchant_price=draw.integers(0, 6, (count, problem.num_merchants)),
        row_price=row,
        order_price=draw.integers(0, 5, (count, problem.num_orders)),
    )


def plan_with(problem: Problem, tree: BranchTree, chosen: tuple[int, ...]) -> Solution:
    """A plan whose prices alone prove next to nothing."""
    savings = np.maximum(problem.option_saving, 0).sum()
    return Solution(
        chosen=np.array(chosen, np.int64),
        lane_price=np.zeros(problem.num_lanes, np.int64),
        merchant_price=np.full(problem.num_merchants, savings, np.int64),
        termination=Termination("FEASIBLE", "METHOD"),
        row_price=np.zeros(problem.side.num_rows, np.int64),
        tree=tree,
    )


@examples(150)
@given(seed=st.integers(0, 2**32))
def test_no_plan_is_above_the_bound_of_any_tree(seed: int) -> None:
    """
    However all plans are divided, and at any prices, the best of those that break no
    floor and no pin more than the certified one is at most the bound; and that is the
    one which a walk through the tree in plain Python finds.
    """
    draw = np.random.default_rng(seed)
    problem = random_packing(draw, num_orders=5)
    plans = list(all_plans(problem))
    chosen = plans[draw.integers(len(plans))]
    plan = plan_with(problem, random_tree(problem, draw), chosen)
    proof = certify(problem, plan)
    assert best_no_worse_than(problem, chosen) <= proof.dual_bound
    bound = proved_bound(problem, plan)
    assert proof.dual_bound == bound - bound % proof.unit


@examples(60)
@given(seed=st.integers(0, 2**32), most=st.sampled_from([0, 1, 3, 10_000]))
def test_only_the_worst_leaves_of_large_lanes_are_filled(seed: int, most: int) -> None:
    """
    However few leaves fill large lanes by states, no plan is above the bound; where all
    may, it is the one of a walk in plain Python; and never do more of them.
    """
    draw = np.random.default_rng(seed)
    problem = random_packing(draw, num_orders=5)
    plans = list(all_plans(problem))
    chosen = plans[draw.integers(len(plans))]
    plan = plan_with(problem, random_tree(problem, draw), chosen)
    states = list[int]()

    def counted(*values: Any) -> Any:
        states.append(values[-1])
        return knapsack.lane_worths(*values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knapsack, "MAX_SLOTS", 0)
        patch.setattr(branches, "MAX_SLOTS", 0)
        patch.setattr(branches, "MOST_REFINED", most)
        patch.setattr(branches, "lane_worths", counted)
        proof = certify(problem, plan)
    assert best_no_worse_than(problem, chosen) <= proof.dual_bound
    exact = proved_bound(problem, plan)
    assert proof.dual_bound >= exact - exact % proof.unit
    if most == 10_000:
        assert proof.dual_bound == exact - exact % proof.unit
    assert len([count for count in states if count]) <= most


def test_leaves_are_bounded_together_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How many leaves are priced at a time changes nothing."""
    draw = np.random.default_rng(5)
    problem = random_packing(draw, num_orders=6)
    found = []
    for size in (1, 2**17):
        monkeypatch.setattr(branches, "BATCH_NUMBERS", size)
        draw = np.random.default_rng(9)
        plan = plan_with(problem, random_tree(problem, draw), ())
        found.append(certify(problem, plan).dual_bound)
    assert found[0] == found[1]


def test_the_tree_of_the_documentation_proves_its_plan() -> None:
    """
    Three parcels, any two of which share a limit of one: prices alone bound by 6 CNY,
    and its two branches by 5 CNY and 4 CNY, as a person can add up.
    """
    problem, plan = pairs_problem(), pairs_plan()
    assert certify(problem, replace(plan, tree=None)).dual_bound == 6_000_000
    proof = certify(problem, plan)
    assert (proof.dual_bound, proof.gap) == (5_000_000, 0)
    assert plan.tree is not None
    dear = plan.tree.row_price.copy()
    dear[0, 2] = 2_000_000
    proof = certify(problem, replace(plan, tree=replace(plan.tree, row_price=dear)))
    assert proof.dual_bound == 6_000_000, "a price more than is needed is paid for"


FAULTS = {
    "a branch that is missing": (
        {"parent": [-1, 0], "option": [-1, 0], "is_in": [True, True]},
        1,
        "lacks one of its two branches",
    ),
    "two branches alike": ({"is_in": [True, True, True]}, 2, "lacks one of its two"),
    "branches of two options": ({"option": [-1, 0, 1]}, 2, "lacks one of its two"),
    "an option that there is none of": (
        {"option": [-1, 3, 3]},
        2,
        "branches on an option that does not exist",
    ),
    "a parent that hangs on its child": (
        {"parent": [-1, 2, 1]},
        2,
        "does not hang on one before it",
    ),
    "two roots": ({"parent": [-1, -1, 0]}, 2, "does not hang on one before it"),
    "no root": ({"parent": [0, 0, 0]}, 2, "does not hang on one before it"),
    "nothing": ({"parent": [], "option": [], "is_in": []}, 0, "has no root"),
    "prices of fewer leaves": ({}, 1, "not one price for each limit and leaf"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_tree_with_a_hole_is_refused(name: str) -> None:
    """A tree that leaves plans out, or is none, proves nothing, and the message why."""
    changes, num_leaves, words = FAULTS[name]
    problem, plan = pairs_problem(), pairs_plan()
    assert plan.tree is not None
    kinds = {"parent": np.int64, "option": np.int64, "is_in": np.bool_}
    arrays = {key: np.array(each, kinds[key]) for key, each in changes.items()}
    names = ("lane_price", "merchant_price", "row_price", "order_price")
    prices = {name: getattr(plan.tree, name)[:num_leaves] for name in names}
    broken = replace(plan.tree, **arrays, **prices)
    with pytest.raises(CertificateError, match=words):
        certify(problem, replace(plan, tree=broken))


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ("lane_price", "price of the tree is negative"),
        ("merchant_price", "price of the tree is negative"),
        ("row_price", "on the side where it has no limit"),
        ("order_price", "price of an order is negative"),
    ],
)
def test_a_price_of_a_leaf_that_bounds_nothing_is_refused(
    prices: str, words: str
) -> None:
    """Each kind of price has its sign, in every leaf."""
    problem, plan = pairs_problem(), pairs_plan()
    assert plan.tree is not None
    wrong = getattr(plan.tree, prices).copy()
    wrong[1, 0] = -1
    with pytest.raises(CertificateError, match=words):
        certify(problem, replace(plan, tree=replace(plan.tree, **{prices: wrong})))
