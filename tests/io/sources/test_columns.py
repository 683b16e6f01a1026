"""Columns of tables outside of files: which are read, by what names, which not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.config import load_config
from optimizer.contracts.columns import Table
from optimizer.contracts.tables import CAPACITY, DELIVERIES, MERCHANTS
from optimizer.errors import DataError
from optimizer.io.cells import CellRules
from optimizer.io.fetch import fetched_inputs
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source, read_batches
from optimizer.io.validate import check_batch
from optimizer.night.check import check_inputs
from optimizer.replay.run import verify_run
from tests.support.places import Place, in_delta, in_duckdb, sql
from tests.support.small_night import DAY, SmallNight

HEAVY = {"column": "weight.kg", "above": 20, "reason": "too heavy"}


def with_inputs(night: SmallNight, **places: Any) -> None:
    """Configure some inputs otherwise."""
    night.configure(inputs=night.settings()["inputs"] | places)


def checked(night: SmallNight) -> dict[str, Any]:
    """Check the night's inputs."""
    return check_inputs(load_config(night.config), DAY)


def codes(found: dict[str, Any]) -> list[str]:
    """Codes of the warnings about forms and columns."""
    about = ("ALLOWED", "DELETED")
    return [w["code"] for w in found["warnings"] if w["code"].startswith(about)]


@pytest.mark.slow
def test_a_rule_finds_its_column_in_every_place(
    night: SmallNight, place: Place
) -> None:
    """A column that only a rule or an alert reads is read; the same orders are out."""
    weights = pl.int_range(2_000, eager=True) % 25
    orders = night.read("orders").with_columns(
        weights.alias("weight.kg"), buyer_hash="order_id"
    )
    night.write("orders", orders)
    policy = night.settings()["policy"][0] | {"eligibility": [HEAVY]}
    alerts = {"splitting": {"columns": ["buyer_hash"]}}
    night.configure(policy=[policy], operations={"alerts": alerts})
    from_files = night.run().record["summary"]
    decided = (night.run_dir / "decisions.parquet").read_bytes()

    place.put("weighed", orders)
    with_inputs(night, orders=place.address("weighed"))
    night.configure(output="elsewhere")
    report = night.run()
    there = SmallNight(night.folder / "elsewhere").folder / DAY.isoformat()

    assert (there / "decisions.parquet").read_bytes() == decided
    assert report.record["summary"] == from_files
    reasons = pl.read_parquet(there / "decisions.parquet")["ineligible_reason"]
    assert (reasons == "too heavy").sum() > 300
    assert not any("splitting" in a["kind"] for a in report.record["alerts"])
    assert verify_run(there).is_valid


def test_what_no_rule_reads_is_named_in_every_place(
    night: SmallNight, place: Place
) -> None:
    """Other columns are on record; marks of deleted rows, unknown names are told."""
    orders = night.read("orders")
    place.put("plain", orders.with_columns(remark=pl.lit("x")))
    with_inputs(night, orders=place.address("plain"))
    allowed = {"columns": ["remark", "nowhere"], "reason": "codes of shelves"}
    night.configure(privacy={"allow": allowed})
    found = checked(night)
    unread = found["unread"]["orders"]
    assert ("remark" in unread, codes(found)) == (True, ["ALLOWED_IN_NO_TABLE"])

    place.put("synced", orders.with_columns(_fivetran_deleted=pl.lit(value=False)))
    with_inputs(night, orders=place.address("synced"))
    night.configure(privacy={})
    assert codes(checked(night)) == ["DELETED_ROWS_COUNT"]


def test_a_column_of_deliveries_is_looked_for_too(
    night: SmallNight, tmp_path: Path
) -> None:
    """What is allowed for deliveries alone is in a table of the night."""
    rows = {"order_id": ["o-1"], "status": ["signed"], "date": [DAY]}
    pl.DataFrame(rows | {"receiver_name": "locker"}).write_parquet("deliveries.parquet")
    with_inputs(night, deliveries="deliveries.parquet")
    for columns, told in ((["receiver_name"], []), (["x"], ["ALLOWED_IN_NO_TABLE"])):
        columns = [*columns, *({"receiver_name"} - {*columns})]
        night.configure(privacy={"allow": {"columns": columns, "reason": "lockers"}})
        assert codes(checked(night)) == told


def test_constants_words_and_units_hold_for_a_database(
    night: SmallNight, tmp_path: Path
) -> None:
    """A mapping holds for a database as for a file, also for names with points."""
    files = checked(night)
    orders = night.read("orders")
    texts = (pl.col("return_prob_standard") * 100).cast(pl.String) + "%"
    exported = orders.with_columns(
        pl.when("is_eligible").then(pl.lit("ja")).otherwise(pl.lit("nein")),
        texts.alias("o.return"),
    ).drop("return_prob_standard", strict=False)
    place = in_duckdb(tmp_path)
    place.put("exported", exported)
    mapping = {
        "path": place.address("exported"),
        "columns": {"return_prob_standard": "o.return"},
        "values": {"is_eligible": {"ja": "true", "nein": "false"}},
        "units": {"return_prob_standard": "percent"},
        "constants": {"load": "1"},
    }
    with_inputs(night, orders=mapping)
    found = checked(night)
    assert found["num_rows"] == files["num_rows"]
    assert found["num_quarantined"] == files["num_quarantined"] == 0

    place.put("exported", exported.with_columns(load=1))
    with pytest.raises(DataError, match=r"duckdb://.*column load, and .* a constant"):
        checked(night)


