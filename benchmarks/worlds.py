"""
The loop of learning on worlds whose law no learner knows, beside peers and oracles.

A repetition is one platform of one world: nights decided by the model learned so far,
with its holdout and exploration, revealed, learned from. After 5 and 20 nights the plan
of three nights to come is judged by their true probabilities, net of fees, beside plans
of

- ``risk``: highest expected harm on standard service, 3 %;
- ``random``: any parcels, 3 %;
- ``ridge``: logistic regression on all rows with every treatment interaction;
- ``dr``: a DR-learner of boosted trees on the randomised rows;
- learners of EconML, CausalML and scikit-uplift, where they are installed
  (:mod:`benchmarks.uplift_peers`);
- ``columns``: the best rule of the visible columns, boosted trees fitted to the *true*
  probabilities of many other nights of the world, promise-keeping of each outlet given;
- ``truth``: the true probabilities of each parcel, which nobody can know.

The peers learn from the same outcomes as the shipped learner. All plans keep the same
caps and capacity, and every one is solved to the optimum of its own values. A rule's
order of the parcels is judged by its true uplift curve, too: no outcome is drawn.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks import uplift_peers
from benchmarks.visible_columns import COSTS, OUTCOME_OF, Columns
from benchmarks.worlds_tables import NUM_JUDGED, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NUM_ORDERS, NUM_MERCHANTS = 4_000, 12
FEE_CNY = 0.8
#: Nights after which the learner learns anew, and those after which it is judged.
LEARN_AFTER = (0, 1, 2, 3, 5, 8, 12, 16, 20)
JUDGED_AFTER = (5, 12, 20)
SETTINGS = {
    "holdout": {"share": 0.2, "explore_share": 0.2, "seed": 3},
    "learning": {"prior": {"effect": 0.3}},
}
#: Ways to explore.
WAYS = ("blind", "margin", "thompson", "none")
PREMIUM = ["complaint_prob_premium", "return_prob_premium"]
#: Standard parcels that were not randomised, for peers: so many teach the risk.
MAX_UNDRAWN = 12_000
#: Days before the first night, in worlds of delays, of the quiet night that is known by
#: then, and days after the last one until all is known.
QUIET_DAYS, WAIT_DAYS = 60, 45
#: Worlds whose law depends on the date.
CHANGING = ("drift", "worsening-carrier")


def main(words: list[str]) -> None:
    """Run repetitions and append each to a file, or print the table of such files."""
    parser = repetitions_parser("worlds", repetitions=3)
    parser.add_argument("--orders", type=int, default=NUM_ORDERS)
    parser.add_argument("--merchants", type=int, default=NUM_MERCHANTS)
    parser.add_argument("--explore", choices=WAYS, help="how nights explore")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="JSON of the configuration"
    )
    parser.add_argument("--days", type=int, help="the last days that are learned from")
    given = parser.parse_args(words)
    sizes = {"num_orders": given.orders, "num_merchants": given.merchants}
    settings = explored(SETTINGS | given.settings, given.explore)
    run_missing(
        given,
        lambda name, seed: repetition(
            name, seed, given.nights, sizes, settings, given.days
        ),
    )
    print(table(read_records([given.file])))


def repetitions_parser(what: str, *, repetitions: int) -> argparse.ArgumentParser:
    """What one may ask of repetitions over worlds, each a platform of its own."""
    parser = argparse.ArgumentParser(f"python -m benchmarks.outcomes {what}")
    parser.add_argument(
        "--world", default="all", help="a name, names with commas, or all"
    )
    parser.add_argument("--repetitions", type=int, default=repetitions)
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first repetition")
    parser.add_argument("--file", type=Path, default=Path(f"{what}.jsonl"))
    parser.add_argument("--resume", action="store_true", help="leave out what is there")
    return parser


def run_missing(
    given: argparse.Namespace, repetition: Callable[[str, int], dict[str, Any]]
) -> None:
    """Run what is not in the file yet, each seed on all worlds, and append it."""
    from optimizer.errors import ConfigError
    from optimizer.simulate.laws import WORLDS, find_law

    names = list(WORLDS) if given.world == "all" else given.world.split(",")
    try:
        for name in names:
            find_law(name)
    except ConfigError as error:
        sys.exit(f"--{error}")
    if given.file.exists() and not given.resume:
        sys.exit(f"{given.file}: is there already; give --resume, or another --file")
    done = {(row["world"], row["seed"]) for row in read_records([given.file])}
    for seed in range(given.seed, given.seed + given.repetitions):
        for name in names:
            if (name, seed) in done:
                continue
            row = repetition(name, seed)
            with given.file.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{name} {seed}: {row['seconds']:.0f} CPU seconds", file=sys.stderr)


def explored(settings: dict[str, Any], how: str | None) -> dict[str, Any]:
    """Settings whose nights explore in a way; ``None``: as they say."""
    if how is None:
        return settings
    found = settings | {"objective": settings.get("objective", {}) | {"explore": how}}
    if how == "thompson":
        # The savings themselves are drawn: no slots are set apart.
        found["holdout"] = settings["holdout"] | {"explore_share": 0}
    return found


def read_records(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Finished repetitions; a line that was cut short is left out."""
    found = []
    for path in files:
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def repetition(
    world: str,
    seed: int,
    num_nights: int,
    sizes: dict[str, int],
    settings: dict[str, Any],
    num_days: int | None = None,
) -> dict[str, Any]:
    """
    Nights of learning on one platform, judged on the way and at the end.

    Of ``num_days`` the learner and its peers are told the last days alone.
    ``on_the_way_cny`` is what the nights themselves avoid, net of fees, with all that
    they leave to chance.
    """
    from optimizer.simulate.dates import START

    start = time.process_time()
    platform = Platform(world, seed, sizes)
    past: list[tuple[Any, pl.DataFrame, dt.date]] = []
    judged: dict[str, Any] = {}
    on_the_way = 0.0
    with tempfile.TemporaryDirectory() as folder:
        model: dict[str, Any] = {}
        for number in range(num_nights + 1):
            day = START + dt.timedelta(number)
            if number in LEARN_AFTER or number == num_nights:
                history = reveal(platform, past, day)
                if num_days is not None and number:
                    since = day - dt.timedelta(num_days)
                    history = history.filter(pl.col("date") >= since)
                # The learner in force is that of the newest model in its own folder.
                own = settings["learning"] | {"models": folder} | _features(world)
                again = settings | {"learning": own}
                model = {
                    "model": learned(history, again, day, Path(folder)),
                    "learning": own,
                }
            if number in JUDGED_AFTER or number == num_nights:
                # Other libraries' learners take longer than all the rest: once.
                peers = {"ridge": ridge, "dr": dr_learner}
                fitted = {name: fit(history) for name, fit in peers.items()}
                if number == num_nights:
                    fitted |= uplift_peers.fit_all(history)
                judged[str(number)] = judge(platform, day, model, fitted)
            if number < num_nights:
                night = platform.night(day)
                plan = decide(night, night.orders.drop(PREMIUM), day, settings | model)
                past.append((night, plan.decisions, day))
                on_the_way += gain(night, plan) - FEE_CNY * len(plan.recommendations)
        # Harm that comes late is waited for: nothing could be said of it sooner.
        ripe = day + dt.timedelta(WAIT_DAYS if is_delayed(world) else 0)
        history = reveal(platform, past, ripe)
        intervals = measured(platform, history, past, settings, ripe)
        told = json.loads(Path(model["model"], "model.json").read_text())
    return {
        "world": world,
        "seed": seed,
        "nights": num_nights,
        **sizes,
        **({} if num_days is None else {"days": num_days}),
        "learner": told.get("learner"),
        "versions": uplift_peers.versions(),
        "judged": judged,
        "on_the_way_cny": round(on_the_way, 2),
        "num_randomised": sum(
            plan["propensity"].is_between(0, 1, closed="none").sum()
            for _, plan, _ in past
        ),
        "intervals": last_told(intervals),
        "seconds": round(time.process_time() - start, 1),
    }


