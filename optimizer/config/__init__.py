"""The configuration of a night: YAML in, frozen models out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.config.learning import Holdout
    from optimizer.config.load import (
        as_config,
        as_day,
        config_hash,
        config_json,
        expand_date,
        load_config,
        objective_on,
        policy_on,
    )
    from optimizer.config.models import (
        Cap,
        CapacityRules,
        Config,
        Inputs,
        Objective,
        PolicyRow,
    )
    from optimizer.config.rules import EligibilityRule, Fulfilment
    from optimizer.config.schema import json_schema

__all__ = [
    "Cap",
    "CapacityRules",
    "Config",
    "EligibilityRule",
    "Fulfilment",
    "Holdout",
    "Inputs",
    "Objective",
    "PolicyRow",
    "as_config",
    "as_day",
    "config_hash",
    "config_json",
    "expand_date",
    "json_schema",
    "load_config",
    "objective_on",
    "policy_on",
]

_HOMES = {
    **dict.fromkeys(("Cap", "CapacityRules", "Config", "Inputs"), "models"),
    "Holdout": "learning",
    **dict.fromkeys(("Objective", "PolicyRow"), "models"),
    **dict.fromkeys(("EligibilityRule", "Fulfilment"), "rules"),
    "json_schema": "schema",
}


def __getattr__(name: str) -> object:
    """Import models and loader at first use: pydantic is not needed for --help."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "load")
    return getattr(import_module(f"optimizer.config.{home}"), name)
