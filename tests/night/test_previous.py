"""``allocate`` with an earlier night: the same optimum, fewer changes, and a list."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

import optimizer
from optimizer.model.solution import SolveParams
from optimizer.solvers import deadline
from optimizer.solvers.network import tie_break
from optimizer.testing import Tables, assert_certified, make_tables, random_tables
from tests.support.small_night import make_night


def run(night: Tables, **more: Any) -> optimizer.Night:
    keys = {"config": night.config, "options": night.options} | more
    return optimizer.allocate(night.orders, night.capacity, **keys)


def answer(night: optimizer.Night) -> tuple[Any, ...]:
    """Everything that an earlier night may not change."""
    return (
        night.certificate,
        night.lanes.rows(),
        night.merchants["shadow_price_cny"].to_list(),
    )


def with_tables(night: optimizer.Night, **tables: pl.DataFrame) -> optimizer.Night:
    """The same night with other tables."""
    further = dataclasses.replace(night.make_further(), **tables)
    return dataclasses.replace(night, make_further=lambda: further)


def keeping(night: Tables) -> dict[str, Any]:
    return night.config | {"solver": {"keep_previous": True}}


@pytest.mark.slow
@pytest.mark.parametrize("has_choice", [False, True])
@pytest.mark.parametrize("is_kept", [False, True])
def test_an_earlier_night_never_changes_the_optimum(
    has_choice: bool, is_kept: bool
) -> None:
    """
    Another day, other merchants, other capacity: value, lane prices and merchant
    prices are those of a night that knows of no other, and the gap is 0.
    """
    for seed in range(4):
        night = random_tables(seed, has_choice=has_choice, num_orders=80)
        config = keeping(night) if is_kept else night.config
        cold = run(night)
        for other in range(10, 13):
            before = run(random_tables(other, has_choice=not has_choice, rate="0.7"))
            warm = run(night, previous=before, config=config)
            assert_certified(warm)
            assert warm.certificate == cold.certificate
            prices = pl.col("shadow_price_cny")
            assert warm.lanes.select(prices).equals(cold.lanes.select(prices))
            assert warm.merchants.select(prices).equals(cold.merchants.select(prices))


def test_the_same_night_again_changes_nothing() -> None:
    """With itself as the night before, no parcel changes."""
    night = random_tables(3, has_choice=True)
    first = run(night)
    again = run(night, previous=first, config=keeping(night))
    assert first.churn is None
    assert again.churn is not None
    assert again.churn.rows() == []
    assert again.recommendations.equals(first.recommendations)


def tied(*names: str) -> Tables:
    """Parcels of one merchant that all save the same; half may be chosen."""
    return make_tables([(name, "m", "north", 2.0) for name in names], {"yunda": 9})


def test_ties_are_decided_for_the_earlier_night_only_when_asked() -> None:
    """
    Of six equal parcels, three are chosen by their keys. An earlier night that chose
    the other three is followed with keep_previous, and only with it.
    """
    night = tied(*"abcdef")
    first = run(night)
    by_key = {*first.recommendations["order_id"]}
    other = {*"abcdef"} - by_key
    table = first.recommendations.with_columns(order_id=pl.Series(sorted(other)))
    before = with_tables(first, recommendations=table)
    plain = run(night, previous=before)
    kept = run(night, previous=before, config=keeping(night))
    assert {*plain.recommendations["order_id"]} == by_key
    assert {*kept.recommendations["order_id"]} == other
    assert plain.churn is not None
    assert len(plain.churn) == 6
    assert kept.churn is not None
    assert kept.churn.rows() == []
    assert answer(kept) == answer(plain)


def test_keeping_ends_with_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the limit passes before ties are decided, the optimum found is published."""
    night = tied(*"abcdef")
    first = run(night)
    other = {*"abcdef"} - {*first.recommendations["order_id"]}
    table = first.recommendations.with_columns(order_id=pl.Series(sorted(other)))
    before = with_tables(first, recommendations=table)
    soon = run(night, previous=before, config=keeping(night))
    limit, keep_most = SolveParams().time_limit_seconds, tie_break.keep_most

    def keep_late(*args: Any) -> Any:
        looked = SimpleNamespace(monotonic=lambda: time.monotonic() + limit)
        monkeypatch.setattr(deadline, "time", looked)
        return keep_most(*args)

    monkeypatch.setattr(tie_break, "keep_most", keep_late)
    late = run(night, previous=before, config=keeping(night))
    assert soon.recommendations["order_id"].to_list() == sorted(other)
    assert late.recommendations.equals(first.recommendations)
    assert answer(late) == answer(soon)


def test_churn_of_a_smaller_night_names_the_parcels() -> None:
    """Parcels that are gone are removed, new ones added, each once and by name."""
    first = run(make_tables([("a", "m", "n", 3.0), ("b", "m", "n", 1.0)], {"yunda": 9}))
    second = run(
        make_tables([("b", "m", "n", 1.0), ("c", "m", "n", 5.0)], {"yunda": 9}),
        previous=first,
    )
    assert second.churn is not None
    assert second.churn.rows() == [
        ("a", "REMOVED", "yunda", None),
        ("c", "ADDED", None, "yunda"),
    ]


def test_an_earlier_night_with_nothing_chosen_is_fine() -> None:
    """No recommendations and no lanes before: everything is new, the optimum stands."""
    night = random_tables(5)
    cold = run(night)
    empty = with_tables(
        cold, recommendations=cold.recommendations.clear(), lanes=cold.lanes.clear()
    )
    for config in (night.config, keeping(night)):
        warm = run(night, previous=empty, config=config)
        assert answer(warm) == answer(cold)
        assert warm.churn is not None
        assert set(warm.churn["change"]) == {"ADDED"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a published run, made once."""
    night = make_night(tmp_path_factory.mktemp("earlier") / "night", 1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(night.folder)
        night.run()
    return night.run_dir


@pytest.mark.parametrize("kind", [str, Path])
def test_a_published_run_is_an_earlier_night(published: Path, kind: type) -> None:
    """Its folder will do, as a path or as text: every parcel of it is accounted for."""
    night = random_tables(2)
    found = run(night, previous=kind(published))
    recommended = pl.read_parquet(published / "recommendations.parquet")
    assert found.churn is not None
    removed = found.churn.filter(pl.col("change") == "REMOVED")
    assert len(recommended) > 0
    assert {*removed["order_id"]} == {*recommended["order_id"]}
    assert answer(found) == answer(run(night))


@pytest.mark.parametrize("name", ["recommendations.parquet", "lanes.parquet"])
def test_a_damaged_run_is_refused_before_anything_is_solved(
    published: Path, tmp_path: Path, name: str
) -> None:
    """A broken file is a data error that names the run; a missing one likewise."""
    broken = tmp_path / "run"
    shutil.copytree(published, broken)
    whole = (broken / name).read_bytes()
    (broken / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(optimizer.DataError, match="run"):
        run(random_tables(2), previous=broken)
    (broken / name).unlink()
    with pytest.raises(optimizer.DataError, match="run"):
        run(random_tables(2), previous=broken)


def test_previous_of_the_wrong_kind_is_refused() -> None:
    """A table is no night."""
    night = random_tables(2)
    with pytest.raises(optimizer.DataError, match="previous is a DataFrame"):
        run(night, previous=night.orders)
