r"""
Probabilities of a learned model, for the columns that the tables lack.

Risk on standard service is the logistic function of an intercept, slopes of numbers of
the order (``logit(column)``, the column kept 1e-5 from 0 and 1, or ``log1p(column)``)
and offsets of its levels; a kept promise removes the share :math:`h` of it, an
intercept and offsets of levels again: :math:`q = p (1 - h)`, within [0, 1]. Levels that
the history did not have count as 0. The share of promises that a carrier keeps is the
model's if the probabilities are, and if the configuration does not name the carrier.

In models of format 2 :math:`h` has slopes of numbers too, each within its range, and
a multiple of the leaves that the order reaches in regression trees: their sum, or its
mean over resampled members; and with the link ``logit`` the odds fall to
:math:`e^{-h}` of what they were. A column without a value counts as its ``fills``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.errors import CertificateError
from optimizer.verify.drawn_models import drawn_again, num_draws

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb
    from numpy.typing import NDArray

_EDGE = 1e-5
_FORMATS = (1, 2)
_HARD = 30.0
_HARMS = ("complaint", "return")
_Columns = dict[str, Any]


def fill_scores(
    statement: duckdb.DuckDBPyConnection,
    record: Mapping[str, Any],
) -> None:
    """
    Give the statement the probabilities of the night, and promises of carriers.

    Raises
    ------
    CertificateError
        When the model is missing, or is not the one that the night was made with.
    """
    scores = Scores.read(statement, record)
    model = scores.model
    if num_draws(record):
        model = drawn_again(model, record)
    filled, at = scores.filled(model), scores.at
    columns = {
        "number": scores.ways_number,
        **{name: filled[name][at] for name in filled if name.endswith("standard")},
        **{name: filled[name] for name in filled if name.endswith("premium")},
    }
    _insert(statement, columns)
    if "complaint_prob_premium" not in scores.there:
        _promise(statement, model, record)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """
    What a night's probabilities are made of.

    Attributes
    ----------
    model
        As it was learned.
    there
        Columns that the tables have.
    orders, ways
        Columns of the orders, and of the ways to carry them.
    at
        ``(num_ways,) int64``: place of each way's order.
    has_options
        Whether ways are those of the options table.
    """

    model: Any
    there: set[str]
    orders: _Columns
    ways: _Columns
    at: NDArray[np.int64]
    has_options: bool

    @classmethod
    def read(
        cls, statement: duckdb.DuckDBPyConnection, record: Mapping[str, Any]
    ) -> Scores:
        """
        Read the night's tables and its model.

        Raises
        ------
        CertificateError
            When the model is missing, or is not the one that the night was made with.
        """
        model = read_model(record)
        has_options = record["inputs"].get("options") is not None
        there = {
            name
            for table in ("orders", *(["options"] if has_options else []))
            for (name,) in statement.execute(f"FROM {table}_columns").fetchall()
        }
        orders = _columns(statement, "SELECT * EXCLUDE (further) FROM orders")
        number = np.asarray(orders["number"], np.int64)
        ways, at = orders, np.arange(len(number))
        if has_options:
            ways, at = _options(statement, number)
        return cls(model, there, orders, ways, at, has_options)

    @property
    def ways_number(self) -> NDArray[np.int64]:
        """Number of each way."""
        return np.asarray(self.ways["number"], np.int64)

    def filled(self, model: Any) -> dict[str, NDArray[np.float64]]:
        """Probabilities on standard by order, and on premium service by way."""
        orders, ways, at = self.orders, self.ways, self.at
        filled: dict[str, NDArray[np.float64]] = {}
        for harm in _HARMS:
            name = f"{harm}_prob_standard"
            filled[name] = (
                _numbers(orders[name])
                if name in self.there
                else _risk(orders, model["risk"][harm])
            )
        for harm in _HARMS:
            name, standard = f"{harm}_prob_premium", filled[f"{harm}_prob_standard"]
            if name in self.there:
                filled[name] = _numbers(ways[name])
                continue
            effect = model["effect"][harm]
            removed = _removed(orders, ways, at, effect, has_options=self.has_options)
            filled[name] = harm_left(standard[at], removed, effect.get("link", "share"))
        return filled


def read_model(record: Mapping[str, Any]) -> Any:
    """
    Read the model of a night, if it is the one that the night was made with.

    Raises
    ------
    CertificateError
        When it is not, or is gone.
    """
    place = Path(str(record["config"]["model"]).replace("{date}", record["date"]))
    path = place / "model.json"
    try:
        content = path.read_bytes()
    except OSError:
        raise CertificateError(
            f"the model {path} is gone, so nothing can be proved from it"
        ) from None
    if hashlib.sha256(content).hexdigest() != record["identity"].get("model_sha256"):
        raise CertificateError(
            f"the model {path} was changed after the run (model_sha256)"
        )
    model = json.loads(content)
    if model.get("format", 1) not in _FORMATS:
        raise CertificateError(f"the model {path} is of a format that is not known")
    return model


def _columns(statement: duckdb.DuckDBPyConnection, query: str) -> _Columns:
    return dict(statement.execute(query).fetchnumpy())


def _numbers(column: Any) -> NDArray[np.float64]:
    return np.ma.filled(np.ma.asarray(column, np.float64), np.nan)


def _risk(orders: _Columns, risk: Mapping[str, Any]) -> NDArray[np.float64]:
    value = _values(orders, risk["slopes"], risk.get("fills", {}))
    slopes = np.array(list(risk["slopes"].values()))
    score = risk["intercept"] + value @ slopes + _levels(orders, risk["levels"])
    return np.asarray(1 / (1 + np.exp(-score)))


def _values(
    orders: _Columns, names: Iterable[str], fills: Mapping[str, float]
) -> NDArray[np.float64]:
    """Numbers of the orders, a column for each name."""
    columns = [np.zeros((len(orders["number"]), 0))]
    for name in names:
        kind, _, column = name.rstrip(")").partition("(")
        value = _numbers(orders[column])
        if column in fills:
            value = np.where(np.isnan(value), fills[column], value)
        if kind == "logit":
            value = np.clip(value, _EDGE, 1 - _EDGE)
            value = np.log(value) - np.log1p(-value)
        elif kind == "log1p":
            value = np.log1p(np.maximum(value, 0.0))
        columns.append(value[:, None])
    return np.hstack(columns)


def harm_left(
    standard: NDArray[np.float64], removed: NDArray[np.float64], link: str
) -> NDArray[np.float64]:
    """Risk that a kept promise leaves, of all of it or of its odds."""
    if link == "logit":
        odds = standard * np.exp(-np.clip(removed, -_HARD, _HARD))
        return np.asarray(odds / (1 - standard + odds))
    return np.clip(standard * (1 - removed), 0.0, 1.0)


def _levels(rows: _Columns, levels: Mapping[str, Any]) -> NDArray[np.float64]:
    total = np.zeros(len(rows["number"]))
    for column, offsets in levels.items():
        if column in rows and offsets:
            names: Any = np.ma.filled(np.ma.asarray(rows[column], object), None)
            total += np.array([offsets.get(name, 0.0) for name in names.tolist()])
    return total


def _options(
    statement: duckdb.DuckDBPyConnection, number: NDArray[np.int64]
) -> tuple[_Columns, NDArray[np.int64]]:
    """Options of known orders, and the place of each one's order."""
    ways = _columns(statement, "FROM options WHERE order_number IS NOT NULL")
    by_number = np.argsort(number)
    order = np.asarray(ways["order_number"], np.int64)
    return ways, by_number[np.searchsorted(number, order, sorter=by_number)]


