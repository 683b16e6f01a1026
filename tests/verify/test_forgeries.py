"""Nights that are consistent and forged: what verification took on trust, it checks."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.contracts.tables import PUBLISHED
from optimizer.contracts.warnings import read_warning
from optimizer.io.write import read_back, write_parquet
from optimizer.model.problem import Problem
from optimizer.model.solution import Solution
from optimizer.night import resolve
from optimizer.night import run as night_run
from optimizer.night.state.ledger import Carryover
from optimizer.solvers.network import canonical_plan
from optimizer.testing import make_tables
from optimizer.verify.audit import audit_text
from optimizer.verify.night import verify_night
from tests.support.night_variants import Variant, settings, simulated
from tests.support.published_nights import edit_record, publish, record_of

DAYS = [dt.date(2026, 11, 20) + dt.timedelta(days=at) for at in range(3)]
LAST = DAYS[-1]
BANKED = Variant(
    policy={"cap": {"rate": 0.03, "rounding": "carryover", "window_days": 5}},
    config={"capacity": {"counted_on": "delivery", "lead_days": 2}},
)


def _publish(
    folder: Path, day: dt.date, tables: dict[str, pl.DataFrame | None]
) -> Path:
    orders = tables["orders"]
    assert orders is not None
    own = orders.with_columns(order_id=pl.format("{}-{}", pl.lit(str(day)), "order_id"))
    return publish(folder, tables | {"orders": own}, settings(BANKED), day)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame | None]:
    """Inputs with room to spare, so that caps decide and parcels are in flight."""
    found = simulated(tmp_path_factory.mktemp("inputs"), num_orders=800)
    capacity = found["capacity"]
    assert capacity is not None
    roomy = capacity.with_columns(slots=pl.col("slots") * 9 + 3)
    idle = pl.DataFrame([IDLE], schema_overrides={"slots": roomy["slots"].dtype})
    return found | {"capacity": pl.concat([roomy, idle], how="diagonal")}


@pytest.fixture(scope="module")
def three(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, pl.DataFrame | None]
) -> Path:
    """Three nights that know of each other; no test may change them."""
    folder = tmp_path_factory.mktemp("three")
    for day in DAYS:
        _publish(folder, day, tables)
    return folder / "runs"


@pytest.fixture
def runs(three: Path, tmp_path: Path) -> Path:
    """The three nights, to be forged; without their chain, which would tell on them."""
    copy = tmp_path / "runs"
    shutil.copytree(three, copy, symlinks=True)
    (copy / ".evidence.jsonl").unlink()
    return copy


def edit_table(
    run: Path, name: str, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """Change a table, and make all hashes anew."""
    path = run / name
    changed = change(read_back(path))
    path.unlink()
    write_parquet(changed, path, PUBLISHED[name])
    edit_record(
        run, lambda record: record["outputs"][name].update(num_rows=len(changed))
    )


def _set(*way: str, to: Any) -> Callable[[Path], None]:
    def forge(run: Path) -> None:
        def change(record: dict[str, Any]) -> None:
            inner = record
            for key in way[:-1]:
                inner = inner[key]
            inner[way[-1]] = to

        edit_record(run, change)

    return forge


def _other_folder(run: Path) -> None:
    other = run.with_name("2026-11-21")
    other.unlink()
    other.symlink_to(run.readlink())
    run.unlink()


def _week(run: Path) -> None:
    yesterday = pl.col("date") == DAYS[1]

    def change(nights: pl.DataFrame) -> pl.DataFrame:
        return nights.with_columns(
            saving_cny=pl.when(yesterday)
            .then(pl.col("saving_cny") * 2)
            .otherwise("saving_cny"),
            run_id=pl.when(yesterday)
            .then(pl.lit("0123456789abcdef"))
            .otherwise("run_id"),
        )

    edit_table(run, "nights.parquet", change)


def _other_rate(run: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        record["config"]["policy"][0]["cap"]["rate"] = "0.04"
        record["policy"]["cap"]["rate"] = "0.04"

    edit_record(run, change)


def _other_orders(run: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        file = record["inputs"]["orders"]["files"][0]
        path = run.parent / "made-up.parquet"
        shutil.copy(file["path"], path)
        file["path"] = str(path)

    edit_record(run, change)


def _script(run: Path, text: str) -> None:
    (run / "audit.sql").write_text(text)
    edit_record(run, lambda _: None)


def _fewer_columns(run: Path) -> None:
    edit_record(run, lambda record: record["evidence"]["columns"].pop())


def _column_more(run: Path) -> None:
    path = run / "lanes.parquet"
    table = pl.read_parquet(path).with_columns(approved_by=pl.lit("me"))
    path.unlink()
    table.write_parquet(path)
    edit_record(run, lambda _: None)


def _refused_row(run: Path) -> None:
    row = {"source": "orders", "row": 5, "column": "load", "rule": "is below 1"}

    def change(quarantine: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([quarantine, pl.DataFrame([row], schema=quarantine.schema)])

    edit_table(run, "quarantine.parquet", change)


def _sentence(run: Path) -> None:
    edit_record(run, lambda record: record["warnings"][0].update(text="All is well."))


def _name_in_warning(run: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        given = record["warnings"][0]
        assert given["code"] == "UNKNOWN_CARRIERS"
        given["values"]["carriers"] = ["nobody"]
        read = read_warning(given)
        assert read is not None
        given["text"] = read.text

    edit_record(run, change)


def _key_twice(run: Path) -> None:
    path = run / "run.json"
    text = path.read_text()
    assert text.count('"gap": 0,') == 1
    path.write_text(text.replace('"gap": 0,', '"gap": 7, "gap": 0,'))


def _order_prices(run: Path) -> None:
    """Prices that only packing nights have, beside a network night."""
    name = "order_prices.parquet"
    order = pl.read_parquet(run / "decisions.parquet")["order_id"][0]
    rows = pl.DataFrame({"order_id": [order], "price_cny": [1.0]})
    write_parquet(rows, run / name, PUBLISHED[name])
    edit_record(run, lambda record: record["outputs"].update({name: {"num_rows": 1}}))
    _script(run, audit_text(record_of(run)))


#: A row that no order falls in, beside those of the carriers of these nights.
IDLE = {"carrier_id": "zhongtong", "region_id": "R-idle", "slots": 7}
SLOT_VALUES = [
    f"{name}_cny"
    for name in ("one_more", "one_fewer", "one_more_around", "one_fewer_around")
]


def _idle_lane(column: str) -> Callable[[Path], None]:
    def change(lanes: pl.DataFrame) -> pl.DataFrame:
        is_idle = pl.col("region_id").eq_missing(pl.lit(IDLE["region_id"]))
        assert lanes.filter(is_idle)[column].to_list() == [0.0]
        forged = pl.when(is_idle).then(pl.col(column) + 1.0).otherwise(pl.col(column))
        return lanes.with_columns(forged.alias(column))

    return lambda run: edit_table(run, "lanes.parquet", change)


def _alert(run: Path) -> None:
    """A sentence of an alert that its code and values do not say."""

    def change(record: dict[str, Any]) -> None:
        given = {"kind": "quarantine", **record["warnings"][0], "text": "All is well."}
        record["alerts"] = [given]

    edit_record(run, change)


def _left_out(name: str, column: str, of: pl.Expr) -> Callable[[Path], None]:
    """Leave a value out of the first row that fits."""

    def change(table: pl.DataFrame) -> pl.DataFrame:
        first = table.with_row_index("at").filter(of)["at"][0]
        is_first = pl.int_range(pl.len()) == first
        return table.with_columns(pl.when(~is_first).then(pl.col(column)))

    return lambda run: edit_table(run, name, change)


def _without(name: str) -> Callable[[Path], None]:
    def forge(run: Path) -> None:
        (run / name).unlink()
        edit_record(run, lambda record: record["outputs"].pop(name))

    return forge


def _tonight_twice(run: Path) -> None:
    edit_table(
        run, "nights.parquet", lambda nights: pl.concat([nights, nights.tail(1)])
    )


_NOT_CHOSEN = pl.col("reason") == "CAP_FULL"
_TONIGHT = pl.col("date") == LAST

#: What is forged, and what is said of it.
EDITS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a date's night under another's name": (
        _other_folder,
        "the folder is of 2026-11-21",
    ),
    "a week in which last night was twice as good": (
        _week,
        "nights.parquet: the row of 2026-11-21 is not what that night says",
    ),
    "a table that stood in": (
        _set("substitutes", "capacity", to="capacity-2026-11-21.parquet"),
        "substitutes.capacity: the configuration allows no substitute",
    ),
    "a table that is not there stood in": (
        _set("substitutes", "options", to="x.parquet"),
        "substitutes.options: there is no such table",
    ),
    "a night that says it is late": (
        _set("is_late", to=True),
        "is_late: no later night",
    ),
    "an origin": (
        _set("origins", "orders", to="postgresql://db/orders"),
        "origins.orders: the configuration names a file here",
    ),
    "a stop by time at gap 0": (
        _set("termination", to={"reason": "FEASIBLE", "limit": "TIME"}),
        "termination: termination is a gap of 0, not FEASIBLE TIME",
    ),
    "an unknown key": (
        _set("approved_by", to="me"),
        "approved_by is a key that no record",
    ),
    "an unknown key further in": (
        _set("certificate", "note", to="fine"),
        "certificate.note is a key that no record has",
    ),
    "a figure too much": (
        _set("summary", "num_happy", to=9),
        "no other: summary.num_happy",
    ),
    "a gap below 0": (_set("certificate", "gap", to=-1), "certificate.gap is '-1'"),
    "a time below 0": (
        _set("run_measurements", "seconds", "solve", to=-3.0),
        "run_measurements.seconds.solve",
    ),
    "a stage that no night has": (
        _set("run_measurements", "seconds", "evil", to=1.0),
        "run_measurements.seconds.evil is a key that no record has",
    ),
    "a sentence of an alert": (_alert, "alerts: the sentence of UNKNOWN_CARRIERS"),
    **{
        f"{column} of a row without orders": (
            _idle_lane(column),
            "slots: zhongtong/R-idle",
        )
        for column in SLOT_VALUES
    },
    "a file that is not listed": (
        lambda run: (run / "notes.txt").write_text("trust me"),
        "notes.txt is in the folder",
    ),
    "a file that is listed and no night's": (
        _set("outputs", "notes.txt", to={"sha256": "0" * 64}),
        "outputs.notes.txt is a key that no record has",
    ),
    "another cap rate": (_other_rate, "caps: "),
    "another configuration key": (
        _set("config", "lenient", to=True),
        "the recorded configuration is not valid",
    ),
    "orders from elsewhere": (
        _other_orders,
        "inputs.orders: the files are not those of",
    ),
    "another date": (_set("date", to="2026-11-23"), "the folder is of 2026-11-22"),
    "another solver's word for the class": (
        _set("problem_class", to="packing"),
        "problem_class is network",
    ),
    "a script that asks nothing": (
        lambda run: _script(run, "SELECT 1 WHERE false;\n"),
        "audit.sql is not the statement of this night",
    ),
    "another root of the evidence": (
        _set("evidence", "root", to="0" * 64),
        "evidence.root does not follow",
    ),
    "a warning that is not of this night": (
        _set("warnings", to=[]),
        "warnings: UNKNOWN_CARRIERS is 1, not None as published",
    ),
    "a table said to be longer": (
        _set("outputs", "lanes.parquet", "num_rows", to=999),
        "outputs.lanes.parquet.num_rows is 999, and ",
    ),
    "a column that no check reads": (_column_more, "lanes.parquet has other columns"),
    "evidence of fewer decisions": (
        _set("evidence", "num_rows", to=1),
        "evidence.num_rows is 1, and not of all decisions",
    ),
    "evidence of other leaves": (
        _set("evidence", "rows_in_piece", to=64),
        "evidence.rows_in_piece is not 65536",
    ),
    "evidence of fewer merchants": (
        _set("evidence", "num_leaves", to=1),
        "evidence.num_leaves is not the number of lines of evidence.txt",
    ),
    "two merchants' rows, one of them larger": (
        lambda run: edit_table(
            run,
            "merchant_index.parquet",
            lambda index: index.with_columns(pl.col("num_rows") + 1),
        ),
        "merchant index: ",
    ),
    "an index without an order": (
        lambda run: edit_table(run, "order_index.parquet", lambda t: t[:-1]),
        "order index: row ",
    ),
    "an index that leads to another order": (
        lambda run: edit_table(
            run,
            "order_index.parquet",
            lambda index: index.with_columns(row=pl.col("row").reverse()),
        ),
        "order index: row ",
    ),
    "an index in another order": (
        lambda run: edit_table(run, "order_index.parquet", lambda t: t.reverse()),
        "order index: row ",
    ),
    "decisions in another order": (
        lambda run: edit_table(run, "decisions.parquet", lambda t: t.reverse()),
        "order: ",
    ),
    "a decision whose evidence is another": (
        lambda run: edit_table(
            run,
            "decisions.parquet",
            lambda t: t.with_columns(
                ineligible_reason=pl.when(pl.int_range(pl.len()) == 5)
                .then(pl.lit("because"))
                .otherwise("ineligible_reason")
            ),
        ),
        "evidence: merchant ",
    ),
    "evidence that leaves a column out": (
        _fewer_columns,
        "evidence.columns are not those of the decisions",
    ),
    "a refused row that counts": (
        _refused_row,
        "quarantine: orders row 5 is None, not load is below 1 as published",
    ),
    "a sentence of a warning": (_sentence, "the sentence of UNKNOWN_CARRIERS"),
    "a name in a warning": (
        _name_in_warning,
        "names in warnings: UNKNOWN_CARRIERS is None, not nobody as published",
    ),
    "a key that stands twice": (_key_twice, "run.json: gap is given twice"),
    "prices of orders where there are none": (
        _order_prices,
        "order prices: order_prices.parquet is None, not 1 as published",
    ),
    **{
        f"{column} of a decision left out": (
            _left_out("decisions.parquet", column, _NOT_CHOSEN),
            "reason: ",
        )
        for column in ("propensity", "is_premium")
    },
    **{
        f"tonight's {column} left out": (
            _left_out("nights.parquet", column, _TONIGHT),
            "tonight: nights.parquet is ",
        )
        for column in ("saving_cny", "num_chosen", "num_warnings")
    },
    "tonight twice": (
        _tonight_twice,
        "tonight: nights.parquet is once, not 2026-11-22 2",
    ),
    **{
        f"no {name}": (_without(name), f"{name} is not among the outputs")
        for name in ("bank.parquet", "report.html", "audit.sql")
    },
    "a model where there is none": (
        _set("identity", "model_sha256", to="0" * 64),
        "identity.model_sha256: the configuration names no model",
    ),
    "a unit of nothing": (
        _set("certificate", "unit", to=0),
        "certificate.unit is '0', and must be a whole number above 0",
    ),
    "a plan said to hold for fewer": (
        _set("certificate", "holds_for", to="some plans"),
        "certificate.holds_for",
    ),
}


@pytest.mark.slow
def test_the_nights_hold(three: Path) -> None:
    """Nothing is said of nights that are not forged, with their chain and without."""
    for day in DAYS:
        found = verify_night(three / str(day))
        assert (found.findings, found.unchecked) == ((), ())


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_a_forged_night_is_seen(name: str, runs: Path) -> None:
    """A change that keeps all hashes is named for what it is."""
    forge, words = EDITS[name]
    forge(runs / str(LAST))
    folder = runs / ("2026-11-21" if name.startswith("a date's") else str(LAST))
    findings = "; ".join(verify_night(folder).findings)
    assert words in findings


def _carried(share: float) -> Callable[[Carryover], Carryover]:
    def change(before: Carryover) -> Carryover:
        bank = before.history.bank
        assert bank is not None
        forged = bank.with_columns(
            carried_in_nano=pl.lit(int(share * 10**9), pl.Int64),
            room_nano=pl.lit(10**12),
        )
        return replace(before, history=replace(before.history, bank=forged))

    return change


def _flight(
    change: Callable[[pl.DataFrame], pl.DataFrame],
) -> Callable[[Carryover], Carryover]:
    def forge(before: Carryover) -> Carryover:
        flight = before.history.in_flight
        assert flight is not None
        assert len(flight)
        return replace(
            before, history=replace(before.history, in_flight=change(flight))
        )

    return forge


#: What other nights are said to have left, and what is said of it.
LEFT: dict[str, tuple[Callable[[Carryover], Carryover], str]] = {
    "a bank of 50 parcels for everyone": (_carried(50), "carry in what is no fraction"),
    "a bank of nearly a parcel for everyone": (
        _carried(0.999),
        "carry in other than what",
    ),
    "parcels in flight that are not": (
        _flight(lambda rows: rows.with_columns(num_slots=pl.col("num_slots") + 1)),
        "in_flight.parquet: ",
    ),
    "parcels in flight forgotten": (
        _flight(lambda rows: rows.clear()),
        "in_flight.parquet: ",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEFT)
def test_what_other_nights_left_is_worked_out_again(
    name: str,
    tmp_path: Path,
    tables: dict[str, pl.DataFrame | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A night built from a forged bank, or forged parcels in flight, does not hold."""
    change, words = LEFT[name]
    true = resolve.load_before
    _publish(tmp_path, DAYS[1], tables)
    monkeypatch.setattr(resolve, "load_before", lambda *args: change(true(*args)))
    monkeypatch.setattr(night_run, "load_before", resolve.load_before)
    run = _publish(tmp_path, LAST, tables)
    assert words in "; ".join(verify_night(run).findings)


