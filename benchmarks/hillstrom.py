"""
A real randomised trial: does the shipped learner rank customers as its peers do?

64,000 customers, one of two e-mails or none (K. Hillstrom, 2008). A visit is wanted, so
the harm that an e-mail avoids is a customer who does not visit. A repetition splits the
customers of a campaign and its control in two by lot; every method learns from one half
and ranks the other. It is judged there by Qini and AUUC, and by the policy: e-mails to
the best 30 %, at a price, by inverse propensity. Intervals are over repetitions.

It says how well a ranking is learned, and nothing about delivery. The peers beside
scikit-learn need EconML, CausalML and scikit-uplift, in an environment of their own:
they are no dependency of this project. Each repetition says which file it was of, which
columns were read, and the versions of what the method needs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import sys
import tempfile
import time
import warnings
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks.uplift_peers import classes, trees
from benchmarks.worlds import read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY = dt.date(2026, 11, 1)
#: Share of customers who get an e-mail, and what one costs, in visits.
TOP_SHARE, FEE_VISITS = 0.3, 0.02
#: Customers in a leaf of a tree, at least.
LEAF_ROWS = 100
CAMPAIGNS = ("mens", "womens")
NUMBERS = ("recency", "history", "mens", "womens", "newbie")
WORDS = ("history_segment", "zip_code", "channel")
#: All that is read of the file: what was known of a customer, the lot, and the visit.
#: ``arm`` is the published ``segment`` in short: mens, womens, control.
COLUMNS = (*NUMBERS, *WORDS, "arm", "visit")
SOURCE = (
    "K. Hillstrom, *The MineThatData E-Mail Analytics And Data Mining Challenge*, "
    "20 March 2008 (<http://minethatdata.com/blog/labels/MineThatData.html>)"
)


def main(words: list[str]) -> None:
    """Run repetitions and append each to a file; print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.outcomes hillstrom")
    parser.add_argument("data", type=Path, help="hillstrom.parquet")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the first repetition")
    parser.add_argument("--methods", default="", help="names with commas; all")
    parser.add_argument("--file", type=Path, default=Path("hillstrom.jsonl"))
    parser.add_argument("--resume", action="store_true", help="leave out what is there")
    given = parser.parse_args(words)
    if not given.data.is_file():
        parser.error(f"{given.data}: no such file")
    if given.file.exists() and not given.resume:
        sys.exit(f"{given.file}: is there already; give --resume, or another --file")
    names = given.methods.split(",") if given.methods else list(METHODS)
    kept = read_records([given.file])
    done = {(r["campaign"], r["seed"], r["method"]) for r in kept}
    sha256 = hashlib.sha256(given.data.read_bytes()).hexdigest()
    if {r.get("sha256", sha256) for r in kept} - {sha256}:
        sys.exit(f"{given.file}: is of another file than {given.data}")
    of_file = {"source": SOURCE, "sha256": sha256, "columns": COLUMNS}
    table = pl.read_parquet(given.data, columns=[*COLUMNS])
    for seed in range(given.seed, given.seed + given.repetitions):
        for campaign in CAMPAIGNS:
            for name in names:
                if (campaign, seed, name) in done:
                    continue
                row = repetition(table, campaign, seed, name)
                if row is None:
                    continue
                row |= of_file | {"versions": versions_of(name)}
                with given.file.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    print(results(read_records([given.file])))


def repetition(
    table: pl.DataFrame, campaign: str, seed: int, name: str
) -> dict[str, Any] | None:
    """One method on one split; ``None`` where what it needs is not installed."""
    from optimizer.learn.uplift import areas, uplift_curve, weights_of

    start = time.process_time()
    rows = table.filter(pl.col("arm").is_in([campaign, "control"]))
    first = np.random.default_rng(seed).random(len(rows)) < 0.5
    train, test = rows.filter(first), rows.filter(~first)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rank = np.asarray(METHODS[name](train, test, campaign, seed), float)
    except ImportError as error:
        print(f"{name}: {error.name} is not installed", file=sys.stderr)
        return None
    treated = (test["arm"] == campaign).to_numpy()
    # About its mean: a constant changes no value, and would add noise to all.
    harm = float(test["visit"].mean()) - test["visit"].to_numpy()
    weight = weights_of(treated, np.full(len(test), 0.5))
    curve = uplift_curve(rank, harm, weight)
    auuc, qini = areas(curve)
    gained = float(curve[round(TOP_SHARE * len(test))])
    return {
        "campaign": campaign,
        "seed": seed,
        "method": name,
        "auuc": auuc,
        "qini": qini,
        "policy": gained - FEE_VISITS * TOP_SHARE,
        "sklift_qini": _sklift(rank, test["visit"].to_numpy(), treated),
        "seconds": round(time.process_time() - start, 2),
    }


def _sklift(rank: np.ndarray, wanted: np.ndarray, treated: np.ndarray) -> float | None:
    """Qini in our unit from the curve of scikit-uplift, where it is installed."""
    try:
        from sklift.metrics import qini_curve
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts, gains = qini_curve(wanted.astype(int), rank, treated.astype(int))
    gain, share = gains / treated.sum(), counts / len(wanted)
    return float(np.trapezoid(gain, share)) - float(gain[-1]) / 2


