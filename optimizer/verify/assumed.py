r"""
What a night takes for true, stated from its rules, its model and its tables.

Where the tables have the probabilities on premium service, nothing was measured here.
Else the model's file has for each harm that costs something the share that a kept
promise removes on the whole, with a standard error, the weight of the stated prior and
the premium parcels that it was measured on. Risks that are the same for all, names that
the model does not know, who says how many promises are kept, the days since the last
night of the history, the rows that waited and what is left to chance follow from the
model, the rules and the names of the night.

What the plan would save if the effect were at the lower end of its interval: each
coefficient of the effect is multiplied by something of an order: 1, whether it has the
level, a number, or the sum of its leaves. Summed over the plan's orders, weighted by
take-up, promise, cost and the slope of the risk that is left, this gives :math:`A`; the
coefficients move by :math:`-1.96\,\Sigma A / \sqrt{A^\top \Sigma A}`, for each harm,
and the plan's savings are added up again.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.verify.drawn_models import as_measured, num_draws
from optimizer.verify.learned import (
    harm_left,
    harm_removed,
    multiplied,
    read_model,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    from numpy.typing import NDArray

_HARMS = ("complaint", "return")
_ERRORS = 1.96
#: Names that a sentence gives where there are more.
_MOST_NAMES = 5
#: Part of what the plan saves by which sums may differ, and the least of it in CNY.
_TOLERANCE, _CENT = Decimal("1e-6"), Decimal("0.011")
#: Rates below have two digits, wherever these stand.
_RARE = 0.01
_NEVER = "1970-01-01"
_COLUMNS = {
    **{"merchant_id": "merchant", "carrier_id": "carrier", "region_id": "region"},
    **{"category_id": "category", "outlet_id": "outlet"},
}
#: Codes about plans without a parcel, among the warnings.
_NOBODY = (
    *("NOBODY_CHOSEN", "NONE_HAS_PLACE", "NONE_AVOIDS_HARM", "NONE_WORTH_FEE"),
    *("FIRST_CHOSEN_AT", "BREAK_EVEN"),
)

#: What plans promised and what came of it, in CNY.
_AMOUNTS = ("promised_cny", "realised_cny", "low", "high")

_Said = tuple[str, dict[str, Any]]
_Columns = dict[str, Any]


def false_assumptions(
    engine: duckdb.DuckDBPyConnection, record: Mapping[str, Any]
) -> list[str]:
    """
    Compare what a record says that the night assumes with what it does assume.

    Parameters
    ----------
    engine
        The statement, once savings are stated.
    record
        Of the night; those of before assumptions were recorded are not looked at.
    """
    if "assumptions" not in record:
        return []
    model = None if record["config"]["model"] is None else read_model(record)
    gives_premium = model is not None and not _has_premium(engine, record)
    true = list(_stated(engine, record, model, gives_premium=gives_premium))
    if model is not None and gives_premium:
        true += _if_low(engine, record, model)
    said = [(one["code"], one["values"]) for one in record["assumptions"]]
    nobody = list(_nobody(engine, record))
    told = [
        (one["code"], one["values"])
        for one in record["warnings"]
        if not isinstance(one, str) and one["code"] in _NOBODY
    ]
    return [
        *_differences(said, true),
        *_differences(told, nobody),
        *_false_realised(record, model if gives_premium else None),
    ]


def _false_realised(record: Mapping[str, Any], model: Any) -> Iterator[str]:
    """What earlier plans promised and realised is what the model's file says of it."""
    past = (model or {}).get("realised") or {}
    true = past if past.get("num_nights") else {}
    told = record.get("realised", {})
    for key in sorted({*true, *told}):
        if true.get(key) != told.get(key):
            yield f"realised: {key} is not what the model has"


