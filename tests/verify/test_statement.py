"""The second statement of a night agrees with the first, whatever the night has."""

from __future__ import annotations

import errno
import json
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from optimizer.errors import CertificateError, MachineError, OptimizerError
from optimizer.verify.audit import audit_text, check_names, statement
from optimizer.verify.engine import state_again
from optimizer.verify.faults import stated_faults
from optimizer.verify.night import not_stated, verify_night
from tests.support.night_variants import VARIANTS, Tables, Variant, settings, simulated
from tests.support.published_nights import publish, record_of


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A simulated day on which each order has its carrier."""
    return simulated(tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A simulated day on which orders have three carriers."""
    return simulated(tmp_path_factory.mktemp("choice"), carriers_per_order=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_option_is_stated(name: str, single: Tables, tmp_path: Path) -> None:
    """For each option that decides anything the statement finds what was published."""
    variant = VARIANTS[name]
    run = publish(
        tmp_path, variant.change(single), settings(variant), suffix=variant.suffix
    )
    assert verify_night(run).findings == ()


_ROW = pl.int_range(pl.len())


def _loads(tables: Tables) -> Tables:
    options, capacity = tables["options"], tables["capacity"]
    assert options is not None
    assert capacity is not None
    return tables | {
        "options": options.with_columns(load=pl.when(_ROW % 4 == 0).then(2)),
        "capacity": capacity.with_columns(slots=pl.col("slots") * 3 + 1),
    }


def _strays(tables: Tables) -> Tables:
    orders, options = tables["orders"], tables["options"]
    assert orders is not None
    assert options is not None
    wrong = pl.when(_ROW == 9).then(-1.0).otherwise("complaint_prob_standard")
    beyond = pl.when(_ROW == 40).then(2.0).otherwise("complaint_prob_premium")
    return tables | {
        "orders": orders.filter(_ROW != 5).with_columns(complaint_prob_standard=wrong),
        "options": options.with_columns(complaint_prob_premium=beyond),
    }


def _idle_rows(tables: Tables) -> Tables:
    """Rows that no order falls in, below those of carriers with room for a draw."""
    capacity = tables["capacity"]
    assert capacity is not None
    carriers = capacity["carrier_id"].unique().sort()
    idle = [
        {"carrier_id": carrier, "region_id": "CN-00", "outlet_id": outlet, "slots": 3}
        for carrier in carriers
        for outlet in (None, "nobody")
    ]
    rows = pl.DataFrame(idle, schema_overrides={"slots": capacity["slots"].dtype})
    roomy = capacity.with_columns(slots=pl.col("slots") * 20)
    return tables | {"capacity": pl.concat([roomy, rows], how="diagonal")}


CHOICES = {
    "three carriers": Variant(),
    "three carriers as text": Variant(suffix="csv"),
    "broken options, and options of no order": Variant(_strays),
    "whole lanes prove the bound": Variant(
        _loads, config={"publish": {"max_relative_gap": 0.5}}
    ),
    "drawn beside rows without orders": Variant(
        _idle_rows,
        policy={"cap": {"rate": 0.3}},
        config={"holdout": {"share": 0.1, "explore_share": 0.3, "seed": 1}},
    ),
    "coins among three carriers": Variant(
        policy={"cap": {"rate": 0.3}},
        config={
            "objective": {
                "complaint_cost_cny": 30,
                "return_cost_cny": 18,
                "explore": "margin",
            },
            "holdout": {"share": 0.1, "explore_share": 0.5, "seed": 1},
        },
    ),
    "drawn among three carriers": Variant(
        policy={"cap": {"rate": 0.3}},
        config={"holdout": {"share": 0.1, "explore_share": 0.3, "seed": 1}},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_orders_with_a_choice_are_stated(
    name: str, choice: Tables, tmp_path: Path
) -> None:
    """Nights with an options table are stated as those without."""
    variant = CHOICES[name]
    run = publish(
        tmp_path, variant.change(choice), settings(variant), suffix=variant.suffix
    )
    assert verify_night(run).findings == ()


def _city_alone(tables: Tables) -> Tables:
    """Limits of cities alone: no row names a carrier, and the column is not there."""
    orders, capacity = tables["orders"], tables["capacity"]
    assert orders is not None
    assert capacity is not None
    city = pl.format("city-{}", pl.col("region_id").str.slice(-1))
    rows = (
        capacity.filter(
            pl.col("region_id").is_not_null() & pl.col("outlet_id").is_null()
        )
        .group_by(city_id=city)
        .agg(pl.col("slots").sum() // 9 + 1)
        .sort("city_id")
    )
    return tables | {"orders": orders.with_columns(city_id=city), "capacity": rows}


def _regions_alone(tables: Tables) -> Tables:
    capacity = tables["capacity"]
    assert capacity is not None
    regions = capacity.filter(
        pl.col("region_id").is_not_null() & pl.col("outlet_id").is_null()
    )
    rows = regions.group_by("region_id").agg(pl.col("slots").sum() // 9 + 1)
    return tables | {"capacity": rows.sort("region_id")}


WITHOUT_CARRIERS = {
    "regions": Variant(_regions_alone, {"cap": {"rate": 0.3}}),
    "regions as text": Variant(_regions_alone, {"cap": {"rate": 0.3}}, suffix="csv"),
    "cities": Variant(
        _city_alone,
        {"cap": {"rate": 0.3}},
        {"capacity": {"attributes": ["city_id"]}},
    ),
    "one number": Variant(
        lambda tables: tables | {"capacity": pl.DataFrame({"slots": [9]})}
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("has_choice", [False, True])
@pytest.mark.parametrize("name", WITHOUT_CARRIERS)
def test_capacity_need_not_name_carriers(
    name: str, has_choice: bool, single: Tables, choice: Tables, tmp_path: Path
) -> None:
    """Limits of places alone, for all carriers together, hold and are stated."""
    variant = WITHOUT_CARRIERS[name]
    tables = variant.change(choice if has_choice else single)
    variant.config.setdefault("publish", {"max_relative_gap": 0.5})
    run = publish(tmp_path, tables, settings(variant), suffix=variant.suffix)
    capacity = tables["capacity"]
    assert capacity is not None
    used = pl.read_parquet(run / "rows.parquet")
    assert "carrier_id" not in capacity.columns
    assert used["high"].sum() == capacity["slots"].sum()
    assert 0 < used["used"].sum() <= capacity["slots"].sum()
    assert used["used"].sum() == record_of(run)["summary"]["num_chosen"]
    assert verify_night(run).findings == ()


@pytest.fixture(scope="module")
def plain(single: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published night that no test may change."""
    return publish(tmp_path_factory.mktemp("plain"), single, settings(Variant()))


def asked(run: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the script alone answers, run by DuckDB in the folder of the night."""
    monkeypatch.chdir(run)
    with duckdb.connect() as engine:
        return engine.execute(script).fetchall()


@pytest.mark.slow
def test_the_script_needs_nothing_but_duckdb(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published script alone gives no row for a night that holds, and some else."""
    script = (plain / "audit.sql").read_text()
    assert asked(plain, script, monkeypatch) == []
    changed = tmp_path / "changed"
    shutil.copytree(plain, changed)
    caps = pl.read_parquet(changed / "merchants.parquet")
    caps = caps.with_columns(pl.col("cap") + 1)
    caps.write_parquet(changed / "merchants.parquet")
    checks = {row[0] for row in asked(changed, script, monkeypatch)}
    assert "caps" in checks


@pytest.mark.slow
def test_the_script_reads_inputs_from_elsewhere(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs that were moved are read from where the reader says."""
    record = record_of(plain)
    moved = tmp_path / "moved.parquet"
    shutil.copy(record["inputs"]["orders"]["files"][0]["path"], moved)
    mark = "-- 1. The rules"
    script = audit_text(record)
    assert script.count(mark) == 1
    placed = script.replace(mark, f"SET VARIABLE orders = ['{moved}'];\n{mark}")
    assert asked(plain, placed, monkeypatch) == []


@pytest.mark.slow
def test_the_script_itself_tells_damaged_inputs(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, it holds for columns and rows in any order, and not for other orders."""
    record, mark = record_of(plain), "-- 1. The rules"
    path = Path(record["inputs"]["orders"]["files"][0]["path"])
    orders, other = pl.read_parquet(path), tmp_path / "orders.parquet"
    placed = audit_text(record).replace(
        mark, f"SET VARIABLE orders = ['{other}'];\n{mark}"
    )
    orders.select(reversed(orders.columns)).reverse().write_parquet(other)
    assert asked(plain, placed, monkeypatch) == []
    orders.rename({"region_id": "region"}).write_parquet(other)
    assert asked(plain, placed, monkeypatch)
    orders.head(-1).write_parquet(other)
    assert {"num_rows", "orders"} & {
        row[0] for row in asked(plain, placed, monkeypatch)
    }
    for damaged in (path.read_bytes()[:-100], b"", b"order_id,merchant_id\n"):
        other.write_bytes(damaged)
        with pytest.raises(duckdb.Error, match=r"orders\.parquet|parquet"):
            asked(plain, placed, monkeypatch)


def _inputs(run: Path, path: Path) -> dict[str, list[str]]:
    """The night's inputs, with the orders from a path."""
    used = record_of(run)["inputs"]
    given = {name: [f["path"] for f in table["files"]] for name, table in used.items()}
    return given | {"orders": [str(path)]}


@pytest.mark.slow
def test_rows_in_another_order_are_the_same_night(plain: Path, tmp_path: Path) -> None:
    """The order of rows decides nothing."""
    record = record_of(plain)
    orders = pl.read_parquet(record["inputs"]["orders"]["files"][0]["path"])
    path = tmp_path / "orders.parquet"
    orders.sample(fraction=1, shuffle=True, seed=1).write_parquet(path)
    assert state_again(plain, record, _inputs(plain, path)) == []


@pytest.mark.slow
def test_several_files_are_one_table(single: Tables, tmp_path: Path) -> None:
    """A glob of files is read in order, and broken rows keep their numbers."""
    tables = VARIANTS["broken rows"].change(single)
    orders = tables["orders"]
    assert orders is not None
    (tmp_path / "parts").mkdir()
    for part in range(3):
        orders[part * 500 : (part + 1) * 500].write_parquet(
            tmp_path / "parts" / f"orders-{part}.parquet"
        )
    config = settings(VARIANTS["broken rows"])
    run = publish(
        tmp_path,
        tables | {"orders": None},
        config,
        more={"orders": str(tmp_path / "parts" / "orders-*.parquet")},
    )
    assert verify_night(run).findings == ()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow"])
def test_damaged_inputs_are_said_to_be(
    suffix: str, single: Tables, tmp_path: Path
) -> None:
    """A file that is truncated, of another encoding or of another kind is no night."""
    orders = single["orders"]
    assert orders is not None
    record, run, path = _stored(single, tmp_path, suffix)
    assert state_again(run, record) == []
    content = path.read_bytes()
    for damage in (
        content[: len(content) // 2],
        b"",
        content.decode("latin-1").encode("utf-16"),
    ):
        path.write_bytes(damage)
        assert _complains(run, record)
    path.unlink()
    assert _complains(run, record)


def _stored(
    tables: Tables, folder: Path, suffix: str
) -> tuple[dict[str, Any], Path, Path]:
    orders = tables["orders"]
    assert orders is not None
    path = folder / f"orders{suffix}"
    if suffix == ".parquet":
        orders.write_parquet(path)
    elif suffix == ".csv":
        orders.write_csv(path)
    else:
        orders.write_ipc(path)
    more = {"orders": str(path)}
    run = publish(folder, tables | {"orders": None}, settings(Variant()), more=more)
    return record_of(run), run, path


def _complains(run: Path, record: dict[str, Any]) -> bool:
    try:
        return state_again(run, record) != []
    except CertificateError as error:
        return "cannot be" in str(error)


def test_every_check_is_asked(plain: Path) -> None:
    """Whatever a check is made as, it is among those that are asked."""
    parts = statement(record_of(plain))
    made = {
        name
        for part in parts
        for name in re.findall(r"\b(check_\w+)(?= AS\b| \()", part.text)
    }
    assert made == set(check_names(parts))
    assert len(made) > 40


@pytest.mark.slow
def test_another_file_under_the_name_is_seen(plain: Path, tmp_path: Path) -> None:
    """Capacity under the name of the orders, or orders with a cell changed, is seen."""
    record = record_of(plain)
    other = record["inputs"]["capacity"]["files"][0]["path"]
    assert state_again(plain, record, _inputs(plain, Path(other)))
    orders = pl.read_parquet(record["inputs"]["orders"]["files"][0]["path"])
    path = tmp_path / "orders.parquet"
    first = pl.when(_ROW == 0).then(0.999).otherwise("complaint_prob_standard")
    orders.with_columns(complaint_prob_standard=first).write_parquet(path)
    checks = {found.check for found in state_again(plain, record, _inputs(plain, path))}
    assert "saving" in checks


def test_without_duckdb_it_says_what_was_not_checked(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without DuckDB, or with one too old, the rest is checked and the gap is named."""
    monkeypatch.setattr(duckdb, "__version__", "1.1.3")
    old = verify_night(plain)
    assert (old.findings, old.is_stated) == ((), False)
    assert "DuckDB 1.1.3 is too old" in old.unchecked[0]
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    none = verify_night(plain)
    assert (none.findings, none.is_stated) == ((), False)
    assert "pip install 'duckdb>=1.4'" in none.unchecked[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["network", "packing"])
def test_nights_of_the_first_format_are_verified(name: str, tmp_path: Path) -> None:
    """Nights that the first release published verify as they did, and forged do not."""
    folder = tmp_path / "night"
    shutil.copytree(Path(__file__).parent / "format_1" / name, folder)
    run = folder / "published"
    text = (run / "run.json").read_text().replace("{here}", str(folder))
    (run / "run.json").write_text(text)
    assert record_of(run)["schema_version"] == 1
    found = verify_night(run)
    assert (found.findings, found.is_stated) == ((), True)
    assert any("report.html: is of " in one for one in found.unchecked)
    record = record_of(run)
    record["certificate"]["dual_bound"] += 1
    record["certificate"]["gap"] += 1
    (run / "run.json").write_text(json.dumps(record))
    assert any("bounds: " in words for words in verify_night(run).findings)


def test_a_table_that_nothing_states_is_named() -> None:
    """Who adds a table and no check of it reads that "holds" does not speak of it."""
    record = {"outputs": dict.fromkeys(("lanes.parquet", "lane_days.parquet", "x.sql"))}
    text = "FROM 'lanes.parquet'"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optimizer.verify.night.audit_text", lambda _: text)
        (said,) = not_stated(record)
    assert said.startswith("lane_days.parquet: is as it was published")


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (duckdb.OutOfMemoryException("x"), MachineError, "not enough memory to state"),
        (MemoryError(), MachineError, "not enough memory to state"),
        (OSError(errno.ENOMEM, "x"), MachineError, "not enough memory to state"),
        (
            duckdb.IOException("Could not write: No space left on device"),
            MachineError,
            "not enough room in /.* to state the night .*; .* TMPDIR",
        ),
        (duckdb.IOException("cut off"), CertificateError, r"no such night \(cut off\)"),
        (OSError("of row 138"), CertificateError, "no such night$"),
    ],
)
def test_a_small_machine_is_no_false_night(
    raised: Exception, expected: type[OptimizerError], words: str
) -> None:
    """Lack of memory or room is told with code 1; false files as a finding, code 4."""
    faults = stated_faults("no such night", OSError, MemoryError)
    with pytest.raises(expected, match=words) as found, faults:
        raise raised
    assert found.value.exit_code == (1 if expected is MachineError else 4)