def _removed(
    orders: _Columns,
    ways: _Columns,
    at: NDArray[np.int64],
    effect: Mapping[str, Any],
    *,
    has_options: bool,
) -> NDArray[np.float64]:
    """What a kept promise removes, of each way."""
    of_order = effect["intercept"] + _slopes(orders, effect)
    if effect.get("forest") is not None:
        of_order = of_order + effect["forest_slope"] * _leaves(orders, effect)
    if not has_options:
        return np.asarray(of_order + _levels(orders, effect["levels"]))
    plain = {name: column for name, column in orders.items() if name != "carrier_id"}
    of_order = of_order + _levels(plain, effect["levels"])
    carrier = {"carrier_id": effect["levels"].get("carrier_id", {})}
    return np.asarray(of_order[at] + _levels(ways, carrier))


def harm_removed(ways: _Columns, effect: Mapping[str, Any]) -> NDArray[np.float64]:
    """What a kept promise removes of ways that have all of their order."""
    at = np.arange(len(ways["number"]))
    return _removed(ways, ways, at, effect, has_options=False)


def multiplied(
    ways: _Columns, effect: Mapping[str, Any], name: tuple[str, ...]
) -> NDArray[np.float64]:
    """What a coefficient of the effect is multiplied by, for each way."""
    column, level = name
    if column:
        return _levels(ways, {column: {level: 1.0}})
    if not level:
        return np.ones(len(ways["number"]))
    if level == "forest" and effect.get("forest") is not None:
        return _leaves(ways, effect)
    low, high = effect["ranges"][level]
    value = _values(ways, [level], effect.get("fills", {}))[:, 0]
    return np.asarray(np.minimum(np.maximum(value, low), high))


