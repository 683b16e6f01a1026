"""``allocate`` from the outside: golden nights, every kind of table, any row order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import optimizer
from optimizer.night import api, in_memory
from optimizer.testing import (
    Tables,
    assert_certified,
    make_config,
    make_tables,
    random_tables,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.large_night import LargeNight


def run(night: Tables, **more: Any) -> optimizer.Night:
    given = {"options": night.options} | more
    return optimizer.allocate(
        night.orders, night.capacity, config=night.config, **given
    )


def chosen(night: optimizer.Night) -> dict[str, str]:
    rows = night.recommendations.select("order_id", "carrier_id").rows()
    return dict(rows)


def test_golden_cap_takes_the_best_of_each_merchant() -> None:
    """Two of four parcels each: the two largest savings, though others are larger."""
    night = make_tables(
        [
            *[(f"a{n}", "small", "north", 1.0 + n) for n in range(4)],
            *[(f"b{n}", "large", "north", 50.0 + n) for n in range(4)],
        ],
        {"yunda": 8},
    )
    found = run(night)
    assert chosen(found) == dict.fromkeys(["a2", "a3", "b2", "b3"], "yunda")
    assert found.certificate.primal_bound == (3 + 4 + 52 + 53) * 10**6
    assert found.merchants["shadow_price_cny"].to_list() == [51.0, 2.0]


def test_golden_greedy_falls_where_the_optimum_does_not() -> None:
    """
    Greedy gives the one northern slot to a, the largest saving, and b has nowhere to
    go; the optimum sends a south for 1 CNY less and b north.
    """
    night = make_tables(
        [
            ("a", "m", "r", {"yunda": 10.0, "zhongtong": 9.0}),
            ("b", "m", "r", {"yunda": 8.0}),
        ],
        {"yunda": 1, "zhongtong": 1},
        rate=1,
    )
    greedy = optimizer.allocate(
        night.orders,
        night.capacity,
        options=night.options,
        config=night.config | {"solver": {"method": "greedy"}},
    )
    found = run(night)
    assert chosen(greedy) == {"a": "yunda"}
    assert chosen(found) == {"a": "zhongtong", "b": "yunda"}
    assert found.certificate.primal_bound == 17 * 10**6
    assert found.certificate.gap == 0
    assert greedy.certificate.gap > 0
    assert greedy.termination.reason == "FEASIBLE"


def test_golden_nested_rows_bind_together() -> None:
    """Outlet, region and carrier rows all count the same parcel."""
    night = make_tables(
        [
            ("a", "m", "north/n1", 9.0),
            ("b", "m", "north/n1", 8.0),
            ("c", "m", "north/n2", 7.0),
            ("d", "m", "north/n2", 6.0),
            ("e", "m", "south/s1", 5.0),
            ("f", "m", "south/s1", 4.0),
        ],
        {"yunda": 3, "yunda/north": 2, "yunda/north/n1": 1},
        rate=1,
    )
    found = run(night)
    assert set(chosen(found)) == {"a", "c", "e"}
    prices = found.lanes.select("region_id", "outlet_id", "shadow_price_cny").rows()
    assert dict(((r, o), p) for r, o, p in prices) == {
        (None, None): 4.0,
        ("north", None): 2.0,
        ("north", "n1"): 2.0,
    }


def test_golden_capacity_beats_cap() -> None:
    """Where slots are fewer than the caps allow, the largest savings get them."""
    night = make_tables(
        [
            (f"m{m}-{n}", f"m{m}", "r", 1.0 + m + n / 10)
            for m in range(3)
            for n in range(4)
        ],
        {"yunda": 3},
    )
    assert set(chosen(run(night))) == {"m2-3", "m2-2", "m1-3"}


def test_ties_go_by_a_hash_of_the_order_id() -> None:
    """Ten equal parcels for five slots: the same five in any order of the rows."""
    night = make_tables([(f"o{n}", "m", "r", 2.0) for n in range(10)], {"yunda": 9})
    first = chosen(run(night))
    assert len(first) == 5
    for seed in range(10):
        shuffled = night.orders.sample(fraction=1, shuffle=True, seed=seed)
        other = optimizer.allocate(shuffled, night.capacity, config=night.config)
        assert chosen(other) == first


@pytest.mark.parametrize("has_choice", [False, True])
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 8))]
)
def test_row_order_and_batches_do_not_matter(
    seed: int, has_choice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shuffled rows, read in batches of any size, give the same tables exactly."""
    night = random_tables(seed, num_orders=200, has_choice=has_choice)
    once = run(night)
    assert_certified(once)

    def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sample(fraction=1, shuffle=True, seed=seed + 1)

    options = None if night.options is None else shuffled(night.options)
    monkeypatch.setattr("optimizer.io.read.read_batches.__defaults__", (None, 7 + seed))
    again = optimizer.allocate(
        shuffled(night.orders),
        shuffled(night.capacity),
        config=night.config,
        options=options,
    )
    for name in ("orders", "merchants", "lanes", "recommendations"):
        assert getattr(once, name).equals(getattr(again, name), null_equal=True), name
    assert once.certificate == again.certificate


