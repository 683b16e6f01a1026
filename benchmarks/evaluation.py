"""
How well effects are measured where that is hard, in many simulated histories.

``python -m benchmarks.evaluation delays [HISTORIES]``: histories without an effect in
which complaints come later on premium; how many report one, on all rows as they stand
and on the ripe ones, with the maturity stated and learned.

``python -m benchmarks.evaluation coverage [TRIALS]``: trials with common and rare
harms, small holdouts and several propensities; how many intervals hold the truth.

``python -m benchmarks.evaluation looks [HISTORIES]``: histories without an effect that
are looked at on 30 nights; how many show one by the interval of a single look, and by
that of all looks.

``python -m benchmarks.evaluation peers``: the same sample by obp and DoubleML, where
these are installed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from importlib import import_module
from typing import Any

import numpy as np
import polars as pl

START = dt.date(2026, 11, 1)
NUM_NIGHTS, NUM_ROWS = 30, 6_000


def delays(histories: int = 500) -> dict[str, Any]:
    """Share of histories whose 95 % interval leaves the true effect, 0, out."""
    from optimizer.learn.history import read_history
    from optimizer.learn.window import Window

    as_of = START + dt.timedelta(NUM_NIGHTS)
    stated = {"maturity_days": {"complaint": 16}}
    ways = {"stated": _config(learning=stated), "learned": _config()}
    found = dict.fromkeys(("all rows", *ways), 0)
    for seed in range(histories):
        table = _delayed(seed)
        found["all rows"] += _is_reported(table)
        for name, config in ways.items():
            past = read_history(table, config, Window(as_of))
            found[name] += _is_reported(past.ripe("complaint"))
    return {"histories": histories} | {
        name: count / histories for name, count in found.items()
    }


def _delayed(seed: int) -> pl.DataFrame:
    """Thirty nights without an effect; premium complaints come six days later."""
    rng = np.random.default_rng(seed)
    night = rng.integers(0, NUM_NIGHTS, NUM_ROWS)
    is_premium = rng.random(NUM_ROWS) < 0.5
    delay = np.minimum(rng.poisson(np.where(is_premium, 8.0, 2.0)), 16)
    happens = rng.random(NUM_ROWS) < 0.2
    seen = happens & (night + delay < NUM_NIGHTS)
    last = START + dt.timedelta(NUM_NIGHTS - 1)
    return _table(night, is_premium, seen).with_columns(
        complaint_date=pl.when("complaint").then(
            pl.col("date") + pl.duration(days=pl.Series(delay))
        ),
        observed_until=pl.lit(last),
    )


def _table(
    night: np.ndarray, is_premium: np.ndarray, complaint: np.ndarray
) -> pl.DataFrame:
    """An outcomes table of the columns that matter here."""
    size = len(night)
    return pl.DataFrame(
        {
            "order_id": [f"o{n}" for n in range(size)],
            "date": pl.Series(night.astype(np.int32) + _DAY_0).cast(pl.Date),
            "merchant_id": ["m"] * size,
            "carrier_id": ["zhongtong"] * size,
            "region_id": ["north"] * size,
            "is_premium": is_premium,
            "propensity": [0.5] * size,
            "arm": ["explore"] * size,
            "complaint": complaint,
            "logistics_return": [False] * size,
        }
    )


_DAY_0 = np.int32((START - dt.date(1970, 1, 1)).days)


def _is_reported(frame: pl.DataFrame) -> bool:
    from optimizer.learn.estimators import Sample, difference

    half = np.full(len(frame), 0.5)
    happened = frame["complaint"].to_numpy().astype(float)
    found = difference(
        Sample(happened, frame["is_premium"].to_numpy(), half, half, half)
    )
    return found is not None and not found.low <= 0 <= found.high


def _config(**more: Any) -> Any:
    from optimizer.config import as_config

    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["zhongtong"],
    }
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 18}
    base: dict[str, Any] = {"version": 1, "policy": [policy], "objective": objective}
    return as_config(base | more)


def coverage(trials: int = 1_000) -> dict[str, Any]:
    """Share of 95 % intervals that hold the truth, by trial and method."""
    from optimizer.learn.estimators import METHODS, Sample, estimate_all

    cases = {
        "common, half premium": ((2, 6), 0.5, (0.5,), 300),
        "common, a fifth kept back": ((2, 6), 0.4, (0.8,), 600),
        "common, no effect": ((2, 6), 0.0, (0.5,), 300),
        "2 %, half premium": ((1, 49), 0.5, (0.5,), 400),
        "2 %, a twentieth kept back": ((1, 49), 0.5, (0.95,), 2_000),
        "three propensities": ((2, 6), 0.5, (0.1, 0.5, 0.9), 600),
    }
    found: dict[str, Any] = {"trials": trials}
    for name, (shape, effect, chances, size) in cases.items():
        rng, hits = np.random.default_rng(7), dict.fromkeys(METHODS, 0)
        truth = effect * shape[0] / sum(shape)
        for _ in range(trials):
            risk, chance = rng.beta(*shape, size), rng.choice(chances, size)
            is_premium = rng.random(size) < chance
            happened = rng.random(size) < risk * np.where(is_premium, 1 - effect, 1)
            guess = np.clip(risk * rng.uniform(0.7, 1.3, size), 1e-4, 0.99)
            left = guess * (1 - 0.8 * effect)
            sample = Sample(happened.astype(float), is_premium, chance, guess, left)
            for method, one in estimate_all(sample).items():
                hits[method] += one.low <= truth <= one.high
        found[name] = {method: count / trials for method, count in hits.items()}
    return found


def looks(histories: int = 500) -> dict[str, Any]:
    """Share of histories without an effect that show one on any of 30 nights."""
    from optimizer.learn.estimators import METHODS, Sample, estimate_all

    single, always = dict.fromkeys(METHODS, 0), dict.fromkeys(METHODS, 0)
    for seed in range(histories):
        rng = np.random.default_rng(seed)
        risk = rng.beta(2, 8, NUM_ROWS)
        happened = (rng.random(NUM_ROWS) < risk).astype(float)
        half = np.full(NUM_ROWS, 0.5)
        whole = Sample(happened, rng.random(NUM_ROWS) < 0.5, half, risk, risk)
        step = NUM_ROWS // NUM_NIGHTS
        nights = [
            estimate_all(whole.where(slice(0, end)))
            for end in range(step, NUM_ROWS + 1, step)
        ]
        for name in METHODS:
            own = [night[name] for night in nights]
            single[name] += any(not e.low <= 0 <= e.high for e in own)
            always[name] += any(not e.low_always <= 0 <= e.high_always for e in own)
    return {
        "histories": histories,
        "single": {name: count / histories for name, count in single.items()},
        "all looks": {name: count / histories for name, count in always.items()},
    }


def peers() -> dict[str, Any]:
    """The sample of the tests, by this project and by obp and DoubleML."""
    from optimizer.learn.estimators import Sample, doubly_robust, ipw

    rng = np.random.default_rng(11)
    risk, chance = rng.beta(2, 6, 2_000), rng.choice([0.2, 0.5, 0.8], 2_000)
    is_premium = rng.random(2_000) < chance
    happened = (rng.random(2_000) < risk * np.where(is_premium, 0.6, 1)).astype(float)
    guess = np.clip(risk * rng.uniform(0.7, 1.3, 2_000), 0.01, 0.99)
    sample = Sample(happened, is_premium, chance, guess, guess * 0.7)
    found: dict[str, Any] = {
        "ipw": ipw(sample).estimate,
        "doubly_robust": doubly_robust(sample).estimate,
    }
    return found | _obp(sample) | _doubleml(sample)


def _obp(sample: Any) -> dict[str, Any]:
    """Value of standard service for all less that of premium, in harm."""
    try:
        ope = import_module("obp.ope")
    except ImportError as error:
        return {"obp": str(error)}
    size = len(sample.happened)
    logged = {
        "reward": sample.happened,
        "action": sample.is_premium.astype(int),
        "pscore": np.where(sample.is_premium, sample.propensity, 1 - sample.propensity),
        "position": np.zeros(size, int),
    }
    predicted = np.stack([sample.standard, sample.premium], axis=1)[:, :, None]
    ways = {
        "SelfNormalizedInverseProbabilityWeighting": {},
        "SelfNormalizedDoublyRobust": {"estimated_rewards_by_reg_model": predicted},
    }
    found = {}
    for name, more in ways.items():
        values = []
        for action in (0, 1):
            always = np.zeros((size, 2, 1))
            always[:, action, 0] = 1
            judge = getattr(ope, name)()
            values.append(
                judge.estimate_policy_value(action_dist=always, **logged, **more)
            )
        found[f"obp {name}"] = float(values[0] - values[1])
    return found


def _doubleml(sample: Any) -> dict[str, Any]:
    try:
        doubleml = import_module("doubleml")
    except ImportError as error:
        return {"DoubleML": str(error)}
    linear = import_module("sklearn.linear_model")
    table = pl.DataFrame(
        {"y": sample.happened, "d": sample.is_premium * 1.0, "x": sample.standard}
    ).to_pandas()
    model = doubleml.DoubleMLIRM(
        doubleml.DoubleMLData(table, "y", "d", "x"),
        linear.LogisticRegression(),
        linear.LogisticRegression(),
        n_folds=2,
        normalize_ipw=True,
    )
    given = {
        "ml_g0": sample.standard[:, None],
        "ml_g1": sample.premium[:, None],
        "ml_m": sample.propensity[:, None],
    }
    model.fit(external_predictions={"d": given})
    return {"DoubleML": float(-model.coef[0]), "its error": float(model.se[0])}


def main(words: list[str] | None = None) -> None:
    """Run what the command line names, and print it with its seconds."""
    counted = {"delays": delays, "coverage": coverage, "looks": looks}
    parser = argparse.ArgumentParser(
        "python -m benchmarks.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=[*counted, "peers"])
    parser.add_argument("number", nargs="?", type=int, help="of histories or trials")
    given = parser.parse_args(words)
    if given.what == "peers" and given.number is not None:
        parser.error(f"peers takes nothing more, got {given.number}")
    start = time.perf_counter()
    if given.what == "peers":
        found = peers()
    else:
        number = () if given.number is None else (given.number,)
        found = counted[given.what](*number)
    print(json.dumps(found | {"seconds": round(time.perf_counter() - start)}, indent=2))


if __name__ == "__main__":
    main()
