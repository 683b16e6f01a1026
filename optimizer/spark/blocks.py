"""
Blocks: some merchants with their orders, as columns in a few binary cells.

A block is one row of a cached DataFrame; Spark never sees the orders in it, and a
pass reads only the cell that it needs: ``9 + 6 * options`` bytes an order. There are
also 2 bytes an order for the outcome of each row, and some 18 of compressed names. A
merchant that would fill a large part of a block is spread over several, by key.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build import encode
from optimizer.build.assemble import Names
from optimizer.build.encode import OPEN
from optimizer.build.lanes import Place
from optimizer.build.order_day import code_days
from optimizer.build.unseen_names import (
    CARRIER,
    UnseenNames,
    counted_by_column,
    known_names,
)
from optimizer.errors import OptimizerError
from optimizer.io.order_keys import order_keys
from optimizer.model.problem import Problem, starts
from optimizer.model.reasons import Reason
from optimizer.solvers.network.blocks import ByBlock
from optimizer.spark.cells import pack, unpack
from optimizer.spark.packed import in_schema, unpack_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from optimizer.build.encode import NightCodes
    from optimizer.spark.cells import Cell
    from optimizer.spark.rows import Rules

#: A block; ``failed`` is a message for the driver.
BLOCK = (
    "block int, numbers binary, status binary, names binary, merchants binary, "
    "failed string"
)
#: Says that two orders of a block share a key.
COLLISION = "\0collision"
#: Columns of a block's names, by row.
NAMES = ("order_id", "region_id", "ineligible_reason")
#: Names that must be spelled in one way.
NAME_COLUMNS = ("carrier_id", "region_id", "outlet_id")
#: What a pass needs, and what the decisions need beside it.
PASS_CELLS = ("block", "numbers")
ALL_CELLS = ("block", "numbers", "status", "names", "merchants")


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """
    Lanes and caps of the whole night.

    Attributes
    ----------
    slots, parent
        By lane.
    place_key, place_lane
        Keys of all places that parcels go to, ascending, and the lane of each: 12
        bytes for a place, where its name in every block would be many.
    cap_of
        By block, the cap of each of its merchants: that of the whole merchant.
    arm_of
        By block, its orders of the explore arm, which are in no problem.
    """

    slots: NDArray[np.int64]
    parent: NDArray[np.int32]
    place_key: NDArray[np.uint64]
    place_lane: NDArray[np.int32]
    cap_of: Mapping[int, NDArray[np.int64]]
    arm_of: Mapping[int, BlockArm] = field(default_factory=ByBlock)


@dataclass(frozen=True, slots=True, eq=False)
class BlockArm:
    """
    The explore arm's orders of a block.

    Attributes
    ----------
    key
        ``(p,) uint64``, ascending.
    lane, is_premium
        ``(p,) int32`` and ``bool``: of the drawn option, and the result of the coin.
    used_cap
        ``(m,) int64``: places that the arm takes of each merchant's whole cap.
    """

    key: NDArray[np.uint64]
    lane: NDArray[np.int32]
    is_premium: NDArray[np.bool_]
    used_cap: NDArray[np.int64]


def build_blocks(
    batches: Iterable[pa.RecordBatch], rules: Rules
) -> Iterator[pa.RecordBatch]:
    """Turn a partition of ``PARTED`` rows, by block, into ``BLOCK`` rows."""
    import polars as pl

    cells_of: dict[int, list[bytes]] = {}
    for batch in batches:
        for block, cell in zip(batch["part"].to_pylist(), batch["rows"], strict=True):
            cells_of.setdefault(block, []).append(cell.as_py())
    for block in [*cells_of]:
        try:
            cells = _cells(pl.concat(map(unpack_rows, cells_of.pop(block))), rules)
        except OptimizerError as error:
            cells = {"failed": str(error)}
        yield from in_schema(pl.DataFrame({"block": [block], **cells}), BLOCK)


def _cells(frame: pl.DataFrame, rules: Rules) -> dict[str, Any]:
    """The cells of one block."""
    import polars as pl

    frame = frame.with_columns(pl.col("key").reinterpret(signed=False))
    frame = frame.sort("merchant_id", "key", "order_id", "carrier_id", "outlet_id")
    first = _changes(frame.select("merchant_id", "key", "order_id"))
    position = np.cumsum(first) - 1
    named = frame.filter(first)
    if named["key"].n_unique() < len(named):
        return {"failed": COLLISION}
    ids = named["merchant_id"].unique(maintain_order=True)
    merchant = np.cumsum(_changes(named.select("merchant_id"))) - 1
    is_way = frame["is_option"].to_numpy()
    ways, order = frame.filter(is_way), position[is_way]
    status = named["status"].to_numpy().astype(np.uint8)
    for is_such, reason in (
        (frame["carrier_id"].is_not_null().to_numpy(), Reason.NO_OPTION),
        (frame["is_active"].to_numpy(), Reason.CARRIER_INACTIVE),
        (is_way, Reason.NOT_DELIVERABLE),
    ):
        has_such = np.bincount(position[is_such], minlength=len(named)) > 0
        status[(status == OPEN) & ~has_such] = reason
    is_open = status == OPEN
    leaf, places = _leaves(ways, rules)
    names = io.BytesIO()
    named.select(NAMES).write_ipc(names, compression="lz4")
    num_merchants = len(ids)
    is_again = ~_changes(ways.select("merchant_id", "key", "carrier_id"))
    is_worth, is_hoped = (
        np.bincount(order[ways[of].fill_null(0).to_numpy() > 0], minlength=len(named))
        > 0
        for of in ("saving", "hoped")
    )
    return {
        "numbers": pack(
            merchant_start=starts(merchant[is_open], num_merchants),
            option_start=starts(order, len(named))[np.append(is_open, True)],
            option_saving=ways["saving"].to_numpy(),
            option_place=leaf,
            place_key=place_keys(places, rules.salt),
            key=named["key"].to_numpy()[is_open],
        ),
        "status": pack(status=status, merchant=merchant.astype(np.int32)),
        "names": names.getvalue(),
        "merchants": pack(
            ids=_as_bytes(ids.to_list()),
            places=_as_bytes(places),
            demand=np.bincount(leaf, minlength=len(places)),
            there=np.bincount(merchant, minlength=num_merchants),
            eligible=np.bincount(
                merchant[status != Reason.INELIGIBLE], minlength=num_merchants
            ),
            num_open=np.bincount(merchant[is_open], minlength=num_merchants),
            num_worth=np.int64(is_worth.sum()),
            num_hoped=np.int64((is_hoped & ~is_worth).sum()),
            highest=ways["saving"].to_numpy().max(initial=0),
            statuses=np.bincount(status, minlength=256),
            names=_as_bytes(
                {c: frame[c].drop_nulls().unique().to_list() for c in NAME_COLUMNS}
            ),
            unseen=_as_bytes(_unseen(frame, named, rules)),
            num_repeated=np.sum(is_again | np.append(is_again[1:], [False])),
            days=named["service_day"].drop_nulls().unique().to_numpy(),
        ),
    }


def _unseen(
    frame: pl.DataFrame, named: pl.DataFrame, rules: Rules
) -> dict[str, dict[str, int]]:
    """Names that the model does not know, with their orders, or options of carriers."""
    known = known_names(rules.model)
    carriers = UnseenNames({c: names for c, names in known.items() if c == CARRIER})
    carriers.note(frame, [CARRIER])
    return {**counted_by_column(named["unseen"]), **carriers.counts}


def _changes(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Rows that differ from the one before."""
    import polars as pl

    is_new = (frame != frame.shift(1)).select(
        pl.any_horizontal(pl.all().fill_null(value=True))
    )
    first = is_new.to_series().to_numpy().copy()
    first[:1] = True
    return first


