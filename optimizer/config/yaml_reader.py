"""
YAML text to plain data with the line of every key.

YAML 1.2 core scalars: ``no`` is text, ``1e-3`` a number, ``3:20`` text, ``010`` is
10. Decimals are read exactly from their text. Anchors, tags, duplicate keys and
several documents are refused, since each can hide what a file means.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from optimizer.errors import ConfigError

Location = tuple[str | int, ...]
Lines = dict[Location, int]

MAX_CHARACTERS, MAX_EVENTS, MAX_DEPTH = 1_000_000, 100_000, 50

_SCALARS = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$",
        "-+.0123456789",
    ),
)


def _number(text: str) -> int | Decimal | str:
    """A number, or its text if it is too large for any number."""
    if len(text) > 1_000:
        return text
    try:
        return int(text) if text.lstrip("+-").isdigit() else Decimal(text)
    except InvalidOperation:
        return text


class _Loader(yaml.SafeLoader):
    """A safe loader with the scalars of YAML 1.2's core schema."""


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(_pattern), list(_first)
    )
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: _number(node.value))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: _number(node.value))


def read_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """
    Read one document.

    Parameters
    ----------
    text
        The document.
    name
        Its name in messages, usually its path.

    Returns
    -------
    data, lines
        Plain data, and the line (from 1) of every key and list item.

    Raises
    ------
    ConfigError
        Naming file and line.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{name}: is larger than {MAX_CHARACTERS:,} characters")
    try:
        _refuse_tricks(text, name)
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_message(error, name)) from None
    if root is None:
        raise ConfigError(f"{name}: is empty; start from configs/minimal.yaml")
    lines: Lines = {}
    return _build(loader, root, (), lines, name), lines


def _syntax_message(error: yaml.YAMLError, name: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    where = f"{name}:{mark.line + 1}" if mark else name
    return f"{where}: is not valid YAML: {problem or 'unreadable text'}"


def _refuse_tricks(text: str, name: str) -> None:
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError(f"{name}:{line}: anchors and aliases are not accepted")
        if getattr(event, "tag", None):
            raise ConfigError(f"{name}:{line}: tags are not accepted")
        if number > MAX_EVENTS or depth > MAX_DEPTH:
            raise ConfigError(f"{name}:{line}: is too large or nested too deep")


def _build(
    loader: _Loader, node: yaml.Node, location: Location, lines: Lines, name: str
) -> Any:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(loader, node, location, lines, name)
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(loader, item, (*location, place), lines, name)
            for place, item in enumerate(node.value)
        ]
    return loader.construct_object(node)


def _build_mapping(
    loader: _Loader,
    node: yaml.MappingNode,
    location: Location,
    lines: Lines,
    name: str,
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{name}:{line}: keys must be plain words")
        key = key_node.value
        here = (*location, key)
        if key in data:
            raise ConfigError(
                f"{name}:{line}: {key} is given twice, first on line {lines[here]}"
            )
        lines[here] = line
        data[key] = _build(loader, value_node, here, lines, name)
    return data
