"""Two nights compared, as a page for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.report.render import render, render_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.compare.side import Side
    from optimizer.report.language import Language

#: Rows of each list; the tables have all.
NUM_ORDERS, NUM_ROWS = 50, 20
NUM_RULES = 200
#: Beginnings of what a planner looks for first.
_FIRST_RULES = ("policy.cap", "policy.fee", "policy", "config.objective", "config")
_FIRST_NUMBERS = (
    *(
        "saving_cny",
        "drawn_saving_cny",
        "num_chosen",
        "num_orders",
        "fees_cny",
        "sum_of_caps",
    ),
    *("num_", "reasons", "largest_compensation_cny"),
)


def diff_page(
    tables: Mapping[str, pl.DataFrame], before: Side, after: Side, shown_first: str
) -> str:
    """
    Write the page.

    Parameters
    ----------
    tables
        Of the comparison, by name.
    before, after
        The nights.
    shown_first
        Code of the language in view when it is opened.

    Returns
    -------
    str
        HTML, the same for the same nights; names in it are escaped.
    """
    import polars as pl

    orders = tables["orders"]
    largest = pl.max_horizontal("saving_before_cny", "saving_after_cny").neg()
    return render(
        "diff.html.j2",
        shown_first,
        **_in_both(tables),
        before=before,
        after=after,
        change_cny=round(after.saving_cny - before.saving_cny, 6),
        orders=orders.sort(largest, "order_id", nulls_last=True)
        .head(NUM_ORDERS)
        .to_dicts(),
        num_orders=orders.height,
        lanes=_most_changed(tables["lanes"], "slots"),
        merchants=_most_changed(tables["merchants"], "cap"),
        limits=_most_changed(tables["limits"], "high"),
    )


def diff_text(tables: Mapping[str, pl.DataFrame], language: Language) -> str:
    """
    Say what differs in lines, in the words of the page.

    Parameters
    ----------
    tables
        Of the comparison, by name.
    language
        Of the words.
    """
    return render_text("diff.txt.j2", language, **_in_both(tables), most=NUM_ROWS)


def _in_both(tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What page and lines both show."""
    orders = tables["orders"]
    causes = orders.group_by("change", "why").len().sort("len", "change", "why")
    rules = _in_order(tables["rules"], "key", _FIRST_RULES).head(NUM_RULES)
    numbers = _in_order(tables["numbers"], "metric", _FIRST_NUMBERS)
    return {
        "causes_found": causes.reverse().rows(),
        "rules": rules.to_dicts(),
        "num_rules": tables["rules"].height,
        "inputs": tables["inputs"].to_dicts(),
        "numbers": numbers.to_dicts(),
        "num_lanes": tables["lanes"].height,
        "num_merchants": tables["merchants"].height,
        "num_limits": tables["limits"].height,
    }


def _in_order(rows: pl.DataFrame, column: str, first: tuple[str, ...]) -> pl.DataFrame:
    """Rows whose names begin so first, in this order; else as they were."""
    import polars as pl

    place = pl.lit(len(first))
    for at, start in reversed([*enumerate(first)]):
        begins = pl.col(column).str.starts_with(start)
        place = pl.when(begins).then(at).otherwise(place)
    return rows.sort(place, maintain_order=True)


def _most_changed(rows: pl.DataFrame, limit: str) -> list[dict[str, Any]]:
    """Rows whose limit changed most, then those whose price did; ties as they were."""
    import polars as pl

    def change(name: str) -> pl.Expr:
        sides = [pl.col(f"{name}_{side}").fill_null(0) for side in ("before", "after")]
        return (sides[0] - sides[1]).abs()

    by = [change(limit), change("shadow_price_cny")]
    order = rows.sort(by, descending=True, maintain_order=True)
    return order.head(NUM_ROWS).to_dicts()
