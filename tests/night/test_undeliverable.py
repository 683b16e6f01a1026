"""What no outbox would take is left out before the solve, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

import optimizer
from optimizer.cli.main import app
from optimizer.io.outbox import OutboxCounts
from optimizer.night import deliver
from tests.support.nights import DATE, capacity_of, config_of, orders_of

CARRIERS = ("yunda", "shentong", "jd", "YTO", "sf")
ROSTER = {"carriers": ["yunda", "shentong", "jd", "YTO"], "cap": {"rate": 1}}
DOUYIN = {"platform": "douyin", "format": "csv"}
JD = {"platform": "jd", "format": "jsonl"}
TAOBAO = {"platform": "taobao", "format": "csv"}


def night_orders() -> pl.DataFrame:
    """Five orders of each carrier; the first of each has an id like a formula."""
    orders = orders_of(("m1",), 25, carrier_id=[c for c in CARRIERS for _ in range(5)])
    first = pl.int_range(25) % 5 == 0
    risky = pl.lit("-") + pl.col("order_id")
    return orders.with_columns(
        order_id=pl.when(first).then(risky).otherwise("order_id")
    )


def rooms() -> pl.DataFrame:
    """Room for all, of every carrier."""
    return pl.concat([capacity_of(carrier_id=carrier) for carrier in CARRIERS])


def reasons(*outboxes: dict[str, str], **tables: Any) -> dict[str, list[str]]:
    """Reasons of the five orders of each carrier."""
    boxes = [{**box, "to": f"box{n}"} for n, box in enumerate(outboxes)]
    config = config_of(policy=ROSTER, outbox=boxes)
    orders = night_orders()
    night = optimizer.allocate(orders, rooms(), config=config, **tables)
    by_id = dict(night.orders.select("order_id", "reason").iter_rows())
    found = [by_id[name] for name in orders["order_id"]]
    return {c: found[5 * n : 5 * n + 5] for n, c in enumerate(CARRIERS)}


ALL, NONE, OUT = ["CHOSEN"] * 5, ["NOT_DELIVERABLE"] * 5, ["CARRIER_INACTIVE"] * 5
BUT_FIRST = ["NOT_DELIVERABLE", *ALL[1:]]


@pytest.mark.parametrize(
    ("outboxes", "wanted"),
    [
        ((), (ALL, ALL, ALL, ALL, OUT)),
        ((DOUYIN,), (BUT_FIRST, NONE, NONE, NONE, OUT)),
        ((JD,), (NONE, NONE, ALL, NONE, OUT)),
        ((DOUYIN, JD), (BUT_FIRST, NONE, ALL, NONE, OUT)),
        ((TAOBAO,), (BUT_FIRST, BUT_FIRST, NONE, BUT_FIRST, OUT)),
        ((TAOBAO, TAOBAO | {"format": "jsonl"}), (ALL, ALL, NONE, ALL, OUT)),
    ],
)
def test_only_what_some_outbox_takes_goes_to_the_solver(
    outboxes: tuple[dict[str, str], ...], wanted: tuple[list[str], ...]
) -> None:
    """By carrier, its codes too, and by ids that a CSV file cannot hold."""
    assert tuple(reasons(*outboxes).values()) == wanted


def test_a_merchant_that_a_csv_file_cannot_hold_is_left_out() -> None:
    """Its id would be a formula; one of lines takes it."""
    for form, reason in (("csv", "NOT_DELIVERABLE"), ("jsonl", "CHOSEN")):
        box = DOUYIN | {"format": form, "to": "box"}
        config = config_of(policy={"cap": {"rate": 1}}, outbox=[box])
        night = optimizer.allocate(
            orders_of(("m1",), 4, merchant_id="@m1"), capacity_of(), config=config
        )
        assert night.orders["reason"].to_list() == [reason] * 4


def test_orders_with_options_say_which_is_missing() -> None:
    """No row at all, none of the roster, or none that a platform takes."""
    orders = orders_of(("m1",), 4)
    names = orders["order_id"].to_list()
    options = pl.DataFrame(
        {
            "order_id": [names[0], names[0], names[1], names[2], names[2]],
            "carrier_id": ["sf", "yunda", "sf", "sf", "shentong"],
            "complaint_prob_premium": 0.01,
            "return_prob_premium": 0.01,
        }
    )
    config = config_of(policy=ROSTER, outbox=[DOUYIN | {"to": "box"}])
    night = optimizer.allocate(
        orders.drop("carrier_id"), rooms(), config=config, options=options
    )
    by_id = dict(night.orders.select("order_id", "reason").iter_rows())
    wanted = ["CHOSEN", "CARRIER_INACTIVE", "NOT_DELIVERABLE", "NO_OPTION"]
    assert [by_id[name] for name in names] == wanted
    assert "options table" in night.explain(names[3])
    assert "no platform" in night.explain(names[2])


@pytest.mark.slow
@pytest.mark.parametrize("has_options", [False, True])
def test_the_second_statement_says_the_same(has_options: bool, tmp_path: Path) -> None:
    """A published night with all of these reasons holds."""
    orders = night_orders()
    inputs = {"orders": "orders.parquet", "capacity": "capacity.csv"}
    if has_options:
        names = ["order_id", "carrier_id", "complaint_prob_premium"]
        options = orders.select(*names, "return_prob_premium")[:24]
        options.write_csv(tmp_path / "options.csv")
        inputs["options"] = "options.csv"
        orders = orders.drop("carrier_id")
    orders.write_parquet(tmp_path / "orders.parquet")
    rooms().write_csv(tmp_path / "capacity.csv")
    boxes = [DOUYIN | {"to": str(tmp_path / "d.csv")}, JD | {"to": str(tmp_path / "j")}]
    config = config_of(
        policy=ROSTER,
        inputs={name: str(tmp_path / file) for name, file in inputs.items()},
        output=str(tmp_path / "runs"),
        outbox=boxes,
    )
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    call = ["run", "--config", str(path), "--date", DATE]
    done = CliRunner().invoke(app, call, obj={})
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "runs" / DATE / "run.json").read_text())
    told = record["summary"]["reasons"]
    assert (told["CHOSEN"], told["NOT_DELIVERABLE"]) == (9, 11)
    assert told.get("NO_OPTION", 0) == has_options
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "runs" / DATE)])
    assert (done.exit_code, "holds" in done.output) == (0, True), done.output


@pytest.mark.slow
@pytest.mark.parametrize("is_forged", [False, True])
def test_a_loss_stands_wherever_somebody_looks(
    is_forged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Summary, run.json, status, metrics and report have one list of what to look at.

    Both outboxes get all recommendations, and each takes its own: that is counted. A
    record that says otherwise does not hold.
    """
    if is_forged:
        monkeypatch.setattr(deliver, "count_outbox", lambda *_: OutboxCounts(9, {}))
    night_orders().write_parquet(tmp_path / "orders.parquet")
    rooms().write_csv(tmp_path / "capacity.csv")
    boxes = [DOUYIN | {"to": str(tmp_path / "d.csv")}, JD | {"to": str(tmp_path / "j")}]
    config = config_of(
        policy=ROSTER,
        inputs={
            "orders": str(tmp_path / "orders.parquet"),
            "capacity": str(tmp_path / "capacity.csv"),
        },
        output=str(tmp_path / "runs"),
        outbox=boxes,
        operations={"metrics": str(tmp_path / "night.prom")},
    )
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    options = ["--config", str(path)]
    done = CliRunner().invoke(app, ["run", *options, "--date", DATE], obj={})
    if is_forged:
        verified = CliRunner().invoke(app, ["verify", str(tmp_path / "runs" / DATE)])
        assert (verified.exit_code, "outbox 1" in verified.output) == (4, True)
        return
    status = CliRunner().invoke(app, ["status", *options]).output
    for said in (done.output, status):
        assert "douyin takes 4 of 9 (5 CARRIER_NOT_SUPPORTED)" in said
        assert "jd takes 5 of 9" in said
        assert "5 of 9 recommendations are not for douyin" in said
    folder = tmp_path / "runs" / DATE
    record = json.loads((folder / "run.json").read_text())
    taken = [(b["platform"], b["num_taken"]) for b in record["outboxes"]]
    assert taken == [("douyin", 4), ("jd", 5)]
    alerts = [alert["text"] for alert in record["alerts"] if alert["kind"] == "outbox"]
    assert len(alerts) == 2
    page = (folder / "report.html").read_text("utf-8")
    assert "5 of 9 recommendations are not for douyin" in page
    assert "Nothing about this night asks" not in page
    metrics = (tmp_path / "night.prom").read_text()
    assert 'premium_delivery_outbox_orders{platform="douyin"} 4.0' in metrics
    assert 'premium_delivery_alerts{kind="outbox"} 2.0' in metrics
    assert len((tmp_path / "d.csv").read_text().splitlines()) == 1 + 4
    again = CliRunner().invoke(app, ["run", *options, "--date", DATE], obj={})
    assert "5 of 9 recommendations are not for douyin" in again.output
    verified = CliRunner().invoke(app, ["verify", str(folder)])
    assert (verified.exit_code, "holds" in verified.output) == (0, True)
