"""A learned model as a file: equal models are equal bytes, changed ones are refused."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from optimizer.build.learned_model import FIRST_FORMAT, FORMAT, LearnedModel
from optimizer.errors import ConfigError
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.kept_inputs import MODEL_FILE

CARD_FILE = "card.md"
#: What a model of the first format has, and of each harm.
_FIRST_PARTS = ("first_date", "last_date", "regime_breaks", "kind", "promises")
_FIRST_NUMBERS = {
    "risk": ("intercept", "slopes", "levels"),
    "effect": ("intercept", "levels", "names", "covariance"),
}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and the checksum of its file."""

    model: LearnedModel
    path: Path
    sha256: str


def load_model(folder: Path | str) -> LoadedModel:
    """
    Read a learned model.

    Raises
    ------
    ConfigError
        When there is none, or it is of another format.
    DataError
        When it is damaged: no JSON, or nothing that was ever written.
    """
    path = Path(folder) / MODEL_FILE
    try:
        content = path.read_bytes()
        with damaged_is_data_error(f"model: {path}"):
            json.loads(content)
        # Text to Python first: strict JSON mode would refuse the pairs in names.
        model = LearnedModel.model_validate_json(content)
        dt.date.fromisoformat(model.last_date)
        _check_trees(model)
    except OSError:
        raise ConfigError(
            f"model: {path}: no such file; make one with optimizer learn"
        ) from None
    except (ValidationError, ValueError):
        raise ConfigError(f"model: {path}: {_not_read(content)}") from None
    if not _is_as_learned(model):
        for other in {FIRST_FORMAT, FORMAT} - {model.format}:
            if _is_as_learned(model.model_copy(update={"format": other})):
                raise ConfigError(
                    f"model: {path}: says that it is of format {model.format}, and "
                    f"was learned in format {other}: its numbers are those of version "
                    f"{model.version}; write {other} there again"
                )
        raise ConfigError(
            f"model: {path}: was changed after it was learned: its numbers are not "
            f"those of version {model.version}; restore it, or learn it again"
        )
    return LoadedModel(model, path, hashlib.sha256(content).hexdigest())


def named(model: LearnedModel, prefix: str | None = None) -> LearnedModel:
    """
    The same model, with the version that its numbers give it.

    Parameters
    ----------
    model
        Whatever its version.
    prefix
        What the checksum follows; left out: what it followed before.
    """
    bare = model.model_copy(update={"version": ""})
    digest = _digest(model_text(bare))
    before = model.version.rpartition("-")[0] if prefix is None else prefix
    return model.model_copy(update={"version": f"{before}-{digest}"})


def _is_as_learned(model: LearnedModel) -> bool:
    """Whether the numbers of a model are those of its version, by its format."""
    return (_is_first if model.format == FIRST_FORMAT else _is_named)(model)


def _is_named(model: LearnedModel) -> bool:
    """Whether the numbers of a model are those of its version."""
    return model == named(model)


def _is_first(model: LearnedModel) -> bool:
    """The same of a model of the first format, which had these parts alone."""
    told = model.model_dump(mode="json")
    bare = {name: told[name] for name in _FIRST_PARTS} | {"version": ""}
    for part, names in _FIRST_NUMBERS.items():
        bare[part] = {
            harm: {name: numbers[name] for name in names}
            for harm, numbers in told[part].items()
        }
    if model != LearnedModel.model_validate_json(
        json.dumps(bare | {"version": model.version})
    ):
        return False  # it has what came later
    # The first ones did not write their format down.
    texts = (_text(bare), _text(bare | {"format": FIRST_FORMAT}))
    version = model.version.rpartition("-")[2]
    return version in [_digest(text) for text in texts]


def _check_trees(model: LearnedModel) -> None:
    """
    Refuse trees in which an order would go round in circles, or to no node.

    Raises
    ------
    ValueError
        When there is one.
    """
    for effect in model.effect.values():
        forest = effect.forest
        if forest is None:
            continue
        num_inputs = len(forest.numbers) + len(forest.levels)
        for tree in (tree for member in forest.members for tree in member):
            size = len(tree.value)
            parts = (tree.input, tree.threshold, tree.left, tree.right)
            if not size or any(len(part) != size for part in parts):
                raise ValueError("a tree whose lists differ in length")
            for node, left in enumerate(tree.left):
                inner = node < left < size and node < tree.right[node] < size
                if left >= 0 and not (inner and 0 <= tree.input[node] < num_inputs):
                    raise ValueError("a tree that does not lead down to leaves")


def _not_read(content: bytes) -> str:
    """Why a model cannot be read, and what to do."""
    try:
        found = json.loads(content)
        told, version = found.get("format", FIRST_FORMAT), found.get("version")
    except (ValueError, AttributeError):
        return "is damaged; restore it, or learn it again"
    if told not in range(FIRST_FORMAT, FORMAT + 1):
        return (
            f"model {version} is of format {told}, and this version of optimizer "
            f"knows {FIRST_FORMAT} to {FORMAT}; use the version that learned it, or "
            "learn it again with this one"
        )
    return (
        f"is not as a model of format {told} should be; restore it, or learn it "
        "again with this version of optimizer"
    )


#: Parts that are written where there is something to say.
_LATER_PARTS = (
    "num_waiting",
    "pooled",
    "num_premium",
    "realised",
    "leaks",
    "young",
    "undrawn",
)


def model_text(model: LearnedModel) -> str:
    """Write a model so that equal models are equal bytes."""
    found = model.model_dump(mode="json")
    for name in _LATER_PARTS:
        if found[name] in (None, []):
            del found[name]  # models of before have none, and other bytes
    return _text(found)


def _text(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
