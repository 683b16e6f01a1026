"""A published night is repaired: run again with a few changes of its inputs."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.config import load_config
from optimizer.errors import ConfigError, DataError, OptimizerError
from optimizer.explain.churn import churn_table, read_previous
from optimizer.job import run_date
from optimizer.night.run import RunReport
from optimizer.replay.run import verify_run
from optimizer.testing import Tables, random_tables
from optimizer.verify.night import verify_night

DAY = dt.date(2026, 11, 22)


@dataclass(frozen=True)
class Project:
    """A folder with a night's inputs, its configuration, and what is published."""

    folder: Path
    night: Tables
    kind: str

    def path(self, name: str) -> Path:
        """Path of an input table."""
        return self.folder / f"{name}.{self.kind}"

    def write(self, name: str, table: pl.DataFrame) -> Path:
        """Write a table in the project's form."""
        path = self.path(name)
        if self.kind == "csv":
            table.write_csv(path)
        elif self.kind == "xlsx":
            table.write_excel(path)
        else:
            table.write_parquet(path)
        return path

    @property
    def config(self) -> Path:
        """The YAML configuration."""
        return self.folder / "config.yaml"

    def run(self, **how: Any) -> RunReport:
        """Run the date."""
        return run_date(load_config(self.config), DAY, **how)


def make(folder: Path, kind: str = "parquet", **keys: Any) -> Project:
    """Write a random night and its configuration; publish nothing."""
    folder.mkdir()
    found = Project(folder, random_tables(5, num_orders=60), kind)
    found.write("orders", found.night.orders)
    found.write("capacity", found.night.capacity)
    inputs = {name: str(found.path(name)) for name in ("orders", "capacity")}
    settings = found.night.config | {"output": str(folder / "runs"), "inputs": inputs}
    found.config.write_text(json.dumps(settings | keys))
    return found


def changes_of(project: Project) -> dict[str, Path]:
    """Files of every kind of change."""
    night, new = project.night, pl.lit("new-") + pl.col("order_id")
    ids = night.orders["order_id"].to_list()
    more = random_tables(6, num_orders=5).orders.with_columns(order_id=new)
    return {
        "capacity": project.write(
            "slots", night.capacity.head(2).with_columns(slots=pl.Series([3, 1]))
        ),
        "add": project.write("more", more),
        "drop": project.write("gone", pl.DataFrame({"order_id": ids[:4]})),
        "cancel": project.write("off", pl.DataFrame({"order_id": ids[4:9]})),
    }