@pytest.mark.parametrize("has_choice", [False, True])
@pytest.mark.parametrize("is_broken", [False, True])
def test_a_small_night_is_told_like_a_large_one(
    has_choice: bool, is_broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names kept or read again, tables made when asked or at once: all are the same."""
    night = random_tables(3, num_orders=300, has_choice=has_choice)
    number = pl.int_range(pl.len())
    orders = night.orders.with_columns(
        is_eligible=number % 7 > 0,
        ineligible_reason=pl.when(number % 14 == 0).then(pl.lit("gift")),
        stage=pl.when(number % 5 == 0).then(pl.lit("refunded")),
    )
    if is_broken:
        broken = pl.when(number == 20).then(-1.0).otherwise(0.2)
        orders = orders.with_columns(complaint_prob_standard=broken)
    rule = {"column": "stage", "is": "refunded", "reason": "refunded"}
    (policy,) = night.config["policy"]
    rules = {"policy": [policy | {"eligibility": [rule]}]}
    config = night.config | rules | {"quarantine": {"max_share": 0.5}}
    given = {"config": config, "options": night.options}

    small = optimizer.allocate(orders, night.capacity, **given)
    for limit in ("build.eligibility.FEW_ORDERS", "night.api.KEPT_ORDERS"):
        monkeypatch.setattr(f"optimizer.{limit}", 0)
    large = optimizer.allocate(orders, night.capacity, **given)

    names = ("orders", "merchants", "lanes", "recommendations", "quarantine")
    for name in names:
        one, other = getattr(small, name), getattr(large, name)
        assert one.equals(other, null_equal=True), name
    assert small.record == large.record
    told = {"gift", "refunded", "no reason given", None}
    assert {*small.orders["ineligible_reason"]} == told


def test_a_changed_mapping_is_another_configuration() -> None:
    """What is kept of a mapping is found by its content, not by its name."""
    night = make_tables([(f"o{n}", "m", "r", 2.0) for n in range(10)], {"yunda": 9})
    config = make_config()
    found = [optimizer.allocate(night.orders, night.capacity, config=config)]
    config["policy"][0]["cap"]["rate"] = 0.1
    found.append(optimizer.allocate(night.orders, night.capacity, config=config))
    assert [len(chosen(one)) for one in found] == [5, 1]


@pytest.mark.parametrize("method", ["auto", "pricing", "flow", "greedy"])
@pytest.mark.parametrize("has_choice", [False, True])
def test_every_method_gives_a_certified_night(method: str, has_choice: bool) -> None:
    """Whatever the method, the plan keeps every limit and the tables agree."""
    for seed in range(5):
        night = random_tables(seed, num_orders=120, has_choice=has_choice)
        config = night.config | {"solver": {"method": method}}
        found = optimizer.allocate(
            night.orders, night.capacity, config=config, options=night.options
        )
        assert_certified(found)
        assert found.problem_class == "network"


@pytest.mark.parametrize("method", ["auto", "pricing", "flow", "greedy"])
@pytest.mark.parametrize("has_choice", [False, True])
def test_a_night_without_usable_orders_chooses_nothing(
    method: str, has_choice: bool
) -> None:
    """All orders ineligible: no choice, no price, and a proof of it."""
    night = random_tables(3, num_orders=20, has_choice=has_choice)
    found = optimizer.allocate(
        night.orders.with_columns(is_eligible=pl.lit(value=False)),
        night.capacity,
        config=night.config | {"solver": {"method": method}},
        options=night.options,
    )
    assert found.certificate.is_optimal
    assert found.certificate.primal_bound == 0
    assert found.orders["reason"].unique().to_list() == ["INELIGIBLE"]
    assert found.lanes["shadow_price_cny"].sum() == 0
    assert len(found.recommendations) == 0


def kinds(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    """The same table as everything that is accepted."""
    import duckdb

    csv, parquet, arrow = (folder / f"t.{end}" for end in ("csv", "parquet", "arrow"))
    frame.write_csv(csv)
    frame.write_parquet(parquet)
    frame.write_ipc(arrow)
    duck = duckdb.connect()
    duck.register("t", frame.to_arrow())
    return {
        "polars": frame,
        "polars lazy": frame.lazy(),
        "pandas": frame.to_pandas(),
        "pyarrow": frame.to_arrow(),
        "duckdb": duck.sql("select * from t"),
        "csv": str(csv),
        "parquet": parquet,
        "arrow": arrow,
    }


def test_every_kind_of_table_gives_the_same_night(tmp_path: Path) -> None:
    """polars, pandas, pyarrow, duckdb, Parquet, CSV and Arrow files: one answer."""
    night = random_tables(3, num_orders=80)
    expected = run(night)
    orders, capacity = tmp_path / "orders", tmp_path / "capacity"
    orders.mkdir()
    capacity.mkdir()
    slots = kinds(night.capacity, capacity)
    for name, table in kinds(night.orders, orders).items():
        found = optimizer.allocate(table, slots[name], config=night.config)
        assert found.orders.equals(expected.orders, null_equal=True), name
        assert found.lanes.equals(expected.lanes, null_equal=True), name


def test_it_is_safe_in_threads() -> None:
    """Eight nights at once, each as if alone."""
    nights = [random_tables(seed, num_orders=150, has_choice=True) for seed in range(8)]
    alone = [run(night) for night in nights]
    together: dict[int, optimizer.Night] = {}

    def work(place: int) -> None:
        together[place] = run(nights[place])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(nights))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, night in enumerate(alone):
        assert together[place].orders.equals(night.orders, null_equal=True)


def test_seconds_and_progress_name_the_stages() -> None:
    """Each stage is measured, and told as it starts, in the order of the house."""
    told: list[str] = []
    found = run(random_tables(1), progress=told.append)
    stages = ["read", "validate", "value", "build", "solve", "certify", "explain"]
    assert told == stages
    assert set(found.seconds) == set(stages)
    assert all(seconds >= 0 for seconds in found.seconds.values())
    assert all(peak > 10**6 for peak in found.peak_memory_bytes.values())


def test_inputs_are_left_as_they_were() -> None:
    """No side effects: the tables given are not changed."""
    night = random_tables(2)
    before = night.orders.clone(), night.capacity.clone()
    run(night)
    assert night.orders.equals(before[0], null_equal=True)
    assert night.capacity.equals(before[1], null_equal=True)


def test_the_config_may_be_a_mapping_a_config_or_a_path(tmp_path: Path) -> None:
    """All three give one answer; what batch jobs need may be left out."""
    night = make_tables([("a", "m", "r", 1.0), ("b", "m", "r", 2.0)], {"yunda": 1})
    path = tmp_path / "night.yaml"
    path.write_text(
        "version: 1\n"
        "policy:\n"
        "  - valid_from: 2000-01-01\n"
        "    cap: {rate: 0.5}\n"
        "    fee: {amount_cny: 0}\n"
        "    carriers: [yunda, zhongtong, yuantong]\n"
        "objective: {complaint_cost_cny: 100, return_cost_cny: 0}\n",
        encoding="utf-8",
    )
    for config in (night.config, path, str(path), optimizer.load_config(path)):
        found = optimizer.allocate(night.orders, night.capacity, config=config)
        assert chosen(found) == {"b": "yunda"}


def test_the_date_picks_the_policy_row() -> None:
    """A rerun of an old date obeys the rules of its day."""
    night = make_tables([(f"o{n}", "m", "r", 1.0 + n) for n in range(10)], {"yunda": 9})
    config = make_config("0.2")
    config["policy"].append(
        config["policy"][0] | {"valid_from": "2026-01-01", "cap": {"rate": "0.4"}}
    )
    counts = {
        date: len(
            optimizer.allocate(
                night.orders, night.capacity, config=config, date=date
            ).recommendations
        )
        for date in ("2025-12-31", "2026-01-01")
    }
    assert counts == {"2025-12-31": 2, "2026-01-01": 4}
    with pytest.raises(optimizer.ConfigError, match="give the date"):
        optimizer.allocate(night.orders, night.capacity, config=config)
    with pytest.raises(optimizer.ConfigError, match="2026-11-22"):
        optimizer.allocate(night.orders, night.capacity, config=config, date="today")


@pytest.mark.parametrize(
    ("orders", "config", "error", "words"),
    [
        ([1, 2], None, optimizer.DataError, "no such file|give a path"),
        ({"a": [1]}, None, optimizer.DataError, "orders table is a dict"),
        (None, 7, optimizer.ConfigError, "must be a Config, a mapping or a path"),
    ],
)
def test_what_is_no_table_or_config_is_said_so(
    orders: Any, config: Any, error: type[Exception], words: str
) -> None:
    """The wrong kind of argument gets one clear sentence."""
    night = random_tables(1)
    with pytest.raises(error, match=words):
        optimizer.allocate(
            night.orders if orders is None else orders,
            night.capacity,
            config=night.config if config is None else config,
        )


def test_two_orders_that_share_a_key_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A collision of hashes is no duplicate: another salt is taken, nothing is lost."""
    from optimizer.build import encode
    from optimizer.io import order_keys as keys

    night = random_tables(4, num_orders=50)
    expected = run(night)
    real = keys.order_keys

    def colliding(ids: pl.Series, salt: int = 0) -> Any:
        key, folded = real(ids, salt)
        if salt == 0 and len(key) > 1:
            key[0] = key[1]
        return key, folded

    monkeypatch.setattr(encode, "order_keys", colliding)
    found = run(night)
    assert_certified(found)
    assert found.certificate.primal_bound == expected.certificate.primal_bound


@pytest.mark.slow
def test_the_large_night_ends_at_the_proved_optimum(large_night: LargeNight) -> None:
    """Real orders (or simulated ones): gap 0, the known number chosen, flow agrees."""
    found = optimizer.allocate(
        large_night.orders, large_night.capacity, config=large_night.config
    )
    assert_certified(found)
    assert found.certificate.gap == 0
    if large_night.num_chosen is not None:
        assert len(found.recommendations) == large_night.num_chosen
    flow = optimizer.allocate(
        large_night.orders,
        large_night.capacity,
        config=large_night.config | {"solver": {"method": "flow"}},
    )
    assert flow.certificate == found.certificate
    greedy = optimizer.allocate(
        large_night.orders,
        large_night.capacity,
        config=large_night.config | {"solver": {"method": "greedy"}},
    )
    assert greedy.certificate.primal_bound < found.certificate.primal_bound


@pytest.mark.parametrize("seed", range(4))
def test_what_is_told_later_is_what_is_told_at_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, margins and numbers are the same, whenever they are made."""
    night = random_tables(seed, num_orders=60, has_choice=seed % 2 == 1)
    later = run(night)
    monkeypatch.setattr(api, "KEPT_ORDERS", 0)
    at_once = run(night)
    assert later.orders.equals(at_once.orders)
    assert later.merchants.equals(at_once.merchants)
    assert later.lanes.equals(at_once.lanes)
    assert later.summary == at_once.summary


def test_of_a_night_nobody_asks_about_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its margins are found when its tables are first looked at, and once."""
    found = []
    find = in_memory.exact_margins

    def note(*given: Any) -> Any:
        found.append(given)
        return find(*given)

    monkeypatch.setattr(in_memory, "exact_margins", note)
    night = run(random_tables(1, num_orders=60))
    assert (night.certificate.gap, found) == (0, [])
    assert len(night.orders) == 60
    assert len(night.merchants) > 0
    assert len(found) == 1
