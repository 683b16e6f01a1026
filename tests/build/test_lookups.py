"""Names that select rows: what they find is counted, told, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

import optimizer
from optimizer.build.lookups import Lookup, count_lookup
from optimizer.cli.main import app
from optimizer.config import as_config
from optimizer.errors import ConfigError, DataError
from tests.support.nights import DATE, capacity_of, config_of, orders_of

#: A name that is known, and ways in which exports and hands write it otherwise.
SPELLINGS = {
    "case": ("yunda", "YunDa"),
    "spaces": ("east bay", "eastbay"),
    "full width": ("m12", "ｍ１２"),
    "leading zeros": ("001002", "1002"),
    "trailing .0": ("1002", "1002.0"),
    "both": ("001002", "1002.0"),
    "double quotes": ("m12", '"m12"'),
    "an apostrophe": ("1002", "'1002"),
    "a formula": ("1002", '="1002"'),
    "a zero width": ("m12", "m\u200b12"),
    "a prefix": ("1002", "shop-1002"),
    "a prefix of letters": ("1002", "M01002"),
    "a prefix in the table": ("shop_1002", "1002"),
    "a prefix in Chinese": ("1002", "店铺1002"),
    "a prefix with a colon": ("yunda", "carrier:yunda"),
}
DIFFERENT = [
    ("m12", "m13"),
    ("yunda", "yun-da"),
    ("north", "north-east"),
    ("m1", "s1"),
    ("1002", "10020"),
    ("1002", "1002.5"),
    ("a-1002", "b-1002"),
]


@pytest.mark.parametrize(("known", "name"), SPELLINGS.values(), ids=SPELLINGS)
def test_a_name_that_is_written_otherwise_is_refused(known: str, name: str) -> None:
    """Both are named; which of the two is unknown does not matter."""
    for other, there in ((name, known), (known, name)):
        lookup = Lookup("a place", "merchant_id", {other: "row 7"}, {there, "x"})
        with pytest.raises(DataError) as refused:
            count_lookup(lookup)
        said = str(refused.value)
        assert f"{other!r} (row 7) is not known, and {there!r} is" in said
        assert "\n" not in said
    both = Lookup("a place", "merchant_id", {name: "", known: ""}, {known, name})
    assert count_lookup(both).num_found == 2


@pytest.mark.parametrize(("known", "name"), DIFFERENT)
def test_another_name_is_another_name(known: str, name: str) -> None:
    """It finds nothing, and is counted."""
    count = count_lookup(Lookup("a place", "carrier_id", {name: "row 2"}, {known}))
    assert (count.num_names, count.num_found) == (1, 0)
    assert f"not {name!r} (row 2" in count.text


def test_the_nearest_spellings_are_given() -> None:
    """Two at most, in whatever case."""
    known = {"yunda", "yuantong", "zhongtong", "Yundaex"}
    count = count_lookup(Lookup("rules", "carrier_id", {"yundaa": ""}, known))
    assert count.missing[0].near == ("yunda", "Yundaex")


MERCHANTS = ("001001", "001002")


@pytest.mark.parametrize(
    "name", ["1002", "1002.0", "shop-001002", "'001002", "００１００２"]
)
def test_a_merchant_that_takes_no_part_is_not_lost(name: str) -> None:
    """The table's other spelling is refused, as its row would select nothing."""
    table = pl.DataFrame(
        {"merchant_id": ["001001", name], "is_enrolled": [True, False]}
    )
    with pytest.raises(DataError, match="merchant"):
        optimizer.allocate(
            orders_of(MERCHANTS), capacity_of(), config=config_of(), merchants=table
        )


def fulfilment(**row: Any) -> dict[str, Any]:
    """An objective with a row of promise-keeping."""
    kept = [{"probability": 0.5} | row]
    return {"complaint_cost_cny": 30, "return_cost_cny": 18, "fulfilment": kept}


def peak(*carriers: str) -> dict[str, Any]:
    """Capacity rules with a peak that holds on the night."""
    return {"peaks": [{"from": DATE, "to": DATE, "factor": 0, "carriers": [*carriers]}]}


def rule(column: str, **compared: Any) -> dict[str, Any]:
    """A policy row's rule of eligibility."""
    return {"eligibility": [{"column": column, "reason": "so", **compared}]}


