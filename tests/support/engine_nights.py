"""Nights in files that set every key which both engines honour."""

from __future__ import annotations

import polars as pl

from optimizer.build.learned_model import HARMS, Risk
from optimizer.build.model_file import model_text, named
from optimizer.io.kept_inputs import MODEL_FILE
from optimizer.testing import random_tables
from tests.support.drawn_models import a_model

CARRIERS = ["yunda", "zhongtong", "yuantong"]
N = pl.int_range(pl.len())
PREMIUM = ("complaint_prob_premium", "return_prob_premium")


def common(folder, name):
    """What all of them set: where results go, how large a table and a block may be."""
    return {
        "version": 1,
        "timezone": "Asia/Tokyo",
        "output": str(folder / f"runs-{name}"),
        "quarantine": {"max_share": 0.2},
        "solver": {"time_limit_seconds": 500, "num_threads": 1, "method": "pricing"},
        "spark": {"rows_per_block": 120},
        "operations": {
            "logs": "text",
            "metrics": str(folder / f"{name}.prom"),
            "lineage": str(folder / f"{name}.jsonl"),
            "alerts": {"quarantine_share": 0.001},
        },
        "limits": {
            "num_rows": 100_000,
            "num_columns": 50,
            "line_bytes": 4096,
            "unpacked_times": 100,
            "broken_rows_in_a_row": 200,
        },
        "lookups": {"warn_below": 0.9, "refuse_below": 0.1},
    }


def _percent(name):
    """A share as hundredths with a comma."""
    text = (100 * pl.col(name)).cast(pl.String)
    return text.str.replace(".", ",", literal=True)


def under_other_names(folder):
    """Names, words and units of another system, from Parquet, CSV and Excel."""
    tables = random_tables(21, num_orders=240, has_choice=True)
    orders = tables.orders.rename({"merchant_id": "shop"}).with_columns(
        order_value_cny=pl.format("{},5", N % 90),
        complaint_prob_standard=_percent("complaint_prob_standard"),
        order_id=pl.format('="{}"', "order_id"),
        receiver_phone=pl.lit("none"),
        outlet_id=pl.when(N % 17 == 0).then(pl.lit("NULL")).otherwise("outlet_id"),
        shop=pl.col("shop").replace({"m1": "NA"}),
        is_eligible=pl.when(N % 9 == 0).then(pl.lit("nein")).otherwise(pl.lit("ja")),
        delivery_date=pl.when(N % 8 == 0).then(pl.lit("24.11.2026")),
    )
    orders.write_parquet(folder / "mapped.parquet", row_group_size=70)
    assert tables.options is not None
    ways = tables.options.rename({"carrier_id": "way"}).with_columns(
        pl.format('="{}"', "order_id").alias("order_id"),
        complaint_prob_premium=_percent("complaint_prob_premium"),
        way=pl.col("way").replace({"yunda": "YD", "zhongtong": "ZT"}),
    )
    ways.write_parquet(folder / "ways.parquet", row_group_size=80)
    pl.DataFrame(
        {
            "Shop": ['="NA"', "m2", "m3", "m4"],
            "Anteil": ["50,0", "100", "80", "100"],
            "Budget": ["3,5", None, None, "2,0"],
            "enrolled": ["ja", "ja", "nein", "ja"],
        }
    ).write_excel(folder / "merchants.xlsx", worksheet="Läden")
    capacity = tables.capacity.rename({"carrier_id": "Träger"}).with_columns(
        pl.col("Träger").replace({"yunda": "'YD"})
    )
    text = capacity.drop("service_date", strict=False).write_csv()
    (folder / "mapped.csv").write_bytes(text.encode("windows-1252"))
    fee = {"merchant": 0.5, "platform": 0.3, "consumer": 0.2}
    return common(folder, "mapped") | {
        "null_words": ["NULL"],
        "not_null_words": ["NA"],
        "date_formats": ["DD.MM.YYYY"],
        "privacy": {"allow": {"columns": ["receiver_phone"], "reason": "always none"}},
        "policy": [
            {
                "valid_from": "2026-01-01",
                "cap": {"rate": 0.2},
                "fee": {"amount_cny": 0.5, "payer": fee},
                "compensation": {"amount_cny": 5, "payee": "recipient"},
                "carriers": CARRIERS,
            }
        ],
        "objective": tables.config["objective"],
        "inputs": {
            "orders": {
                "path": str(folder / "mapped.parquet"),
                "columns": {"merchant_id": "shop"},
                "values": {
                    "is_eligible": {"ja": "true", "nein": "false"},
                },
                "constants": {"ineligible_reason": "not for sale"},
                "units": {"complaint_prob_standard": "percent"},
                "wrapped": ["order_id"],
                "decimal": ",",
            },
            "options": {
                "path": str(folder / "ways.parquet"),
                "columns": {"carrier_id": "way"},
                "values": {"carrier_id": {"YD": "yunda", "ZT": "zhongtong"}},
                "constants": {"load": "1"},
                "units": {"complaint_prob_premium": "percent"},
                "wrapped": ["order_id"],
                "decimal": ",",
            },
            "capacity": {
                "path": str(folder / "mapped.csv"),
                "columns": {"carrier_id": "Träger"},
                "values": {"carrier_id": {"YD": "yunda"}},
                "constants": {"min_parcels": "0"},
                "wrapped": ["carrier_id"],
                "encoding": "windows-1252",
            },
            "merchants": {
                "path": str(folder / "merchants.xlsx"),
                "columns": {
                    "merchant_id": "Shop",
                    "take_up": "Anteil",
                    "daily_budget_cny": "Budget",
                    "is_enrolled": "enrolled",
                },
                "values": {"is_enrolled": {"ja": "true", "nein": "false"}},
                "constants": {"owner_id": "one"},
                "units": {"take_up": "percent"},
                "wrapped": ["merchant_id"],
                "decimal": ",",
                "sheet": "Läden",
            },
        },
    }


