"""How tests are shared out, and that the quick ones leave no room out."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tests.support.system_tools import needed_by
from tests.support.workers import ONE_THREAD, SERVERS, group_of, pytest_configure

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent.name for path in (ROOT / "optimizer").glob("*/__init__.py"))
FEWEST = 3
#: Files that start Java in their own process, and use no server of the others.
ALONE = {"tests/spark/test_golden_engines.py"}


def test_all_tests_of_a_server_share_a_worker(request: pytest.FixtureRequest) -> None:
    """Of the tests that were collected, those that need a server are in its group."""
    for item in request.session.items:
        for server in SERVERS.keys() & set(needed_by(item)):
            assert group_of(item.nodeid) in {server, *ALONE}, item.nodeid


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
