"""
How well outcomes are measured: coverage, a real randomised trial, the closed loop.

``python -m benchmarks.outcomes coverage``: 1,000 small fair trials with a known truth;
how many of the 95 % intervals hold it, predictions fitted anew each time.
``python -m benchmarks.outcomes hillstrom FILE --repetitions 5``: a real trial by lot
of 64,000 customers, beside EconML, CausalML, scikit-uplift where they are installed;
see :mod:`benchmarks.hillstrom`.
``python -m benchmarks.outcomes loop``: thirty simulated nights of learning, then what
the plan realises beside rules and oracles.
``python -m benchmarks.outcomes worlds --world NAME --repetitions 3 --seed 1``: the same
on worlds whose law no learner knows; see :mod:`benchmarks.worlds`.
``python -m benchmarks.outcomes intervals --repetitions 24``: experiments on these
worlds without learning; see :mod:`benchmarks.intervals`.
``python -m benchmarks.outcomes page``: ``learning.md`` again, out of the repetitions
that are kept beside it in ``worlds.jsonl``, ``larger.jsonl``, ``drifting.jsonl``,
``intervals.jsonl`` and ``hillstrom.jsonl``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import hillstrom, intervals, worlds, worlds_tables

HERE = Path(__file__).parent
PAGE = HERE / "learning.md"
#: Tables of the page, each from its own file of repetitions.
TABLES = {
    "worlds": worlds_tables.table,
    "larger": worlds_tables.table,
    "drifting": worlds_tables.table,
    "intervals": intervals.table,
    "hillstrom": hillstrom.results,
}
REPEATS = 1_000
TRIAL_ROWS = 1_500
START = dt.date(2026, 11, 1)


def coverage() -> dict[str, Any]:
    """Share of intervals that hold the truth, by outcome's effect and by method."""
    return {
        f"effect {effect}, {chance:.0%} premium": _cover(effect, chance)
        for effect, chance in ((0.5, 0.5), (0.4, 0.9), (0.0, 0.5))
    }


def _cover(effect: float, chance: float) -> dict[str, float]:
    from optimizer.learn.estimators import METHODS, Sample, estimate_all
    from optimizer.learn.risk import cross_fit

    rng = np.random.default_rng(1)
    hits, truth = dict.fromkeys((*METHODS, "share"), 0), 0.2 * effect
    for _ in range(REPEATS):
        frame = _trial(rng, effect, chance)
        fit = cross_fit(frame, "complaint")
        sample = Sample(
            frame["complaint"].to_numpy().astype(float),
            frame["is_premium"].to_numpy(),
            frame["propensity"].to_numpy(),
            fit.standard,
            fit.premium,
        )
        for method, found in estimate_all(sample).items():
            hits[method] += found.low <= truth <= found.high
        hits["share"] += _share_holds(frame, fit, effect)
    return {method: count / REPEATS for method, count in hits.items()}


def _share_holds(frame: pl.DataFrame, fit: Any, effect: float) -> bool:
    """Whether the learned share's 95 % interval holds the true one."""
    from optimizer.build.learned_model import Promise
    from optimizer.learn.effect import NO_BELIEF, fit_effect, scores
    from optimizer.learn.overlap import comparable

    data = comparable(frame)
    whole = {"num_premium": 1, "num_kept": 1, "mean": 1.0, "low": 1.0, "high": 1.0}
    kept = [Promise(carrier_id=None, region_id=None, **whole)]
    drawn = scores(data, fit, "complaint")
    found = fit_effect(data, drawn, fit.standard, kept, NO_BELIEF)
    half = 1.96 * found.covariance[0][0] ** 0.5
    return abs(found.intercept - effect) <= half