TWINS = {
    "roster": config_of(policy={"carriers": ["Yunda"]}),
    "peak": config_of(capacity=peak("YUNDA")),
    "fulfilment": config_of(objective=fulfilment(carrier_id="yun da")),
    "fulfilment's region": config_of(
        objective=fulfilment(carrier_id="yunda", region_id="North")
    ),
    "eligibility": config_of(policy=rule("region_id", **{"in": ["south", "NORTH"]})),
    "eligibility by another column": config_of(policy=rule("status", **{"is": "Paid"})),
    "eligibility by not": config_of(policy=rule("status", not_in=["PAID", "new"])),
    "fairness": config_of(
        fairness=[{"column": "region_id", "value": "North", "min_parcels": 1}]
    ),
    "capacity": config_of(),
}


@pytest.mark.parametrize("name", TWINS)
def test_the_configuration_and_capacity_are_held_to_the_same(name: str) -> None:
    """A name of a rule or a row that only differs in its writing is refused."""
    capacity = capacity_of()
    if name == "capacity":
        capacity = pl.concat(
            [capacity, capacity_of(region_id="north ".upper().strip())]
        )
    with pytest.raises((DataError, ConfigError)) as refused:
        optimizer.allocate(
            orders_of(status="paid"), capacity, config=TWINS[name], date=DATE
        )
    assert "differ" in str(refused.value)


