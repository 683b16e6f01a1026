"""What a simulated night promises: its shape, its truth, its bytes."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from optimizer.errors import ConfigError
from optimizer.simulate import SimulatedNight, simulate, simulate_night
from optimizer.simulate.draw import BATCH_ROWS, REASONS

DAY = date(2026, 11, 22)
CHOICE_COLUMNS = [
    "carrier_id",
    "outlet_id",
    "complaint_prob_premium",
    "return_prob_premium",
]


@pytest.fixture(scope="module")
def night() -> SimulatedNight:
    """Make the night that the command line's example makes, without the disk."""
    return simulate_night(num_orders=100_000, num_merchants=500, seed=7)


@pytest.fixture(scope="module")
def choice() -> SimulatedNight:
    """Make a night of three carriers per order, otherwise the same."""
    return simulate_night(
        num_orders=100_000, num_merchants=500, seed=7, carriers_per_order=3
    )


def share(frame: pl.DataFrame, condition: pl.Expr) -> float:
    """Share of rows that meet a condition."""
    return float(frame.select(condition.mean()).item())


def saving(take_up: pl.Expr) -> pl.Expr:
    """Value premium service in CNY at complaint 30, return 18, fee 0.80."""
    complaint = pl.col.complaint_prob_standard - pl.col.complaint_prob_premium
    returned = pl.col.return_prob_standard - pl.col.return_prob_premium
    return take_up * (30 * complaint + 18 * returned) - 0.80


def checksums(folder: Path) -> dict[str, str]:
    """Checksum of each file below a folder, by its path there."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    """Every file of a night is a function of the arguments, and seeds matter."""
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        simulate(
            tmp_path / name,
            num_orders=2_000,
            num_merchants=50,
            num_days=2,
            seed=seed,
            carriers_per_order=2,
        )
    first, again, other = (checksums(tmp_path / name) for name in "abc")

    assert first == again
    assert len(first) == 2 * 5
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


def test_a_night_does_not_depend_on_the_nights_around_it(tmp_path: Path) -> None:
    """The second of two nights is the first of a simulation that starts there."""
    sizes = {"num_orders": 500, "num_merchants": 20, "seed": 3}
    both = simulate(tmp_path / "both", num_days=2, start=DAY, **sizes)
    alone = simulate(tmp_path / "alone", num_days=1, start=date(2026, 11, 23), **sizes)

    assert checksums(both.folders[1]) == checksums(alone.folders[0])
    assert checksums(both.folders[0]) != checksums(both.folders[1])


@pytest.mark.parametrize("carriers_per_order", [1, 2])
@pytest.mark.slow
def test_files_hold_what_memory_holds(tmp_path: Path, carriers_per_order: int) -> None:
    """A night of several batches is the same on disk and in memory, row for row."""
    num_orders = BATCH_ROWS + 1_000
    written = simulate(
        tmp_path,
        num_orders=num_orders,
        num_merchants=900,
        num_days=1,
        seed=5,
        carriers_per_order=carriers_per_order,
    )
    night = simulate_night(
        num_orders=num_orders,
        num_merchants=900,
        seed=5,
        carriers_per_order=carriers_per_order,
    )
    folder = written.folders[0]

    assert folder == tmp_path / "nights" / "2026-11-22"
    assert pl.read_parquet(folder / "orders.parquet").equals(night.orders)
    assert pl.read_parquet(folder / "truth.parquet").equals(night.truth)
    assert pl.read_parquet(folder / "merchants.parquet").equals(night.merchants)
    assert pl.read_csv(folder / "capacity.csv").equals(night.capacity)
    if night.options is None:
        assert not (folder / "options.parquet").exists()
        assert written.num_options == 0
    else:
        assert pl.read_parquet(folder / "options.parquet").equals(night.options)
        assert written.num_options == night.options.height


def test_pages_carry_checksums(tmp_path: Path) -> None:
    """A flipped bit in a data page is caught when checksums are verified."""
    written = simulate(tmp_path, num_orders=500, num_merchants=9, num_days=1, seed=1)
    path = written.folders[0] / "orders.parquet"
    column = pq.read_metadata(path).row_group(0).column(0)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 8] ^= 1
    path.write_bytes(data)

    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


def test_columns_have_the_types_of_the_contract(
    night: SimulatedNight, choice: SimulatedNight
) -> None:
    """Ids are text, probabilities floats, flags booleans, slots whole numbers."""
    expected = {
        "order_id": pl.String,
        "merchant_id": pl.String,
        "carrier_id": pl.String,
        "region_id": pl.String,
        "outlet_id": pl.String,
        "order_value_cny": pl.Float64,
        "complaint_prob_standard": pl.Float64,
        "complaint_prob_premium": pl.Float64,
        "return_prob_standard": pl.Float64,
        "return_prob_premium": pl.Float64,
        "is_eligible": pl.Boolean,
        "ineligible_reason": pl.String,
    }
    options = {name: expected[name] for name in ["order_id", *CHOICE_COLUMNS]}
    places = dict.fromkeys(["carrier_id", "region_id", "outlet_id"], pl.String)
    merchants = {
        "merchant_id": pl.String,
        "take_up": pl.Float64,
        "is_enrolled": pl.Boolean,
    }

    assert dict(night.orders.schema) == expected
    assert choice.options is not None
    assert dict(choice.options.schema) == options
    assert dict(night.capacity.schema) == {**places, "slots": pl.Int64}
    assert dict(night.merchants.schema) == merchants


def test_no_value_is_missing_or_out_of_range(
    night: SimulatedNight, choice: SimulatedNight
) -> None:
    """Probabilities lie in [0, 1], money is not negative, only reasons are null."""
    assert choice.options is not None
    for frame in (night.orders, choice.orders, choice.options, night.truth):
        columns = [name for name in frame.columns if "_prob" in name]
        assert all(frame[name].is_between(0, 1).all() for name in columns)
        counts = frame.drop("ineligible_reason", strict=False).null_count()
        assert sum(counts.row(0)) == 0
    assert night.orders["order_value_cny"].min() >= 0
    assert night.merchants["take_up"].is_between(0, 1).all()


def test_ids_are_unique_across_nights_and_hide_their_place() -> None:
    """No two parcels share an id, on one date or two; ids do not come in order."""
    sizes = {"num_orders": 20_000, "num_merchants": 100, "seed": 7}
    nights = [simulate_night(day=day, **sizes) for day in (DAY, date(2026, 11, 23))]
    ids = pl.concat([night.orders["order_id"] for night in nights])

    assert ids.n_unique() == 40_000
    assert ids.str.contains(r"^2026112[23]-[b-w]{10}$").all()
    assert not nights[0].orders["order_id"].is_sorted()


@pytest.mark.slow
def test_days_and_batches_are_drawn_afresh() -> None:
    """Neither the next day nor the next batch repeats the parcels before."""
    sizes = {"num_orders": 2 * BATCH_ROWS, "num_merchants": 100, "seed": 7}
    first, second = (
        simulate_night(day=day, **sizes).orders["order_value_cny"]
        for day in (DAY, date(2026, 11, 23))
    )
    for one, other in (
        (first, second),
        (first[:BATCH_ROWS], first[BATCH_ROWS:]),
    ):
        assert (one == other).mean() < 0.01


def test_most_merchants_are_too_small_for_a_slot(night: SimulatedNight) -> None:
    """Most merchants have fewer than 34 parcels, the largest about a tenth."""
    sizes = night.orders.group_by("merchant_id").len()["len"]

    assert len(sizes) == night.merchants.height == 500
    assert (sizes < 34).mean() > 0.5
    assert 0.05 < sizes.max() / sizes.sum() < 0.15


def test_merchants_are_interleaved(night: SimulatedNight) -> None:
    """The largest merchant's parcels are spread over the night, not in one run."""
    largest = night.orders["merchant_id"].mode()[0]
    at = (night.orders["merchant_id"] == largest).arg_true()

    assert at.len() > 1_000
    assert at.diff().max() < 500