def by_rules(folder):
    """Rules: eligibility by each operator, caps, costs, peaks, a share kept back."""
    tables = random_tables(23, num_orders=400, num_merchants=9)
    orders = tables.orders.with_columns(
        order_value_cny=(N % 83).cast(pl.Float64),
        status=pl.when(N % 29 == 0).then(pl.lit("refunded")).otherwise(pl.lit("paid")),
        note=pl.when(N % 5 > 0).then(pl.format("n{}", N % 37)),
        kind=pl.format("k{}", N % 31),
        complaint_prob_standard=pl.when(N % 97 == 5)
        .then(7.0)
        .otherwise("complaint_prob_standard"),
    )
    orders.head(150).write_parquet(folder / "ruled-1.parquet", row_group_size=60)
    orders.tail(250).write_parquet(folder / "ruled-2.parquet")
    capacity = tables.capacity.filter(pl.col("region_id").fill_null("") != "r2")
    capacity.write_excel(folder / "ruled.xlsx", worksheet="tonight")
    facts = pl.DataFrame(
        {"merchant_id": ["m0", "m1"], "num_orders": [90, None], "店名": ["甲", "乙"]}
    )
    text = facts.with_columns(cap_override=pl.Series([None, 3])).write_csv()
    (folder / "ruled.csv").write_bytes(text.encode("gb18030"))
    rules = [
        {"column": "status", "is": "refunded", "reason": "refunded"},
        {"column": "kind", "in": ["k3", "k4"], "reason": "kind"},
        {"column": "order_value_cny", "below": 2, "reason": "cheap"},
        {"column": "order_value_cny", "above": 80, "reason": "dear"},
        {"column": "note", "not_in": [f"n{at}" for at in range(36)], "reason": "note"},
        {"column": "status", "is_not": "paid", "reason": "not paid"},
        {"column": "kind", "is_missing": True, "reason": "no kind"},
    ]
    kept = [
        {"carrier_id": "yunda", "region_id": "r1", "probability": 0.7},
        {"carrier_id": "zhongtong", "probability": 0.9},
    ]
    policy = {
        "valid_from": "2026-01-01",
        "cap": {"rate": 0.25, "base": "eligible_orders", "rounding": "pooled"},
        "fee": {"amount_cny": 0.4},
        "carriers": CARRIERS,
        "objective": {
            "complaint_cost_cny": 21,
            "return_cost_cny": 12,
            "fee_share": 0.5,
            "fulfilment": kept,
        },
        "eligibility": rules,
    }
    peak = {
        "from": "2026-11-20",
        "to": "2026-11-23",
        "factor": 0.5,
        "carriers": ["yunda"],
    }
    return common(folder, "ruled") | {
        "policy": [policy],
        "objective": tables.config["objective"]
        | {"relative_error": 0.1, "confidence": 0.8},
        "inputs": {
            "orders": str(folder / "ruled-*.parquet"),
            "capacity": {"path": str(folder / "ruled.xlsx"), "sheet": "tonight"},
            "merchants": {"path": str(folder / "ruled.csv"), "encoding": "gb18030"},
        },
        "capacity": {"uncovered_lanes": "open", "peaks": [peak]},
        "holdout": {"share": 0.2, "seed": 4},
    }


