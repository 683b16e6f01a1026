"""What cannot run here is left out with a word, and fails where all is to run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import system_tools

ROOT = Path(__file__).parents[1]
CONFTEST = """
import dataclasses
import pytest

pytest_plugins = ["tests.support.system_tools"]

def pytest_configure():
    from tests.support.system_tools import TOOLS

    for name in ("chromium", "java", "strace"):
        TOOLS[name] = dataclasses.replace(TOOLS[name], is_here=lambda: False)

@pytest.fixture
def cluster():
    raise AssertionError("there is no Java")

@pytest.fixture
def spark(cluster):
    return cluster
"""
TESTS = """
import pytest
from tests.support.system_tools import needs

def test_plain(): pass

def test_by_a_fixture_in_two_steps(spark): pass

def test_by_a_fixture(cluster): pass

@needs("strace")
def test_by_a_mark(): raise AssertionError("there is no strace")

@pytest.mark.parametrize("x", [1, pytest.param(2, marks=needs("chromium"))])
def test_by_a_parameter(x): assert x == 1
"""


def run_tests(
    folder: Path, tests: str, wish: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run tests of their own where three programs are missing."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(tests)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop(system_tools.ALL, None)
    if wish is not None:
        environment[system_tools.ALL] = wish
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "."],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_what_cannot_run_is_listed_with_its_command(tmp_path: Path) -> None:
    """A line for each program, with its tests counted; the other tests run and pass."""
    done = run_tests(tmp_path, TESTS)
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if "not run here:" in line]
    assert lines == [
        "not run here: 1 test of pages in a browser: apt-get install chromium",
        "not run here: 2 tests of Spark: apt-get install openjdk-17-jre-headless",
        "not run here: 1 test of system calls that fail: apt-get install strace",
    ]
    assert "2 passed, 4 deselected" in done.stdout


@pytest.mark.slow
def test_where_all_is_to_run_a_missing_program_fails(tmp_path: Path) -> None:
    """With ``OPTIMIZER_TESTS=all`` the same tests fail, and say what to install."""
    done = run_tests(tmp_path, TESTS, "all")
    assert done.returncode == 1
    assert "2 passed, 4 errors" in done.stdout
    assert "not run here" not in done.stdout
    words = "strace is missing, and OPTIMIZER_TESTS=all: apt-get install strace"
    assert words in done.stdout


@pytest.mark.slow
def test_another_wish_is_refused(tmp_path: Path) -> None:
    """A word that would do nothing is an error."""
    done = run_tests(tmp_path, TESTS, "everything")
    assert done.returncode == 4
    assert "OPTIMIZER_TESTS is 'everything'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "tests",
    [
        "import pytest\ndef test(): pytest.skip('later')",
        "import pytest\n@pytest.mark.skip\ndef test(): pass",
        "import pytest\npytest.importorskip('no_such_package')",
    ],
    ids=["called", "marked", "import"],
)
def test_a_skip_is_a_failure(tests: str, tmp_path: Path) -> None:
    """Whatever skips itself fails: nothing is left out in silence."""
    done = run_tests(tmp_path, tests)
    assert done.returncode != 0, done.stdout
    assert "skipped, which no" in done.stdout


def test_an_unknown_program_is_refused() -> None:
    """A name that is misspelled would never be missing."""
    with pytest.raises(KeyError, match="unknown: \\['jave'\\]"):
        system_tools.needs("jave")


def test_every_program_is_used_and_known() -> None:
    """Each fixture names a program of the list."""
    assert set(system_tools.FIXTURES.values()) <= set(system_tools.TOOLS)