def test_every_merchant_has_a_parcel_even_when_there_are_as_many() -> None:
    """One parcel each is what equal numbers of orders and merchants leave."""
    night = simulate_night(num_orders=300, num_merchants=300, seed=1)

    assert night.orders["merchant_id"].n_unique() == 300


@pytest.mark.parametrize("seed", [1, 7])
def test_savings_are_long_tailed_and_often_positive(seed: int) -> None:
    """At the usual costs 30 to 60 % of orders save, take-up counted or not."""
    night = simulate_night(num_orders=50_000, num_merchants=300, seed=seed)
    orders = night.orders.join(night.merchants, on="merchant_id")
    savings = orders.select(saving(pl.col.take_up).alias("saving"))["saving"]

    assert 0.30 < share(orders, saving(pl.lit(1.0)) > 0) < 0.60
    assert 0.30 < (savings > 0).mean() < 0.60
    assert savings.quantile(0.999) > 4 * savings.quantile(0.9) > 0


def test_risks_and_effects_are_spread_as_described(night: SimulatedNight) -> None:
    """Most complaint risks are small, some large; premium helps most, hurts some."""
    orders = night.orders
    risk = pl.col.complaint_prob_standard
    premium = pl.col.complaint_prob_premium

    assert share(orders, risk < 0.02) > 0.5
    assert 0.005 < share(orders, risk.is_between(0.1, 0.3)) < 0.05
    assert 0.7 < share(orders, premium < risk) < 0.9
    assert 0.05 < share(orders, premium == risk) < 0.2
    assert 0.05 < share(orders, premium > risk) < 0.15