def _model_of_some_names():
    """Numbers for some tiers, regions, merchants; of one merchant nothing was drawn."""
    levels = {"tier": {"t0": 0.2}, "region_id": {"r1": 0.1}, "merchant_id": {"m1": 0.1}}
    risk = Risk(intercept=-3.0, slopes={}, levels=levels)
    found = a_model(has_trees=True)
    parts = {"risk": dict.fromkeys(HARMS, risk), "undrawn": ["m1"]}
    return named(found.model_copy(update=parts), "made")


def with_a_model(folder):
    """Several carriers, probabilities of a learned model, stations held out whole."""
    tables = random_tables(25, num_orders=250, has_choice=True)
    orders = tables.orders.drop("return_prob_standard").with_columns(
        order_value_cny=(N % 83).cast(pl.Float64),
        weight=(N % 7).cast(pl.Float64),
        tier=pl.format("t{}", N % 3),
    )
    orders.write_parquet(folder / "choice.parquet", row_group_size=90)
    assert tables.options is not None
    ways = tables.options.drop(PREMIUM)
    ways.write_parquet(folder / "options.parquet", row_group_size=100)
    tables.capacity.write_csv(folder / "choice.csv")
    (folder / "model").mkdir()
    (folder / "model" / MODEL_FILE).write_text(model_text(_model_of_some_names()))
    kept = {"carrier_id": "yunda", "region_id": "r1", "probability": 0.7}
    return common(folder, "choice") | {
        "policy": [tables.config["policy"][0]],
        "objective": {
            "complaint_cost_cny": 30,
            "return_cost_cny": 18,
            "fee_share": 0.5,
            "fulfilment": [kept],
        },
        "inputs": {
            "orders": str(folder / "choice.parquet"),
            "capacity": str(folder / "choice.csv"),
            "options": str(folder / "options.parquet"),
        },
        "holdout": {"share": 0.3, "unit": "station-day"},
        "model": str(folder / "model"),
        "learning": {"features": ["weight"], "categories": ["tier"]},
    }


#: Makers of the nights, by name.
ENGINE_NIGHTS = {
    "under other names": under_other_names,
    "by rules": by_rules,
    "with a model": with_a_model,
}


def after_others(folder):
    """What a night has around it: others before it, a state, copies, alerts, rights."""
    tables = random_tables(27, num_orders=260, num_merchants=30)
    orders = tables.orders.with_columns(
        wave=pl.format("b{}", N % 50), order_value_cny=(N % 83).cast(pl.Float64)
    )
    orders.write_parquet(folder / "around.parquet", row_group_size=90)
    tables.capacity.write_csv(folder / "around.csv")
    pl.DataFrame(
        {"order_id": ["nobody"], "date": ["2026-11-20"], "status": ["delivered"]}
    ).write_csv(folder / "deliveries.csv")
    policy = tables.config["policy"][0]
    cap = {"rate": "0.07", "rounding": "carryover", "window_days": 5}
    made = common(folder, "around")
    made["operations"]["alerts"] |= {
        "input_change": 0.3,
        "dead_lane_nights": 2,
        "splitting": {"columns": ["wave"], "below_cny": 9, "group_size": 3},
    }
    return made | {
        "policy": [policy | {"cap": cap}],
        "objective": tables.config["objective"],
        "inputs": {
            "orders": str(folder / "around.parquet"),
            "capacity": str(folder / "around.csv"),
            "deliveries": str(folder / "deliveries.csv"),
            "wait_minutes": 1,
            "when_capacity_is_late": "yesterdays_capacity",
        },
        "files": {"mode": "0600"},
        "privacy": {"allow": {"columns": ["status", "remark"], "reason": "no names"}},
        "state": {"url": f"sqlite:///{folder}/state-ENGINE.db"},
        "outputs": [{"table": "lanes", "to": f"{folder}/lanes-ENGINE-{{date}}.csv"}],
        "keep": {"versions": 3, "days": 400},
        "report": {"max_orders": 7},
        "acceptance": [{"metric": "relative_gap", "min": 0, "max": 0.1}],
    }