def _design(*frames: pl.DataFrame) -> list[np.ndarray]:
    """The customers' columns as numbers, words as dummies."""
    sizes = [len(frame) for frame in frames]
    both = pl.concat(frames).select(*NUMBERS, *WORDS).to_dummies(list(WORDS))
    x = both.to_numpy().astype(float)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    return np.split(x, np.cumsum(sizes)[:-1])


def _treated(frame: pl.DataFrame, campaign: str) -> np.ndarray:
    return (frame["arm"] == campaign).to_numpy().astype(int)


def shipped(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """``learn`` as it ships, customers as parcels; a channel is a carrier."""
    from optimizer.build.model_file import load_model
    from optimizer.config import as_config
    from optimizer.learn.fit import learn
    from optimizer.learn.learned import save_model
    from optimizer.learn.window import Window

    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": TOP_SHARE},
        "fee": {"amount_cny": FEE_VISITS},
        "carriers": ["Web", "Phone", "Multichannel"],
    }
    settings: dict[str, Any] = {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 1, "return_cost_cny": 0},
    }
    customers, day = _outcomes(train, campaign), Window(DAY + dt.timedelta(1))
    with tempfile.TemporaryDirectory() as folder:
        # The learner in force is that of a folder of its own, not of where it runs.
        settings["learning"] = {
            "prior": {"effect": 0.05, "spread": 0.3},
            "features": ["recency"],
            "models": folder,
        }
        found = learn(customers, as_config(settings), day)
        model = load_model(save_model(found, Path(folder))).model
    return _avoided(_outcomes(test, campaign), model)


def _avoided(frame: pl.DataFrame, model: Any) -> np.ndarray:
    """Harm that a kept promise avoids, by the model, as a night fills it in."""
    from optimizer.build.learned_probabilities import fill_orders

    empty = [
        pl.lit(None, pl.Float64).alias(f"{harm}_prob_{service}")
        for harm in ("complaint", "return")
        for service in ("standard", "premium")
    ]
    filled = fill_orders(frame.with_columns(empty), model)
    return (
        filled["complaint_prob_standard"] - filled["complaint_prob_premium"]
    ).to_numpy()


def _outcomes(frame: pl.DataFrame, campaign: str) -> pl.DataFrame:
    """Customers by the outcomes contract: what they bought before is the category."""
    bought = pl.concat_str(
        [pl.col(c).cast(pl.String) for c in ("mens", "womens", "newbie")],
        separator="-",
    )
    return frame.select(
        order_id=pl.format("c{}", pl.int_range(pl.len())),
        date=pl.lit(DAY),
        merchant_id=pl.lit("shop"),
        carrier_id="channel",
        region_id="zip_code",
        category_id=bought,
        order_value_cny=pl.col("history").round(2),
        recency="recency",
        is_premium=pl.col("arm") == campaign,
        propensity=pl.lit(0.5),
        arm=pl.lit("explore"),
        delivered_to_door=pl.col("arm") == campaign,
        complaint=pl.col("visit") == 0,
        # No such thing as a return: by lot, and it costs nothing.
        logistics_return=pl.Series(np.random.default_rng(1).random(len(frame)) < 0.05),
    )


