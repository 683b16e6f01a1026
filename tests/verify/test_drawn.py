"""Savings that are drawn are drawn again by verify: a forged draw is named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer.build.model_draws import drawn_model
from optimizer.build.model_file import model_text
from optimizer.replay.run import verify_run
from optimizer.verify.drawn_models import drawn_again
from optimizer.verify.night import verify_night
from tests.support.drawn_models import NUMBER, a_model, written
from tests.support.night_variants import Variant, settings, simulated
from tests.support.published_nights import publish
from tests.verify.test_forgeries import edit_record, edit_table

PREMIUM = ["complaint_prob_premium", "return_prob_premium"]


def a_night(folder: Path, *, has_options: bool = False, **more: Any) -> Path:
    """Publish a night whose savings are drawn."""
    tables = simulated(folder / "inputs", num_orders=900, **more)
    name = "options" if has_options else "orders"
    table = tables[name]
    assert table is not None
    capacity = tables["capacity"]
    assert capacity is not None
    tables |= {
        name: table.drop(PREMIUM),
        "capacity": capacity.with_columns(slots=pl.col("slots") * 3 + 1),
    }
    variant = Variant(
        policy={"cap": {"rate": 0.1}},
        config={
            "objective": {
                "complaint_cost_cny": 30,
                "return_cost_cny": 18,
                "explore": "thompson",
                "num_draws": 12,
            },
            "holdout": {"share": 0.2, "seed": 5},
            "model": written(folder / "model", a_model(has_trees=has_options)),
        },
    )
    return publish(folder, tables, settings(variant))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night of drawn savings; no test may change it."""
    return a_night(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def run(published: Path, tmp_path: Path) -> Path:
    """A copy of the night, to be forged; without the chain, which would tell on it."""
    copy = tmp_path / "runs"
    shutil.copytree(published.parent, copy, symlinks=True)
    (copy / ".evidence.jsonl").unlink()
    return copy / published.name


@pytest.mark.slow
def test_a_drawn_night_is_proved_again(published: Path) -> None:
    """
    Nothing is found, in the whole statement; some parcels are in all plans, in some
    and in none, and the script says what it leaves out.
    """
    assert verify_night(published).findings == ()
    decisions = pl.read_parquet(published / "decisions.parquet")
    drawn = decisions.filter(arm="thompson")
    assert {"CHOSEN", "HELD_OUT", "CAP_FULL"} <= set(drawn["reason"])
    assert drawn["propensity"].is_between(0.8 / 13, 0.8 * 12 / 13).all()
    assert (decisions.filter(pl.col("arm").is_null())["propensity"] == 0).all()
    draws = pl.read_parquet(published / "draws.parquet")
    assert (draws["saving_cny"] != draws["mean_saving_cny"]).any()
    assert "the draws of the model" in (published / "audit.sql").read_text()


@pytest.mark.slow
def test_options_and_trees_are_drawn_again(tmp_path: Path) -> None:
    """Nothing is found either where orders have several ways, and effects trees."""
    run = a_night(tmp_path, has_options=True, carriers_per_order=3)
    assert verify_night(run).findings == ()
    assert pl.read_parquet(run / "draws.parquet")["num_plans"].n_unique() > 3


def test_a_model_is_drawn_again_to_the_last_bit() -> None:
    """
    Also where the covariance is nearly singular, or its coefficients differ by ten
    orders of magnitude: 40 random ones, six coefficients each.
    """
    names = [("", ""), *(("carrier_id", f"c{at}") for at in range(4)), ("", NUMBER)]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        factor = rng.normal(size=(6, rng.integers(2, 7)))
        factor *= 10.0 ** rng.uniform(-5, 5, size=(6, 1))
        covariance = factor @ factor.T
        update = {
            "names": names,
            "covariance": ((covariance + covariance.T) / 2).tolist(),
            "levels": {"carrier_id": {f"c{at}": rng.normal() for at in range(4)}},
        }
        model = a_model(has_trees=False)
        effects = {
            harm: effect.model_copy(update=update)
            for harm, effect in model.effect.items()
        }
        model = model.model_copy(update={"effect": effects})
        text = f"{seed}|2026-11-22|thompson|3"
        whole = int(hashlib.sha256(text.encode()).hexdigest(), 16)
        drawn = json.loads(model_text(drawn_model(model, seed=whole)))
        record = {"config": {"holdout": {"seed": seed}}, "date": "2026-11-22"}
        again = drawn_again(json.loads(model_text(model)), record, 3)
        for harm in drawn["effect"]:
            for name in ("intercept", "levels", "slopes"):
                assert again["effect"][harm][name] == drawn["effect"][harm][name]


def _other_seed(run: Path) -> None:
    edit_record(run, lambda record: record["config"]["holdout"].update(seed=6))


def _other_recorded_seed(run: Path) -> None:
    edit_record(run, lambda record: record["summary"]["draw"].update(seed="0" * 64))


def _fewer_draws(run: Path) -> None:
    edit_record(run, lambda record: record["config"]["objective"].update(num_draws=11))


def _in_decisions(**columns: pl.Expr) -> Callable[[Path], None]:
    def forge(run: Path) -> None:
        edit_table(run, "decisions.parquet", lambda t: t.with_columns(**columns))

    return forge


IS_DRAWN = pl.col("arm") == "thompson"


def _mean_for_drawn(run: Path) -> None:
    """Savings by the mean in the place of the drawn ones, in all tables that say."""
    mean = pl.read_parquet(run / "draws.parquet").select("order_id", "mean_saving_cny")

    def change(table: pl.DataFrame) -> pl.DataFrame:
        both = table.join(mean, on="order_id", how="left", maintain_order="left")
        said = pl.when(pl.col("saving_cny").is_not_null()).then("mean_saving_cny")
        return both.with_columns(saving_cny=said).select(table.columns)

    edit_table(run, "decisions.parquet", change)


def _drawn_for_mean(run: Path) -> None:
    edit_table(
        run,
        "draws.parquet",
        lambda table: table.with_columns(mean_saving_cny="saving_cny"),
    )


def _other_count(run: Path) -> None:
    edit_table(
        run, "draws.parquet", lambda table: table.with_columns(pl.col("num_plans") + 1)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("forge", "check"),
    [
        (_other_seed, "saving: "),
        (_other_recorded_seed, "summary.draw.seed is "),
        (_fewer_draws, "summary.draw.num_draws is "),
        (
            _in_decisions(
                propensity=pl.when(IS_DRAWN).then(0.5).otherwise("propensity")
            ),
            "reason: ",
        ),
        (
            _in_decisions(arm=pl.when(~IS_DRAWN).then("arm")),
            "reason: ",
        ),
        (_mean_for_drawn, "saving: "),
        (_drawn_for_mean, "draws: "),
        (_other_count, "draws: "),
    ],
)
def test_a_forged_draw_is_named(
    run: Path, forge: Callable[[Path], None], check: str
) -> None:
    """
    Another seed than the savings were drawn with, an altered propensity, an arm that
    is gone, the mean in the place of the draw or the other way round: each is found.
    """
    forge(run)
    assert any(check in text for text in verify_night(run).findings)


@pytest.mark.slow
def test_the_run_that_is_replayed_draws_the_same(published: Path) -> None:
    """The code that made the night makes it again, propensities and all."""
    assert verify_run(published).findings == ()
