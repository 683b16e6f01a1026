"""The configuration of a night: YAML in, frozen models out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.config.load import (
        as_config,
        config_hash,
        config_json,
        expand_date,
        load_config,
        policy_on,
    )
    from optimizer.config.models import (
        Cap,
        Config,
        Fulfilment,
        Holdout,
        Inputs,
        PolicyRow,
    )
    from optimizer.config.schema import json_schema

__all__ = [
    "Cap",
    "Config",
    "Fulfilment",
    "Holdout",
    "Inputs",
    "PolicyRow",
    "as_config",
    "config_hash",
    "config_json",
    "expand_date",
    "json_schema",
    "load_config",
    "policy_on",
]

_MODELS = {"Cap", "Config", "Fulfilment", "Holdout", "Inputs", "PolicyRow"}


def __getattr__(name: str) -> object:
    """Import models and loader at first use: pydantic is not needed for --help."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = (
        "models" if name in _MODELS else "schema" if name == "json_schema" else "load"
    )
    return getattr(import_module(f"optimizer.config.{home}"), name)