def _leaves(ways: pl.DataFrame, rules: Rules) -> tuple[NDArray[np.int32], list[Place]]:
    """The place of each option, among the block's places sorted by name."""
    coder = rules.coder()
    leaf, _, _ = encode.code_leaves(
        coder,
        coder.carriers.encode(ways["carrier_id"]),
        coder.regions.encode(ways["region_id"]),
        coder.outlets.encode(ways["outlet_id"]),
        _days(ways, coder),
    )
    places = encode.leaf_places(coder)
    by_name = sorted(range(len(places)), key=lambda at: sort_key(places[at]))
    rank = np.empty(len(places), np.int32)
    rank[by_name] = np.arange(len(places))
    return rank[leaf], [places[at] for at in by_name]


def _days(ways: pl.DataFrame, coder: NightCodes) -> NDArray[np.int32]:
    """Code the day whose slot each option takes; 0 where they are not counted so."""
    import polars as pl

    days = ways["service_day"]
    if days.null_count() == len(days):
        return np.zeros(len(ways), np.int32)
    return code_days(days.cast(pl.Date), coder.days)


def listed_places(cell: NDArray[np.uint8]) -> list[Place]:
    """Read back the places that :func:`build_blocks` put into a cell as text."""
    found = []
    for carrier, region, outlet, day in listed(cell):
        date = None if day is None else dt.date.fromisoformat(day)
        found.append(Place(carrier, region, outlet, date))
    return found