def _differences(said: list[_Said], true: list[_Said]) -> Iterator[str]:
    """What is left out, what is not so, and what has other values."""
    rest = list(said)
    for code, values in true:
        same = [one for one in rest if one[0] == code]
        alike = [one for one in same if _is_same(one[1], values)]
        harm = "harm" if "harm" in values else "column"
        about = [one for one in same if one[1].get(harm) == values.get(harm)]
        found = next(iter(alike or about), None)
        name = f"{code} ({values[harm]})" if harm in values else code
        if found is None:
            yield f"{name} is left out"
            continue
        rest.remove(found)
        if not alike:
            keys = [key for key in values if not _is_same_value(found[1], values, key)]
            key = (keys or [""])[0]
            yield f"{name}: {key} is {values.get(key)}, not {found[1].get(key)}"
    for code, _ in rest:
        yield f"{code} is not so"


def _is_same(said: Mapping[str, Any], true: Mapping[str, Any]) -> bool:
    return said.keys() == true.keys() and all(
        _is_same_value(said, true, key) for key in true
    )


def _is_same_value(said: Mapping[str, Any], true: Mapping[str, Any], key: str) -> bool:
    """Whether a value is as stated: amounts that are added up may differ by a cent."""
    if said.get(key) == true[key]:
        return True
    if not key.endswith("_cny") or "saving_cny" not in true:
        return False
    try:
        one, other, scale = (
            Decimal(str(text).replace(",", ""))
            for text in (said.get(key), true[key], true["saving_cny"])
        )
    except InvalidOperation:
        return False
    return abs(one - other) <= _CENT + _TOLERANCE * abs(scale)


def _has_premium(engine: duckdb.DuckDBPyConnection, record: Mapping[str, Any]) -> bool:
    has_options = record["inputs"].get("options") is not None
    table = "options_columns" if has_options else "orders_columns"
    names = {name for (name,) in engine.execute(f"FROM {table}").fetchall()}
    return "complaint_prob_premium" in names


def _stated(
    engine: duckdb.DuckDBPyConnection,
    record: Mapping[str, Any],
    model: Any,
    *,
    gives_premium: bool,
) -> Iterator[_Said]:
    """All that does not need the plan."""
    config = record["config"]
    harms = [harm for harm in _HARMS if harm == "complaint" or _return_costs(config)]
    if gives_premium:
        yield from _effects(model, harms, is_drawn=bool(num_draws(record)))
        yield from _of_others(engine, model)
    else:
        yield "PROBABILITIES_GIVEN", {}
    known = engine.execute("FROM orders_columns").fetchall()
    missing = {h for h in _HARMS if (f"{h}_prob_standard",) not in known}
    if not gives_premium and not missing:
        model = None  # the tables have all that it could give
    if model is not None:
        for harm in sorted(missing.intersection(harms), key=harms.index):
            risk = model["risk"][harm]
            if not risk["slopes"] and not any(risk["levels"].values()):
                share = 1 / (1 + math.exp(-risk["intercept"]))
                yield "RISK_TAKEN", {"harm": harm, "share": _rate(share)}
        yield from _new_names(engine, model)
    yield from _kept(record, model if gives_premium else None)
    if model is not None:
        last = model["last_date"]
        if last != _NEVER:
            days = dt.date.fromisoformat(record["date"]) - dt.date.fromisoformat(last)
            yield "MODEL_AGE", {"num_days": days.days, "last_night": last}
        if model.get("num_waiting"):
            yield "ROWS_WAITED", {"num_rows": model["num_waiting"]}
        yield from _alarms(model, harms)
    yield _chance(config)


def _alarms(model: Any, harms: Sequence[str]) -> Iterator[_Said]:
    """What the model says of its history; doubts, of harms that cost something."""
    for one in model.get("young", ()):
        if one["harm"] in harms:
            yield "YOUNG_COUNTED", dict(one)
    for one in model.get("leaks", ()):
        values = {**one, "share": _three(one["share"])}
        # Told of every harm: no risk rests on such a column.
        if values.pop("is_left_out", False):
            yield "LEAK_LEFT_OUT", values
        elif one["harm"] in harms:
            yield "HISTORY_LEAKS", values