def _slopes(orders: _Columns, effect: Mapping[str, Any]) -> NDArray[np.float64]:
    slopes = effect.get("slopes", {})
    value = _values(orders, slopes, effect.get("fills", {}))
    for place, name in enumerate(slopes):
        low, high = effect["ranges"][name]
        value[:, place] = np.minimum(np.maximum(value[:, place], low), high)
    return np.asarray(value @ np.array(list(slopes.values()), np.float64))


def _leaves(orders: _Columns, effect: Mapping[str, Any]) -> NDArray[np.float64]:
    """Sums of leaves, tree by tree and node by node, mean over the members."""
    forest, rows = effect["forest"], len(orders["number"])
    asked = list(_values(orders, forest["numbers"], effect.get("fills", {})).T)
    for column, level in forest["levels"]:
        names: Any = orders.get(column, np.full(rows, None, object))
        names = np.ma.filled(np.ma.asarray(names, object), None)
        asked.append(np.array([float(name == level) for name in names.tolist()]))
    total = np.zeros(rows)
    for tree in (tree for member in forest["members"] for tree in member):
        # Down from the root, since a child comes after its parent.
        reached = {0: np.ones(rows, np.bool_)}
        for node, left in enumerate(tree["left"]):
            here = reached.pop(node)
            if left < 0:
                total += np.where(here, tree["value"][node], 0.0)
                continue
            goes_left = asked[tree["input"][node]] <= tree["threshold"][node]
            reached[left] = here & goes_left
            reached[tree["right"][node]] = here & ~goes_left
    return np.asarray(total / len(forest["members"]))


def _insert(statement: duckdb.DuckDBPyConnection, columns: _Columns) -> None:
    import pyarrow as pa

    statement.register("scored_given", pa.table(columns))
    statement.execute("INSERT INTO scored BY NAME FROM scored_given")
    statement.unregister("scored_given")


def _promise(
    statement: duckdb.DuckDBPyConnection, model: Any, record: Mapping[str, Any]
) -> None:
    """Promises of carriers that the configuration does not name."""
    named = {
        carrier
        for (carrier,) in statement.execute(
            "SELECT carrier_id FROM fulfilment"
        ).fetchall()
    }
    pooled = next(p["mean"] for p in model["promises"] if p["carrier_id"] is None)
    known = {p["carrier_id"] for p in model["promises"]}
    rows = [
        (p["carrier_id"], p["region_id"], round(p["mean"], 9))
        for p in model["promises"]
        if p["carrier_id"] is not None and p["carrier_id"] not in named
    ]
    rows += [
        (carrier, None, round(pooled, 9))
        for carrier in record["policy"]["carriers"]
        if carrier not in known and carrier not in named
    ]
    if rows:
        statement.executemany("INSERT INTO fulfilment VALUES (?, ?, ?)", rows)