def changed_by_hand(project: Project) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same in the tables."""
    night, new = project.night, pl.lit("new-") + pl.col("order_id")
    ids = night.orders["order_id"].to_list()
    more = random_tables(6, num_orders=5).orders.with_columns(order_id=new)
    is_out = pl.col("order_id").is_in(ids[4:9])
    orders = night.orders.filter(~pl.col("order_id").is_in(ids[:4])).with_columns(
        is_eligible=~is_out,
        ineligible_reason=pl.when(is_out).then(pl.lit("cancelled")),
    )
    slots = pl.Series([3, 1, *night.capacity["slots"].to_list()[2:]])
    return (
        pl.concat([orders, more], how="diagonal_relaxed"),
        night.capacity.with_columns(slots=slots),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "csv", "xlsx"])
def test_a_repaired_night_is_the_night_of_the_changed_tables(
    tmp_path: Path, kind: str
) -> None:
    """
    Decisions, lanes and merchants are byte for byte those of a run of the changed
    tables; it is verified, replayed, kept beside the old one, and says what it is from.
    """
    project = make(tmp_path / "one", kind)
    first = project.run()
    old = Path(first.run_dir).resolve()
    project.path("orders").unlink()  # it is kept with the night
    found = project.run(changes=changes_of(project))

    other = make(tmp_path / "two", kind)
    orders, capacity = changed_by_hand(other)
    other.write("orders", orders)
    other.write("capacity", capacity)
    cold = other.run()
    for name in ("decisions", "merchants", "lanes", "recommendations"):
        one, two = (
            (Path(run.run_dir) / f"{name}.parquet").read_bytes()
            for run in (found, cold)
        )
        assert one == two, name
    assert found.record["certificate"] == cold.record["certificate"]

    assert found.outcome == "published"
    assert (old / "_SUCCESS").is_file()
    told = found.record["repaired"]
    assert told["from"] == old.name
    assert told["tables"] == ["capacity", "orders"]
    assert [*told["changes"]] == ["capacity", "add", "drop", "cancel"]
    assert verify_run(found.run_dir).findings == ()
    assert verify_night(Path(found.run_dir)).findings == ()

    kept = Path(found.run_dir).resolve()
    (order, *_) = project.night.orders["order_id"].to_list()[20:]
    later = {"cancel": project.write("later", pl.DataFrame({"order_id": [order]}))}
    again = project.run(changes=later)
    assert again.record["repaired"]["from"] == kept.name
    assert verify_night(Path(again.run_dir)).findings == ()
    decided = pl.read_parquet(Path(again.run_dir) / "decisions.parquet")
    assert decided.filter(order_id=order)["ineligible_reason"].item() == "cancelled"
    churn = churn_table(read_previous(kept), read_previous(again.run_dir).chosen)
    assert set(churn["change"]) <= {"ADDED", "REMOVED", "MOVED"}


def test_a_packing_night_is_repaired_by_its_own_solver(tmp_path: Path) -> None:
    """Loads: the changed night is solved, proved and published as a run would."""
    project = make(tmp_path / "one")
    loads = project.night.orders.with_columns(load=1 + pl.int_range(pl.len()) % 2)
    project.write("orders", loads)
    project.run()
    ids = loads["order_id"].to_list()
    gone = project.write("gone", pl.DataFrame({"order_id": ids[:9]}))
    found = project.run(changes={"drop": gone})
    assert found.record["problem_class"] == "packing"
    assert found.record["summary"]["num_orders"] == len(ids) - 9


def test_a_dry_repair_writes_nothing(tmp_path: Path) -> None:
    """The record says what would be; folder and link are as they were."""
    project = make(tmp_path / "one")
    first = project.run()
    before = {path for path in project.folder.rglob("*")}
    files = changes_of(project)
    found = project.run(changes=files, is_dry=True)
    assert found.record["repaired"]["tables"] == ["capacity", "orders"]
    after = {path for path in project.folder.rglob("*")} - {*files.values()}
    assert after == before
    assert Path(first.run_dir).resolve().is_dir()


def refused() -> dict[str, tuple[type[OptimizerError], str, dict[str, Any]]]:
    """What is changed, how it is refused, and what else is wrong."""
    ids = random_tables(5, num_orders=60).orders["order_id"].to_list()
    one = pl.DataFrame({"order_id": ids[:1]})
    slots = random_tables(5, num_orders=60).capacity.head(1)
    there = random_tables(5, num_orders=60).orders.head(1)
    new = there.with_columns(order_id=pl.lit("new"))
    return {
        "unknown id": (
            DataError,
            "not in the night",
            {"drop": pl.DataFrame({"order_id": ["x"]})},
        ),
        "unknown row": (
            DataError,
            "no row for carrier sf",
            {"capacity": slots.with_columns(carrier_id=pl.lit("sf"))},
        ),
        "negative slots": (
            DataError,
            "slots",
            {"capacity": slots.with_columns(slots=-1)},
        ),
        "an id twice": (
            DataError,
            "named more than once",
            {"cancel": pl.concat([one, one])},
        ),
        "an id that is there": (DataError, "in the night already", {"add": there}),
        "a broken new order": (
            DataError,
            "taken whole or not at all",
            {"add": new.with_columns(complaint_prob_standard=7.0)},
        ),
        "a new order without a probability": (
            DataError,
            "has no column complaint_prob_premium",
            {"add": new.drop("complaint_prob_premium")},
        ),
        "nothing": (DataError, "nothing changes", {"drop": one.clear()}),
    }


def test_a_repair_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """Bad changes, another configuration, date or version, and nothing published."""
    project = make(tmp_path / "one")
    gone = project.write("gone", project.night.orders.select("order_id").head(1))
    with pytest.raises(ConfigError, match="nothing to repair"):
        project.run(changes={"drop": gone})
    first = project.run()
    old = Path(first.run_dir).resolve()
    for kind, words, tables in refused().values():
        files = {n: project.write(n + "-bad", table) for n, table in tables.items()}
        with pytest.raises(kind, match=words):
            project.run(changes=files)
    assert Path(first.run_dir).resolve() == old

    settings = json.loads(project.config.read_text())
    dearer = settings | {"objective": {"complaint_cost_cny": 7, "return_cost_cny": 0}}
    project.config.write_text(json.dumps(dearer))
    with pytest.raises(ConfigError, match="another configuration"):
        project.run(changes={"drop": gone})
    project.config.write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="is the night of 2026-11-22"):
        run_date(
            load_config(project.config),
            DAY + dt.timedelta(days=1),
            changes={"drop": gone},
            previous=old,
        )
    record = json.loads((old / "run.json").read_text())
    record["identity"]["version"] = "0.0.1"
    (old / "run.json").chmod(0o640)
    (old / "run.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"made by version 0\.0\.1"):
        project.run(changes={"drop": gone})
