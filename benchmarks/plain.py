"""
A whole night by a plain script: polars and OR-Tools, without checks, reasons or proof.

    python -m benchmarks.plain FOLDER decisions.parquet

It reads the files of a simulated night, values the parcels as its rules say, solves one
minimum cost flow and writes a row for each order. It imports nothing of ``optimizer``:
what it saves is found a second way.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np
import polars as pl

#: The rules of :func:`benchmarks.nightly.night_rules`, in micro-CNY.
ROSTER = ["zhongtong", "yuantong", "yunda", "shunfeng"]
PERCENT, FEE, COMPLAINT, RETURN = 3, 800_000, 30_000_000, 18_000_000
#: What a lane is named by, the narrowest first.
OUTLET = ["carrier_id", "region_id", "outlet_id"]
REGION, CARRIER = OUTLET[:2], OUTLET[:1]


def decide(folder: Path, out: Path) -> dict[str, int]:
    """
    Decide a night of a folder.

    Returns
    -------
    dict
        ``objective_micro_cny`` and ``num_chosen``.
    """
    orders = pl.read_parquet(folder / "orders.parquet").with_row_index("order")
    merchants = pl.read_parquet(folder / "merchants.parquet")
    lanes = pl.read_csv(folder / "capacity.csv").with_row_index("lane")
    caps = orders.group_by("merchant_id").len().sort("merchant_id")
    caps = caps.select("merchant_id", cap=pl.col("len") * PERCENT // 100)
    caps = caps.with_row_index("merchant").join(merchants, on="merchant_id", how="left")
    ways = _ways(folder, orders)
    ways = ways.join(caps, on="merchant_id", how="left", maintain_order="left")
    ways = _on_lanes(_valued(ways), lanes)
    taken = _flow(ways, caps, lanes)
    chosen = ways.filter(pl.Series(taken))
    decisions = orders.select("order", "order_id").join(
        chosen.select("order", "carrier_id", "saving"),
        on="order",
        how="left",
        maintain_order="left",
    )
    decisions.select(
        "order_id",
        "carrier_id",
        is_premium=pl.col("saving").is_not_null(),
        saving_cny=pl.col("saving") / 1e6,
    ).write_parquet(out)
    return {
        "objective_micro_cny": int(chosen["saving"].sum()),
        "num_chosen": len(chosen),
    }


def _ways(folder: Path, orders: pl.DataFrame) -> pl.DataFrame:
    """Orders with each carrier that may take them."""
    orders = orders.filter(pl.col("is_eligible").fill_null(True))
    path = folder / "options.parquet"
    if not path.exists():
        return orders
    options = pl.read_parquet(path)
    return options.join(orders, on="order_id", maintain_order="left")


def _valued(ways: pl.DataFrame) -> pl.DataFrame:
    """Those that may be chosen and save something, with their savings."""

    def drop(name: str) -> np.ndarray:
        after = ways[f"{name}_prob_premium"].to_numpy()
        return ways[f"{name}_prob_standard"].to_numpy() - after

    harm = drop("complaint") * COMPLAINT + drop("return") * RETURN
    take_up = ways["take_up"].fill_null(1.0).to_numpy()
    saving = np.rint(take_up * harm).astype(np.int64) - FEE
    ways = ways.with_columns(saving=pl.Series(saving))
    is_open = pl.col("carrier_id").is_in(ROSTER) & pl.col("is_enrolled").fill_null(True)
    return ways.filter(is_open & (pl.col("saving") > 0) & (pl.col("cap") > 0))


def _on_lanes(ways: pl.DataFrame, lanes: pl.DataFrame) -> pl.DataFrame:
    """Each way with the narrowest row that takes it; without one it has no slots."""
    found = []
    for names in (OUTLET, REGION, CARRIER):
        rows = _rows_of(lanes, names).select(*names, "lane")
        place = ways.select(names)
        place = place.join(rows, on=names, how="left", maintain_order="left")
        found.append(place["lane"].alias(str(len(names))))
    lane = pl.DataFrame(found).select(lane=pl.coalesce(pl.all())).to_series()
    return ways.with_columns(lane).filter(pl.col("lane").is_not_null())


def _rows_of(lanes: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Rows of the capacity table that name these columns alone."""
    others = [name for name in OUTLET if name not in names]
    return lanes.filter(
        *(pl.col(name).is_not_null() for name in names),
        *(pl.col(name).is_null() for name in others),
    )


def _flow(ways: pl.DataFrame, caps: pl.DataFrame, lanes: pl.DataFrame) -> np.ndarray:
    """Which ways a minimum cost flow takes, ``(len(ways),) bool``."""
    from ortools.graph.python import min_cost_flow

    first_lane = 2 + len(caps)
    merchant = 2 + ways["merchant"].to_numpy().astype(np.int64)
    lane = first_lane + ways["lane"].to_numpy().astype(np.int64)
    several = ways.select(pl.len().over("order") > 1).to_series().to_numpy()
    numbers, first, place = np.unique(
        ways["order"].to_numpy(), return_index=True, return_inverse=True
    )
    node = first_lane + len(lanes) + np.arange(len(numbers))
    is_node = several[first]
    room, total = caps["cap"].to_numpy().astype(np.int64), int(caps["cap"].sum())
    parent = _parents(lanes)
    arcs = [
        # tail, head, capacity, cost: ways first, so that their flows are
        (np.where(several, node[place], merchant), lane, 1, -ways["saving"].to_numpy()),
        (merchant[first][is_node], node[is_node], 1, 0),
        (0, 2 + np.arange(len(caps)), room, 0),
        (
            first_lane + np.arange(len(lanes)),
            np.where(parent < 0, 1, first_lane + parent),
            lanes["slots"].to_numpy().astype(np.int64),
            0,
        ),
        ([0], [1], total, 0),  # what is not worth sending
    ]
    columns = [np.broadcast_arrays(*map(np.atleast_1d, arc)) for arc in arcs]
    tail, head, capacity, cost = (
        np.concatenate(parts).astype(np.int64) for parts in zip(*columns, strict=True)
    )
    solver = min_cost_flow.SimpleMinCostFlow()
    added = solver.add_arcs_with_capacity_and_unit_cost(tail, head, capacity, cost)
    ends = np.arange(2, dtype=np.int32)
    solver.set_nodes_supplies(ends, np.array([total, -total]))
    if solver.solve() != solver.OPTIMAL:
        raise SystemExit("the minimum cost flow did not end")
    return np.asarray(solver.flows(added[: len(ways)])) > 0


def _parents(lanes: pl.DataFrame) -> np.ndarray:
    """The row around each row; -1 where there is none."""
    parent = np.full(len(lanes), -1)
    # the narrowest row comes last, and stays
    for names, around in ((REGION, CARRIER), (OUTLET, CARRIER), (OUTLET, REGION)):
        above = _rows_of(lanes, around).select(*around, above="lane")
        found = _rows_of(lanes, names).join(above, on=around)
        parent[found["lane"].to_numpy()] = found["above"].to_numpy()
    return parent


def main() -> None:
    """Decide the night of a folder, and print one line of JSON."""
    found = decide(Path(sys.argv[1]), Path(sys.argv[2]))
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(found | {"peak_memory_bytes": peak}))


if __name__ == "__main__":
    main()
