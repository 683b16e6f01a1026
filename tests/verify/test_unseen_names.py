"""Names that a model has not seen are named and counted, and both statements agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.build.learned_model import HARMS, LearnedModel, Risk
from optimizer.build.model_file import model_text, named
from optimizer.build.unseen_names import (
    UnseenNames,
    counted_by_column,
    known_names,
    unseen_by_row,
)
from optimizer.contracts.warnings import read_warning
from optimizer.verify.engine import state_again
from tests.support.drawn_models import a_model
from tests.support.night_variants import Variant, settings, simulated
from tests.support.published_nights import publish, record_of

PREMIUM = ["complaint_prob_premium", "return_prob_premium"]


def _model(
    *, merchants: dict[str, float], undrawn: tuple[str, ...] = ()
) -> LearnedModel:
    """A model of one region, two tiers, two carriers; its trees ask for a category."""
    levels = {
        "region_id": {"CN-11": 0.1},
        "tier": {"gold": 0.2, "plain": 0.0},
        "merchant_id": merchants,
        "category_id": {},
    }
    risk = Risk(intercept=-1.5, slopes={}, levels=levels)
    found = a_model(has_trees=True)
    effect = found.effect["complaint"]
    kept = {"zhongtong": 0.0, "yunda": 0.0}
    names = [name for name in effect.names if name[1] != "yuantong"]
    at = [effect.names.index(name) for name in names]
    covariance = [[effect.covariance[a][b] for b in at] for a in at]
    assert effect.forest is not None
    asked = [("category_id", "made-1"), ("carrier_id", "yunda")]
    forest = effect.forest.model_copy(update={"levels": asked})
    changed = effect.model_copy(
        update={
            "levels": {"carrier_id": kept},
            "names": names,
            "covariance": covariance,
            "forest": forest,
        }
    )
    parts = {
        "risk": dict.fromkeys(HARMS, risk),
        "effect": dict.fromkeys(HARMS, changed),
        "undrawn": [*undrawn],
    }
    return named(found.model_copy(update=parts), "made")


def _night(folder: Path, carriers: int = 1) -> tuple[Path, dict[str, Any]]:
    """A night with a tier that the model has not seen, and with orders of no tier."""
    more = {"carriers_per_order": carriers}
    tables = simulated(folder / "days", num_orders=400, **more)
    at = pl.int_range(pl.len())
    tier = pl.when(at < 7).then(pl.lit("silver")).when(at < 300).then(pl.lit("gold"))
    orders, options = tables["orders"], tables["options"]
    assert orders is not None
    first = orders["merchant_id"][0]
    given = {
        **tables,
        "orders": orders.drop(c for c in orders.columns if "_prob_" in c).with_columns(
            tier=tier, category_id=pl.when(at < 9).then(pl.lit("shoe"))
        ),
        "options": None if options is None else options.drop(PREMIUM),
    }
    (folder / "model").mkdir()
    made = _model(merchants={first: 0.3}, undrawn=[first, "gone"])
    (folder / "model/model.json").write_text(model_text(made))
    config = settings(
        Variant(
            config={
                "model": str(folder / "model"),
                "learning": {"categories": ["tier"]},
            }
        )
    )
    return publish(folder, given, config), {"orders": orders, "options": options}


def _told(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = [one for one in record["assumptions"] if one["code"] == "NEW_NAMES"]
    return {one["values"]["column"]: one["values"] for one in found}


@pytest.mark.slow
@pytest.mark.parametrize("carriers", [1, 3])
def test_names_that_the_model_has_not_seen_are_counted(
    carriers: int, tmp_path: Path
) -> None:
    """
    Carriers, regions, merchants and a column of the configuration, with their rows.

    Carriers count options where there are any; an order without a tier has no new one;
    few names are listed, and the second statement finds nothing.
    """
    run, tables = _night(tmp_path, carriers)
    record = record_of(run)
    told, orders = _told(record), tables["orders"]
    assert [*told] == ["carrier", "region", "merchant", "category", "tier"]
    shoe = {"column": "category", "names": ["shoe"], "num_names": 1, "num_rows": 9}
    assert told["category"] == shoe
    ways = orders if carriers == 1 else tables["options"]
    assert told["carrier"]["names"] == ["yuantong"]
    assert told["carrier"]["num_rows"] == (ways["carrier_id"] == "yuantong").sum()
    assert told["tier"] == {
        "column": "tier",
        "names": ["silver"],
        "num_names": 1,
        "num_rows": 7,
    }
    elsewhere = orders.filter(pl.col("region_id") != "CN-11")["region_id"]
    assert told["region"]["num_rows"] == len(elsewhere)
    assert told["region"]["num_names"] == elsewhere.n_unique()
    assert told["region"]["names"] == sorted(elsewhere.unique())[:5]
    others = orders.filter(pl.col("merchant_id") != orders["merchant_id"][0])
    assert told["merchant"]["num_rows"] == len(others)
    (of_others,) = (
        one["values"]
        for one in record["assumptions"]
        if one["code"] == "EFFECT_OF_OTHERS"
    )
    assert of_others == {"num_rows": 400 - len(others), "num_orders": 400}
    assert state_again(run, record) == []
    of_others["num_rows"] -= 1
    (found,) = state_again(run, record)
    assert "EFFECT_OF_OTHERS: num_rows is" in str(found)


@pytest.mark.slow
def test_a_forged_count_of_new_names_is_found(tmp_path: Path) -> None:
    """Fewer rows, another name, or a column left out: each is named."""
    run, _ = _night(tmp_path)
    record = record_of(run)
    for one in record["assumptions"]:
        if one["code"] == "NEW_NAMES":
            if one["values"]["column"] == "tier":
                one["values"]["num_rows"] = 6
            if one["values"]["column"] == "carrier":
                one["values"]["names"] = ["yunda"]
            said = read_warning(one)
            assert said is not None
            one["text"] = said.text
    record["assumptions"] = [
        one
        for one in record["assumptions"]
        if one["values"].get("column") != "merchant"
    ]
    found = "; ".join(map(str, state_again(run, record)))
    assert "NEW_NAMES (tier): num_rows is 7, not 6" in found
    assert "NEW_NAMES (carrier): names is ['yuantong'], not ['yunda']" in found
    assert "NEW_NAMES (merchant) is left out" in found


def test_rows_of_a_cluster_are_counted_as_batches_are() -> None:
    """Orders told one by one add up to what a batch counts, without carriers."""
    known = known_names(_model(merchants={"m1": 0.0}))
    frame = pl.DataFrame(
        {
            "merchant_id": ["m1", "m2", "m2", None],
            "region_id": ["CN-11", "CN-11", "r2", "r2"],
            "carrier_id": ["yuantong"] * 4,
            "tier": ["gold", None, "silver", "plain"],
        }
    )
    rows = unseen_by_row(frame, known)
    assert rows[0] is None
    seen = UnseenNames(known)
    seen.note(frame, seen.of_orders)
    given = {column: counts for column, counts in seen.counts.items() if counts}
    assert counted_by_column(rows) == given
    assert given["merchant_id"] == {"m2": 2}
    assert known["category_id"] == {"made-1"}
    assert "outlet_id" not in known
    assert known_names(None) == {}
    assert unseen_by_row(frame, {})[0] is None