def test_limits_for_all_carriers_may_lack_the_carrier(
    night: SmallNight, tmp_path: Path
) -> None:
    """A capacity table without carriers is read from a database as from a file."""
    place, regions = in_duckdb(tmp_path), night.read("orders")["region_id"].unique()
    place.put("rooms", pl.DataFrame({"region_id": regions.head(2), "slots": 9}))
    place.put("room", pl.DataFrame({"slots": [9]}))
    for name, num_rows in (("rooms", 2), ("room", 1)):
        with_inputs(night, capacity=place.address(name))
        assert checked(night)["num_rows"]["capacity"] == num_rows


@pytest.mark.parametrize("name", ["IS_ELIGIBLE", "isEligible", "ｉｓ_ｅｌｉｇｉｂｌｅ"])
def test_a_column_spelled_otherwise_is_not_silently_off(
    night: SmallNight, name: str, tmp_path: Path
) -> None:
    """Where it would not be read, it is refused with its name, from any source."""
    orders = night.read("orders").rename({"is_eligible": name})
    place = in_duckdb(tmp_path)
    place.put("orders", orders)
    orders.write_parquet("orders.parquet")
    for address in ("orders.parquet", place.address("orders")):
        with_inputs(night, orders=address)
        with pytest.raises(DataError, match=f"named '{name}', .* rename it to is_elig"):
            checked(night)


def read(address: str, table: Table) -> tuple[pl.DataFrame, set[str]]:
    """The checked rows of an address, and the rules that others break."""
    rules, log = CellRules(), QuarantineLog()
    with fetched_inputs({table.name: address}, None, rules) as found:
        source = open_source(found.paths[table.name], table, rules=rules)
        rows = [check_batch(raw, source, log) for raw in read_batches(source)]
    return pl.concat(rows) if rows else pl.DataFrame(), {*log.frame()["rule"]}


@pytest.mark.parametrize("written", ["numeric", "numeric(20,4)", "money", "float8"])
def test_an_amount_is_the_same_in_every_type_of_a_server(
    environment: None, written: str
) -> None:
    """Money is no number of cents, and decimals are read exactly."""
    sql("drop table if exists amounts")
    sql(
        f"create table amounts as select 'm1'::char(8) as merchant_id, "
        f"'1234.50'::{written} as daily_budget_cny, '12'::{written} as num_orders"
    )
    address = "postgresql://night@${PG_SERVER}/shop?table=amounts"
    rows, broken = read(address, MERCHANTS)
    assert rows.select("merchant_id", "daily_budget_cny", "num_orders").rows() == [
        ("m1", 1234.5, 12)
    ]
    assert broken == set()
    sql("alter table amounts alter column merchant_id type money using '5'")
    with pytest.raises(DataError, match="merchant_id is double, expected text"):
        read(address, MERCHANTS)


def test_whole_numbers_of_duckdb_are_read_exactly(tmp_path: Path) -> None:
    """Sums are decimals of 38 digits there, which a copy keeps as numbers."""
    place = in_duckdb(tmp_path)
    place.put("given", pl.DataFrame({"region_id": ["r1"], "slots": [40]}))
    query = "select region_id, sum(slots) as slots from given group by all"
    address = place.address("given").replace("table=given", f"query={query}")
    rows, broken = read(address, CAPACITY)
    assert (rows["slots"].to_list(), broken) == ([40], set())


@pytest.mark.parametrize("never", ["timestamp 'infinity'", "timestamptz '-infinity'"])
def test_a_time_that_never_comes_breaks_a_rule(never: str, tmp_path: Path) -> None:
    """Times beyond all calendars are no day; no library ends over them."""
    place = in_duckdb(tmp_path)
    place.put("given", pl.DataFrame({"region_id": ["r1", "r2"], "slots": [4, 4]}))
    query = (
        "select *, case region_id when 'r1' then "
        f"{never} else timestamp '2026-11-22' end as service_date from given"
    )
    address = place.address("given").replace("table=given", f"query={query}")
    rows, broken = read(address, CAPACITY)
    assert rows["region_id"].to_list() == ["r2"]
    assert broken == {"is a day that stands for none, such as 1970-01-01"}


@pytest.mark.parametrize("name", ["duckdb", "delta"])
def test_no_deliveries_are_none_from_any_place(name: str, tmp_path: Path) -> None:
    """A table without rows is what it is in a file."""
    rows = pl.DataFrame({"order_id": ["o"], "status": ["signed"], "date": [DAY]})
    place = (
        in_duckdb(tmp_path)
        if name == "duckdb"
        else in_delta(str(tmp_path / "lake"), f"delta://{tmp_path}/lake")
    )
    place.put("none", rows.head(0))
    found, broken = read(place.address("none"), DELIVERIES)
    assert (len(found), broken) == (0, set())
