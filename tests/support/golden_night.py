"""A night that a person can check by hand, with its known answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

import optimizer
from optimizer import solvers
from optimizer.config import as_config
from optimizer.explain.night import Night
from optimizer.job import run_date
from optimizer.model.problem import Problem
from optimizer.model.solution import Solution, SolveParams
from optimizer.testing import make_config, make_tables
from tests.support.packing_oracle import best_by_rank, with_prices

DAY = dt.date(2026, 11, 22)
CAPACITY = {
    "carrier_id": pl.String,
    "region_id": pl.String,
    "outlet_id": pl.String,
    "slots": pl.Int64,
    "service_date": pl.Date,
    "min_parcels": pl.Int64,
    "penalty_cny": pl.Float64,
    "priority": pl.Int64,
    "vehicle": pl.String,
    "resource": pl.String,
}


@dataclass(frozen=True)
class Golden:
    """
    A night and its answer.

    Orders are ``(order_id, merchant_id, place, saving)`` as in ``make_tables``;
    ``capacity`` rows and ``merchants`` rows are given by column; ``order_columns`` by
    column and order. ``rows`` are the use of limits beside caps and lanes, by name.
    """

    orders: list[tuple[str, str, str, Any]]
    capacity: list[dict[str, Any]]
    chosen: str
    reasons: dict[str, str] = field(default_factory=dict)
    problem_class: str = "packing"
    rows: dict[str, tuple[str, int]] = field(default_factory=dict)
    conflicts: list[tuple[str, str, int, int]] = field(default_factory=list)
    order_columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    merchants: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    value_cny: float | None = None
    stopped_by: dict[str, str] = field(default_factory=dict)
    option_columns: dict[str, dict[str, Any]] = field(default_factory=dict)

    def tables(self) -> dict[str, pl.DataFrame | None]:
        """Input tables by name."""
        made = make_tables(self.orders, {"yunda": 1})
        orders, options = made.orders, made.options
        for name, values in self.order_columns.items():
            new = [values.get(order_id) for order_id in orders["order_id"]]
            orders = orders.with_columns(pl.Series(name, new))
        if options is not None:
            for name, values in self.option_columns.items():
                new = [values.get("/".join(r)) for r in options[:, :2].rows()]
                options = options.with_columns(pl.Series(name, new))
        more = {"vehicle": self.vehicles, "resource": self.resources}
        schema = {name: CAPACITY[name] for name in CAPACITY if more.get(name, True)}
        merchants = pl.DataFrame(self.merchants) if self.merchants else None
        return {
            "orders": orders,
            "options": options,
            "capacity": pl.DataFrame(self.capacity, schema=schema),
            "merchants": merchants,
        }

    @property
    def vehicles(self) -> bool:
        """Whether rows match vehicles."""
        return "vehicle" in self.config.get("capacity", {}).get("attributes", ())

    @property
    def resources(self) -> bool:
        """Whether rows count resources."""
        return bool(self.config.get("capacity", {}).get("resources"))

    def settings(self) -> dict[str, Any]:
        """The configuration: fees count for budgets alone."""
        config = make_config(1, **self.config)
        config["objective"]["fee_share"] = 0
        config["policy"][0] |= self.policy
        return config

    def solve(self, **tables: Any) -> Night:
        """Decide the night."""
        given = self.tables() | tables
        return optimizer.allocate(
            given["orders"],
            given["capacity"],
            config=self.settings(),
            options=given["options"],
            merchants=given["merchants"],
            date="2026-11-22",
        )


def publish(golden: Golden, folder: Path, **keys: Any) -> Path:
    """Write a golden night's tables, and publish it."""
    return run_date(as_config(written(golden, folder) | keys), DAY).run_dir


def written(golden: Golden, folder: Path) -> dict[str, Any]:
    """Write a golden night's tables; the configuration that publishes it."""
    inputs = {}
    for name, table in golden.tables().items():
        if table is not None:
            inputs[name] = str(folder / f"{name}.parquet")
            table.write_parquet(inputs[name])
    return golden.settings() | {
        "inputs": inputs,
        "output": str(folder / "runs"),
        "publish": {"max_relative_gap": 1},
    }


def solve_exactly(problem: Problem, method: str, params: SolveParams) -> Solution:
    """Packing nights by trying every plan; networks as ever."""
    if problem.side is not None:
        return with_prices(problem, best_by_rank(problem))
    return solvers.get_solver(method)(problem, params)


def lane(name: str, slots: int, **columns: Any) -> dict[str, Any]:
    """A capacity row: ``carrier/region/outlet``, a dash for all."""
    carrier, region, outlet = [
        None if part == "-" else part for part in [*name.split("/"), "-", "-"][:3]
    ]
    place = {"carrier_id": carrier, "region_id": region, "outlet_id": outlet}
    return place | {"slots": slots} | columns


def used_of(night: Night) -> Mapping[str, tuple[str, int]]:
    """Kind and use of each limit, by name."""
    if night.rows is None:
        return {}
    columns = night.rows.select("limit", "kind", "used")
    return {limit: (kind, used) for limit, kind, used in columns.rows()}
