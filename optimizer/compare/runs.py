"""Two published nights compared: what changed, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.compare.side import Side
from optimizer.contracts.headline import by_mean
from optimizer.contracts.run_folder import pinned, read_record
from optimizer.contracts.tables import SOME_NIGHTS
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.published_tables import read_table, scan_table
from optimizer.views import Shown, View, counts, listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from optimizer.report.page import Page

_PLACE = ["carrier_id", "region_id", "outlet_id", "service_date"]
#: What savings are made of: if none of it changed, no saving did.
_WORTH_TABLES = ("orders", "options", "merchants")
_WORTH_KEYS = ("config.objective.", "policy.fee.amount_cny")
_NEVER_WENT = (
    *("INELIGIBLE", "CARRIER_INACTIVE", "PINNED_OUT", "NO_OPTION", "NOT_DELIVERABLE"),
)
_BY_LOT = ("HELD_OUT", "EXPLORED")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Shown):
    """
    What differs between two nights, ``before`` and ``after``.

    Attributes
    ----------
    rules
        ``key``, ``before``, ``after``: configuration, policy in force and versions.
    inputs
        ``table``, ``num_rows_before``, ``num_rows_after``, ``is_same`` (by checksum).
    numbers
        ``metric``, ``before``, ``after``: of the summary, where they differ.
    orders
        ``order_id``, ``merchant_id``, ``change`` (``ADDED``, ``REMOVED``, ``MOVED``),
        ``carrier_id_before``, ``carrier_id_after``, ``reason_before``,
        ``reason_after``, ``saving_before_cny``, ``saving_after_cny``, ``why``: the
        first of these that changed: ``ORDER`` (it is of one night alone),
        ``ELIGIBILITY``, ``LOT`` (kept back or explored at random), ``SAVING``,
        ``CAP`` (of its merchant) or ``CAPACITY`` (of a lane that it takes a place in)
        in the direction of the change; else ``COMPETITION``: others changed.
    lanes, merchants, limits
        Rows whose limit or price differs: ``slots`` or ``cap``, or ``low`` and ``high``
        of other limits, and ``shadow_price_cny``, each ``_before`` and
        ``_after``; null on the side of a night that does not have the row.
    before, after
        The nights themselves.
    """

    rules: pl.DataFrame
    inputs: pl.DataFrame
    numbers: pl.DataFrame
    orders: pl.DataFrame
    lanes: pl.DataFrame
    merchants: pl.DataFrame
    limits: pl.DataFrame
    before: Side
    after: Side

    def report(self, language: str = "en") -> Page:
        """
        Make a page for people: a notebook shows it, and ``.save(path)`` writes it.

        Parameters
        ----------
        language
            In view when it is opened: ``"en"`` or ``"zh"``; the other is a click away.

        Raises
        ------
        ConfigError
            When it is another language.
        """
        from optimizer.compare.page import diff_page
        from optimizer.report.language import language_code
        from optimizer.report.page import Page

        code = language_code(language)
        return Page(diff_page(self._tables(), self.before, self.after, code))

    def text(self, language: str = "en") -> str:
        """
        Say what differs in lines, as the command does.

        Parameters
        ----------
        language
            ``"en"`` or ``"zh"``.

        Raises
        ------
        ConfigError
            When it is another language.
        """
        from optimizer.compare.page import diff_text
        from optimizer.report.language import by_name

        return diff_text(self._tables(), by_name(language))

    def _tables(self) -> dict[str, pl.DataFrame]:
        return {
            "rules": self.rules,
            "inputs": self.inputs,
            "numbers": self.numbers,
            "orders": self.orders,
            "lanes": self.lanes,
            "merchants": self.merchants,
            "limits": self.limits,
        }

    def _view(self) -> View:
        changes = dict(self.orders["change"].value_counts().iter_rows())
        causes = dict(self.orders["why"].value_counts().iter_rows())
        words = counts({name.lower(): number for name, number in changes.items()})
        differ = self.inputs.filter(~self.inputs["is_same"])["table"].to_list()
        sizes = {
            "lanes": self.lanes.height,
            "merchants": self.merchants.height,
            "other limits": self.limits.height,
        }
        rows = (
            ("because of", counts(causes) or "nothing"),
            ("inputs", listed(differ) or "the same"),
            ("rules", listed(self.rules["key"].to_list()) or "the same"),
            ("limits", counts(sizes) or "the same"),
        )
        numbers = self.numbers.filter(~self.numbers["metric"].str.contains("[.]"))
        more = ((name, f"{old} → {new}") for name, old, new in numbers.iter_rows())
        return View(f"Diff: orders {words or 'the same'}", rows, tuple(more))


def compare_runs(before: Path, after: Path) -> Comparison:
    """
    Compare two published nights, of one date or of two.

    Raises
    ------
    DataError
        When a folder is not a run, or damaged.
    """
    before, after = pinned(before), pinned(after)
    old, new = read_record(before), read_record(after)
    rules, inputs = _rules(old, new), _inputs(old, new)
    lanes = _limits(before, after, "lanes", _PLACE, ["slots"])
    merchants = _limits(before, after, "merchants", ["merchant_id"], ["cap"])
    limits = _limits(before, after, "rows", ["kind", "limit"], ["low", "high"])
    changed_tables = inputs.filter(~inputs["is_same"])["table"]
    can_save_differ = any(name in _WORTH_TABLES for name in changed_tables) or any(
        key.startswith(_WORTH_KEYS) for key in rules["key"]
    )
    orders = _explained(_changed_orders(before, after), lanes, merchants)
    return Comparison(
        rules=rules,
        inputs=inputs,
        numbers=_pairs(
            "metric",
            flatten(by_mean(old["summary"])),
            flatten(by_mean(new["summary"])),
        ),
        orders=_with_why(orders, can_save_differ=can_save_differ),
        lanes=lanes,
        merchants=merchants,
        limits=limits,
        before=_side(before, old),
        after=_side(after, new),
    )


def _side(folder: Path, record: Mapping[str, Any]) -> Side:
    numbers = by_mean(record["summary"])
    return Side(
        record["date"],
        folder.name,
        *(numbers[name] for name in ("num_orders", "num_chosen", "saving_cny")),
    )


def flatten(value: Any, key: str = "") -> dict[str, Any]:
    """
    Give nested settings dotted names.

    Examples
    --------
    >>> flatten({"cap": {"rate": "0.03"}, "carriers": ["yunda"]})
    {'cap.rate': '0.03', 'carriers[0]': 'yunda'}
    """
    if isinstance(value, dict):
        parts = [(f"{key}.{name}" if key else name, v) for name, v in value.items()]
    elif isinstance(value, list):
        parts = [(f"{key}[{number}]", v) for number, v in enumerate(value)]
    else:
        return {key: value}
    return {k: v for name, part in parts for k, v in flatten(part, name).items()}


def _rules(old: Mapping[str, Any], new: Mapping[str, Any]) -> pl.DataFrame:
    """Settings that differ; where files are and who bears them does not matter."""

    def settings(record: Mapping[str, Any]) -> dict[str, Any]:
        config = {k: v for k, v in record["config"].items() if k not in _ELSEWHERE}
        versions = record["versions"] | {"optimizer": record["identity"]["version"]}
        return flatten(
            {"config": config, "policy": record["policy"], "versions": versions}
        )

    return _pairs("key", settings(old), settings(new))


#: The policy is compared as the row in force; inputs by checksum.
_ELSEWHERE = ("policy", "inputs", "output")


def _pairs(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> pl.DataFrame:
    import polars as pl

    keys = sorted({*old, *new})
    rows = [
        (key, _shown(old.get(key)), _shown(new.get(key)))
        for key in keys
        if old.get(key) != new.get(key)
    ]
    columns = dict.fromkeys((name, "before", "after"), pl.String)
    return pl.DataFrame(rows, schema=columns, orient="row")


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)


def _inputs(old: Mapping[str, Any], new: Mapping[str, Any]) -> pl.DataFrame:
    import polars as pl

    rows = []
    for table in sorted({*old["inputs"], *new["inputs"]}):
        sides = [record["inputs"].get(table) for record in (old, new)]
        counts = [side and side["num_rows"] for side in sides]
        sums = [side and [f["sha256"] for f in side["files"]] for side in sides]
        rows.append((table, *counts, sums[0] == sums[1]))
    columns = {
        "table": pl.String,
        "num_rows_before": pl.Int64,
        "num_rows_after": pl.Int64,
        "is_same": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=columns, orient="row")


def _limits(
    before: Path, after: Path, table: str, keys: list[str], limits: list[str]
) -> pl.DataFrame:
    """Rows of a table whose limits or price differ, by name."""
    import polars as pl

    columns = [*limits, "shadow_price_cny"]
    old, new = (
        _rows(folder / f"{table}.parquet").select(*keys, *columns)
        for folder in (before, after)
    )
    both = old.join(
        new, on=keys, how="full", coalesce=True, nulls_equal=True, suffix="_after"
    ).rename({name: f"{name}_before" for name in columns})
    differs = [
        pl.col(f"{name}_before").ne_missing(pl.col(f"{name}_after")) for name in columns
    ]
    order = [*keys, *(f"{n}_{side}" for n in columns for side in ("before", "after"))]
    return both.filter(pl.any_horizontal(differs)).select(order).sort(keys)


def _rows(path: Path) -> pl.DataFrame:
    """A table of a night; without rows where the night has none such."""
    import polars as pl

    if path.name in SOME_NIGHTS and not path.is_file():
        return pl.DataFrame(schema=SOME_NIGHTS[path.name].schema)
    return read_table(path.parent, path.name)


def _changed_orders(before: Path, after: Path) -> pl.DataFrame:
    """Orders that are recommended in one night alone, or with another carrier."""
    import polars as pl

    names = ["order_id", "carrier_id", "region_id"]
    old, new = (
        read_table(folder, "recommendations.parquet").select(names)
        for folder in (before, after)
    )
    both = old.join(new, on="order_id", how="full", coalesce=True, suffix="_after")
    was, now = pl.col("carrier_id"), pl.col("carrier_id_after")
    change = (
        pl.when(was.is_null())
        .then(pl.lit("ADDED"))
        .when(now.is_null())
        .then(pl.lit("REMOVED"))
        .otherwise(pl.lit("MOVED"))
    )
    changed = both.filter(was.ne_missing(now)).select(
        "order_id",
        change=change,
        carrier_id_before=was,
        carrier_id_after=now,
        region_id=pl.coalesce("region_id", "region_id_after"),
    )
    for folder, side in ((before, "before"), (after, "after")):
        changed = changed.join(
            _decided(folder, changed["order_id"], side), on="order_id", how="left"
        )
    owner = pl.coalesce("merchant_before", "merchant_after")
    return changed.with_columns(merchant_id=owner).sort("order_id")


def _decided(folder: Path, order_ids: pl.Series, side: str) -> pl.DataFrame:
    """Decisions of some orders in a night."""
    import polars as pl

    wanted = pl.LazyFrame({"order_id": order_ids})
    decisions = scan_table(folder, "decisions.parquet").select(
        "order_id",
        pl.col("merchant_id").alias(f"merchant_{side}"),
        pl.col("reason").alias(f"reason_{side}"),
        pl.col("saving_cny").alias(f"saving_{side}_cny"),
    )
    with damaged_is_data_error(str(folder)):
        return decisions.join(wanted, on="order_id", how="semi").collect()


def _explained(
    orders: pl.DataFrame, lanes: pl.DataFrame, merchants: pl.DataFrame
) -> pl.DataFrame:
    """
    Say of each changed order whether its cap or its lanes' slots explain the change.

    More room can add an order and less room can remove one; a change the other way
    round is due to competing orders.
    """
    import polars as pl

    rise = pl.col("cap_after") - pl.col("cap_before")
    caps = merchants.filter(rise != 0).select("merchant_id", cap_rise=rise.sign())
    orders = orders.join(caps, on="merchant_id", how="left")
    rise = pl.col("slots_after").fill_null(0) - pl.col("slots_before").fill_null(0)
    slots = lanes.filter(rise != 0).select("carrier_id", "region_id", rise=rise.sign())
    is_added, is_removed = (pl.col("change") != kind for kind in ("REMOVED", "ADDED"))
    causes = {"is_cap": is_added & (pl.col("cap_rise") > 0)}
    causes["is_cap"] |= is_removed & (pl.col("cap_rise") < 0)
    orders = orders.with_columns(
        _is_touched(slots.filter(pl.col("rise") > 0), "after").alias("has_more"),
        _is_touched(slots.filter(pl.col("rise") < 0), "before").alias("has_less"),
    )
    causes["is_capacity"] = (is_added & pl.col("has_more")) | (
        is_removed & pl.col("has_less")
    )
    return orders.with_columns(**causes)


def _is_touched(slots: pl.DataFrame, side: str) -> pl.Expr:
    """Whether the lanes whose slots an order uses on that side are among these."""
    import polars as pl

    names = [f"carrier_id_{side}", "region_id"]
    whole = slots.filter(pl.col("region_id").is_null())["carrier_id"]
    parts = slots.drop_nulls("region_id").select(
        pl.struct(pl.col("carrier_id").alias(names[0]), "region_id")
    )
    inside = pl.struct(names).is_in(parts.to_series().implode())
    return pl.col(names[0]).is_in(whole.implode()).fill_null(value=False) | inside


def _with_why(orders: pl.DataFrame, *, can_save_differ: bool) -> pl.DataFrame:
    """Name the first cause that changed, for each changed order."""
    import polars as pl

    old, new = pl.col("reason_before"), pl.col("reason_after")
    went = [pl.col(f"saving_{side}_cny") for side in ("before", "after")]
    why = (
        pl.when(old.is_null() | new.is_null())
        .then(pl.lit("ORDER"))
        .when(old.is_in(_NEVER_WENT) | new.is_in(_NEVER_WENT))
        .then(pl.lit("ELIGIBILITY"))
        .when(old.is_in(_BY_LOT) | new.is_in(_BY_LOT))
        .then(pl.lit("LOT"))
        .when(went[0].ne_missing(went[1]) & can_save_differ)
        .then(pl.lit("SAVING"))
        .when(pl.col("is_cap"))
        .then(pl.lit("CAP"))
        .when(pl.col("is_capacity"))
        .then(pl.lit("CAPACITY"))
        .otherwise(pl.lit("COMPETITION"))
    )
    return orders.with_columns(why=why).select(
        "order_id",
        "merchant_id",
        "change",
        *(f"carrier_id_{side}" for side in ("before", "after")),
        *(f"reason_{side}" for side in ("before", "after")),
        *(f"saving_{side}_cny" for side in ("before", "after")),
        "why",
    )