def _return_costs(config: Mapping[str, Any]) -> bool:
    dated = [row["objective"].get("return_cost_cny") for row in config["policy"]]
    costs = [config["objective"]["return_cost_cny"], *dated]
    return any(cost is not None and Decimal(cost) != 0 for cost in costs)


def _effects(model: Any, harms: Sequence[str], *, is_drawn: bool) -> Iterator[_Said]:
    """What is known of the effect on the whole, by harm."""
    pooled = model.get("pooled")
    for harm in harms:
        if pooled is None:
            yield "EFFECT_ON_CARD", {"harm": harm, "kind": model["kind"]}
            continue
        known = pooled[harm]
        if known["num_premium"] == 0 and known["prior_weight"] is None:
            yield "EFFECT_UNKNOWN", {"harm": harm}
            continue
        share, half = known["share"], _ERRORS * known["error"]
        values: dict[str, Any] = {
            "harm": harm,
            "share": _three(share),
            "low": _three(share - half),
            "high": _three(min(1.0, share + half)),
        }
        code = "EFFECT_STATED"
        if known["num_premium"]:
            values["num_parcels"] = known["num_premium"]
            code = "EFFECT_NOT_RANDOMISED"
            if model["kind"] == "randomised":
                code = "EFFECT_MEASURED"
                if known["prior_weight"] is not None:
                    code = "EFFECT_WEIGHED"
                    values["weight"] = _three(known["prior_weight"])
        yield code, values
    for harm in harms:
        # Where savings are drawn, it is from what was measured.
        doubt = None if is_drawn else model["effect"][harm].get("doubt")
        if doubt:
            told = {key: _three(doubt[key]) for key in ("measured", "taken")}
            yield "EFFECT_RAISED", {"harm": harm, **told}
    if past := model.get("realised"):
        amounts = {key: f"{past[key]:,.2f}" for key in _AMOUNTS}
        yield "PROMISED_BEFORE", amounts | {"num_parcels": past["num_parcels"]}
    learner = model.get("learner", "share")
    if pooled and model["kind"] != "prior" and learner != "stated-risk":
        num_candidates = len(model.get("candidates", ()))
        yield (
            "EFFECT_BY_ORDER" if num_candidates > 1 else "EFFECT_UNTRIED",
            {"learner": learner},
        )


def _of_others(engine: duckdb.DuckDBPyConnection, model: Any) -> Iterator[_Said]:
    """Orders of merchants of whom the model says that none was left to chance."""
    counted = engine.execute(
        "SELECT count(*) FILTER (list_contains(?, merchant_id::VARCHAR)), count(*) "
        "FROM orders",
        [model.get("undrawn", [])],
    ).fetchall()
    ((num_rows, num_orders),) = counted
    if num_rows:
        yield "EFFECT_OF_OTHERS", {"num_rows": num_rows, "num_orders": num_orders}


def _new_names(engine: duckdb.DuckDBPyConnection, model: Any) -> Iterator[_Said]:
    """Names of the night without a number in the model, and the rows that have them."""
    parts = [*model["risk"].values(), *model["effect"].values()]
    numbered = {
        (column, name)
        for part in parts
        for column in part["levels"]
        for name in part["levels"][column]
    }
    for part in model["effect"].values():
        numbered |= {(c, n) for c, n in (part.get("forest") or {}).get("levels", ())}
    there = {row[0] for row in engine.execute("DESCRIBE orders").fetchall()}
    for column in sorted({column for column, _ in numbered}):
        known = {name for c, name in numbered if c == column}
        rows = "orders"
        if column == "carrier_id":
            rows = (
                "carriers_read() WHERE list_contains(getvariable('roster'), carrier_id)"
            )
        elif column not in there:
            continue
        asked = f'SELECT "{column}"::VARCHAR AS name FROM {rows}'
        given = engine.execute(
            f"SELECT name, count(*) FROM ({asked}) WHERE name IS NOT NULL GROUP BY name"
        ).fetchall()
        new = {name: num for name, num in given if name not in known}
        if new:
            yield (
                "NEW_NAMES",
                {
                    "num_names": len(new),
                    "num_rows": sum(new.values()),
                    "column": _COLUMNS.get(column, column),
                    "names": sorted(new)[:_MOST_NAMES],
                },
            )