def ridge(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """Logistic regression with every treatment interaction, scikit-learn."""
    from sklearn.linear_model import LogisticRegression

    x, new = _design(train, test)
    side = _treated(train, campaign)[:, None]
    fit = LogisticRegression(C=0.1).fit(
        np.hstack([x, side, x * side]), train["visit"].to_numpy()
    )
    ones = np.ones((len(new), 1))
    with_mail, without = (
        fit.predict_proba(np.hstack([new, s, new * s]))[:, 1] for s in (ones, 0 * ones)
    )
    return with_mail - without


def econml_dr(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """EconML's DR-learner of boosted trees."""
    from econml.dr import DRLearner

    x, new = _design(train, test)
    learner = DRLearner(
        model_propensity=classes(LEAF_ROWS),
        model_regression=trees(LEAF_ROWS),
        model_final=trees(LEAF_ROWS),
        random_state=seed,
    )
    learner.fit(train["visit"].to_numpy().astype(float), _treated(train, campaign), X=x)
    return learner.effect(new)


def econml_forest(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """EconML's causal forest."""
    from econml.dml import CausalForestDML

    x, new = _design(train, test)
    learner = CausalForestDML(
        model_y=trees(LEAF_ROWS),
        model_t=classes(LEAF_ROWS),
        discrete_treatment=True,
        n_estimators=200,
        min_samples_leaf=50,
        random_state=seed,
    )
    learner.fit(train["visit"].to_numpy().astype(float), _treated(train, campaign), X=x)
    return learner.effect(new)


def causalml_x(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """CausalML's X-learner of boosted trees."""
    from causalml.inference.meta import BaseXRegressor

    x, new = _design(train, test)
    side = _treated(train, campaign)
    learner = BaseXRegressor(learner=trees(LEAF_ROWS))
    half = np.full(len(x), 0.5)
    learner.fit(X=x, treatment=side, y=train["visit"].to_numpy().astype(float), p=half)
    return learner.predict(X=new, p=np.full(len(new), 0.5)).ravel()


def sklift_two(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """scikit-uplift's two models of boosted trees, one corrected by the other."""
    from sklift.models import TwoModels

    x, new = _design(train, test)
    learner = TwoModels(classes(LEAF_ROWS), classes(LEAF_ROWS), method="ddr_control")
    learner.fit(x, train["visit"].to_numpy(), _treated(train, campaign))
    return learner.predict(new)


def by_risk(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """Who is least likely to visit without an e-mail first: highest risk."""
    from sklearn.linear_model import LogisticRegression

    x, new = _design(train, test)
    alone = _treated(train, campaign) == 0
    fit = LogisticRegression(C=0.1).fit(x[alone], train["visit"].to_numpy()[alone])
    return -fit.predict_proba(new)[:, 1]


def by_value(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """Who spent most before."""
    return test["history"].to_numpy()


def by_lot(
    train: pl.DataFrame, test: pl.DataFrame, campaign: str, seed: int
) -> np.ndarray:
    """By lot."""
    return np.random.default_rng(seed + 1_000_000).random(len(test))


METHODS: dict[str, Callable[..., np.ndarray]] = {
    "shipped learner": shipped,
    "ridge logistic": ridge,
    "EconML DR-learner": econml_dr,
    "EconML causal forest": econml_forest,
    "CausalML X-learner": causalml_x,
    "scikit-uplift two models": sklift_two,
    "highest risk": by_risk,
    "highest value": by_value,
    "random": by_lot,
}


#: Packages that a method's ranking is made with.
PACKAGES = {
    "shipped learner": ("premium-delivery-optimizer", "scikit-learn"),
    "ridge logistic": ("scikit-learn",),
    "EconML DR-learner": ("econml", "scikit-learn"),
    "EconML causal forest": ("econml", "scikit-learn"),
    "CausalML X-learner": ("causalml", "scikit-learn"),
    "scikit-uplift two models": ("scikit-uplift", "scikit-learn"),
    "highest risk": ("scikit-learn",),
}


def versions_of(name: str) -> dict[str, str]:
    """The installed versions of what a method needs; a source tree has none."""
    found = {}
    for package in PACKAGES.get(name, ()):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def results(rows: list[dict[str, Any]]) -> str:
    """
    Markdown, per 1,000 customers, mean and 95 % interval over repetitions.

    Below it what the repetitions are of, as far as they say it.
    """
    lines = [
        "| campaign | method | n | Qini | AUUC | policy, net | less the shipped "
        "| seconds each |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for campaign in CAMPAIGNS:
        own = [row for row in rows if row["campaign"] == campaign]
        base = {r["seed"]: r for r in own if r["method"] == "shipped learner"}
        for method in dict.fromkeys(row["method"] for row in own):
            lines.append(
                f"| {campaign} | {method} | "
                + " | ".join(_cells([r for r in own if r["method"] == method], base))
                + " |"
            )
    return "\n".join([*lines, "", *_grounds(rows)])


def _grounds(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What the repetitions say of their file and of the packages, and how many do."""
    told = [row for row in rows if "sha256" in row]
    if left := len(rows) - len(told):
        yield (
            f"{left:,} of {len(rows):,} repetitions are of before the file's hash and "
            "packages' versions were recorded: nothing says any more which they were."
        )
    for file, num in Counter(row["sha256"] for row in told).items():
        (columns,) = {tuple(row["columns"]) for row in told if row["sha256"] == file}
        yield f"{num:,} are of the file with SHA-256"
        yield f"`{file}`; columns read: {', '.join(f'`{name}`' for name in columns)}."
    used = Counter(
        (row["method"], ", ".join(" ".join(one) for one in row["versions"].items()))
        for row in told
        if row["versions"]
    )
    for (method, versions), num in used.items():
        yield f"{method}, {num:,}: {versions}."


def _cells(
    rows: list[dict[str, Any]], base: dict[int, dict[str, Any]]
) -> Iterator[str]:
    yield str(len(rows))
    for name in ("qini", "auuc", "policy"):
        yield _mean(np.array([1000 * row[name] for row in rows]))
    pairs = [row for row in rows if row["seed"] in base]
    less = [1000 * (row["policy"] - base[row["seed"]]["policy"]) for row in pairs]
    yield _mean(np.array(less)) if less else ""
    yield f"{np.mean([row['seconds'] for row in rows]):.2f}"


def _mean(values: np.ndarray) -> str:
    """
    Mean, and the range of 95 % of repetitions around it.

    Splits of the same customers are not independent, so that no standard error of
    the mean is given: it would shrink with every split.
    """
    if len(values) < 2:
        return f"{values.mean():.1f}"
    return f"{values.mean():.1f} ± {1.96 * values.std(ddof=1):.1f}"
