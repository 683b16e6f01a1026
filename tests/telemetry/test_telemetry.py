"""What people and machines are told of a run: alerts, logs, metrics, lineage."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde
from prometheus_client.parser import text_string_to_metric_families

from optimizer.config import as_config, load_config
from optimizer.job import run_date
from optimizer.night.split_orders import count_groups, sizes_of
from optimizer.telemetry import alerts as alerting
from optimizer.telemetry import failures
from optimizer.telemetry.alerts import find_alerts, merchants_that_split
from optimizer.telemetry.failures import last_failures, record_failure
from optimizer.telemetry.watch import watched
from tests.support.desk import ask_desk, seen
from tests.support.small_night import DAY, Call, SmallNight, call

COMMAND = "from optimizer.cli.main import main; main()"
RUN = ("run", "--config", "config.yaml", "--date", DAY)


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Call]:
    """Call the command line in this process."""
    return lambda *words: call(monkeypatch, capsys, *words)


def add_day(night: SmallNight, day: dt.date) -> Path:
    """Inputs of another day, the same; gives their folder."""
    inputs = night.input("orders").parent
    return Path(shutil.copytree(inputs, inputs.with_name(day.isoformat())))


def kinds(night: SmallNight, day: dt.date, **rules: Any) -> dict[str, str]:
    """Run a date, and give its alerts by kind."""
    night.configure(operations={"alerts": rules})
    config = load_config(night.config)
    report = run_date(config, day, is_forced=True)
    return {a.kind: a.text for a in find_alerts(config, day, report.record)}


def test_a_quiet_night_raises_no_alert(published: SmallNight):
    """The same night again, and nothing before it: nothing to look at."""
    assert kinds(published, DAY) == {}


@pytest.mark.parametrize(("num_broken", "is_told"), [(1, False), (2, True)])
def test_a_share_of_rows_in_quarantine_is_told(
    inputs_only: SmallNight, num_broken: int, is_told: bool
):
    """Of 2,000 rows 0.05 % is one: two are above it, one is not."""
    orders = inputs_only.read("orders")
    place = pl.int_range(pl.len())
    risk = pl.when(place < num_broken).then(2.0).otherwise("return_prob_premium")
    inputs_only.write("orders", orders.with_columns(return_prob_premium=risk))
    assert ("quarantine" in kinds(inputs_only, DAY)) is is_told


@pytest.mark.parametrize(
    ("number", "usual", "is_far"),
    [
        *((70, 100, False), (69, 100, True), (130, 100, False), (131, 100, True)),
        *((0, 0, False), (1, 0, True), (5, 6.5, False), (4, 6.5, True)),
    ],
)
def test_thirty_percent_is_exact(number: int, usual: float, is_far: bool):
    """At the share nothing is said; one row beyond it is told. Medians may be .5."""
    allowed = as_config(MINIMAL).operations.alerts.input_change
    assert alerting._is_far(number, usual, allowed) is is_far


MINIMAL = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 0.03},
            "fee": {"amount_cny": 0.8},
            "carriers": ["yunda"],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
}


@pytest.mark.slow
def test_inputs_are_compared_with_the_same_weekday_else_the_median(
    inputs_only: SmallNight,
):
    """
    Half the rows of a week ago is told although yesterday had as few; without a night
    of a week ago the median decides.
    """
    orders, week = inputs_only.read("orders"), DAY - dt.timedelta(days=7)
    yesterday = DAY - dt.timedelta(days=1)
    for day in (week, yesterday):
        add_day(inputs_only, day)
    inputs_only.write("orders", orders.head(1_000))
    shutil.copy(
        inputs_only.input("orders"),
        inputs_only.folder / "nights" / str(yesterday) / "orders.parquet",
    )
    config = load_config(inputs_only.config)
    run_date(config, yesterday)
    assert "input_change" not in kinds(inputs_only, DAY)
    run_date(config, week)
    said = kinds(inputs_only, DAY)["input_change"]
    assert f"orders has 1,000 rows, on {week}: 2,000" in said
    assert "input_change" not in kinds(inputs_only, DAY, input_change=0.5)


@pytest.mark.slow
def test_lanes_without_a_parcel_for_some_nights_are_told(inputs_only: SmallNight):
    """Exactly those with slots and no use in each of three nights, counted by hand."""
    days = [DAY + dt.timedelta(days=number) for number in range(3)]
    capacity = inputs_only.read("capacity")
    for day in days[1:]:
        add_day(inputs_only, day)
    ghost = capacity.head(1).with_columns(region_id=pl.lit("NOWHERE"))
    ghost = ghost.with_columns(outlet_id=pl.lit(None, capacity["outlet_id"].dtype))
    for day in days:
        folder = inputs_only.folder / "nights" / str(day)
        pl.concat([capacity, ghost]).write_csv(folder / "capacity.csv")
    found = [kinds(inputs_only, day).get("dead_lanes") for day in days]
    assert found[:2] == [None, None]
    idle = [
        {
            lane[:3]
            for lane in pl.read_parquet(inputs_only.runs / str(day) / "lanes.parquet")
            .select("carrier_id", "region_id", "outlet_id", "slots", "used")
            .iter_rows()
            if lane[3] > 0 and lane[4] == 0
        }
        for day in days
    ]
    dead = set.intersection(*idle)
    assert any(lane[1] == "NOWHERE" for lane in dead)
    assert found[2].startswith(f"{len(dead)} lane")


def test_merchants_that_lost_their_slots_are_told(published: SmallNight):
    """One merchant falls to 20 orders, and so to no slot: it is named, no other is."""
    day = DAY + dt.timedelta(days=1)
    folder = add_day(published, day)
    orders = pl.read_parquet(folder / "orders.parquet")
    caps = pl.read_parquet(published.run_dir / "merchants.parquet")
    loser = caps.filter(pl.col("cap") > 0)["merchant_id"][0]
    mine = orders.filter(pl.col("merchant_id") == loser)
    left = pl.concat([orders.filter(pl.col("merchant_id") != loser), mine.head(20)])
    left.write_parquet(folder / "orders.parquet")
    merchants = pl.read_parquet(folder / "merchants.parquet")
    merchants.drop("num_orders", strict=False).write_parquet(
        folder / "merchants.parquet"
    )
    said = kinds(published, day)["lost_slots"]
    assert said.startswith(f"1 merchant had slots on {DAY} and has none ({loser})")


def group(merchant: str, count: int, value: float, buyer: str | None) -> pl.DataFrame:
    """Orders of one merchant that are alike."""
    return pl.DataFrame(
        {"merchant_id": merchant, "order_value_cny": value, "drop_key": buyer},
        schema={
            "merchant_id": pl.String,
            "order_value_cny": pl.Float64,
            "drop_key": pl.String,
        },
    ).select(pl.all().repeat_by(count).explode())


def several(merchant: str, count: int) -> pl.DataFrame:
    """Orders of one merchant, each of another buyer."""
    return pl.concat([group(merchant, 1, 5.0, f"b{k}") for k in range(count)])


def test_split_orders_are_those_that_raise_a_cap():
    """
    Five or more orders below 20 CNY of one buyer count once; a merchant is named if its
    cap is lower then: 40 of 100 alike (3 slots, then 1), 5 of 200 alike (6, then 5).
    Not if the group is of four, of dearer orders, of unknown buyers, or changes no cap.
    Orders that are counted in parts are counted as one table.
    """
    rule = {"columns": ["drop_key"], "below_cny": 20, "group_size": 5}
    config = as_config(MINIMAL | {"operations": {"alerts": {"splitting": rule}}})
    orders = pl.concat(
        [
            *(several("forty", 60), group("forty", 40, 5.0, "x")),
            *(several("edge", 195), group("edge", 5, 19.99, "x")),
            *(several("four", 96), group("four", 4, 5.0, "x")),
            *(several("dear", 60), group("dear", 40, 20.0, "x")),
            *(several("unknown", 60), group("unknown", 40, 5.0, None)),
            *(several("same cap", 205), group("same cap", 5, 5.0, "x")),
        ]
    )
    found = merchants_that_split(orders, config, DAY)
    assert found.rows() == [("edge", 200, 196), ("forty", 100, 61)]
    splitting = config.operations.alerts.splitting
    parts = [count_groups(part, splitting) for part in orders.iter_slices(97)]
    summed = pl.concat(parts).group_by("merchant_id", "group").agg(pl.sum("num_orders"))
    by_part = sizes_of(summed, splitting).filter(pl.col("merchant_id").is_in(["edge"]))
    assert by_part.rows() == [("edge", 200, 196)]


@pytest.mark.slow
def test_split_orders_are_found_in_a_nights_own_input(inputs_only: SmallNight):
    """With a key of who orders in the table; where it has none, that is said."""
    orders = inputs_only.read("orders")
    largest = orders["merchant_id"].mode()[0]
    is_split = (pl.col("merchant_id") == largest) & (pl.int_range(pl.len()) % 2 == 0)
    rule = {"columns": ["drop_key"]}
    assert "not looked for" in kinds(inputs_only, DAY, splitting=rule)["splitting"]
    own = pl.format("b{}", pl.int_range(pl.len()))
    inputs_only.write(
        "orders",
        orders.with_columns(
            order_value_cny=pl.lit(9.9),
            drop_key=pl.when(is_split).then(pl.lit("one")).otherwise(own),
        ),
    )
    said = kinds(inputs_only, DAY, splitting=rule)["splitting"]
    assert "1 merchant would have fewer slots" in said
    assert f"({largest})" in said


def watch(night: SmallNight, **more: Any) -> None:
    """Configure metrics and lineage."""
    told = {"metrics": "out/night.prom", "lineage": "out/{date}.jsonl"}
    night.configure(operations=told | more)


def samples() -> dict[str, float]:
    """The metrics file, read by Prometheus' own parser."""
    text = Path("out/night.prom").read_text()
    return {
        "".join([s.name, *sorted(s.labels.values())]).removeprefix(
            "premium_delivery_"
        ): (s.value)
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_metrics_are_the_nights_numbers(inputs_only: SmallNight, cli):
    """They parse, and agree with the record; nothing else is left in the folder."""
    watch(inputs_only)
    record = json.loads(cli(*RUN, "--json").out)
    found = samples()
    assert found["orders"] == record["summary"]["num_orders"] == 2_000
    assert found["chosen_orders"] == record["summary"]["num_chosen"] > 0
    assert found["saving_cny"] == record["summary"]["saving_cny"]
    assert found["input_rowsorders"] == 2_000
    assert (found["exit_code"], found["relative_gap"]) == (0, 0)
    assert (
        found["last_success_timestamp_seconds"] == found["last_run_timestamp_seconds"]
    )
    assert {f"alerts{kind}" for kind in ALERTS} <= set(found)
    assert found["stage_secondssolve"] > 0
    midnight = dt.datetime(2026, 11, 22, tzinfo=dt.UTC).timestamp()
    assert found["date_timestamp_seconds"] == midnight
    assert {p.name for p in Path("out").iterdir()} == {"night.prom", f"{DAY}.jsonl"}


ALERTS = ("quarantine", "input_change", "dead_lanes", "lost_slots", "splitting")


def test_a_failed_night_writes_metrics_and_an_event_too(published: SmallNight, cli):
    """Its exit code, no numbers of a night, and the time of the last good run."""
    watch(published)
    assert cli(*RUN).code == 0
    good = samples()
    published.input("orders").write_bytes(b"PAR1 not")
    assert cli(*RUN).code == 3
    bad = samples()
    assert bad["exit_code"] == 3
    last = "last_success_timestamp_seconds"
    assert bad[last] == good[last] < bad["last_run_timestamp_seconds"]
    assert "chosen_orders" not in bad
    assert [e["eventType"] for e in events()] == ["START", "COMPLETE", "START", "FAIL"]
    assert "orders" in events()[-1]["run"]["facets"]["errorMessage"]["message"]


def test_what_cannot_be_told_does_not_stop_a_night(inputs_only: SmallNight, cli):
    """A folder that cannot be made: the night is published, and the log says why."""
    Path("out").write_text("in the way")
    watch(inputs_only)
    found = cli(*RUN)
    assert (found.code, inputs_only.run_dir.is_dir()) == (0, True)


def test_a_dry_run_tells_nobody(inputs_only: SmallNight, cli):
    """Neither metrics nor events: nothing happened."""
    watch(inputs_only)
    assert cli(*RUN, "--dry-run").code == 0
    assert not Path("out").exists()


def test_what_is_told_does_not_make_another_night(published: SmallNight, cli):
    """Metrics, logs and thresholds are no part of a night's identity."""
    watch(published, alerts={"input_change": 0.9})
    assert json.loads(cli(*RUN, "--json").out)["outcome"] == "unchanged"


def events() -> list[dict[str, Any]]:
    """The lineage file."""
    lines = Path(f"out/{DAY}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def facets(found: dict[str, Any]) -> dict[str, Any]:
    """Facets as the client's own classes; a field that they do not know fails."""
    made = {}
    for name, facet in found.items():
        kind = facet["_schemaURL"].rpartition("/")[2]
        modules = [getattr(facet_v2, n) for n in facet_v2.__all__]
        (cls,) = {getattr(m, kind) for m in modules if hasattr(m, kind)}
        values = {k: v for k, v in facet.items() if not k.startswith("_")}
        made[name] = cls(**values, producer=facet["_producer"])
        assert made[name]._schemaURL == facet["_schemaURL"]
    return made


def dataset(cls: type, found: dict[str, Any]) -> Any:
    """A dataset as the client's own class."""
    own = {k: facets(v) for k, v in found.items() if k.lower().endswith("facets")}
    return cls(found["namespace"], found["name"], **own)


def without_nothing(value: Any) -> Any:
    """JSON without what is empty: the client writes defaults, we need not."""
    if isinstance(value, dict):
        kept = {k: without_nothing(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in (None, {}, [])}
    return [without_nothing(v) for v in value] if isinstance(value, list) else value


def test_lineage_events_are_those_of_openlineages_own_client(
    inputs_only: SmallNight, cli
):
    """
    START and COMPLETE of one run: its client's classes take every part, and write the
    same JSON again; inputs and outputs are the night's files with their checksums.
    """
    watch(inputs_only)
    record = json.loads(cli(*RUN, "--json").out)
    started, done = events()
    assert [started["eventType"], done["eventType"]] == ["START", "COMPLETE"]
    assert started["run"]["runId"] == done["run"]["runId"]
    for event in (started, done):
        again = event_v2.RunEvent(
            eventTime=event["eventTime"],
            producer=event["producer"],
            run=event_v2.Run(event["run"]["runId"], facets(event["run"]["facets"])),
            job=event_v2.Job(**event["job"]),
            eventType=event_v2.RunState(event["eventType"]),
            inputs=[dataset(event_v2.InputDataset, d) for d in event["inputs"]],
            outputs=[dataset(event_v2.OutputDataset, d) for d in event["outputs"]],
        )
        assert attrs.has(type(again))
        assert without_nothing(Serde.to_dict(again)) == without_nothing(event)
    given = {
        f["path"]: f["sha256"] for u in record["inputs"].values() for f in u["files"]
    }
    assert {d["facets"]["version"]["datasetVersion"] for d in done["inputs"]} == set(
        given.values()
    )
    names = {Path(d["name"]).name for d in done["outputs"]}
    assert "recommendations.parquet" in names
    assert all(Path(d["name"]).is_file() for d in done["inputs"] + done["outputs"])


def run_alone(*words: object) -> subprocess.CompletedProcess[str]:
    """Call the command line in a process of its own: it sets up logging."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["option", "configuration"])
def test_json_logs_are_objects_with_the_runs_id(inputs_only: SmallNight, how: str):
    """
    Every line on stderr is one object; stages, end and numbers are there, all with the
    same id; a failure is a line too, with its exit code. Results stay on stdout.
    """
    words = (*RUN, "--json")
    if how == "option":
        words = (*words, "--log-json")
    else:
        inputs_only.configure(operations={"logs": "json"})
    done = run_alone(*words)
    assert json.loads(done.stdout)["outcome"] == "published"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert len({line["run_id"] for line in lines}) == 1
    assert uuid.UUID(lines[0]["run_id"])
    assert lines[0]["message"] == "run started"
    stages = [line["stage"] for line in lines if "stage" in line]
    assert stages[:2] == ["read", "validate"]
    assert lines[-1]["message"] == "run ended"
    assert lines[-1]["num_orders"] == 2_000
    assert all(dt.datetime.fromisoformat(line["time"]) for line in lines)
    inputs_only.input("capacity").unlink()
    failed = run_alone(*words)
    last = json.loads(failed.stderr.splitlines()[-1])
    assert (failed.returncode, last["exit_code"], last["level"]) == (3, 3, "ERROR")
    assert "capacity" in last["message"]


def test_alerts_stand_in_the_summary_for_people(inputs_only: SmallNight, cli):
    """The line that people read has the alert, the chain's head and what to do."""
    orders = inputs_only.read("orders")
    risk = (
        pl.when(pl.int_range(pl.len()) < 2).then(2.0).otherwise("return_prob_premium")
    )
    inputs_only.write("orders", orders.with_columns(return_prob_premium=risk))
    said = cli(*RUN).out
    assert "  alert      2 of 2,000 rows of orders are in quarantine" in said
    assert "tell whoever makes the table" in said
    assert "  evidence   link 1, " in said


def test_a_run_that_fails_is_told_in_the_morning(
    published: SmallNight, cli: Callable[..., Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Beside the nights, in `status` and at the desk: when, how, and what it said; a dry
    run and one that succeeds leave no line, one that is stopped does; a line that is
    broken is passed over, and the file stays bounded.
    """
    output, file = published.runs, failures.FILE_NAME
    assert last_failures(str(output), 9) == []
    orders = published.input("orders")
    whole = orders.read_bytes()
    orders.write_bytes(b"no table")
    assert cli(*RUN, "--force", "--dry-run").code == 3
    assert not (output / file).exists()
    assert cli(*RUN, "--force").code == 3
    orders.write_bytes(whole)
    assert cli(*RUN, "--force").code == 0
    (one,) = last_failures(str(output), 9)
    assert (one.day, one.exit_code) == (DAY, 3)
    assert "orders.parquet" in one.message
    told = cli("status", "--config", "config.yaml", "--date", DAY)
    assert f"failed   {one.at:%Y-%m-%d %H:%M} UTC with exit code 3: {one.message}" in (
        told.out
    )
    page = seen(ask_desk(published), "/health").plain
    assert "Runs that failed" in page
    assert one.message[:60] in page
    with (output / file).open("a") as lines:
        lines.write("{broken\n[]\n")
    for error in (KeyboardInterrupt(), SystemExit(143)):
        with pytest.raises(type(error)):
            watched(load_config(published.config), DAY, _raise(error))
    newest = last_failures(str(output), 9)
    assert [one.exit_code for one in newest] == [143, 130, 3]
    assert newest[0].message == "it was stopped"
    assert last_failures(str(output), 9, DAY + dt.timedelta(1)) == []
    monkeypatch.setattr(failures, "MAX_BYTES", 4_000)
    for number in range(100):
        record_failure(str(output), DAY, 1, ValueError(f"number {number}"))
        assert (output / file).stat().st_size < 4_200
    assert [one.message for one in last_failures(str(output), 2)] == [
        "number 99",
        "number 98",
    ]


def _raise(error: BaseException) -> Callable[..., Any]:
    def work(_tell: object) -> Any:
        raise error

    return work
