"""What deliveries tell of parcels in flight: counted, told, and stated again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.contracts.warnings import CodedWarning, warn
from optimizer.errors import DataError
from optimizer.night import resolve
from optimizer.night.check import check_inputs
from optimizer.replay.run import verify_run
from optimizer.verify.night import verify_night
from tests.support.nights import DATE, capacity_of, config_of, orders_of
from tests.support.published_nights import publish, record_of

FIRST = dt.date.fromisoformat(DATE)
NEXT = FIRST + dt.timedelta(days=1)
RULES = {"counted_on": "delivery", "lead_days": 2}


def first_night(folder: Path) -> list[str]:
    """Publish six parcels that are in flight on the next night; give their ids."""
    tables = {"orders": orders_of(("001", "002")), "capacity": capacity_of()}
    run = publish(folder, tables, config_of(capacity=RULES), FIRST)
    return pl.read_parquet(run / "recommendations.parquet")["order_id"].to_list()


def next_night(folder: Path, told: list[str], **keys: Any) -> tuple[Path, Any]:
    """Publish the night after, told of parcels; and what a check says before it."""
    table = pl.DataFrame(
        {"order_id": told, "status": "delivered", "date": NEXT},
        schema={"order_id": pl.String, "status": pl.String, "date": pl.Date},
    )
    tables = {
        "orders": orders_of(("101", "102")),
        "capacity": capacity_of(),
        "deliveries": table,
    }
    config = config_of(capacity=RULES, **keys)
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}-{NEXT}.parquet")
    inputs = {name: str(folder / f"{name}-{{date}}.parquet") for name in tables}
    settings = config | {"inputs": inputs, "output": str(folder / "runs")}
    checked = check_inputs(as_config(settings), NEXT)
    return publish(folder, tables, config, NEXT), checked


def told_of(run: Path) -> list[dict[str, Any]]:
    """Values of the warning in a record."""
    code = "FEW_PARCELS_FOUND"
    return [w["values"] for w in record_of(run)["warnings"] if w["code"] == code]


@pytest.mark.slow
@pytest.mark.parametrize(("num_known", "is_told"), [(6, False), (3, False), (2, True)])
def test_deliveries_that_name_few_parcels_in_flight_are_told(
    num_known: int, is_told: bool, tmp_path: Path
) -> None:
    """Below half of those that could be; counted in a check; both statements agree."""
    others = [f"x{n}" for n in range(9)]
    told = first_night(tmp_path)[:num_known] + others
    run, checked = next_night(tmp_path, told)
    values = {"num_parcels": 9, "num_all": len(told), "names": others[:5]}
    assert told_of(run) == ([values] if is_told else [])
    (count,) = (c for c in checked["lookups"] if c["place"] == "deliveries")
    assert (count["num_found"], count["num_names"]) == (num_known, len(told))
    assert (
        "order names are in flight from nights before; not 'x0' (row" in count["text"]
    )
    assert checked["num_rows"]["deliveries"] == len(told)
    verified = verify_night(run)
    assert not verified.findings
    assert verified.is_stated
    assert verify_run(run).is_valid


def few(num_parcels: int, *names: str) -> CodedWarning:
    """A warning of two order ids."""
    code = "FEW_PARCELS_FOUND"
    return warn(code, num_parcels=num_parcels, num_all=2, names=names)


FORGED = {
    "left out": (),
    "another number": (few(1, "x1"),),
    "another name": (few(2, "x1", "x3"),),
    "twice": (few(2, "x1", "x2"), few(2, "x1", "x2")),
}


@pytest.mark.slow
@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_warning_of_deliveries_that_is_not_true_is_found(
    forged: tuple[CodedWarning, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers and names are stated again from the nights before."""
    first_night(tmp_path)
    monkeypatch.setattr(resolve, "delivery_warnings", lambda *_: forged)
    run, _ = next_night(tmp_path, ["x1", "x2"])
    (finding,) = verify_night(run).findings
    assert "of 2 order_id names in the deliveries table 2 are to be warned" in finding


@pytest.mark.parametrize("way", ["shop:{}", "0{}"])
def test_deliveries_written_otherwise_are_refused(way: str, tmp_path: Path) -> None:
    """Where few are found, one that looks like a parcel in flight is meant to be it."""
    told = [way.format(name) for name in first_night(tmp_path)]
    with pytest.raises(DataError, match=r"deliveries: order_id .* differ only in"):
        next_night(tmp_path, told)


@pytest.mark.slow
def test_a_limit_refuses_and_the_first_night_is_told_nothing(tmp_path: Path) -> None:
    """Before any night there is nothing to be found."""
    (tmp_path / "a").mkdir()
    run, _ = next_night(tmp_path / "a", ["x1"])
    assert told_of(run) == []
    first_night(tmp_path / "b")
    with pytest.raises(DataError, match=r"0 of 1 order names .*refuse_below"):
        next_night(tmp_path / "b", ["x1"], lookups={"refuse_below": 0.1})
