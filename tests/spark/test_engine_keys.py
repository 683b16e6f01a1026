"""The list of what each engine honours and refuses, walked key by key."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from optimizer.config import as_config
from optimizer.contracts.run_folder import RECORD
from optimizer.errors import ConfigError
from optimizer.job import run_date
from optimizer.spark import engine_keys
from optimizer.spark.engine_keys import (
    DRIVER_KEYS,
    HONOURED_KEYS,
    OTHER_COLUMNS,
    OTHER_KEYS,
    REFUSED_KEYS,
    config_keys,
    engines_markdown,
    input_columns,
    refuse_of_executors,
    said_of,
)
from optimizer.testing import random_tables

DAY = dt.date(2026, 11, 22)
PAGE = Path(__file__).parents[2] / "docs/reference/engines.md"
#: A night that asks for each key that is refused, by far nights or by executors.
ASKING = {
    "policy.cap.rounding": {"cap": {"rate": 0.03, "rounding": "carryover"}},
    "policy.cap.group": {"cap": {"rate": 0.03, "group": "owner"}},
    "policy.subsidy_budget_cny": {
        "fee": {"amount_cny": 1, "payer": {"merchant": 0, "platform": 1}},
        "subsidy_budget_cny": 9,
    },
    "objective.explore": {"explore": "thompson"},
    "inputs.deliveries": {"deliveries": "nowhere.parquet"},
    "capacity.attributes": {"capacity": {"attributes": ["vehicle"]}},
    "capacity.resources": {"capacity": {"resources": ["kg"]}},
    "capacity.count": {"capacity": {"count": "expected"}},
    "files.mode": {"files": {"mode": "0600"}},
    "solver.method": {"solver": {"method": "flow"}},
    "solver.memory_gb": {"solver": {"memory_gb": 2}},
    "fairness": {
        "fairness": [{"column": "region_id", "value": "r0", "min_parcels": 1}]
    },
}


def test_every_key_and_column_is_in_the_list_once():
    """A new key or column is honoured, refused or irrelevant by somebody's decision."""
    keys, columns = config_keys(), input_columns()
    for name in keys:
        is_said = said_of(name, OTHER_KEYS) is not None
        assert (name in HONOURED_KEYS) != is_said, name
    entries = (*OTHER_KEYS, *OTHER_COLUMNS)
    assert {*HONOURED_KEYS} <= {*keys}
    for entry in entries:
        around = (entry.name, f"{entry.name}.")
        assert any(f"{n}.".startswith(around) for n in (*keys, *columns)), entry.name
    assert len({entry.name for entry in entries}) == len(entries)


def test_the_page_of_the_reference_is_the_list():
    """What is read there is what the program refuses by."""
    assert engines_markdown() in PAGE.read_text()


def asking(entry, folder):
    """A night's configuration that asks for a key."""
    asked, place = ASKING[entry.name], entry.name.split(".")[0]
    config = random_tables(1, num_orders=9).config
    inputs = {"orders": "o.parquet", "capacity": "c.csv"}
    config |= {"inputs": inputs, "output": str(folder), "engine": "spark"}
    if place == "policy":
        config["policy"] = [config["policy"][0] | asked]
    elif place in ("inputs", "objective"):
        config[place] |= asked
    else:
        config |= asked
    if entry.name == "objective.explore":
        config["model"] = "somewhere"
    return config


@pytest.mark.parametrize("entry", REFUSED_KEYS, ids=lambda entry: entry.name)
def test_a_refused_key_is_refused(entry, tmp_path):
    """The message names the key and says what to do; nothing is started or written."""
    config = asking(entry, tmp_path)
    if entry.is_near:
        config["output"] = f"file://{tmp_path}/runs"
    with pytest.raises(ConfigError) as refused:
        run_date(as_config(config), DAY)
    assert f"{entry.name}: {entry.instead}" in str(refused.value)
    assert not [*tmp_path.rglob(RECORD)]
    config |= {"engine": "local", "output": str(tmp_path)}
    as_config(config)  # one machine takes it


@pytest.mark.parametrize("entry", DRIVER_KEYS, ids=lambda entry: entry.name)
def test_what_the_driver_decides_is_refused_of_executors(entry, tmp_path):
    """`optimizer.spark.allocate` names the key, and who decides such a night."""
    made = as_config(asking(entry, tmp_path))
    with pytest.raises(ConfigError) as refused:
        refuse_of_executors(made, made.policy[0])
    assert f"{entry.name}: {entry.instead}" in str(refused.value)
    engine_keys.refuse_keys(made, made.policy[0], is_near=False)  # a far night may


def test_every_refused_key_is_asked_for():
    """A key that is added to the lists is tried, too."""
    assert ASKING.keys() == {entry.name for entry in (*REFUSED_KEYS, *DRIVER_KEYS)}


def test_a_refused_key_may_say_what_is_the_usual(monkeypatch):
    """A default that is written out asks for nothing."""
    config = random_tables(1).config
    config |= {"solver": {"method": "auto"}, "capacity": {"counted_on": "order"}}
    config["policy"] = [
        config["policy"][0] | {"cap": {"rate": 0.03, "rounding": "floor"}}
    ]
    made = as_config(config)
    engine_keys.refuse_keys(made, made.policy[0])
