"""The platform behind the nights."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optimizer.simulate.world import NUM_CARRIERS, NUM_REGIONS, make_world


@given(
    seed=st.integers(0, 2**32),
    num_orders=st.sampled_from([1, 1_000, 100_000, 10_000_000]),
    position=st.sampled_from([0, 1, 2**31, 2**32 - 1]),
)
def test_every_position_of_a_lane_falls_to_one_of_its_outlets(
    seed: int, num_orders: int, position: int
) -> None:
    """No position, the first and last included, spills into a neighboring lane."""
    outlets = make_world(seed, num_orders=num_orders, num_merchants=1).outlets
    lanes = np.arange(NUM_CARRIERS * NUM_REGIONS)
    found = np.searchsorted(outlets.bound, lanes + position / 2**32, side="right")

    assert np.array_equal(outlets.lane[found], lanes)
    assert np.array_equal(
        outlets.bound[np.diff(outlets.lane, append=-1) != 0], lanes + 1
    )


def test_outlets_share_a_lane_unequally_and_more_orders_need_more_of_them() -> None:
    """Shares of a lane's outlets fall by rank and sum to one; ids are unique."""
    small = make_world(7, num_orders=100_000, num_merchants=1).outlets
    large = make_world(7, num_orders=1_000_000, num_merchants=1).outlets
    same_lane = np.diff(large.lane) == 0

    assert (np.diff(large.share)[same_lane] < 0).all()
    assert np.allclose(np.bincount(large.lane, large.share), 1)
    assert len(large.outlet_id.unique()) == len(large.outlet_id)
    assert len(large.outlet_id) > 5 * len(small.outlet_id) > 1_000


def test_merchants_of_a_platform_do_not_depend_on_its_parcels() -> None:
    """The same seed has the same merchants, whatever a night's size."""
    small, large = (make_world(7, num_orders=n, num_merchants=50) for n in (100, 10**6))

    assert small.merchants.merchant_id.equals(large.merchants.merchant_id)
    assert np.array_equal(small.merchants.take_up, large.merchants.take_up)
    assert np.allclose(small.merchants.carrier_share.sum(axis=1), 1)
