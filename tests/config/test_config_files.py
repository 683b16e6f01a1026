"""The shipped configurations, the schema and the models stay in step."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from optimizer.config import Config, as_config, json_schema, load_config
from optimizer.config.yaml_reader import read_yaml
from optimizer.errors import ConfigError

NIGHTLY, MINIMAL = Path("configs/nightly.yaml"), Path("configs/minimal.yaml")
SPARK = Path("configs/spark.yaml")


def raw(path: Path) -> Any:
    """The file as plain data."""
    return read_yaml(path.read_text(encoding="utf-8"), str(path))[0]


def shared(first: Any, second: Any, where: str = "") -> list[tuple[str, Any, Any]]:
    """Leaves that both files give, with both values."""
    if isinstance(first, dict) and isinstance(second, dict):
        both = [key for key in first if key in second]
        return [x for k in both for x in shared(first[k], second[k], f"{where}.{k}")]
    if isinstance(first, list) and isinstance(second, list) and where == ".policy":
        pairs = zip(first, second, strict=True)
        return [x for pair in pairs for x in shared(*pair, where + "[]")]
    return [(where, first, second)]


def keys_of(model: type[BaseModel]) -> list[str]:
    """Names of all keys of a model and of the models in it."""
    names = []
    for name, field in model.model_fields.items():
        names.append(field.alias or name)
        for inner in inner_models(field.annotation):
            names += keys_of(inner)
    return names


def inner_models(annotation: Any) -> list[type[BaseModel]]:
    """Models inside of an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for argument in get_args(annotation) for m in inner_models(argument)]


def test_both_files_mean_the_same_night() -> None:
    """What the short file gives, the full file gives alike, and defaults agree."""
    pairs = shared(raw(MINIMAL), raw(NIGHTLY))

    assert len(pairs) >= 9
    assert all(first == second for _, first, second in pairs)
    full, least = load_config(NIGHTLY), load_config(MINIMAL)
    full_inputs, least_inputs = full.inputs, least.inputs
    assert full_inputs is not None
    assert least_inputs is not None
    # The full file also names an optional table and two records of compensation.
    assert full_inputs.orders == least_inputs.orders
    assert (
        full.policy[0].model_copy(update={"compensation": least.policy[0].compensation})
        == least.policy[0]
    )
    assert (
        full.model_copy(update={"policy": least.policy, "inputs": least_inputs})
        == least
    )


def test_the_full_file_has_every_key() -> None:
    """Each key that the models know stands in it, as a key or in a comment."""
    text = NIGHTLY.read_text(encoding="utf-8")
    names = keys_of(Config)
    missing = [name for name in names if not re.search(rf"\b{name}\s*:", text)]

    assert {"rate", "payee", "num_threads", "probability"} <= set(names)
    assert not missing


def test_commented_keys_of_the_full_file_are_real() -> None:
    """Its lines without the comment sign are still a configuration."""
    text = NIGHTLY.read_text(encoding="utf-8")
    keys = r"^( +)# (options|deliveries|num_threads|relative_error|confidence):"
    text = re.sub(keys, r"\1\2:", text, flags=re.M)
    names = "fulfilment|eligibility|peaks|fairness|acceptance"
    lists = rf"^( *)({names}): \[\].*\n( +# (?!- ).*\n)*"
    text = re.sub(lists, r"\1\2:\n", text, flags=re.M)
    text = re.sub(r"^ +# - \{", "    - {", text, flags=re.M)
    config = as_config(read_yaml(text, "night.yaml")[0])

    assert config.solver.num_threads == 2
    assert config.inputs is not None
    assert config.inputs.options is not None
    assert [row.region_id for row in config.objective.fulfilment] == [None, "CN-11"]
    assert [len(rule.group) for rule in config.fairness] == [1, 1, 2, 1]
    assert len(config.policy[0].eligibility) == 7
    assert [peak.factor for peak in config.capacity.peaks] == [Decimal("1.5")]
    assert [rule.metric for rule in config.acceptance] == ["relative_gap", "saving_cny"]


def test_the_schema_file_is_in_step_with_the_models() -> None:
    """Editors check by the same rules as the loader."""
    expected = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    written = Path("configs/schema.json").read_text(encoding="utf-8")

    assert written == expected, "run `optimizer schema > configs/schema.json`"


@pytest.fixture(scope="module")
def validator() -> Any:
    """The schema, valid itself; its library takes two seconds to import."""
    from jsonschema import Draft202012Validator

    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", [NIGHTLY, MINIMAL, SPARK], ids=lambda p: p.name)
def test_the_schema_accepts_the_shipped_files(path: Path, validator: Any) -> None:
    """The schema is a valid one, and no shipped file shows as wrong in an editor."""
    problems = validator.iter_errors(raw(path))

    assert [problem.message for problem in problems] == []
    assert raw(path)["version"] == 1
    assert load_config(path).version == 1


@pytest.mark.parametrize(
    "edit",
    [
        {"version": 2},
        {"version": True},
        {"zebra": 1},
        {"policy": []},
        {"policy": [{}]},
        {"objective": {"complaint_cost_cny": -1, "return_cost_cny": 1}},
        {"objective": {"complaint_cost_cny": 1}},
        {"solver": {"method": "magic"}},
        {"solver": {"num_threads": 0}},
        {"quarantine": {"max_share": 1.5}},
        {"publish": {"max_gap": 0}},
        {"output": 5},
    ],
    ids=str,
)
def test_schema_and_loader_refuse_the_same(
    edit: dict[str, Any], validator: Any
) -> None:
    """An editor shows as wrong what the loader refuses."""
    config = raw(MINIMAL) | edit

    assert not validator.is_valid(config)
    with pytest.raises(ConfigError):
        as_config(config)


def test_the_schema_carries_the_project_name() -> None:
    """Editors show whose configuration it is."""
    assert json_schema()["title"] == "premium-delivery-optimizer"


def test_every_key_says_what_it_means() -> None:
    """Each key of the schema has a description, for editors and for messages."""
    schema = json_schema()
    models = [schema, *schema["$defs"].values()]
    fields = [pair for model in models for pair in model["properties"].items()]
    silent = [
        name
        for name, field in fields
        if not field.get("description")
        and not schema["$defs"][field["$ref"].split("/")[-1]]["description"]
    ]

    assert len(models) > 10
    assert silent == []