@pytest.mark.slow
def test_nights_that_are_not_there_are_named(runs: Path) -> None:
    """Where earlier nights are not beside a night, it says what was taken on trust."""
    for day in DAYS[:2]:
        (runs / str(day)).unlink()
    found = verify_night(runs / str(LAST))
    assert found.findings == ()
    said = " ".join(found.unchecked)
    for name in ("bank.parquet", "in_flight.parquet", "nights.parquet"):
        assert name in said


@pytest.mark.slow
@pytest.mark.parametrize("day", DAYS[:2], ids=str)
def test_one_night_that_is_not_there_is_named(day: dt.date, runs: Path) -> None:
    """
    Where one of two earlier nights is gone and no chain tells of it, the week before
    does, and what both left is taken on trust, by name; nothing is said to be false.
    """
    shutil.rmtree((runs / str(day)).resolve())
    (runs / str(day)).unlink()
    found = verify_night(runs / str(LAST))
    assert found.findings == ()
    for name in ("bank.parquet", "in_flight.parquet", "nights.parquet"):
        assert any(
            words.startswith(name) and str(day) in words for words in found.unchecked
        )


@pytest.mark.slow
def test_later_nights_did_not_stand_beside_an_earlier_one(
    tmp_path: Path, tables: dict[str, pl.DataFrame | None]
) -> None:
    """Without a chain a night counts no parcels of nights that were made later."""
    capacity = tables["capacity"]
    assert capacity is not None
    roomy = {**tables, "capacity": capacity.with_columns(slots=pl.col("slots") * 9 + 3)}
    published = [_publish(tmp_path, day, roomy) for day in DAYS]
    (published[0].parent / ".evidence.jsonl").unlink()
    assert len(pl.read_parquet(published[0] / "commitments.parquet")) > 0
    for run in published:
        assert verify_night(run).findings == ()


