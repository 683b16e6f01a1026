"""How tests are shared out, and that the quick ones leave no room out."""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.system_tools import needed_by
from tests.support.workers import (
    LONGEST,
    ONE_THREAD,
    SERVERS,
    group_of,
    longest_first,
    pytest_configure,
)

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent.name for path in (ROOT / "optimizer").glob("*/__init__.py"))
FEWEST = 3
#: What may have a server of its own, and uses none of the others.
ALONE = {"java": {"java", "java alone"}}
#: What takes two seconds of CPU to import: JSON schemas bring a grammar of addresses.
SLOW_IMPORTS = re.compile(
    r"^(import|from) (cyclonedx|jsonschema|kubernetes_validate|nbclient|nbformat)\b",
    re.M,
)


def test_what_is_slow_to_import_is_not_imported_by_every_worker() -> None:
    """Each worker collects all tests: such imports are in the tests that use them."""
    for path in (ROOT / "tests").rglob("*.py"):
        assert not SLOW_IMPORTS.search(path.read_text("utf-8")), path


def test_all_tests_of_a_server_share_a_worker(request: pytest.FixtureRequest) -> None:
    """Of the tests that were collected, those that need a server are in its group."""
    for item in request.session.items:
        for server in SERVERS.keys() & set(needed_by(item)):
            groups = ALONE.get(server, {server})
            assert group_of(item.nodeid) in groups, item.nodeid


@dataclass(frozen=True)
class Collected:
    """As much of a test as its place depends on."""

    nodeid: str
    is_slow: bool = False

    def get_closest_marker(self, name: str) -> str | None:
        """Its only mark."""
        return name if name == "slow" and self.is_slow else None


def test_what_takes_longest_comes_first() -> None:
    """Servers, the longest files in their order, other slow files, and the rest."""
    assert all((ROOT / name).is_file() for name in LONGEST)
    last, first = (Collected(f"{LONGEST[at]}::test_it") for at in (1, 0))
    server = Collected(f"{SERVERS['postgresql'][1]}::test_it")
    slow = Collected("tests/io/test_a.py::test_it", is_slow=True)
    beside, quick = (Collected(f"tests/io/test_{x}.py::test_its") for x in "ab")
    items: list[Any] = [quick, beside, slow, last, first, server]
    longest_first(items)
    assert items == [server, first, last, beside, slow, quick]


def test_a_worker_has_one_thread_for_linear_algebra(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """It is so where nothing else is said, and what is said is left."""
    monkeypatch.setenv(ONE_THREAD[0], "7")
    for name in ONE_THREAD[1:]:
        monkeypatch.delenv(name)
    pytest_configure(pytestconfig)
    assert [os.environ[name] for name in ONE_THREAD] == ["7", "1", "1"]


def marks_of(tree: ast.Module | ast.FunctionDef) -> set[str]:
    """Marks of a test, or of all tests of a file."""
    if isinstance(tree, ast.FunctionDef):
        said = [ast.unparse(decorator) for decorator in tree.decorator_list]
    else:
        values = [node for node in tree.body if isinstance(node, ast.Assign)]
        said = [ast.unparse(v) for v in values if "pytestmark" in ast.unparse(v)]
    return {mark for mark in ("slow", "needs") for text in said if mark in text}


@pytest.mark.parametrize("room", ROOMS)
def test_the_quick_tests_know_every_room(room: str) -> None:
    """Each room has some tests that are neither slow nor in need of a program."""
    num_quick = 0
    for path in (ROOT / "tests" / room).rglob("test_*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        tests = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        if not marks_of(tree):
            num_quick += sum(not marks_of(test) for test in tests)
    assert num_quick >= FEWEST
