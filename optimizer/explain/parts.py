"""Explanations of a merchant, a lane or the whole night of a published run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import pinned, read_record
from optimizer.contracts.tables import ROW_RESULTS
from optimizer.errors import DataError
from optimizer.explain.contributions import (
    lane_part,
    merchant_contributions,
    night_contributions,
)
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.lookup import find_rows, merchant_decisions
from optimizer.io.published_tables import read_table, scan_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

_WORDS = {
    "night": (
        "the night avoids {saving:,.2f} CNY after the fees that count: "
        "{lanes:,.2f} are the worth of full lanes, {caps:,.2f} of full caps, "
        "and {orders:,.2f} what the chosen orders bring beyond that{other}",
        "当晚共可净避免损失 {saving:,.2f} 元：其中 {lanes:,.2f} 元来自已满线路的价值，"
        "{caps:,.2f} 元来自已满商家上限的价值，{orders:,.2f} 元为入选订单在此之外的贡献"
        "{other}",
    ),
    "merchant": (
        "{used:,} of {cap:,} slots are used, out of {num_orders:,} orders; they avoid "
        "{saving:,.2f} CNY after the fees that count: {lanes:,.2f} pay for places "
        "with carriers, {caps:,.2f} are the worth of the cap, {orders:,.2f} are beyond "
        "that; one more slot would bring {one_more:,.2f} CNY{fewer}",
        "{num_orders:,} 单中上限 {cap:,} 单，已用 {used:,} 单；共可净避免损失 "
        "{saving:,.2f} 元：{lanes:,.2f} 元对应承运名额的价值，"
        "{caps:,.2f} 元对应商家上限的价值，"
        "{orders:,.2f} 元为此外的贡献；再多一个名额可带来 {one_more:,.2f} 元{fewer}",
    ),
    "full": (
        "all {slots:,} slots are used, and worth {worth:,.2f} CNY together; one more "
        "in this row alone would bring {one_more:,.2f} CNY{fewer}{around}",
        "{slots:,} 个名额已全部用完，合计价值 {worth:,.2f} 元；仅此行再多一个可带来 "
        "{one_more:,.2f} 元{fewer}{around}",
    ),
    "loose": (
        "{used:,} of {slots:,} slots are used; one more in this row alone would bring "
        "nothing{around}",
        "{slots:,} 个名额中已用 {used:,} 个；仅此行再多一个不会带来任何收益{around}",
    ),
    "fewer": (", and one fewer cost {amount:,.2f}", "，少一个则损失 {amount:,.2f} 元"),
    "around": (
        "; one more in it and in all rows around it would bring {amount:,.2f} CNY",
        "；此行与其所有上级行各多一个可带来 {amount:,.2f} 元",
    ),
    "packing merchant": (
        "{used:,} of {cap:,} slots are used, out of {num_orders:,} orders; they avoid "
        "{saving:,.2f} CNY after the fees that count; in the proof {caps:,.2f} of "
        "it are the price of the cap, {orders:,.2f} what the orders bring above all "
        "prices, and {lanes:,.2f} the rest, for places with carriers and further "
        "limits",
        "{num_orders:,} 单中上限 {cap:,} 单，已用 {used:,} 单；共可净避免损失 "
        "{saving:,.2f} 元；按证明中的价格，{caps:,.2f} 元对应商家上限，"
        "{orders:,.2f} 元为订单高出"
        "全部价格的部分，其余 {lanes:,.2f} 元对应承运名额及其他限制",
    ),
    "packing lane": (
        "{used:,} of {slots:,} slots are used; the proof prices a slot at "
        "{price:,.2f} CNY",
        "{slots:,} 个名额中已用 {used:,} 个；证明中每个名额的价格为 {price:,.2f} 元",
    ),
    "limit": (
        "{used:,} of {high:,} are used; the proof prices one more at {price:,.2f} CNY",
        "{high:,} 中已用 {used:,}；证明中再多一个的价格为 {price:,.2f} 元",
    ),
    "floor": (
        "{used:,} are reached, of at least {low:,}; one more asked for changes the "
        "bound of the proof by {price:,.2f} CNY",
        "下限 {low:,}，已达 {used:,}；下限每提高一个，证明中的界变化 {price:,.2f} 元",
    ),
    "other": (
        ", and {amount:,.2f} of loads, side constraints and randomised orders",
        "，另有 {amount:,.2f} 元来自占用量、其他限制及随机试验",
    ),
    "gap": (
        "; this is at most {amount:,.2f} CNY below the best there could be",
        "；与理论最优相差不超过 {amount:,.2f} 元",
    ),
}


def explain_night(run_dir: Path, language: str = "en") -> dict[str, Any]:
    """
    Split a published night's saving into its parts, from its files alone.

    Returns
    -------
    dict
        ``saving_cny`` and its parts ``lanes_cny``, ``caps_cny``, ``orders_cny``,
        ``other_cny``, less ``gap_cny``; and a ``sentence``. Penalties of floors that
        are not reached are taken off the saving.

    Raises
    ------
    DataError
        When the folder is not a run.
    """
    run_dir = pinned(run_dir)
    proof = read_record(run_dir)["certificate"]
    with damaged_is_data_error(str(run_dir)):
        parts = night_contributions(
            _decisions(run_dir),
            read_table(run_dir, "merchants.parquet"),
            read_table(run_dir, "lanes.parquet"),
            dual_bound=proof["dual_bound"],
            gap=proof["gap"],
        )
    names = ("saving", "lanes", "caps", "orders", "other", "gap")
    money = {name: getattr(parts, name) / 1e6 for name in names}
    extra = [name for name in ("other", "gap") if money[name]]
    more = "".join(_say(name, language, amount=money[name]) for name in extra)
    found: dict[str, Any] = {f"{name}_cny": amount for name, amount in money.items()}
    return found | {"sentence": _say("night", language, **money | {"other": more})}


def explain_merchant(
    run_dir: Path, merchant_id: str, language: str = "en"
) -> dict[str, Any]:
    """
    Split a merchant's saving into its parts, and count its orders by reason.

    Raises
    ------
    DataError
        When the folder is not a run, or has no such merchant.
    """
    run_dir = pinned(run_dir)
    read_record(run_dir)
    path = run_dir / "merchants.parquet"
    found = find_rows(path, "merchant_id", merchant_id)
    if found.height == 0:
        raise DataError(f"merchant {merchant_id!r} has no orders in this night")
    own = merchant_decisions(run_dir, merchant_id)
    parts = merchant_contributions(own.lazy(), found).row(0, named=True)
    row = found.row(0, named=True)
    kind = "packing merchant" if row["one_more_cny"] is None else "merchant"
    reasons = dict(own["reason"].value_counts().sort("reason").iter_rows())
    money = {
        "saving": parts["saving"] / 1e6,
        "lanes": parts["lanes"] / 1e6,
        "caps": parts["cap"] / 1e6,
        "orders": parts["orders"] / 1e6,
    }
    more = _more_words(row, language)
    words = _say(kind, language, **row, **money, **more)
    shown = {f"{name}_cny": amount for name, amount in money.items()}
    return row | shown | {"reasons": reasons, "sentence": words}


def explain_lane(run_dir: Path, name: str, language: str = "en") -> dict[str, Any]:
    """
    Report how full a lane is, and the value of its slots.

    Parameters
    ----------
    run_dir
        A published night.
    name
        ``carrier``, ``carrier/region`` or ``carrier/region/outlet``; an empty part
        means all. Or a limit of ``rows.parquet``, by its name there, such as
        ``carrier yunda, resource kg``.
    language
        ``"en"`` or ``"zh"``.

    Raises
    ------
    DataError
        When the folder is not a run, or has no such lane.
    """
    import polars as pl

    run_dir = pinned(run_dir)
    read_record(run_dir)
    lanes = read_table(run_dir, "lanes.parquet")
    parts = [part or None for part in name.split("/")]
    place = [*parts, None, None][:3] if len(parts) <= 3 else parts
    wanted = pl.all_horizontal(
        pl.col(column).eq_missing(pl.lit(part))
        for column, part in zip(_PLACE, place, strict=False)
    )
    found = lanes.filter(wanted) if len(place) == len(_PLACE) else lanes.clear()
    if found.height == 0:
        return _explain_limit(run_dir, name, language)
    row = found.row(0, named=True)
    worth = found.select(lane_part()).item() / 1e6
    kind = "full" if row["slack"] == 0 else "loose"
    kind = "packing lane" if row["one_more_around_cny"] is None else kind
    words = _say(kind, language, **row, worth=worth, **_more_words(row, language))
    return row | {"worth_cny": worth, "sentence": words}


def _explain_limit(run_dir: Path, name: str, language: str) -> dict[str, Any]:
    """Report how full a limit beside lanes is: rows of resources, floors, budgets."""
    import polars as pl

    also = ""
    if (run_dir / ROW_RESULTS.file).exists():
        rows = read_table(run_dir, ROW_RESULTS.file)
        also = ", or a limit of rows.parquet, such as " + repr(rows["limit"][0])
        # A row may have a ceiling and a floor: what it can take comes first.
        found = rows.filter(pl.col("limit") == name).sort("high", nulls_last=True)
        if found.height:
            row = found.row(0, named=True)
            kind = "floor" if row["high"] is None else "limit"
            words = _say(kind, language, **row, price=row["shadow_price_cny"])
            return row | {"sentence": words}
    raise DataError(
        f"there is no lane {name!r} in this night; write carrier, carrier/region or "
        f"carrier/region/outlet as in lanes.parquet{also}"
    )


_PLACE = ("carrier_id", "region_id", "outlet_id")


def _more_words(row: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The value of one slot more and one fewer as text; empty where it is not known."""
    parts = {"fewer": row["one_fewer_cny"], "around": row.get("one_more_around_cny")}
    said = {
        key: "" if amount is None else _say(key, language, amount=amount)
        for key, amount in parts.items()
    }
    more = row["one_more_cny"] or 0.0
    return said | {"one_more": more, "price": row["shadow_price_cny"]}


def _decisions(run_dir: Path) -> pl.LazyFrame:
    return scan_table(run_dir, "decisions.parquet")


def _say(key: str, language: str, **values: Any) -> str:
    return _WORDS[key][language == "zh"].format(**values)