class Platform:
    """
    A platform of a world: the same merchants, another night each day.

    What is drawn depends on world and seed together: with the seed alone, worlds would
    share merchants, orders and chances but for their law, and be one repetition.
    """

    def __init__(self, world: str, seed: int, sizes: dict[str, int]) -> None:
        self.world, self.sizes = world, sizes
        entropy = np.random.SeedSequence([seed, *world.encode()])
        self.seed = int(entropy.generate_state(1)[0])

    def night(self, day: dt.date) -> Any:
        """One night of it."""
        from optimizer.simulate import simulate_night

        return simulate_night(**self.sizes, seed=self.seed, day=day, world=self.world)


def config(more: dict[str, Any]) -> dict[str, Any]:
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": FEE_CNY},
        "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
    }
    objective = {
        "complaint_cost_cny": COSTS["complaint"],
        "return_cost_cny": COSTS["return"],
    } | more.get("objective", {})
    return {"version": 1, "policy": [policy]} | more | {"objective": objective}


def decide(night: Any, orders: pl.DataFrame, day: dt.date, more: dict[str, Any]) -> Any:
    import optimizer

    return optimizer.allocate(
        orders,
        night.capacity,
        config=config(more),
        merchants=night.merchants,
        date=day,
    )


def reveal(
    platform: Platform, past: list[tuple[Any, pl.DataFrame, dt.date]], day: dt.date
) -> pl.DataFrame:
    """What is known on a day of all nights before it, and of one before the service."""
    from optimizer.simulate.reveal import outcomes_of

    until = None
    before = 1
    if is_delayed(platform.world):
        until, before = day - dt.timedelta(1), QUIET_DAYS
    first = (past[0][2] if past else day) - dt.timedelta(before)
    quiet = platform.night(first)
    nothing = quiet.orders.select(
        "order_id",
        is_premium=pl.lit(value=False),
        carrier_id=pl.lit(None, pl.String),
        arm=pl.lit(None, pl.String),
        propensity=pl.lit(0.0),
    )
    return pl.concat(
        [
            outcomes_of(
                decisions=decisions,
                orders=night.orders,
                truth=night.truth,
                merchants=night.merchants,
                day=when,
                compensation_cny=5.0,
                observed_until=until,
            )
            for night, decisions, when in [(quiet, nothing, first), *past]
        ],
        how="diagonal_relaxed",
    )


