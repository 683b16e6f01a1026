"""
What ways to explore teach and cost, and how near drawn propensities are.

``python -m benchmarks.exploring ways``: simulated nights that explore by coins around
the cut-off, blindly, and not at all. A randomised parcel with propensity :math:`e` and
true risk :math:`p` of a harm has the information :math:`e (1 - e) p / (1 - p)` on the
share of the harm that premium removes. What exploring costs is what the delivered plans
save less than those that explore nobody.
``python -m benchmarks.exploring propensities``: a night whose savings are drawn, and
the plans of the same draws, each solved to its optimum instead of filled at the night's
prices: how often these choose a parcel is what its propensity is held against.

Both print Markdown, the same on every machine.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.visible_columns import COSTS
from benchmarks.worlds import (
    PREMIUM,
    SETTINGS,
    Platform,
    config,
    decide,
    known,
    learned,
    reveal,
)

SEED, START = 1, dt.date(2026, 11, 1)
NUM_NIGHTS, SIZES = 6, {"num_orders": 20_000, "num_merchants": 40}
EXPLORE_SHARE = 0.05
#: Nights of the second part: first ones that a model is learned of, then drawn ones.
NUM_LEARNED, NUM_DRAWN, NUM_DRAWS = 3, 2, 100
SMALL = {"num_orders": 4_000, "num_merchants": 12}


def main() -> None:
    parts = {"ways": ways, "propensities": propensities}
    for name in sys.argv[1:] or parts:
        if name not in parts:
            sys.exit(f"{name}: is none of {', '.join(parts)}")
        print("\n".join(parts[name]()))


def ways() -> list[str]:
    """Information and cost of each way, all nights together."""
    platform = Platform("plain", SEED, SIZES)
    saved = dict.fromkeys(("none", "margin", "blind"), 0.0)
    taught, num = dict.fromkeys(saved, 0.0), dict.fromkeys(saved, 0)
    for number in range(NUM_NIGHTS):
        day = START + dt.timedelta(number)
        night = platform.night(day)
        truth = known(night)
        for way in saved:
            plan = decide(night, night.orders, day, exploring(way))
            saved[way] += float(plan.recommendations["saving_cny"].cast(float).sum())
            drawn = plan.decisions.filter(_is_random())
            if len(drawn):
                rows = truth.join(drawn["order_id", "propensity"], on="order_id")
                taught[way] += information(rows)
                num[way] += len(rows)
    lines = ["| explores by | randomised | information | of the saving |"]
    lines.append("|---|--:|--:|--:|")
    for way in ("margin", "blind"):
        cost = 1 - saved[way] / saved["none"]
        lines.append(f"| `{way}` | {num[way]} | {taught[way]:.1f} | {cost:.2%} |")
    return lines


def exploring(way: str) -> dict[str, Any]:
    return {
        "holdout": {"share": 0, "explore_share": EXPLORE_SHARE, "seed": SEED},
        "objective": {"explore": way},
    }


def _is_random() -> pl.Expr:
    return pl.col("propensity").is_between(0, 1, closed="none")


def information(rows: pl.DataFrame) -> float:
    chance = rows["propensity"].to_numpy()
    risks = [rows[f"true_{harm}_prob_standard"].to_numpy() for harm in COSTS]
    return float(sum((chance * (1 - chance) * p / (1 - p)).sum() for p in risks))


def propensities() -> list[str]:
    """How far filled propensities are from those of solved plans, by night."""
    platform = Platform("categories", SEED, SMALL)
    lines = ["| night | parcels in some plan | off by, mean | at most |"]
    lines.append("|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        past, model = [], {}
        for number in range(NUM_LEARNED):
            day = START + dt.timedelta(number)
            history = reveal(platform, past, day)
            model = {"model": learned(history, SETTINGS, day, folder)}
            night = platform.night(day)
            plan = decide(night, night.orders.drop(PREMIUM), day, SETTINGS | model)
            past.append((night, plan.decisions, day))
        for number in range(NUM_LEARNED, NUM_LEARNED + NUM_DRAWN):
            day = START + dt.timedelta(number)
            off = _off(platform.night(day), day, model, folder / str(number))
            lines.append(f"| {day} | {len(off)} | {off.mean():.3f} | {off.max():.2f} |")
    return lines


def _off(night: Any, day: dt.date, model: dict[str, Any], folder: Path) -> np.ndarray:
    """Difference of the two propensities, of parcels that any plan chooses."""
    from optimizer.build.drawn_savings import draw_models
    from optimizer.build.experiment import make_experiment
    from optimizer.build.model_file import load_model, model_text, named
    from optimizer.config import as_config
    from optimizer.io.kept_inputs import MODEL_FILE

    orders = night.orders.drop(PREMIUM)
    asked = model | {
        "holdout": {"seed": SEED},
        "objective": {"explore": "thompson", "num_draws": NUM_DRAWS},
    }
    plan = decide(night, orders, day, asked).decisions
    rules = as_config(config(asked))
    experiment = make_experiment(rules.holdout, day, rules.objective)
    drawn = draw_models(load_model(model["model"]).model, experiment, is_asked=True)
    assert drawn is not None
    count = plan["is_premium"].cast(pl.Int64).to_numpy().copy()
    for number, each in enumerate(drawn.further):
        own = folder / str(number)
        own.mkdir(parents=True)
        (own / MODEL_FILE).write_text(model_text(named(each)), "utf-8")
        solved = decide(night, orders, day, {"model": str(own)})
        chosen = solved.recommendations["order_id"]
        count += plan["order_id"].is_in(chosen.implode()).to_numpy()
    exact = count / (NUM_DRAWS + 1)
    filled = plan["propensity"].to_numpy()
    return np.abs(exact - filled)[(exact > 0) | (filled > 0)]


if __name__ == "__main__":
    main()