def _kept(record: Mapping[str, Any], model: Any) -> Iterator[_Said]:
    """Who says how many promises are kept."""
    dated = record["policy"]["objective"].get("fulfilment")
    rows = record["config"]["objective"]["fulfilment"] if dated is None else dated
    named, roster = {row["carrier_id"] for row in rows}, record["policy"]["carriers"]
    roster = sorted(set(roster))
    if stated := [name for name in roster if name in named]:
        yield "KEPT_STATED", {"carriers": stated}
    left = [name for name in roster if name not in named]
    if model is None:
        if left:
            yield "KEPT_ALL", {"carriers": left}
        return
    means = {
        row["carrier_id"]: row for row in model["promises"] if row["region_id"] is None
    }
    if known := [name for name in left if name in means]:
        shares = [f"{name} {100 * means[name]['mean']:.1f}%" for name in known]
        yield "KEPT_MEASURED", {"carriers": shares}
    if unknown := [name for name in left if name not in means]:
        pool = means[None]
        if pool["num_premium"]:
            share = _three(pool["mean"])
            yield "KEPT_AS_POOL", {"share": share, "carriers": unknown}
        elif pool["mean"] == 1:
            yield "KEPT_AS_DELIVERED", {}
        else:
            yield "KEPT_TAKEN", {"share": _three(pool["mean"])}


def _chance(config: Mapping[str, Any]) -> _Said:
    explore = config["objective"].get("explore", "blind")
    held = Decimal(config["holdout"]["share"])
    explored = Decimal(config["holdout"]["explore_share"])
    told = {
        name: f"{share:f}"
        for name, share in (("explored", explored), ("held", held))
        if share and (name == "held" or explore in {"blind", "margin"})
    }
    both = {"explored", "held"}
    codes = {
        "thompson": ("DRAW_AT_RANDOM", "DRAW_ALONE"),
        "margin": ("COINS_AT_RANDOM", "COINS_ALONE"),
    }
    with_held, without = codes.get(explore, ("SOME_AT_RANDOM", "EXPLORED_AT_RANDOM"))
    if explore == "thompson":
        return with_held if told else without, told
    if told.keys() == both:
        return with_held, told
    if "held" in told:
        return "HELD_AT_RANDOM", told
    return (without if told else "NONE_AT_RANDOM"), told


def _rate(value: float) -> str:
    """A share with three places; below 1 %, with two digits."""
    exact = Decimal(value)
    if value >= _RARE:
        return _three(value)
    return f"{round(exact, 1 - exact.adjusted()).normalize():f}"


def _three(value: float) -> str:
    """A share with three digits."""
    text = f"{value:.3f}"
    return "0.000" if text == "-0.000" else text


#: The plan's ways, with what each saves by what the model says.
_PLAN = """
SELECT o.* EXCLUDE (further, carrier_id), d.carrier_id, k.kept,
    w.complaint_prob_standard AS complaint_risk, w.return_prob_standard AS return_risk,
    f.saving AS saves
FROM decisions_published AS d
JOIN orders AS o USING (order_id)
JOIN offer AS f ON f.number = o.number AND f.carrier_id = d.carrier_id
JOIN ways AS w ON w.number = o.number AND w.carrier_id = d.carrier_id
JOIN promise AS k ON k.carrier_id = d.carrier_id AND k.region_id = o.region_id
WHERE (d.is_premium AND d.reason <> 'EXPLORED')
    OR (d.reason = 'HELD_OUT' AND d.arm IN ('policy', 'margin', 'thompson'))
"""


