"""Verification finds every single thing that is changed in a published night."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest

from optimizer.contracts.run_folder import SCHEMA_VERSION, record_text
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.errors import DataError
from optimizer.io.write import read_back, write_parquet
from optimizer.replay import run as replay
from optimizer.replay.run import verify_run
from tests.support.small_night import SmallNight, sha256

Edit = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture
def night(published: SmallNight) -> SmallNight:
    """A night to change; its record names the original's inputs, which stay."""
    return published


@pytest.fixture
def own_night(inputs_only: SmallNight) -> SmallNight:
    """A night published in its own folder, so that its inputs may change too."""
    inputs_only.run()
    return inputs_only


def edit_table(night: SmallNight, name: str, edit: Edit) -> None:
    """Change one published table on the disk, and nothing else."""
    path = night.run_dir / name
    changed = edit(read_back(path))
    path.unlink()
    write_parquet(changed, path, EVERY_NIGHT[name])


def edit_record(night: SmallNight, *way: Any, value: Any) -> None:
    """Set one entry of the record; ``way`` leads to it."""
    path = night.run_dir / "run.json"
    record = json.loads(path.read_text())
    inner = record
    for key in way[:-1]:
        inner = inner[key]
    assert inner[way[-1]] != value, "nothing would change"
    inner[way[-1]] = value
    path.write_text(record_text(record))


def seal(night: SmallNight) -> None:
    """Write the checksums of all files as they are now into the record."""
    path = night.run_dir / "run.json"
    record = json.loads(path.read_text())
    for name in (*EVERY_NIGHT, "report.html"):
        file = night.run_dir / name
        record["outputs"][name]["sha256"] = sha256(file)
    for name, used in record["inputs"].items():
        used["files"][0]["sha256"] = sha256(night.input(name))
    path.write_text(record_text(record))


def findings(night: SmallNight) -> str:
    """What verification finds, on one line; it must find something."""
    verdict = verify_run(night.run_dir)
    assert not verdict.is_valid
    return "; ".join(verdict.findings)


def where(condition: pl.Expr, column: str, value: pl.Expr) -> Edit:
    """Change a column of the first row that meets a condition."""

    def edit(frame: pl.DataFrame) -> pl.DataFrame:
        hits = frame.with_row_index().filter(condition)["index"]
        assert len(hits), "no such row"
        row = pl.int_range(pl.len()) == hits[0]
        return frame.with_columns(
            pl.when(row).then(value).otherwise(column).alias(column)
        )

    return edit


