"""
Tests that need a program of the system: deselected where it is missing, and listed.

A test says so with ``needs("strace")``, or by a fixture that starts the program. With
``OPTIMIZER_TESTS=all`` a missing program is a failure instead. No test is skipped: a
skip is a failure, since nobody reads it.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.restricted import can_restrict

ROOT = Path(__file__).parents[2]
#: The environment variable that makes a missing program a failure, with ``all``.
ALL = "OPTIMIZER_TESTS"


@dataclass(frozen=True)
class Tool:
    """A program that only some tests need."""

    tests_of: str
    is_here: Callable[[], bool]
    install: str


def on_path(*names: str) -> Callable[[], bool]:
    """Whether one of these programs is on the path."""
    return lambda: any(map(shutil.which, names))


def has_postgres() -> bool:
    """Debian keeps the programs of the server off the path."""
    on_debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return any(on_debian) or shutil.which("initdb") is not None


TOOLS = {
    "airflow": Tool(
        "the Airflow DAG",
        lambda: (ROOT / ".venv-airflow" / "bin" / "airflow").is_file(),
        "make airflow",
    ),
    "chromium": Tool(
        "pages in a browser",
        on_path("chromium", "chromium-browser", "google-chrome"),
        "apt-get install chromium",
    ),
    "java": Tool("Spark", on_path("java"), "apt-get install openjdk-17-jre-headless"),
    "postgresql": Tool("PostgreSQL", has_postgres, "apt-get install postgresql"),
    "sail": Tool(
        "Delta Lake on Spark Connect",
        lambda: (ROOT / ".sail" / "pysail").is_dir(),
        "make sail",
    ),
    "strace": Tool(
        "system calls that fail", on_path("strace"), "apt-get install strace"
    ),
    "systemd": Tool(
        "systemd units", on_path("systemd-analyze"), "apt-get install systemd"
    ),
    "unshare": Tool(
        "services under their restrictions",
        can_restrict,
        "apt-get install util-linux, and run the tests as root",
    ),
}
#: Whoever asks for one of these fixtures, in however many steps, needs its program.
FIXTURES = {"browser": "chromium", "cluster": "java", "server": "postgresql"}
NOT_RUN = pytest.StashKey[Counter[str]]()


def needs(*tools: str) -> pytest.MarkDecorator:
    """Mark a test that needs programs of the system, by their names in ``TOOLS``."""
    unknown = [tool for tool in tools if tool not in TOOLS]
    if unknown:
        raise KeyError(f"unknown: {unknown}; known: {sorted(TOOLS)}")
    return pytest.mark.needs(*tools)


def needed_by(item: pytest.Item) -> list[str]:
    """Programs that a test needs, by its marks and its fixtures."""
    by_mark = [tool for mark in item.iter_markers("needs") for tool in mark.args]
    fixtures = getattr(item, "fixturenames", ())
    by_fixture = [tool for name, tool in FIXTURES.items() if name in fixtures]
    return list(dict.fromkeys(by_mark + by_fixture))


def missing_for(item: pytest.Item) -> str | None:
    """Name the first program that a test needs and that is not here."""
    return next((t for t in needed_by(item) if not TOOLS[t].is_here()), None)


def not_run_here(counts: Counter[str]) -> list[str]:
    """Say in a line for each program what it would have run."""
    lines = []
    for tool, count in sorted(counts.items()):
        tests = f"{count} test{'s' * (count > 1)} of {TOOLS[tool].tests_of}"
        lines.append(f"not run here: {tests}: {TOOLS[tool].install}")
    return lines


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and refuse a value that would be ignored."""
    config.addinivalue_line("markers", "needs(*tools): programs of the system")
    config.stash[NOT_RUN] = Counter()
    wish = os.environ.get(ALL, "")
    if wish not in ("", "all"):
        raise pytest.UsageError(f"{ALL} is {wish!r}; it may be 'all', or not set")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Take out what cannot run here, and count it."""
    if os.environ.get(ALL) == "all":
        return
    missing = {item: missing_for(item) for item in items}
    config.stash[NOT_RUN].update(tool for tool in missing.values() if tool)
    config.hook.pytest_deselected(items=[i for i in items if missing[i]])
    items[:] = [item for item in items if not missing[item]]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where all is to run, a missing program fails the tests that need it."""
    if os.environ.get(ALL) == "all" and (tool := missing_for(item)):
        pytest.fail(
            f"{tool} is missing, and {ALL}=all: {TOOLS[tool].install}", pytrace=False
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip is a failure: nobody reads it."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which no test may be: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[
    None, pytest.CollectReport, pytest.CollectReport
]:
    """Likewise a file that skips itself."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which no file may be: {report.longrepr}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With workers, each has collected the same; the last to end tells its count."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["not_run_here"] = dict(session.config.stash[NOT_RUN])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what a worker could not run."""
    told = getattr(node, "workeroutput", {}).get("not_run_here", {})
    node.config.stash[NOT_RUN] = Counter(told)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Ask for each program once, with the number of tests that wait for it."""
    lines = not_run_here(config.stash[NOT_RUN])
    if lines:
        terminalreporter.section("not run here")
    for line in lines:
        terminalreporter.write_line(line)