def is_delayed(world: str) -> bool:
    """Whether harm is known later than the next day."""
    return world.startswith("delayed")


def _features(world: str) -> dict[str, Any]:
    """Columns beside the contract's that a world's tables have: peers see them too."""
    return {} if world == "plain" else {"features": ["station_distance_m"]}


def learned(
    history: pl.DataFrame, settings: dict[str, Any], day: dt.date, folder: Path
) -> str:
    from optimizer.config import as_config
    from optimizer.learn.fit import learn
    from optimizer.learn.learned import save_model
    from optimizer.learn.window import Window

    found = learn(history, as_config(config(_for_learning(settings))), Window(day))
    return str(save_model(found, folder))


def _for_learning(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without what nights alone need, such as a model to draw from."""
    return {key: value for key, value in settings.items() if key != "objective"}


def judge(
    platform: Platform, day: dt.date, model: dict[str, Any], fitted: dict[str, Any]
) -> dict[str, Any]:
    """Net harm avoided by each plan on the nights to come, and what was promised."""
    days = tuple(day + dt.timedelta(n) for n in range(NUM_JUDGED))
    columns = columns_oracle(platform.world, days, platform.sizes)
    fitted = fitted | {"columns": columns}
    net: dict[str, float] = {}
    curves: dict[str, list[tuple[float, float]]] = {}
    promised = realised = 0.0
    chosen = 0
    for when in days:
        night = platform.night(when)
        plan = decide(night, night.orders.drop(PREMIUM), when, model)
        savings = plan.recommendations["saving_cny"].cast(float)
        promised += float(savings.sum()) + FEE_CNY * len(savings)
        gross = gain(night, plan)
        realised += gross
        chosen += len(savings)
        own = {"learned": gross - FEE_CNY * len(savings)}
        true = true_worth(night)
        ranks = {"learned": own_worth(night, when, model)}
        for name, worth in worths(night, when, fitted).items():
            other = decide(*valued(night, worth), when, {})
            own[name] = gain(night, other) - FEE_CNY * len(other.recommendations)
            ranks[name] = worth
        for name, rank in ranks.items():
            curves.setdefault(name, []).append(true_areas(rank, true))
        for name, value in own.items():
            net[name] = net.get(name, 0.0) + value
    return {
        "net_cny": {name: round(value, 2) for name, value in net.items()},
        **{
            f"{area}_cny": {
                name: round(float(np.mean([one[at] for one in found])), 5)
                for name, found in curves.items()
            }
            for at, area in enumerate(("auuc", "qini"))
        },
        "promised_cny": round(promised, 2),
        "realised_cny": round(realised, 2),
        "num_chosen": chosen,
    }


def worths(night: Any, day: dt.date, fitted: dict[str, Any]) -> dict[str, Any]:
    """What each rule believes that premium is worth, by parcel."""
    orders, size = night.orders, night.orders.height
    risk = sum(
        cost * orders[f"{harm}_prob_standard"].to_numpy()
        for harm, cost in COSTS.items()
    )
    # Above the fee, so that the two rules fill their caps.
    found = {
        "risk": 1 + risk / 2,
        "random": np.random.default_rng(day.toordinal()).uniform(5, 9, size),
        "truth": true_worth(night),
    }
    kept = known(night)["true_door_kept_prob"]
    table = orders.join(night.merchants, on="merchant_id", maintain_order="left")
    for name, predict in fitted.items():
        found[name] = predict(table.with_columns(kept=kept))
    return found


def own_worth(night: Any, day: dt.date, model: dict[str, Any]) -> np.ndarray:
    """
    Saving of each parcel as a night with the model values it, 0 where there is none.

    It is the night without fee, cap and capacity: every parcel of any worth is
    in its plan, with its saving.
    """
    from optimizer import allocate

    rules = config(model)
    free = rules["policy"][0] | {"cap": {"rate": 1.0}, "fee": {"amount_cny": 0}}
    plan = allocate(
        night.orders.drop(PREMIUM),
        night.capacity.with_columns(slots=pl.lit(night.orders.height)),
        config=rules | {"policy": [free]},
        merchants=night.merchants,
        date=day,
    )
    savings = plan.recommendations.select("order_id", pl.col("saving_cny").cast(float))
    both = night.orders.join(savings, on="order_id", how="left", maintain_order="left")
    return both["saving_cny"].fill_null(0.0).to_numpy()


def true_areas(rank: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """
    AUUC and Qini of an order of parcels by what each is truly worth, in CNY a parcel.

    Examples
    --------
    >>> auuc, qini = true_areas(np.array([2.0, 1.0]), np.array([1.0, 0.0]))
    >>> round(auuc, 3), round(qini, 3)
    (0.375, 0.125)
    """
    from optimizer.learn.uplift import areas

    _, tie, size = np.unique(-rank, return_inverse=True, return_counts=True)
    mean = np.bincount(tie, weights=true) / size
    return areas(np.append(0.0, np.cumsum(np.repeat(mean, size))) / len(true))


def known(night: Any) -> pl.DataFrame:
    """Orders with their truth, in their order."""
    return night.orders.join(
        night.truth, on=["order_id", "carrier_id"], maintain_order="left"
    ).join(night.merchants, on="merchant_id", maintain_order="left")


def true_worth(night: Any) -> np.ndarray:
    """Harm that a recommendation avoids, by the true probabilities."""
    frame = known(night)
    bought = "true_take_up_prob"
    take_up = frame[bought if bought in frame.columns else "take_up"].to_numpy()
    drop = sum(
        cost
        * (
            frame[f"true_{harm}_prob_standard"] - frame[f"true_{harm}_prob_premium"]
        ).to_numpy()
        for harm, cost in COSTS.items()
    )
    return np.asarray(take_up * drop)


def gain(night: Any, plan: Any) -> float:
    """Harm that a plan avoids, by the true probabilities; full stations count."""
    from optimizer.simulate.reveal import is_crowded

    frame = known(night)
    taken = frame["order_id"].is_in(plan.recommendations["order_id"].to_list())
    total = float(true_worth(night)[taken.to_numpy()].sum())
    crowded = is_crowded(frame, taken.to_numpy()) & ~taken.to_numpy()
    for harm, cost in COSTS.items() if crowded.any() else ():
        calm = frame[f"true_{harm}_prob_standard"]
        total -= cost * float(
            (frame[f"true_{harm}_prob_standard_crowded"] - calm).filter(crowded).sum()
        )
    return total


def valued(night: Any, worth: np.ndarray) -> tuple[Any, pl.DataFrame]:
    """The night with parcels of these values, take-up in them."""
    from dataclasses import replace

    part = np.clip(worth / COSTS["complaint"], -1, 1)
    orders = night.orders.with_columns(
        complaint_prob_standard=pl.Series(np.maximum(part, 0)),
        complaint_prob_premium=pl.Series(np.maximum(-part, 0)),
        return_prob_standard=pl.lit(0.0),
        return_prob_premium=pl.lit(0.0),
    )
    sure = night.merchants.with_columns(take_up=pl.lit(1.0))
    return replace(night, merchants=sure), orders


def thinned(history: pl.DataFrame) -> pl.DataFrame:
    """All randomised and premium rows, and some of the others, for a peer's sake."""
    is_drawn = pl.col("propensity").fill_null(0).is_between(0, 1, closed="none")
    kept = history.filter(is_drawn | pl.col("is_premium"))
    rest = history.filter(~is_drawn & ~pl.col("is_premium"))
    return pl.concat([kept, rest.sample(min(len(rest), MAX_UNDRAWN), seed=0)])


def ridge(history: pl.DataFrame) -> Any:
    """Logistic regression of each harm, treatment with all columns, on all rows."""
    from sklearn.linear_model import LogisticRegression

    history = thinned(history)
    columns = Columns(history)
    x, premium = columns.dense(history), history["is_premium"].to_numpy()

    def design(x: np.ndarray, side: np.ndarray) -> np.ndarray:
        return np.hstack([x, side[:, None], x * side[:, None]])

    fits = {}
    for harm in COSTS:
        happened = history[OUTCOME_OF[harm]].to_numpy()
        if premium.any():
            fit = LogisticRegression(C=0.1, solver="newton-cholesky", max_iter=100)
            fits[harm] = fit.fit(design(x, premium), happened)

    def predict(frame: pl.DataFrame) -> np.ndarray:
        x = columns.dense(frame)
        ones = np.ones(len(x))
        total = np.zeros(len(x))
        for harm, fit in fits.items():
            standard, other = (
                fit.predict_proba(design(x, side))[:, 1] for side in (0 * ones, ones)
            )
            total += COSTS[harm] * (standard - other)
        return total

    return predict


def dr_learner(history: pl.DataFrame) -> Any:
    """Boosted trees on doubly robust scores, in CNY, of the randomised rows."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression

    history = thinned(history)
    columns = Columns(history)
    chance = history["propensity"].fill_null(0.0).to_numpy()
    premium = history["is_premium"].to_numpy()
    drawn = (chance > 0) & (chance < 1)
    fold = np.random.default_rng(0).integers(0, 2, len(history))
    x = columns.dense(history)
    score = np.zeros(len(history))
    for harm, cost in COSTS.items():
        happened = history[OUTCOME_OF[harm]].to_numpy()
        for part in (0, 1):
            mean = {}
            for side in (False, True):
                rows = (fold != part) & (premium == side)
                if 0 < happened[rows].sum() < rows.sum():
                    fit = LogisticRegression(C=0.1, solver="newton-cholesky")
                    fit.fit(x[rows], happened[rows])
                    mean[side] = fit.predict_proba(x)[:, 1]
                else:
                    mean[side] = np.zeros(len(x))
            with np.errstate(divide="ignore", invalid="ignore"):
                own = mean[False] - mean[True]
                own = own + ~premium / (1 - chance) * (happened - mean[False])
                own = own - premium / chance * (happened - mean[True])
            inside = drawn & (fold == part)
            score[inside] += cost * own[inside]
    trees = HistGradientBoostingRegressor(
        max_iter=60,
        learning_rate=0.05,
        max_leaf_nodes=8,
        min_samples_leaf=40,
        l2_regularization=5.0,
        categorical_features=columns.categorical,
        random_state=0,
    )
    trees.fit(columns.coded(history)[drawn], score[drawn])
    return lambda frame: trees.predict(columns.coded(frame))


@cache
def _columns_oracle(
    world: str, days: tuple[dt.date, ...], num_orders: int, num_merchants: int
) -> Any:
    """Fit the true worth by the visible columns, on other platforms of these days."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    sizes = {"num_orders": num_orders, "num_merchants": num_merchants}
    frames, worth = [], []
    for seed in range(900, 906):
        for day in days:
            night = Platform(world, seed, sizes).night(day)
            frames.append(known(night).rename({"true_door_kept_prob": "kept"}))
            worth.append(true_worth(night))
    table = pl.concat(frames)
    columns = Columns(table, extra=("kept",))
    trees = HistGradientBoostingRegressor(
        max_iter=150,
        learning_rate=0.1,
        max_leaf_nodes=16,
        min_samples_leaf=60,
        categorical_features=columns.categorical,
        random_state=0,
    )
    trees.fit(columns.coded(table), np.concatenate(worth))
    return lambda frame: trees.predict(columns.coded(frame))


def columns_oracle(world: str, days: tuple[dt.date, ...], sizes: dict[str, int]) -> Any:
    from optimizer.simulate.dates import START

    if world not in CHANGING:
        days = tuple(START + dt.timedelta(n) for n in range(NUM_JUDGED))
    return _columns_oracle(world, days, sizes["num_orders"], sizes["num_merchants"])


def measured(
    platform: Platform,
    history: pl.DataFrame,
    past: list[tuple[Any, pl.DataFrame, dt.date]],
    settings: dict[str, Any],
    day: dt.date,
) -> list[dict[str, Any]]:
    """Intervals of ``evaluate`` by every method, and the true effect of the parcels."""
    from optimizer.config import as_config
    from optimizer.learn.evaluate import evaluate
    from optimizer.learn.window import Window

    rules = as_config(config(_for_learning(settings)))
    found = evaluate(history, rules, Window(day))
    truth = pl.concat(
        [
            known(night).select(
                "order_id",
                take_up=pl.col(
                    "true_take_up_prob"
                    if "true_take_up_prob" in night.truth.columns
                    else "take_up"
                ),
                **{
                    OUTCOME_OF[harm]: pl.col(f"true_{harm}_prob_standard")
                    - pl.col(f"true_{harm}_prob_premium")
                    for harm in COSTS
                },
            )
            for night, _, _ in past
        ]
    )
    drawn = history.filter(pl.col("propensity").is_between(0, 1, closed="none"))
    both = drawn.select("order_id", "arm").join(truth, on="order_id")
    truths: dict[tuple[str, str], float] = {}
    told = []
    for row in found.effects:
        population, outcome = row["population"], row["outcome"]
        if row["by"] is not None or outcome not in OUTCOME_OF.values():
            continue
        if (population, outcome) not in truths:
            inside = both.filter(pl.col("arm") == population)
            true = inside.select((pl.col("take_up") * pl.col(outcome)).mean())
            truths[population, outcome] = true.item()
        named = ("method", "estimate", "low", "high", "low_always", "high_always")
        sizes = ("num_treated", "num_control")
        told.append(
            {"population": population, "outcome": outcome}
            | {"true": truths[population, outcome]}
            | {name: row[name] for name in named + sizes}
        )
    return told


def last_told(intervals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each population and outcome the last method: doubly robust where it can be."""
    found = {(one["population"], one["outcome"]): one for one in intervals}
    return list(found.values())