def drop_first(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop a row."""
    return frame.tail(-1)


def repeat_last(frame: pl.DataFrame) -> pl.DataFrame:
    """Add a row."""
    return pl.concat([frame, frame.tail(1)])


def add_quarantined(frame: pl.DataFrame) -> pl.DataFrame:
    """Claim a broken row where there was none."""
    columns = {"source": "orders", "row": 1, "column": "order_id", "rule": "is missing"}
    return pl.concat([frame, pl.DataFrame(columns, schema=frame.schema)])


def swap_prices(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn the column of prices around."""
    return frame.with_columns(pl.col("shadow_price_cny").reverse())


ANY = pl.lit(1) == 1
CHOSEN = pl.col("is_premium")
PASSED_OVER = pl.col("reason") == "CAP_FULL"
#: Passed over, and no more than an amount short.
SHORT = PASSED_OVER & (pl.col("margin_cny") < pl.col("surplus_cny"))
CENT = 0.01
MICRO = 0.000001
DECISIONS, TAKEN = "decisions.parquet", "recommendations.parquet"
CAPS, LANES = "merchants.parquet", "lanes.parquet"

TABLE_CHANGES = {
    "a choice taken back": (
        DECISIONS,
        where(CHOSEN, "is_premium", pl.lit(value=False)),
        "primal_bound is",
    ),
    "a choice added": (
        DECISIONS,
        where(PASSED_OVER, "is_premium", pl.lit(value=True)),
        "not one of its options",
    ),
    "another carrier": (
        DECISIONS,
        where(CHOSEN, "carrier_id", pl.lit("nobody")),
        "carrier is not one of its options",
    ),
    "a carrier for an order that is not chosen": (
        DECISIONS,
        where(PASSED_OVER, "carrier_id", pl.lit("yunda")),
        r"decisions\.parquet: column carrier_id",
    ),
    "an order id": (
        DECISIONS,
        where(CHOSEN, "order_id", pl.lit("made-up")),
        "not among the inputs' open orders",
    ),
    "the id of an order that is not chosen": (
        DECISIONS,
        where(~CHOSEN, "order_id", pl.lit("made-up")),
        r"decisions\.parquet: column order_id",
    ),
    "a merchant": (
        DECISIONS,
        where(ANY, "merchant_id", pl.lit("made-up")),
        r"decisions\.parquet: column merchant_id",
    ),
    "a saving, by one millionth": (
        DECISIONS,
        where(CHOSEN, "saving_cny", pl.col("saving_cny") + MICRO),
        r"decisions\.parquet: column saving_cny",
    ),
    "a margin, by one millionth": (
        DECISIONS,
        where(SHORT, "margin_cny", pl.col("margin_cny") - MICRO),
        r"decisions\.parquet: column margin_cny",
    ),
    "a margin left out": (
        DECISIONS,
        where(SHORT, "margin_cny", pl.lit(None)),
        r"decisions\.parquet: column margin_cny",
    ),
    "a margin of the surplus": (
        DECISIONS,
        where(SHORT, "margin_cny", pl.col("surplus_cny")),
        r"decisions\.parquet: column margin_cny",
    ),
    "ends beside a margin": (
        DECISIONS,
        where(SHORT, "margin_low_cny", pl.col("margin_cny")),
        r"decisions\.parquet: column margin_low_cny",
    ),
    "a surplus": (
        DECISIONS,
        where(CHOSEN, "surplus_cny", pl.col("surplus_cny") + MICRO),
        r"decisions\.parquet: column surplus_cny",
    ),
    "what one more in a cap brings": (
        CAPS,
        where(pl.col("one_more_cny") > 0, "one_more_cny", pl.lit(0.0)),
        r"merchants\.parquet: column one_more_cny",
    ),
    "what one more in a row brings": (
        LANES,
        where(ANY, "one_more_cny", pl.col("one_more_around_cny") + MICRO),
        r"lanes\.parquet: column one_more_cny",
    ),
    "a reason": (
        DECISIONS,
        where(PASSED_OVER, "reason", pl.lit("NO_SAVING")),
        r"decisions\.parquet: column reason",
    ),
    "an order left out": (DECISIONS, drop_first, r"decisions\.parquet has 1,999 rows"),
    "an order twice": (DECISIONS, repeat_last, r"decisions\.parquet has 2,001 rows"),
    "a recommendation left out": (TAKEN, drop_first, r"recommendations\.parquet has"),
    "a recommendation twice": (TAKEN, repeat_last, r"recommendations\.parquet has"),
    "a recommended order": (
        TAKEN,
        where(ANY, "order_id", pl.lit("made-up")),
        r"recommendations\.parquet: column order_id",
    ),
    "a recommended carrier": (
        TAKEN,
        where(ANY, "carrier_id", pl.lit("nobody")),
        r"recommendations\.parquet: column carrier_id",
    ),
    "a region": (
        TAKEN,
        where(ANY, "region_id", pl.lit("elsewhere")),
        r"recommendations\.parquet: column region_id",
    ),
    "a tag": (
        TAKEN,
        where(ANY, "order_tag", pl.lit("other")),
        r"recommendations\.parquet: column order_tag",
    ),
    "a cap": (
        CAPS,
        where(ANY, "cap", pl.col("cap") + 1),
        r"merchants\.parquet: column cap",
    ),
    "a merchant's orders": (
        CAPS,
        where(ANY, "num_orders", pl.col("num_orders") + 1),
        r"merchants\.parquet: column num_orders",
    ),
    "what a merchant used": (
        CAPS,
        where(ANY, "used", pl.col("used") + 1),
        r"merchants\.parquet: column used",
    ),
    "a merchant's price, raised": (
        CAPS,
        where(pl.col("slack") > 0, "shadow_price_cny", pl.lit(CENT)),
        "dual_bound is",
    ),
    "a merchant's price, dropped": (
        CAPS,
        where(pl.col("shadow_price_cny") > 0, "shadow_price_cny", pl.lit(0.0)),
        "dual_bound is",
    ),
    "a negative price": (
        CAPS,
        where(ANY, "shadow_price_cny", pl.lit(-MICRO)),
        "a price is negative",
    ),
    "a price beyond all bounds": (
        CAPS,
        where(ANY, "shadow_price_cny", pl.lit(9e11)),
        "beyond any saving",
    ),
    "a merchant left out": (CAPS, drop_first, "does not hold the inputs' merchants"),
    "a merchant twice": (CAPS, repeat_last, "does not hold the inputs' merchants"),
    "slots": (
        LANES,
        where(ANY, "slots", pl.col("slots") + 1),
        r"lanes\.parquet: column slots",
    ),
    "a lane's slack": (
        LANES,
        where(ANY, "slack", pl.col("slack") + 1),
        r"lanes\.parquet: column slack",
    ),
    "a lane's price, raised": (
        LANES,
        where(pl.col("slack") > 0, "shadow_price_cny", pl.lit(CENT)),
        "dual_bound is",
    ),
    "the lanes' prices, turned around": (LANES, swap_prices, "dual_bound is"),
    "a lane left out": (LANES, drop_first, "does not hold the inputs' lanes"),
    "a lane twice": (LANES, repeat_last, "does not hold the inputs' lanes"),
    "a lane's name": (
        LANES,
        where(ANY, "carrier_id", pl.lit("nobody")),
        "does not hold the inputs' lanes",
    ),
    "a quarantined row": (
        "quarantine.parquet",
        add_quarantined,
        r"quarantine\.parquet has 1 row, expected 0",
    ),
}


@pytest.mark.slow
def test_an_untouched_night_holds(night: SmallNight):
    """Nothing is found where nothing was changed, checksums sealed again or not."""
    assert verify_run(night.run_dir).findings == ()
    seal(night)
    verdict = verify_run(night.run_dir)
    assert verdict.is_valid
    assert verdict.certificate is not None
    assert verdict.certificate.is_optimal


@pytest.mark.parametrize("change", TABLE_CHANGES)
def test_a_changed_table_is_found(night: SmallNight, change: str):
    """
    One changed cell or row is found by the file's checksum; with the checksum put
    right too it is found by what plan, prices and inputs imply.
    """
    name, edit, words = TABLE_CHANGES[change]
    edit_table(night, name, edit)
    assert findings(night) == f"{name} was changed after it was published"
    seal(night)
    assert re.search(words, findings(night)), findings(night)


@pytest.mark.parametrize("name", [*EVERY_NIGHT, "report.html"])
def test_a_missing_or_damaged_file_is_found(night: SmallNight, name: str):
    """One flipped bit is found, and so is a lost file."""
    path = night.run_dir / name
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 4
    path.write_bytes(data)
    assert findings(night) == f"{name} was changed after it was published"
    path.unlink()
    assert findings(night) == f"{name} is missing"


def test_a_report_that_says_other_than_the_night_is_found(night: SmallNight):
    """One digit of the report is found, by its checksum and without."""
    path = night.run_dir / "report.html"
    path.write_text(path.read_text().replace("2,000", "2,001"))
    assert findings(night) == "report.html was changed after it was published"
    seal(night)
    assert findings(night) == "report.html is not of this night"


@pytest.mark.parametrize("name", [DECISIONS, TAKEN, CAPS, LANES])
def test_a_flipped_bit_is_found_without_the_checksum_of_its_file(
    night: SmallNight, name: str
):
    """Each page has a checksum of its own: damage is never read as other numbers."""
    path = night.run_dir / name
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 4
    path.write_bytes(data)
    seal(night)
    assert name in findings(night)


@pytest.mark.parametrize(
    ("name", "value"),
    [("primal_bound", 1), ("dual_bound", 2), ("gap", 3), ("is_feasible", False)],
)
def test_a_false_claim_is_found(night: SmallNight, name: str, value: int):
    """Each number of the recorded certificate is proved again."""
    edit_record(night, "certificate", name, value=value)
    assert f"not {value} as claimed" in findings(night)
    assert name in findings(night)


INPUT_CHANGES: dict[str, tuple[str, Edit, str]] = {
    "one probability": (
        "orders",
        where(pl.col("is_eligible"), "complaint_prob_standard", pl.lit(0.9)),
        "column saving_cny",
    ),
    "one order not eligible": (
        "orders",
        where(pl.col("is_eligible"), "is_eligible", pl.lit(value=False)),
        r"decisions\.parquet",
    ),
    "one order gone": ("orders", drop_first, r"decisions\.parquet|open orders"),
    "one slot more": (
        "capacity",
        where(ANY, "slots", pl.col("slots") + 1),
        r"lanes\.parquet: column slots",
    ),
    "a capacity row gone": ("capacity", drop_first, "the inputs' lanes"),
    "a merchant out": (
        "merchants",
        where(ANY, "is_enrolled", pl.lit(value=False)),
        r"decisions\.parquet|open orders",
    ),
    "a take-up": (
        "merchants",
        where(ANY, "take_up", pl.lit(0.5)),
        "column saving_cny",
    ),
}


@pytest.mark.parametrize("change", INPUT_CHANGES)
def test_a_changed_input_is_found(own_night: SmallNight, change: str):
    """
    An input that is not the one of the run is named; with its checksum put right
    the published numbers no longer follow from it.
    """
    name, edit, words = INPUT_CHANGES[change]
    own_night.forget_kept_inputs()
    own_night.write(name, edit(own_night.read(name)))
    path = own_night.input(name)
    assert findings(own_night) == f"input {path} was changed after the run"
    seal(own_night)
    assert re.search(words, findings(own_night)), findings(own_night)


@pytest.mark.parametrize("name", ["orders", "capacity", "merchants"])
def test_a_lost_input_is_found(own_night: SmallNight, name: str):
    """Without its inputs nothing is proved, and the lost one is named."""
    own_night.forget_kept_inputs()
    path = own_night.input(name)
    path.unlink()
    assert f"input {path} is gone" in findings(own_night)


RULE_CHANGES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "the cap's rate": (("config", "policy", 0, "cap", "rate"), "0.05"),
    "the fee": (("config", "policy", 0, "fee", "amount_cny"), "0.7"),
    "the roster": (("config", "policy", 0, "carriers"), ["yunda"]),
    "what a complaint costs": (("config", "objective", "complaint_cost_cny"), "31"),
    "the date, before the policy": (("date",), "2020-01-01"),
}