def _if_low(
    engine: duckdb.DuckDBPyConnection, record: Mapping[str, Any], model: Any
) -> Iterator[_Said]:
    """What the plan saves with the effect at the lower end of its interval."""
    plan: _Columns = dict(engine.execute(_PLAN).fetchnumpy())
    if not len(plan["number"]):
        return
    weight = np.ma.filled(np.ma.asarray(plan["take_up"], np.float64), 1.0)
    weight = weight * np.asarray(plan["kept"], np.float64)
    drops, means = [], []
    mean = as_measured(model)
    for harm in _HARMS:
        risk = np.asarray(plan[f"{harm}_risk"], np.float64)
        (cost,) = _one(engine, f"SELECT getvariable('{harm}_cost')")
        effect = _least(plan, model["effect"][harm], risk, weight * float(cost))
        left = harm_left(risk, harm_removed(plan, effect), effect.get("link", "share"))
        drops.append(risk - left)
        of_mean = harm_removed(plan, mean["effect"][harm])
        means.append(risk - harm_left(risk, of_mean, effect.get("link", "share")))
    low = _saved(engine, plan, drops)
    saving = sum(int(each) for each in plan["saves"])
    if num_draws(record):
        saving = _saved(engine, plan, means)
    yield (
        "SAVING_IF_LOW",
        {
            "saving_cny": _money(saving),
            "low_cny": _money(low),
            "lost_cny": _money(saving - low),
        },
    )