def place_keys(places: list[Place], salt: int) -> NDArray[np.uint64]:
    """Keys of places, ``(num_places,) uint64``, as those of orders are made."""
    import polars as pl

    texts = [json.dumps(place, default=str) for place in places]
    names = pl.Series(texts, dtype=pl.String)
    return order_keys(names, salt)[0]


def sort_key(place: Place) -> tuple[str, ...]:
    """Sorts places by name."""
    return tuple(str(part or "") for part in place)


def _as_bytes(values: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(values, default=str).encode(), np.uint8)


def listed(cell: NDArray[np.uint8]) -> Any:
    """Read back what :func:`build_blocks` put into a cell as text."""
    return json.loads(cell.tobytes())


def open_block(block: int, numbers: Cell, terms: Terms) -> Problem:
    """The problem of a block, on the lanes and with the caps of the whole night."""
    whole = whole_block(block, numbers, terms)
    arm = terms.arm_of.get(block)
    return whole if arm is None else _without(whole, arm.key)


def _without(whole: Problem, key: NDArray[np.uint64]) -> Problem:
    """A problem without the orders of some keys; rows count what is left."""
    is_left = ~np.isin(whole.key, key)
    count = np.diff(whole.option_start)
    option = np.repeat(is_left, count)
    left = np.concatenate(([0], np.cumsum(is_left)))
    return replace(
        whole,
        merchant_start=left[whole.merchant_start],
        option_start=np.concatenate(([0], np.cumsum(count[is_left]))),
        option_lane=whole.option_lane[option],
        option_saving=whole.option_saving[option],
        key=whole.key[is_left],
        row=np.arange(int(left[-1])),
    )


def whole_block(block: int, numbers: Cell, terms: Terms) -> Problem:
    """The same with the orders of the explore arm, which its limits are not for."""
    from optimizer.build.canonical_order_kernel import sort_options

    cells = unpack(numbers)
    lane_of = terms.place_lane[np.searchsorted(terms.place_key, cells["place_key"])]
    lane, saving = lane_of[cells["option_place"]], cells["option_saving"]
    if not saving.flags.writeable:  # of the cell itself
        saving = saving.copy()
    sort_options(cells["option_start"], lane, saving)
    return Problem(
        merchant_start=cells["merchant_start"],
        cap=terms.cap_of[block],
        option_start=cells["option_start"],
        option_lane=lane,
        option_saving=saving,
        slots=terms.slots,
        lane_parent=terms.parent,
        key=cells["key"],
        row=np.arange(len(cells["key"])),
    )


def block_index(
    status: Cell,
    merchants: Cell,
    places: tuple[Place, ...],
    has_budget: NDArray[np.bool_] | None,
) -> Names:
    """
    The names behind the numbers of a block; rows are its own, from 0.

    Parameters
    ----------
    status, merchants
        Cells of the block: its rows, and its merchants.
    places
        Names of the lanes.
    has_budget
        ``(m,) bool``: the block's merchants whose cap comes from a budget; ``None``
        where there are no budgets.
    """
    about, rows = unpack(merchants), unpack(status)
    return Names(
        tuple(listed(about["ids"])),
        about["there"],
        places,
        (),
        rows["status"],
        rows["merchant"],
        has_budget=has_budget,
    )