@pytest.mark.parametrize("change", RULE_CHANGES)
def test_changed_rules_are_found(night: SmallNight, change: str):
    """The recorded rules are those that the numbers follow from."""
    way, value = RULE_CHANGES[change]
    edit_record(night, *way, value=value)
    assert findings(night)


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("summary", "num_chosen"), 1),
        (("summary", "saving_cny"), 1.0),
        (("summary", "fees_cny", "total"), "1"),
        (("summary", "reasons", "CAP_FULL"), 1),
        (("certificate", "relative_gap"), 0.5),
        (("problem_class",), "packing"),
        (("policy", "fee", "amount_cny"), "9"),
        (("warnings",), ["made up"]),
        (("date",), "2026-11-23"),
        (("outputs", "decisions.parquet", "num_rows"), 1),
        (("inputs", "orders", "num_rows"), 1),
        (("inputs", "orders", "files", 0, "num_bytes"), 1),
    ],
    ids=str,
)
def test_every_number_of_the_record_is_proved_again(
    night: SmallNight, way: tuple[Any, ...], value: Any
):
    """
    Summary, policy, warnings and counts of the record follow from the inputs; what is
    false is named, with what is true.
    """
    edit_record(night, *way, value=value)
    words = rf"{way[-1]}\S* is .*, not .* as claimed"
    assert re.search(words, findings(night)), findings(night)


