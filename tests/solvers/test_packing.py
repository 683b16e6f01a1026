"""The packing class: plans that break nothing, best where that is claimed, bounded."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_by_hand import best_key, is_packed, plan_key, proved_bound

from optimizer.model.solution import SolveParams
from optimizer.solvers import solve
from optimizer.testing import random_packing


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    num_orders=st.integers(0, 7),
    num_rows=st.integers(0, 4),
    most_load=st.integers(1, 4),
    pin_share=st.sampled_from([0.0, 0.2, 0.6]),
    most_saving=st.sampled_from([3, 20, 1_000_000]),
)
def test_tiny_nights_end_as_enumeration_says(
    seed: int,
    num_orders: int,
    num_rows: int,
    most_load: int,
    pin_share: float,
    most_saving: int,
) -> None:
    """
    The plan breaks nothing; no plan at all misses less of floors and pins, rank by
    rank, or then saves more; the bound is above it, and equal where OPTIMAL is said.
    """
    problem = random_packing(
        np.random.default_rng(seed),
        num_orders=num_orders,
        num_rows=num_rows,
        most_load=most_load,
        pin_share=pin_share,
        most_saving=most_saving,
        num_lanes=4,
        most_options=2,
    )
    found = solve(problem, "packing", SolveParams())
    chosen = found.chosen.tolist()
    assert is_packed(problem, chosen)
    assert plan_key(problem, chosen) == best_key(problem)
    gap = proved_bound(problem, found) - plan_key(problem, chosen)[1]
    assert gap >= 0
    assert (gap == 0) == (found.termination.reason == "OPTIMAL")


def sizes(seed: int) -> dict[str, int]:
    """Vary size and structure with the seed."""
    draw = np.random.default_rng(seed)
    return {
        "num_orders": int(draw.integers(5, 60)),
        "num_merchants": int(draw.integers(1, 8)),
        "num_lanes": int(draw.integers(1, 9)),
        "most_options": int(draw.integers(1, 4)),
        "most_saving": int(draw.choice([5, 100, 10**6])),
        "num_rows": int(draw.integers(0, 6)),
        "most_load": int(draw.integers(1, 6)),
    }
