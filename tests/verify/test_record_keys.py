"""Every key of ``run.json`` is stated a second time, or named as taken on trust."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from optimizer.io.kept_inputs import found_inputs
from optimizer.verify import engine as statement_engine
from optimizer.verify.audit import Part, check_names, statement
from optimizer.verify.form import false_form
from optimizer.verify.inherited import check_beside
from optimizer.verify.night import _false_sentences
from optimizer.verify.premises import (
    false_config,
    false_files,
    false_inputs,
    false_origins,
    false_root,
    false_shape,
)
from optimizer.verify.standing import standing_of
from tests.support.golden_nights import GOLDEN
from tests.support.night_variants import VARIANTS, settings, simulated
from tests.support.published_nights import publish, record_of

#: What docs/reference/not-claimed.md says is taken on trust; ``*`` is any one key,
#: ``**`` all inside.
TRUSTED = (
    *("run_measurements.**", "versions.*", "alerts.**"),
    *("identity.version", "identity.history", "identity.previous.**"),
)
#: Stated from the configuration that is recorded, which ``--config`` compares.
COMPARED = ("config.**",)
#: Restated only together with what is computed from it: tested by itself.
BY_ITSELF = ("certificate.unit",)

Leaf = tuple[str | int, ...]


def leaves(value: Any, way: Leaf = ()) -> Iterator[Leaf]:
    """Ways to all values that hold no other."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from leaves(inner, (*way, key))
    else:
        yield way


def named(way: Leaf) -> str:
    return ".".join("[]" if isinstance(key, int) else key for key in way)


def is_in(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        re.fullmatch(re.escape(p).replace(r"\*\*", ".*").replace(r"\*", r"[^.]*"), name)
        for p in patterns
    )


def forged(record: dict[str, Any], way: Leaf) -> dict[str, Any]:
    """The record with another value of the same kind."""
    made = copy.deepcopy(record)
    inner: Any = made
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = _other(inner[way[-1]], str(way[-1]))
    return made


def _other(value: Any, name: str) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if name == "limit":
        return "TIME"
    if name == "date":
        return "2026-11-21"
    if name == "reason":
        return "FEASIBLE" if value == "OPTIMAL" else "OPTIMAL"
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return "0" * 64
    if isinstance(value, str) and re.fullmatch("[0-9.]+", value):
        return f"{float(value) + 1:g}"
    return f"{value}-" if isinstance(value, str) else [*(value or ()), "x"]


def _parts(folder: Path, record: dict[str, Any]) -> list[str]:
    """What is said without SQL."""
    said = false_form(record)
    if said:
        return said
    tests: tuple[Callable[[], Any], ...] = (
        lambda: false_config(record),
        lambda: false_origins(record),
        lambda: false_files(folder, record),
        lambda: false_shape(folder, record),
        lambda: false_inputs(record, found_inputs(folder, record)),
        lambda: false_root(folder, record),
        lambda: _false_sentences(record, []),
        lambda: check_beside(folder, record, standing_of(folder, record)).findings,
    )
    return [words for test in tests for words in test()]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A network night with draws and warnings, and packing nights with the rest."""
    folder = tmp_path_factory.mktemp("nights")
    single = simulated(folder / "inputs")
    found = []
    for name in ("explored", "floors, owners and a subsidy"):
        variant = VARIANTS[name]
        config = settings(variant)
        found.append(publish(folder / name[:3], variant.change(single), config))
    golden = next(g for g in GOLDEN.values() if "quantile" in json.dumps(g.settings()))
    return [*found, publish(folder / "gold", golden.tables(), golden.settings())]


def _asked_of_record(engine: Any, parts: Sequence[Part]) -> dict[str, str]:
    """The checks that ask the record, by name, as what answers them once more."""
    found = {}
    for part in parts:
        for one in engine.extract_statements(part.text):
            name = re.search(r"^CREATE TEMP TABLE (check_\w+)", one.query, re.M)
            if name and re.search(r"\bclaim\(|\brecord\b", one.query):
                again = one.query.replace("CREATE TEMP", "CREATE OR REPLACE TEMP", 1)
                found[name[1]] = again
    return found


@pytest.mark.slow
def test_every_key_is_restated_or_named(nights: list[Path]) -> None:
    """A value of the record changed alone is seen, unless a page names it."""
    seen: set[str] = set()
    unseen = []
    for run in nights:
        record = record_of(run)
        parts = statement(record)
        with statement_engine._engine() as engine:
            engine.execute("SET VARIABLE run_given = ?", [str(run)])
            for part in parts:
                statement_engine._run(engine, statement_engine._placed(part, None))
                statement_engine._beside(engine, part.name, record)
            assert statement_engine._answers(engine, check_names(parts)) == []
            asked = _asked_of_record(engine, parts)
            for way in leaves(record):
                name = named(way)
                if name in seen or is_in(name, TRUSTED + COMPARED + BY_ITSELF):
                    continue
                seen.add(name)
                other = forged(record, way)
                if _parts(run, other):
                    continue
                engine.execute("UPDATE record SET said = ?", [json.dumps(other)])
                engine.execute("SET VARIABLE said = (SELECT said FROM record)")
                for check in asked.values():
                    engine.execute(check)
                if not statement_engine._answers(engine, list(asked)):
                    unseen.append(name)
    assert unseen == []
    assert len(seen) > 100


@pytest.mark.slow
def test_the_unit_divides_all_savings(nights: list[Path], tmp_path: Path) -> None:
    """A unit that does not divide every saving and penalty is seen."""
    run = tmp_path / "night"
    shutil.copytree(nights[1], run)
    record = record_of(run)
    record["certificate"]["unit"] = 7
    (run / "run.json").write_text(json.dumps(record))
    found = {one.check for one in statement_engine.state_again(run, record)}
    assert "unit" in found


def test_what_is_trusted_is_said_not_to_be_claimed() -> None:
    """The list of what is not claimed has each key that nothing restates."""
    page = Path(__file__).parents[2] / "docs/reference/not-claimed.md"
    section = page.read_text("utf-8")
    for key in TRUSTED:
        assert f"`{key.removesuffix('.**').removesuffix('.*')}`" in section