@pytest.fixture
def warned_night(own_night: SmallNight) -> SmallNight:
    """A night with lanes that have orders and no capacity row."""
    capacity = own_night.read("capacity")
    is_first = pl.col("carrier_id") == capacity["carrier_id"][0]
    own_night.write("capacity", capacity.filter(~is_first))
    own_night.run(is_forced=True)
    return own_night


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("code",), "UNCOVERED_LANES_OPEN"),
        (("values", "num_lanes"), 1_000),
        (("values", "lanes"), []),
        (("text",), "all is well"),
    ],
    ids=str,
)
@pytest.mark.slow
def test_every_part_of_a_warning_is_proved_again(
    warned_night: SmallNight, way: tuple[str, ...], value: Any
):
    """Code, values and sentence of a warning are what the inputs give; else named."""
    assert verify_run(warned_night.run_dir).is_valid
    edit_record(warned_night, "warnings", 0, *way, value=value)
    path = re.escape(".".join(way))
    words = rf"warnings\.0\.{path} is .*, not .* as claimed"
    assert re.search(words, findings(warned_night))


def with_sentences(night: SmallNight, version: int) -> None:
    """Write the record with warnings as they were before they were records."""
    path = night.run_dir / "run.json"
    record = json.loads(path.read_text())
    record["schema_version"] = version
    record["warnings"] = [warning["text"] for warning in record["warnings"]]
    path.write_text(record_text(record))