def test_a_name_written_otherwise_is_told_by_file_and_line(tmp_path: Path) -> None:
    """Of the list's own item; a configuration without a file has the key alone."""
    path, config = tmp_path / "c.yaml", TWINS["eligibility"]
    path.write_text(yaml.safe_dump(config), "utf-8")
    lines = path.read_text("utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.endswith("NORTH"))
    key = r"^policy\[0\]\.eligibility\[0\]: region_id 'NORTH'"
    for given, where in ((path, rf" \({path}:{number}\)"), (config, "")):
        with pytest.raises(DataError, match=f"{key}{where} is not known"):
            optimizer.allocate(orders_of(), capacity_of(), config=given, date=DATE)
    assert as_config(path) == as_config(config)


NOTHING = {
    "peak": (config_of(capacity=peak("yunda", "yunda-express")), "yunda-express"),
    "fulfilment": (config_of(objective=fulfilment(carrier_id="yun-da")), "yun-da"),
    "fulfilment's region": (
        config_of(objective=fulfilment(carrier_id="yunda", region_id="nrth")),
        "nrth",
    ),
    "eligibility": (config_of(policy=rule("region_id", **{"in": ["nrth"]})), "nrth"),
    "eligibility by merchant": (
        config_of(policy=rule("merchant_id", **{"is": "m11"})),
        "'m11' (nearest: m1)",
    ),
}
QUIET = {
    "a carrier of the roster without orders": config_of(capacity=peak("zhongtong")),
    "one value of several": config_of(
        policy=rule("region_id", **{"in": ["nrth", "north"]})
    ),
    "a status that nobody has tonight": config_of(policy=rule("status", **{"is": "x"})),
    "a flag": config_of(policy=rule("is_gift", **{"is": True})),
}


@pytest.mark.parametrize(("config", "said"), NOTHING.values(), ids=NOTHING)
def test_a_rule_that_names_nothing_is_told(config: dict[str, Any], said: str) -> None:
    """In a warning that names it, and what is near."""
    night = optimizer.allocate(orders_of(), capacity_of(), config=config, date=DATE)
    (warning,) = (w for w in night.warnings if w.code == "RULES_FIND_NOTHING")
    assert said in warning


@pytest.mark.parametrize("config", QUIET.values(), ids=QUIET)
def test_what_comes_and_goes_is_not_told(config: dict[str, Any]) -> None:
    """No warning on a night as any other."""
    orders = orders_of(status="paid", is_gift=False)
    night = optimizer.allocate(orders, capacity_of(), config=config, date=DATE)
    assert not [w for w in night.warnings if w.code == "RULES_FIND_NOTHING"]


def test_a_table_that_finds_little_is_told_or_refused_by_thresholds() -> None:
    """Of what could be found: a table of all merchants finds those of the night."""
    names = ["m1", *(f"x{n}" for n in range(9))]
    table = pl.DataFrame({"merchant_id": names, "is_enrolled": [True] * 10})

    def night(num_merchants: int, **lookups: float) -> list[str]:
        orders = orders_of(tuple(f"m{n + 1}" for n in range(num_merchants)), 40)
        config = config_of(lookups=lookups)
        found = optimizer.allocate(
            orders, capacity_of(), config=config, merchants=table
        )
        return [str(w) for w in found.warnings if w.code == "FEW_NAMES_FOUND"]

    assert night(1) == night(2) == []
    (said,) = night(3)
    assert said.startswith("9 of 10 merchant_id names in the merchants table are of no")
    assert "x0, x1, x2, x3, x4 and 4 more" in said
    assert night(3, warn_below=0.3) == []
    assert night(2, refuse_below=0.5) == []
    with pytest.raises(DataError, match=r"1 of 10 merchant names .*refuse_below"):
        night(3, refuse_below=0.5)


def test_a_table_of_which_no_name_is_known_is_refused() -> None:
    """Where every row names one; few merchants, and rows for all, may find nothing."""
    orders = orders_of(tuple(f"m{n}" for n in range(10)), 10)
    far = [capacity_of(region_id=name) for name in ("nrth", "south")]
    nobody = capacity_of(carrier_id="yundaa")

    def told(capacity: pl.DataFrame, num_merchants: int = 0, **keys: Any) -> list[str]:
        names = [f"x{n}" for n in range(num_merchants)]
        table = pl.DataFrame(
            {"merchant_id": names, "is_enrolled": [False] * len(names)}
        )
        night = optimizer.allocate(
            orders,
            capacity,
            config=config_of(**keys),
            merchants=table if names else None,
        )
        return [w.code for w in night.warnings if w.code == "FEW_NAMES_FOUND"]

    for capacity, said in (
        (pl.concat(far), "'nrth' .*nearest: north"),
        (nobody, "yundaa"),
    ):
        with pytest.raises(DataError, match=rf"capacity: 0 of . .*{said}"):
            told(capacity)
        assert told(capacity, lookups={"refuse_below": 0}) == ["FEW_NAMES_FOUND"]
    for_all = far[0].with_columns(region_id=pl.lit(None, pl.String))
    assert told(pl.concat([far[1], for_all])) == ["FEW_NAMES_FOUND"]
    with pytest.raises(DataError, match="merchants: 0 of 10 merchant names"):
        told(capacity_of(), 10)
    assert told(capacity_of(), 9) == ["FEW_NAMES_FOUND"]


@pytest.mark.slow
def test_the_second_statement_knows_names_that_stand_in_one_place(
    tmp_path: Path,
) -> None:
    """An outlet of options alone, and carriers of the roster alone, are names."""
    options = orders_of().select(
        "order_id", "carrier_id", "complaint_prob_premium", "return_prob_premium"
    )
    tables = {
        "orders": orders_of().with_columns(outlet_id=pl.lit(None, pl.String)),
        "options": options.with_columns(outlet_id=pl.lit("o1")),
        "capacity": pl.concat(
            [capacity_of(carrier_id=name) for name in ("sto", "zhongtong")]
        ),
    }
    for name, table in tables.items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    config = config_of(
        inputs={name: str(tmp_path / f"{name}.parquet") for name in tables},
        output=str(tmp_path / "runs"),
        policy=rule("outlet_id", **{"is": "o1"})
        | {"carriers": ["yunda", "zhongtong", "sto"]},
    )
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    call = ["run", "--config", str(path), "--date", DATE]
    done = CliRunner().invoke(app, call, obj={})
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "runs" / DATE / "run.json").read_text())
    codes = {warning["code"] for warning in record["warnings"]}
    assert not codes & {"FEW_NAMES_FOUND", "RULES_FIND_NOTHING"}
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "runs" / DATE)])
    assert (done.exit_code, "holds" in done.output) == (0, True), done.output