@pytest.mark.slow
def test_a_false_room_is_named_as_such(
    tmp_path: Path,
    tables: dict[str, pl.DataFrame | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the fraction is right and the room is not, the finding shows the room."""

    def roomier(before: Carryover) -> Carryover:
        bank = before.history.bank
        assert bank is not None
        forged = bank.with_columns(room_nano=pl.col("room_nano") + 1)
        return replace(before, history=replace(before.history, bank=forged))

    true = resolve.load_before
    _publish(tmp_path, DAYS[1], tables)
    monkeypatch.setattr(resolve, "load_before", lambda *args: roomier(true(*args)))
    monkeypatch.setattr(night_run, "load_before", resolve.load_before)
    run = _publish(tmp_path, LAST, tables)
    said = "; ".join(verify_night(run).findings)
    room = re.search(r"\(room_nano (\S+) and not (\S+)\)", said)
    assert room is not None, said
    more, true_room = (int(part.replace(",", "")) for part in room.groups())
    assert more == true_room + 1


@pytest.mark.slow
def test_prices_are_those_of_the_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prices that prove the plan as well, and are not the lowest, are named."""
    from optimizer import solvers
    from optimizer.testing import make_config, make_tables

    made = make_tables(
        [("a", "m", "x", 5), ("b", "n", "x", 4), ("c", "o", "x", 1)], {"yunda": 2}
    )
    night = {"orders": made.orders, "capacity": made.capacity}
    honest = publish(tmp_path / "honest", night, make_config(1))
    assert verify_night(honest).findings == ()
    true = solvers.solve

    def solve(*args: Any) -> Solution:
        found = true(*args)
        return replace(found, lane_price=found.lane_price * 0 + 2_000_000)

    monkeypatch.setattr(solvers, "solve", solve)
    forged = publish(tmp_path / "forged", night, make_config(1))
    findings = "; ".join(verify_night(forged).findings)
    assert "lowest prices: yunda is lower, not 2.0 as published" in findings


@pytest.mark.slow
def test_the_readers_configuration_is_compared(runs: Path) -> None:
    """A night of another configuration than the reader's is told from it."""
    run = runs / str(LAST)
    config = record_of(run)["config"]
    assert verify_night(run, as_config(config)).findings == ()
    config["objective"]["complaint_cost_cny"] = "31"
    (words,) = verify_night(run, as_config(config)).findings
    assert 'objective.complaint_cost_cny is "31", and "30" in the record' in words


@pytest.mark.slow
def test_what_was_trusted_is_named(three: Path) -> None:
    """Verification ends with the hashes of inputs, configuration and chain."""
    run = three / str(LAST)
    record = record_of(run)
    trusted = "\n".join(verify_night(run).trusted)
    for used in record["inputs"].values():
        assert used["files"][0]["sha256"] in trusted
    assert record["identity"]["config_sha256"] in trusted
    last = (three / ".evidence.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["hash"] in trusted
    assert "other nights in the output folder: 2026-11-20, 2026-11-21" in trusted


def _tied(folder: Path) -> Path:
    """Sixty equal orders and five slots."""
    orders = [(f"order-{at:02}", "m", "north", 4.0) for at in range(60)]
    made = make_tables(orders, {"yunda": 5}, rate=1)
    tables = {"orders": made.orders, "capacity": made.capacity}
    return publish(folder, tables, made.config)


@pytest.mark.slow
def test_of_orders_that_are_alike_another_is_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night of another plan of the same worth, true in all else, breaks the rule."""
    assert verify_night(_tied(tmp_path / "true")).findings == ()
    decided = canonical_plan.with_canonical_plan

    def forged(problem: Problem, *args: Any) -> Solution:
        plan = decided(problem, *args)
        chosen = np.sort(np.append(plan.chosen[:-1], problem.num_options - 1))
        return replace(plan, chosen=chosen)

    monkeypatch.setattr(canonical_plan, "with_canonical_plan", forged)
    (finding,) = verify_night(_tied(tmp_path / "forged")).findings
    assert finding.startswith("ties: ")
    assert "before it" in finding


#: Pins, slots of the north and of the south, and what stops the last of the pins.
STOPPED = {
    "CAPS": ([("a", "m", "north"), ("b", "m", "north"), ("c", "m", "north")], (9, 9)),
    "SLOTS": ([("a", "m", "north"), ("b", "n", "north")], (1, 9)),
    "NO_SLOTS": ([("a", "m", "south"), ("b", "n", "north")], (0, 9)),
}


@pytest.mark.slow
@pytest.mark.parametrize("why", STOPPED)
def test_what_stops_a_pin_is_stated_again(why: str, tmp_path: Path) -> None:
    """Each cause of a pin holds as it is published, and another is seen."""
    pins, (north, south) = STOPPED[why]
    made = make_tables(
        [(*pin, 9.0 - at) for at, pin in enumerate(pins)],
        {"yunda/north": north, "yunda/south": south},
    )
    places = pl.DataFrame({"merchant_id": ["m", "n"], "cap_override": [1, 1]})
    tables = {
        "orders": made.orders.with_columns(pin=pl.lit("must")),
        "capacity": made.capacity,
        "merchants": places,
    }
    free = {"lookups": {"refuse_below": 0}, "on_conflict": "relax"}
    run = publish(tmp_path, tables, made.config | free)
    told = pl.read_parquet(run / "conflicts.parquet")["stopped_by"].to_list()
    assert set(told) == {why}
    assert verify_night(run).findings == ()
    (run.parent / ".evidence.jsonl").unlink()
    edit_table(
        run,
        "conflicts.parquet",
        lambda table: table.with_columns(stopped_by=pl.lit("OTHER_LIMITS")),
    )
    findings = "; ".join(verify_night(run).findings)
    assert f"is {why}, not OTHER_LIMITS as published" in findings


@pytest.mark.slow
def test_a_decision_that_is_missing_is_named(tmp_path: Path) -> None:
    """Also where the explore arm is drawn again, which asks for every open order."""
    drawn = Variant(config={"holdout": {"share": 0, "explore_share": 0.3, "seed": 1}})
    night = simulated(tmp_path / "inputs", num_orders=300)
    run = publish(tmp_path, night, settings(drawn))
    (run.parent / ".evidence.jsonl").unlink()
    edit_table(
        run,
        "decisions.parquet",
        lambda table: table.filter(pl.col("reason") != "NO_SAVING"),
    )
    num_rows = pl.read_parquet(run / "decisions.parquet").height
    edit_record(run, lambda record: record["evidence"].update(num_rows=num_rows))
    findings = "; ".join(verify_night(run).findings)
    assert "orders: " in findings
    assert "no decision, or no merchant of its own" in findings


@pytest.mark.slow
@pytest.mark.parametrize(("num_there", "why"), [(1, "TOO_FEW_PARCELS"), (3, "CAPS")])
def test_what_stops_a_floor_is_stated_again(
    num_there: int, why: str, tmp_path: Path
) -> None:
    """A floor of two with one parcel, or with a cap of one, says so, and is held."""
    orders = [(f"o{at}", "m", "north", 5.0 + at) for at in range(num_there)]
    made = make_tables([*orders, ("z", "n", "south", 1.0)], {"yunda": 9}, rate="0.34")
    floor = {"column": "region_id", "value": "north", "min_parcels": 2}
    relaxed = {"fairness": [floor], "on_conflict": "relax"}
    tables = {"orders": made.orders, "capacity": made.capacity}
    run = publish(tmp_path, tables, made.config | relaxed)
    assert pl.read_parquet(run / "conflicts.parquet")["stopped_by"].to_list() == [why]
    assert verify_night(run).findings == ()
    (run.parent / ".evidence.jsonl").unlink()
    edit_table(
        run,
        "conflicts.parquet",
        lambda table: table.with_columns(stopped_by=pl.lit("SLOTS")),
    )
    findings = "; ".join(verify_night(run).findings)
    assert f"is {why}, not SLOTS as published" in findings