@pytest.mark.slow
def test_a_record_with_sentences_alone_is_not_made_again(warned_night: SmallNight):
    """A night of format 1 is refused with what proves it, and not called false."""
    with_sentences(warned_night, 1)
    with pytest.raises(DataError, match="only nights of format"):
        verify_run(warned_night.run_dir)


@pytest.mark.slow
def test_a_sentence_alone_is_no_warning_of_today(warned_night: SmallNight):
    """In a record of the present format a right sentence without its code is false."""
    with_sentences(warned_night, SCHEMA_VERSION)
    assert re.search(r"warnings\.0 is .*, not .* as claimed", findings(warned_night))


@pytest.mark.slow
def test_an_honest_plan_that_was_never_good_enough_is_found(own_night: SmallNight):
    """
    A worse plan whose files and claims all agree is no valid night: its gap is above
    what the recorded configuration lets be published.
    """
    keys = {"method": "greedy", "time_limit_seconds": 600}
    own_night.configure(solver=keys, publish={"max_relative_gap": 1})
    own_night.run(is_forced=True)
    assert verify_run(own_night.run_dir).is_valid
    edit_record(own_night, "config", "publish", "max_relative_gap", value="0")
    assert "max_relative_gap" in findings(own_night)


def test_a_plan_above_a_cap_or_a_lane_is_called_infeasible(night: SmallNight):
    """
    Recommending every order that a merchant lost to its cap is found as a broken
    limit, whatever the files say of themselves.
    """
    carriers = night.read("orders").select("order_id", own="carrier_id")

    def choose_all(frame: pl.DataFrame) -> pl.DataFrame:
        joined = frame.join(carriers, on="order_id", how="left", maintain_order="left")
        more = CHOSEN | PASSED_OVER
        return joined.with_columns(
            is_premium=more,
            carrier_id=pl.when(more).then("own"),
            reason=pl.when(more).then(pl.lit("CHOSEN")).otherwise("reason"),
        ).drop("own")

    edit_table(night, DECISIONS, choose_all)
    seal(night)
    found = findings(night)
    assert "the plan is not feasible" in found
    assert "merchants are above their cap" in found
    assert "is_feasible is False, not True as claimed" in found