def test_a_few_percent_are_not_eligible_each_for_one_reason(
    night: SimulatedNight,
) -> None:
    """A reason stands exactly where a parcel is not eligible; all reasons occur."""
    orders = night.orders

    assert 0.02 < share(orders, ~pl.col.is_eligible) < 0.08
    assert (orders["ineligible_reason"].is_null() == orders["is_eligible"]).all()
    assert set(orders["ineligible_reason"].drop_nulls()) == set(REASONS)
    assert 0.005 < share(night.merchants, ~pl.col.is_enrolled) < 0.05


def test_capacity_nests_and_binds(night: SimulatedNight) -> None:
    """No row has more slots than the row that holds it; carriers have about 60 %."""
    capacity = night.capacity
    carriers = capacity.filter(pl.col.region_id.is_null())
    regions = capacity.filter(
        pl.col.region_id.is_not_null(), pl.col.outlet_id.is_null()
    )
    outlets = capacity.filter(pl.col.outlet_id.is_not_null())
    in_carriers = regions.join(carriers, on="carrier_id", suffix="_holder")
    in_regions = outlets.join(regions, on=["carrier_id", "region_id"], suffix="_holder")
    caps = (night.orders.group_by("merchant_id").len()["len"] * 3 // 100).sum()

    assert carriers.height == 4
    assert in_carriers.height == regions.height == 4 * 31
    assert in_regions.height == outlets.height > 200
    for held in (in_carriers, in_regions):
        assert (held["slots"] <= held["slots_holder"]).all()
    assert capacity["slots"].min() >= 0
    assert 0.55 < carriers["slots"].sum() / caps < 0.65
    assert regions["slots"].sum() < 0.8 * caps


def test_every_lane_of_an_order_has_a_capacity_row(
    night: SimulatedNight, choice: SimulatedNight
) -> None:
    """Each order's or option's outlet is one of the capacity table's outlets."""
    lane = ["carrier_id", "region_id", "outlet_id"]
    assert choice.options is not None
    region = choice.orders.select("order_id", "region_id")
    options = choice.options.join(region, on="order_id")

    assert night.orders.join(night.capacity, on=lane, how="anti").is_empty()
    assert options.join(choice.capacity, on=lane, how="anti").is_empty()


def test_demand_is_unequal(night: SimulatedNight) -> None:
    """The busiest region has over ten times the parcels of the quietest."""
    regions = night.orders.group_by("region_id").len()["len"]

    assert len(regions) == 31
    assert regions.max() > 10 * regions.min()


def test_truth_joins_one_to_one(night: SimulatedNight, choice: SimulatedNight) -> None:
    """Truth has one row per order, or per option where there is a choice."""
    keys = ["order_id", "carrier_id"]
    assert choice.options is not None

    assert night.truth.select(keys).equals(night.orders.select(keys))
    assert choice.truth.select(keys).equals(choice.options.select(keys))
    assert choice.options.select(keys).n_unique() == 3 * choice.orders.height


def test_beliefs_are_honest_but_noisy(night: SimulatedNight) -> None:
    """Among parcels believed alike, outcomes come as often as believed; each errs."""
    orders = night.orders.join(night.truth, on=["order_id", "carrier_id"])
    for harm in ("complaint", "return"):
        for service in ("standard", "premium"):
            believed = pl.col(f"{harm}_prob_{service}")
            tenths = orders.group_by(
                believed.rank().mul(10 / orders.height).floor()
            ).agg(
                believed=believed.mean(),
                true=pl.col(f"true_{harm}_prob_{service}").mean(),
                seen=pl.col(f"{harm}_{service}").mean(),
                size=pl.len(),
            )
            kept = tenths.filter(pl.col.size > 1_000)
            chance = (pl.col.believed / pl.col.size).sqrt()
            error = (pl.col.true / pl.col.believed - 1).abs().max()
            surprise = ((pl.col.seen - pl.col.true).abs() / chance).max()

            assert kept.height == 10
            assert kept.select(error).item() < 0.05
            assert kept.select(surprise).item() < 4
    noise = orders["true_complaint_prob_standard"] / orders["complaint_prob_standard"]
    assert noise.std() > 0.2


def test_carriers_keep_their_promises_differently(night: SimulatedNight) -> None:
    """The integrated carrier keeps most promises, yunda fewest, as the truth says."""
    kept = night.truth.group_by("carrier_id").agg(pl.col.door_kept.mean())
    ranked = kept.sort("door_kept")["carrier_id"].to_list()

    assert ranked[0] == "yunda"
    assert ranked[-1] == "shunfeng"
    assert kept["door_kept"].is_between(0.6, 0.99).all()


def test_a_broken_promise_changes_nothing(night: SimulatedNight) -> None:
    """Where the carrier does not come to the door, premium is as standard."""
    broken = night.truth.filter(~pl.col.door_kept)

    assert broken.height > 10_000
    assert (broken["complaint_standard"] == broken["complaint_premium"]).all()
    assert (broken["return_standard"] == broken["return_premium"]).all()


def test_a_choice_adds_carriers_and_changes_nothing_else(
    night: SimulatedNight, choice: SimulatedNight
) -> None:
    """With more carriers each order keeps its own as the first of its options."""
    assert choice.options is not None
    assert choice.orders.equals(night.orders.drop(CHOICE_COLUMNS))
    first = choice.options.unique("order_id", keep="first", maintain_order=True)

    assert first.equals(night.orders.select("order_id", *CHOICE_COLUMNS))
    assert choice.truth[::3].equals(night.truth)
    assert choice.capacity.equals(night.capacity)


@pytest.mark.slow
def test_progress_counts_up_to_all_orders(tmp_path: Path) -> None:
    """Progress hears of each batch, over all nights, and ends at the total."""
    heard: list[tuple[int, int]] = []
    simulate(
        tmp_path,
        num_orders=BATCH_ROWS + 1,
        num_merchants=5,
        num_days=2,
        seed=1,
        progress=lambda done, total: heard.append((done, total)),
    )
    size = BATCH_ROWS + 1

    assert heard == [
        (BATCH_ROWS, 2 * size),
        (size, 2 * size),
        (size + BATCH_ROWS, 2 * size),
        (2 * size, 2 * size),
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_orders": 0}, "orders: must be 1 to"),
        ({"num_merchants": 0}, "merchants: must be 1 to the number of orders, 100"),
        ({"num_merchants": 101}, "merchants: must be 1 to .* got 101"),
        ({"num_days": 0}, "days: must be 1 to"),
        ({"num_days": 10**9}, "days: must be 1 to"),
        ({"seed": -1}, "seed: must be 0 or more, got -1"),
        ({"carriers_per_order": 0}, "carriers per order: must be 1 to 4, got 0"),
        ({"carriers_per_order": 5}, "carriers per order: must be 1 to 4, got 5"),
        (
            {"world": "nul", "num_orders": 9, "num_days": 0, "seed": -1},
            r"world: there is no 'nul'; did you mean null\? known are plain, .*, null",
        ),
        ({"seed": -1, "num_merchants": 101}, "seed: must be 0 or more"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    """A size that makes no night is one clear message and leaves no file."""
    right = {"num_orders": 100, "num_merchants": 10, "num_days": 1, "seed": 7}
    with pytest.raises(ConfigError, match=message):
        simulate(tmp_path / "out", **{**right, **wrong})

    assert not (tmp_path / "out").exists()


def test_a_night_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """One folder in the way stops the call before the first night is written."""
    standing = tmp_path / "nights" / "2026-11-23"
    standing.mkdir(parents=True)
    (standing / "orders.parquet").write_text("mine")

    with pytest.raises(ConfigError, match="2026-11-23 already exists; choose another"):
        simulate(tmp_path, num_orders=10, num_merchants=2, num_days=2, seed=1)
    assert list(checksums(tmp_path)) == ["nights/2026-11-23/orders.parquet"]


def test_an_empty_folder_is_no_obstacle(tmp_path: Path) -> None:
    """An empty folder of a night's name is filled."""
    (tmp_path / "nights" / "2026-11-22").mkdir(parents=True)
    written = simulate(tmp_path, num_orders=10, num_merchants=2, num_days=1, seed=1)

    assert (written.folders[0] / "orders.parquet").is_file()


def test_a_stopped_simulation_leaves_no_half_night(tmp_path: Path) -> None:
    """Stopped in the second night, it keeps the first and removes its own traces."""

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(
            tmp_path, num_orders=10, num_merchants=2, num_days=2, seed=1, progress=stop
        )
    assert [path.name for path in (tmp_path / "nights").iterdir()] == ["2026-11-22"]


def test_the_remains_of_another_simulation_are_named(tmp_path: Path) -> None:
    """A folder that is being written by somebody is neither used nor removed."""
    remains = tmp_path / "nights" / ".2026-11-22.partial"
    remains.mkdir(parents=True)

    with pytest.raises(ConfigError, match="wait for it or remove the folder"):
        simulate(tmp_path, num_orders=10, num_merchants=2, num_days=1, seed=1)
    assert remains.is_dir()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where the folder should be gives one message, not a traceback."""
    (tmp_path / "out").write_text("a file")

    with pytest.raises(ConfigError, match="out/nights: cannot be written: "):
        simulate(tmp_path / "out", num_orders=10, num_merchants=2, num_days=1, seed=1)
