"""
Blocks: some merchants with all their orders, as columns in a few binary cells.

A block is one row of a cached DataFrame; Spark never sees the orders in it, and a
pass reads the cells that it needs. In bytes, about ``38 + 12 * options`` an order
for the numbers, and the length of its names.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.errors import OptimizerError
from optimizer.model import encode
from optimizer.model.build import Index, build_problem
from optimizer.model.encode import OPEN, OptionArrays, OrderArrays
from optimizer.model.lanes import Place
from optimizer.model.problem import Problem
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from optimizer.distributed.rows import Rules

#: A block; ``failed`` is a message for the driver.
BLOCK = (
    "block int, numbers binary, places binary, merchants binary, names binary, "
    "failed string"
)
_NUMBERS = ("merchant_start", "cap", "option_start", "option_saving", "key", "row")


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """
    The lanes of the whole night; go out with each task.

    Attributes
    ----------
    places
        By lane.
    slots, parent
        ``(num_lanes,)`` each.
    of_place
        Lane of each place that parcels go to.
    """

    places: tuple[Place, ...]
    slots: NDArray[np.int64]
    parent: NDArray[np.int32]
    of_place: Mapping[Place, int]


def pack(**arrays: Any) -> bytes:
    """Put arrays into one binary cell."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def unpack(cell: bytes) -> dict[str, NDArray[Any]]:
    """Take arrays out of a cell."""
    with np.load(io.BytesIO(cell), allow_pickle=False) as loaded:
        return {name: loaded[name] for name in loaded.files}


def build_block(
    batches: Iterable[pa.RecordBatch], rules: Rules
) -> Iterator[pa.RecordBatch]:
    """Turn a partition of ``VALUED_ROWS`` and ``block`` into one ``BLOCK``."""
    import polars as pl

    from optimizer.distributed.rows import in_schema

    parts = [pl.DataFrame(pl.from_arrow(b)) for b in batches if b.num_rows]
    if not parts:
        return
    frame = pl.concat(parts)
    del parts
    for (block,), mine in frame.partition_by("block", as_dict=True).items():
        try:
            cells = _cells(mine, rules)
        except OptimizerError as error:
            cells = {"failed": str(error)}
        yield from in_schema(pl.DataFrame({"block": [block], **cells}), BLOCK)


def _cells(frame: pl.DataFrame, rules: Rules) -> dict[str, Any]:
    """The cells of one block."""
    import polars as pl

    frame = frame.with_columns(pl.col("key").reinterpret(signed=False))
    frame = frame.sort("merchant_id", "key", "carrier_id", "outlet_id")
    same = frame.select("merchant_id", "key")
    is_first = (same != same.shift(1)).select(
        pl.any_horizontal(pl.all().fill_null(True))
    )
    first = is_first.to_series().to_numpy().copy()
    first[:1] = True
    ways = frame["is_option"].to_numpy()
    position = np.cumsum(first) - 1
    named = frame.filter(first)
    coder = rules.coder()
    orders = _orders(named, coder, np.unique(position[ways]))
    problem, index = build_problem(
        orders,
        _options(frame.filter(ways), position[ways], coder),
        coder,
        capacity={},
        is_open=True,
        cap=rules.policy.cap,
        merchants=rules.merchants,
        num_rows=len(named),
    )
    numbers = {name: getattr(problem, name) for name in _NUMBERS}
    names = io.BytesIO()
    named.select("order_id", "region_id").write_ipc(names, compression="lz4")
    repeated = frame.filter(ways).select("merchant_id", "key", "carrier_id")
    return {
        "numbers": pack(
            **numbers,
            option_place=problem.option_lane,
            status=index.status,
            row_merchant=index.row_merchant,
        ),
        "places": json.dumps([index.places, problem.slots.tolist()]).encode(),
        "merchants": pack(
            ids=np.frombuffer(json.dumps(index.merchant_ids).encode(), np.uint8),
            num_orders=index.merchant_num_orders,
            cap=problem.cap,
            num_open=np.diff(problem.merchant_start),
            highest=problem.option_saving.max(initial=0),
            lowest=problem.option_saving.min(initial=0),
            statuses=np.bincount(index.status, minlength=256),
            num_repeated=int(repeated.is_duplicated().sum()),
        ),
        "names": names.getvalue(),
    }


def _orders(
    named: pl.DataFrame, coder: encode.Coder, with_option: NDArray[np.int64]
) -> OrderArrays:
    """Orders of a block; open ones without an option have no active carrier."""
    status = named["status"].to_numpy().astype(np.uint8)
    has = np.zeros(len(named), np.bool_)
    has[with_option] = True
    status[(status == OPEN) & ~has] = Reason.CARRIER_INACTIVE
    return OrderArrays(
        np.arange(len(named)),
        named["key"].to_numpy(),
        np.zeros(0, np.uint64),
        coder.merchants.encode(named["merchant_id"]),
        status,
    )


def _options(
    ways: pl.DataFrame, position: NDArray[np.int64], coder: encode.Coder
) -> OptionArrays:
    leaf, _, _ = encode.code_leaves(
        coder,
        coder.carriers.encode(ways["carrier_id"]),
        coder.regions.encode(ways["region_id"]),
        coder.outlets.encode(ways["outlet_id"]),
    )
    return OptionArrays(position, leaf, ways["saving"].to_numpy())


def open_block(
    numbers: bytes, places: bytes, lanes: Lanes
) -> tuple[Problem, dict[str, NDArray[Any]]]:
    """The problem of a block on the lanes of the whole night, and its cells."""
    from optimizer.model.arrange_kernel import sort_options

    cells = unpack(numbers)
    lane_of = [lanes.of_place[Place(*place)] for place in json.loads(places)[0]]
    lane = np.array(lane_of, np.int32)[cells["option_place"]]
    sort_options(cells["option_start"], lane, cells["option_saving"])
    problem = Problem(
        **{name: cells[name] for name in _NUMBERS},
        option_lane=lane,
        slots=lanes.slots,
        lane_parent=lanes.parent,
    )
    return problem, cells


def block_index(
    cells: Mapping[str, NDArray[Any]], merchants: bytes, lanes: Lanes
) -> Index:
    """The names behind the numbers of a block."""
    about = unpack(merchants)
    return Index(
        tuple(json.loads(about["ids"].tobytes())),
        about["num_orders"],
        lanes.places,
        (),
        cells["status"],
        cells["row_merchant"],
    )