@pytest.mark.slow
def test_another_carrier_that_could_take_the_order_is_found(own_night: SmallNight):
    """
    Where orders may go with several carriers, one that is possible and was not the
    plan's is found by its saving and by its lane.
    """
    orders = own_night.read("orders")
    own = orders.select("order_id", "carrier_id", *PREMIUM)
    turned = pl.col("carrier_id").replace_strict(TURN, return_dtype=pl.String)
    ways = pl.concat([own, own.with_columns(turned)])
    path = own_night.input("orders").with_name("options.parquet")
    ways.write_parquet(path)
    own_night.write("orders", orders.drop("carrier_id", *PREMIUM))
    inputs = own_night.settings()["inputs"]
    own_night.configure(inputs=inputs | {"options": str(path)})
    own_night.run(is_forced=True)
    assert verify_run(own_night.run_dir).is_valid

    decisions = read_back(own_night.run_dir / DECISIONS)
    chosen = decisions.filter("is_premium")["order_id"][0]
    taken = decisions.filter(order_id=chosen)["carrier_id"].item()
    could = ways.filter(pl.col("order_id") == chosen)["carrier_id"].to_list()
    (other,) = set(could) - {taken}
    swap = where(pl.col("order_id") == chosen, "carrier_id", pl.lit(other))
    edit_table(own_night, DECISIONS, swap)
    edit_table(own_night, TAKEN, swap)
    edit_record(
        own_night,
        "outputs",
        DECISIONS,
        "sha256",
        value=sha256(own_night.run_dir / DECISIONS),
    )
    edit_record(
        own_night, "outputs", TAKEN, "sha256", value=sha256(own_night.run_dir / TAKEN)
    )
    assert re.search(r"lanes\.parquet: column used", findings(own_night))


PREMIUM = ("complaint_prob_premium", "return_prob_premium")
TURN = dict(
    zip(
        ["zhongtong", "yuantong", "yunda", "shunfeng"],
        ["yuantong", "yunda", "shunfeng", "zhongtong"],
        strict=True,
    )
)


@pytest.mark.parametrize("lost", ["_SUCCESS", "run.json"])
def test_a_folder_that_is_no_run_is_refused(night: SmallNight, lost: str):
    """Without its mark or its record a folder proves nothing."""
    (night.run_dir / lost).unlink()
    with pytest.raises(DataError, match=lost):
        verify_run(night.run_dir)


DEFECTS: dict[str, Callable[[SmallNight], None]] = {
    "a claim left out": lambda night: _drop(night, "certificate", "gap"),
    "all inputs left out": lambda night: _drop(night, "inputs"),
    "the outputs left out": lambda night: _drop(night, "outputs"),
    "a column left out": lambda night: _lose_column(night, LANES, "shadow_price_cny"),
    "a price left out": lambda night: edit_table(
        night, LANES, where(ANY, "shadow_price_cny", pl.lit(None))
    ),
}


def _drop(night: SmallNight, *way: Any) -> None:
    path = night.run_dir / "run.json"
    record = json.loads(path.read_text())
    inner = record
    for key in way[:-1]:
        inner = inner[key]
    del inner[way[-1]]
    path.write_text(record_text(record))


def _lose_column(night: SmallNight, name: str, column: str) -> None:
    import pyarrow.parquet

    path = night.run_dir / name
    table = read_back(path).drop(column).to_arrow()
    path.unlink()
    pyarrow.parquet.write_table(table, path, write_page_checksum=True)


def parts(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all parts of a record, however deep."""
    inner = value if isinstance(value, dict | list) else []
    for key, part in inner.items() if isinstance(inner, dict) else enumerate(inner):
        yield (*way, key)
        yield from parts(part, (*way, key))


@pytest.mark.slow
def test_every_part_of_the_record_is_missed(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """
    Without any one part, but times, memory and alerts, a night does not verify.

    Alerts are no part of a night: the statement holds their sentences. Tables, which
    take longest, are compared only where a part is not missed without them.
    """
    path = night.run_dir / "run.json"
    text = path.read_text()
    told = ("run_measurements", "alerts")
    ways = [way for way in parts(json.loads(text)) if way[0] not in told]
    assert len(ways) > 100

    def is_missed(way: tuple[Any, ...]) -> bool:
        _drop(night, *way)
        try:
            return not verify_run(night.run_dir).is_valid
        except DataError:
            return way == ("schema_version",)
        finally:
            path.write_text(text)

    with monkeypatch.context() as patched:
        patched.setattr(replay, "_false_tables", lambda *_: [])
        left = [way for way in ways if not is_missed(way)]
    assert [way for way in left if not is_missed(way)] == []


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_record_or_table_with_something_left_out_is_found(
    night: SmallNight, defect: str
):
    """A gap in record or table is a finding or a clear refusal, never a crash."""
    DEFECTS[defect](night)
    if "column" in defect or "price" in defect:
        seal(night)
    try:
        verdict = verify_run(night.run_dir)
    except DataError:
        return
    assert not verdict.is_valid