def _trial(rng: np.random.Generator, effect: float, chance: float) -> pl.DataFrame:
    risk = rng.beta(2, 8, TRIAL_ROWS)
    is_premium = rng.random(TRIAL_ROWS) < chance
    left = np.where(is_premium, 1 - effect, 1.0)
    return pl.DataFrame(
        {
            "order_id": [f"o{row}" for row in range(TRIAL_ROWS)],
            "merchant_id": ["m"] * TRIAL_ROWS,
            "carrier_id": rng.choice(["a", "b", "c"], TRIAL_ROWS),
            "region_id": ["north"] * TRIAL_ROWS,
            "category_id": pl.Series([None] * TRIAL_ROWS, dtype=pl.String),
            "order_value_cny": rng.uniform(10, 200, TRIAL_ROWS),
            "complaint_prob_standard": np.clip(
                risk * rng.lognormal(-0.045, 0.3, TRIAL_ROWS), 0, 1
            ),
            "take_up": [1.0] * TRIAL_ROWS,
            "is_premium": is_premium,
            "propensity": np.full(TRIAL_ROWS, chance),
            "complaint": rng.random(TRIAL_ROWS) < risk * left,
        }
    )


def loop(num_orders: int = 20_000, num_merchants: int = 100) -> dict[str, Any]:
    """Thirty nights of learning from a belief, then five nights beside the rules."""
    from optimizer.config import as_config
    from optimizer.learn.fit import learn
    from optimizer.learn.learned import save_model
    from optimizer.learn.window import Window
    from optimizer.simulate.reveal import outcomes_of

    chance = {"holdout": {"share": 0.05, "explore_share": 0.05, "seed": 3}}
    prior = {"learning": {"prior": {"effect": 0.3}}}
    told: list[pl.DataFrame] = []
    with tempfile.TemporaryDirectory() as folder:
        model: dict[str, Any] = {}
        for number in range(30):
            day = START + dt.timedelta(number)
            night = _night(day, num_orders, num_merchants)
            if number in (0, 5, 10, 20):
                past = pl.concat(told) if told else _before(night)
                found = learn(past, as_config(_config(**prior)), Window(day))
                model = {"model": str(save_model(found, Path(folder)))}
            decided = _decide(night, night.orders.drop(PREMIUM), day, **chance, **model)
            told.append(
                outcomes_of(
                    decisions=decided.decisions,
                    orders=night.orders,
                    truth=night.truth,
                    merchants=night.merchants,
                    day=day,
                    compensation_cny=5.0,
                )
            )
        later = START + dt.timedelta(30)
        found = learn(pl.concat(told), as_config(_config(**prior)), Window(later))
        model = {"model": str(save_model(found, Path(folder)))}
        sums: dict[str, float] = {}
        for number in range(5):
            day = later + dt.timedelta(number)
            night = _night(day, num_orders, num_merchants)
            for name, gain in _compare(night, day, model).items():
                sums[name] = sums.get(name, 0.0) + gain
    best = sums["law"]
    return {
        "harm avoided, CNY in five nights": {k: round(v) for k, v in sums.items()},
        "of the law": {k: round(v / best, 3) for k, v in sums.items()},
    }


PREMIUM = ["complaint_prob_premium", "return_prob_premium"]
STANDARD = ["complaint_prob_standard", "return_prob_standard"]


def _compare(night: Any, day: dt.date, model: dict[str, Any]) -> dict[str, float]:
    orders, size = night.orders, night.orders.height
    lot = np.random.default_rng(day.toordinal()).uniform(0.5, 0.9, size)
    value = orders["order_value_cny"].rank() / size
    risk = orders.select(worth=30 * pl.col(STANDARD[0]) + 18 * pl.col(STANDARD[1]))[
        "worth"
    ].rank()
    rules = {"random": lot, "highest value": value, "highest risk": risk / size}
    tables = {
        "learned": (orders.drop(PREMIUM), model),
        "law": (_lawful(night), {}),
        "platform's own beliefs": (orders, {}),
        "clairvoyant": (_clairvoyant(night), {}),
    } | {name: (_worth(orders, np.asarray(w)), {}) for name, w in rules.items()}
    return {
        name: _gain(night, _decide(night, table, day, **more))
        for name, (table, more) in tables.items()
    }


def _worth(orders: pl.DataFrame, worth: np.ndarray) -> pl.DataFrame:
    """Orders whose worth is a rule's: the optimum then follows the rule."""
    zeros = [pl.lit(0.0).alias(c) for c in (*PREMIUM, STANDARD[1])]
    return orders.with_columns(pl.Series(STANDARD[0], 0.1 + 0.9 * worth), *zeros)