def _one(engine: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    (row,) = engine.execute(query).fetchall()
    return tuple(row)


def _least(
    plan: _Columns,
    effect: Mapping[str, Any],
    risk: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> dict[str, Any]:
    """The effect where, at the edge of what is likely, this plan avoids least."""
    slope = risk
    if effect.get("link", "share") == "logit":
        left = harm_left(risk, harm_removed(plan, effect), "logit")
        slope = left - left**2
    names = [tuple(name) for name in effect["names"]]
    reach = [float((weight * slope * multiplied(plan, effect, n)).sum()) for n in names]
    along = np.array(effect["covariance"], np.float64) @ np.array(reach)
    error = math.sqrt(max(0.0, float(along @ np.array(reach))))
    moves = -_ERRORS * along / error if error else np.zeros(len(names))
    move = dict(zip(names, moves.tolist(), strict=True))
    moved = dict(effect)
    # What was added for doubt was not measured.
    measured = effect["intercept"] - effect.get("raised", 0.0)
    moved["intercept"] = measured + move["", ""]
    moved["levels"] = {
        column: {name: value + move[column, name] for name, value in offsets.items()}
        for column, offsets in effect["levels"].items()
    }
    moved["slopes"] = {
        name: value + move["", name] for name, value in effect.get("slopes", {}).items()
    }
    if effect.get("forest") is not None:
        moved["forest_slope"] = effect["forest_slope"] + move["", "forest"]
    return moved


def _saved(
    engine: duckdb.DuckDBPyConnection,
    plan: _Columns,
    drops: Sequence[NDArray[np.float64]],
) -> int:
    """Savings of all ways, by the statement's own rule, micro-CNY."""
    import pyarrow as pa

    take_up = np.ma.filled(np.ma.asarray(plan["take_up"], np.float64), 1.0)
    given = {
        "take_up": take_up,
        "kept": np.asarray(plan["kept"], np.float64),
        "complaint": drops[0],
        "back": drops[1],
    }
    engine.register("low_given", pa.table(given))
    (total,) = _one(
        engine, "SELECT sum(saving(take_up, kept, complaint, back)) FROM low_given"
    )
    engine.unregister("low_given")
    return int(total)


def _money(micro: int) -> str:
    """Micro-CNY in CNY, halves away from nothing."""
    cents = Decimal(micro).scaleb(-6).quantize(Decimal("0.01"), "ROUND_HALF_UP")
    return f"{cents + 0:,.2f}"


#: By carrier of the roster, the share of promises kept where it keeps most; where no
#: row is about all regions, the other regions keep all.
_MOST_KEPT = """
SELECT r.carrier_id, greatest(
    max(f.probability),
    coalesce(max(f.probability) FILTER (f.region_id IS NULL), 1.0)
)
FROM (SELECT DISTINCT unnest(getvariable('roster')) AS carrier_id) AS r
LEFT JOIN fulfilment AS f USING (carrier_id)
GROUP BY r.carrier_id ORDER BY r.carrier_id
"""


def _first_chosen(avoided: int, fee: int, complaint: int, back: int) -> _Said:
    """The greatest fee, and the least harm, at which the best order saves something."""
    # What it avoids is rounded: half a micro-CNY less is avoided at least.
    times = Fraction(fee + 1) / (Fraction(avoided) - Fraction(1, 2))
    return "FIRST_CHOSEN_AT", {
        "fee_cny": _every_digit(avoided - 1),
        "complaint_cny": _every_digit(math.ceil(complaint * times)),
        "return_cny": _every_digit(math.ceil(back * times)),
        "times": f"{Decimal(math.ceil(times * 10_000)).scaleb(-4):,.4f}",
    }


def _every_digit(micro: int) -> str:
    """An amount without rounding, with two decimals at least."""
    whole, _, rest = f"{Decimal(micro).scaleb(-6):,.6f}".partition(".")
    return f"{whole}.{rest.rstrip('0'):0<2}"


def _nobody(
    engine: duckdb.DuckDBPyConnection, record: Mapping[str, Any]
) -> Iterator[_Said]:
    """Why a plan has no parcel, and from where on premium pays."""
    reasons = record["summary"]["reasons"]
    (num, best, placed) = _one(
        engine,
        "SELECT count(*) FILTER ((is_premium AND reason <> 'EXPLORED') OR "
        "(reason = 'HELD_OUT' AND arm IN ('policy', 'margin', 'thompson'))), "
        "max(round(saving_cny * 1000000)), "
        "max(round(saving_cny * 1000000)) FILTER (has_room AND merchant_id IN "
        "(SELECT merchant_id FROM merchants_published WHERE cap > used)) "
        "FROM decisions_published",
    )
    if num:
        return
    given = sorted(((-count, name) for name, count in reasons.items() if count))
    yield "NOBODY_CHOSEN", {"reasons": [f"{name} {-count:,}" for count, name in given]}
    if best is None or best > 0:
        return
    fee, complaint, back = _one(
        engine,
        "SELECT getvariable('counted_fee'), getvariable('complaint_cost'), "
        "getvariable('return_cost')",
    )
    if placed is None:
        yield "NONE_HAS_PLACE", {}
    avoided = int(best) + int(fee)
    if avoided <= 0:
        yield "NONE_AVOIDS_HARM", {}
        return
    amounts = {"fee_cny": _money(int(fee)), "avoided_cny": _money(avoided)}
    yield "NONE_WORTH_FEE", amounts | {"times": f"{int(fee) / avoided:,.1f}"}
    if placed is not None and int(placed) + int(fee) > 0:
        yield _first_chosen(int(placed) + int(fee), int(fee), int(complaint), int(back))
    (doubted,) = _one(engine, "SELECT doubted(1::DOUBLE)")
    kept = engine.execute(_MOST_KEPT).fetchall()
    needed = [
        f"{name} {100 * fee / (complaint * doubted * share):.2f}%"
        for name, share in kept
        if 0 < complaint * doubted * share >= fee
    ]
    if needed:
        yield "BREAK_EVEN", {"cost_cny": _money(int(complaint)), "shares": needed}