@pytest.mark.slow
def test_validate_shows_the_census_and_the_second_statement_agrees(
    tmp_path: Path,
) -> None:
    """Every place with its numbers; both warnings are stated again from the inputs."""
    capacity = pl.concat(
        [capacity_of(), *(capacity_of(region_id=f"far{n}") for n in range(3))]
    )
    options = orders_of().select(
        "order_id", "carrier_id", "complaint_prob_premium", "return_prob_premium"
    )
    merchants = pl.DataFrame({"merchant_id": ["m9", "m8"], "is_enrolled": [True, True]})
    orders = orders_of().with_columns(outlet_id=pl.lit(None, pl.String))
    orders.write_parquet(tmp_path / "orders.parquet")
    options.with_columns(outlet_id=pl.lit("o1")).write_csv(tmp_path / "options.csv")
    capacity.with_columns(outlet_id=pl.lit(None, pl.String)).write_csv(
        tmp_path / "capacity.csv"
    )
    merchants.write_csv(tmp_path / "merchants.csv")
    names = {"orders": "orders.parquet", "capacity": "capacity.csv"}
    names |= {"options": "options.csv", "merchants": "merchants.csv"}
    config = config_of(
        inputs={k: str(tmp_path / v) for k, v in names.items()},
        output=str(tmp_path / "runs"),
        capacity=peak("sto", "yunda"),
        objective=fulfilment(carrier_id="sto", region_id="west"),
        policy=rule("outlet_id", **{"in": ["o7", "o8"]}),
    )
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    call = ["validate", "--config", str(path), "--date", DATE]
    said = CliRunner().invoke(app, call)
    assert "merchants: 0 of 2 merchant names are of the night; not 'm8'" in said.output
    assert "capacity: 1 of 4 region names are of the night" in said.output
    assert "capacity.peaks[0].carriers: 0 of 1 carrier names" in said.output
    lines = path.read_text("utf-8").splitlines()
    for name in ("o7", "o8", "west"):
        number = next(n for n, line in enumerate(lines, 1) if line.endswith(name))
        assert f"{name!r} ({path}:{number}" in said.output
    counts = json.loads(CliRunner().invoke(app, [*call, "--json"]).output)["lookups"]
    found = {
        (c["place"], c["column"]): (c["num_found"], c["num_names"]) for c in counts
    }
    assert found["merchants", "merchant_id"] == (0, 2)
    assert found["capacity", "carrier_id"] == (1, 1)
    assert found["policy[0].eligibility[0]", "outlet_id"] == (0, 2)
    done = CliRunner().invoke(app, ["run", *call[1:]], obj={})
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "runs" / DATE / "run.json").read_text())
    warnings = {w["code"]: w["values"] for w in record["warnings"]}
    assert warnings["FEW_NAMES_FOUND"]["num_names"] == 2
    assert warnings["RULES_FIND_NOTHING"]["num_rules"] == 4
    assert str(path) not in json.dumps(warnings["RULES_FIND_NOTHING"])
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "runs" / DATE)])
    assert (done.exit_code, "holds" in done.output) == (0, True), done.output


def test_carriers_of_which_none_takes_part_are_refused() -> None:
    """Of an options table, or of orders: a night in which nobody could be chosen."""
    orders, options = orders_of(), None
    renamed = orders.with_columns(carrier_id=pl.lit("YD"))
    options = renamed.select(
        "order_id", "carrier_id", "complaint_prob_premium", "return_prob_premium"
    )
    for tables in ((orders, options), (renamed, None)):
        with pytest.raises(DataError, match="0 of 1 carrier names are of the policy's"):
            optimizer.allocate(
                tables[0], capacity_of(), config=config_of(), options=tables[1]
            )
    config = config_of(lookups={"refuse_below": 0})
    night = optimizer.allocate(orders, capacity_of(), config=config, options=options)
    assert {"UNKNOWN_CARRIERS"} <= {warning.code for warning in night.warnings}


@pytest.mark.parametrize("word", ["NULL", "nan", "-", "(blank)"])
def test_a_rule_on_a_word_for_no_value_is_refused(word: str) -> None:
    """No row has it as a name, so the rule would never do anything."""
    for more, place in (
        (rule("region_id", **{"in": ["north", word]}), r"policy\[0\].eligibility\[0\]"),
        ({"carriers": ["yunda", word]}, r"policy\[0\].carriers"),
    ):
        config = config_of(policy=more)
        with pytest.raises(ConfigError, match=f"{place}.*is a word for no value"):
            optimizer.allocate(orders_of(), capacity_of(), config=config)
    if word == "NULL":
        config = config_of(policy=more, not_null_words=[word])
        assert optimizer.allocate(orders_of(), capacity_of(), config=config)