def _lawful(night: Any) -> pl.DataFrame:
    """The simulator's law given the columns: what a perfect learner would know."""
    from optimizer.simulate.world import (
        CARRIER_IDS,
        NUM_REGIONS,
        REGION_IDS,
        make_world,
    )

    size, merchants = night.orders.height, night.merchants.height
    outlets = make_world(7, num_orders=size, num_merchants=merchants).outlets
    effect = (0.80 * 2 / 3 - 0.09 * 0.85 * 0.45) / (1 - 0.09 * 0.15)
    pairs = night.orders.select("carrier_id", "region_id").rows()
    lane = [CARRIER_IDS.index(c) * NUM_REGIONS + REGION_IDS.index(r) for c, r in pairs]
    share = effect * pl.Series(outlets.lane_kept_prob[lane])
    return night.orders.with_columns(
        complaint_prob_premium=pl.col(STANDARD[0]) * (1 - share),
        return_prob_premium=pl.col(STANDARD[1]) * (1 - 0.9 * share),
    )


def _clairvoyant(night: Any) -> pl.DataFrame:
    """Orders with their true probabilities, which no column tells."""
    true = {f"true_{name}": name for name in (*STANDARD, *PREMIUM)}
    known = night.orders.drop(*STANDARD, *PREMIUM).join(
        night.truth.drop("carrier_id"), on="order_id"
    )
    return known.rename(true)


def _config(**more: Any) -> dict[str, Any]:
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
    }
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 18}
    return {"version": 1, "policy": [policy], "objective": objective} | more


def _night(day: dt.date, num_orders: int, num_merchants: int) -> Any:
    from optimizer.simulate import simulate_night

    return simulate_night(
        num_orders=num_orders, num_merchants=num_merchants, seed=7, day=day
    )


def _decide(night: Any, orders: pl.DataFrame, day: dt.date, **more: Any) -> Any:
    import optimizer

    return optimizer.allocate(
        orders,
        night.capacity,
        config=_config(**more),
        merchants=night.merchants,
        date=day,
    )


def _before(night: Any) -> pl.DataFrame:
    """A day before the service: everything on standard."""
    from optimizer.simulate.reveal import outcomes_of

    nothing = night.orders.select(
        "order_id",
        is_premium=pl.lit(value=False),
        carrier_id=pl.lit(None, pl.String),
        arm=pl.lit(None, pl.String),
        propensity=pl.lit(0.0),
    )
    tables = nothing, night.orders, night.truth, night.merchants
    return outcomes_of(*tables, START - dt.timedelta(1), 5.0)


def _gain(night: Any, decided: Any) -> float:
    """Harm that the recommendations avoid, by the true probabilities, fees aside."""
    chosen = decided.recommendations.select("order_id", "merchant_id", "carrier_id")
    known = chosen.join(night.truth, on=["order_id", "carrier_id"])
    known = known.join(night.merchants, on="merchant_id")
    drop = [
        pl.col(f"true_{h}_prob_standard") - pl.col(f"true_{h}_prob_premium")
        for h in ("complaint", "return")
    ]
    return float(
        known.select((pl.col("take_up") * (30 * drop[0] + 18 * drop[1])).sum()).item()
    )


def page(text: str) -> str:
    """The page of learning with tables of the repetitions that are kept."""
    for name, table in TABLES.items():
        told = table(worlds.read_records([HERE / f"{name}.jsonl"]))
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{told}\n\n{end}{rest.split(end)[1]}"
    return text


def write_page() -> None:
    """Write the page of learning anew."""
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


def main(words: list[str] | None = None) -> None:
    """Run what the command line names, and print it with its seconds."""
    apart = {
        "worlds": worlds.main,
        "intervals": intervals.main,
        "hillstrom": hillstrom.main,
    }
    commands = {"coverage": coverage, "loop": loop}
    parser = argparse.ArgumentParser(
        "python -m benchmarks.outcomes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=[*apart, *commands, "page"])
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="WHAT --help tells")
    given = parser.parse_args(words)
    if given.what in apart:
        apart[given.what](given.rest)
        return
    if given.rest:
        parser.error(f"{given.what} takes nothing more, got {' '.join(given.rest)}")
    if given.what == "page":
        write_page()
        return
    start = time.perf_counter()
    found = commands[given.what]()
    print(json.dumps(found | {"seconds": round(time.perf_counter() - start)}, indent=2))


if __name__ == "__main__":
    main()
