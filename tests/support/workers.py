"""
How tests are shared out: a worker for each core, and what must stay together.

A file's tests stay with one worker, and so its fixtures are made once. So do all files
of one server: there is one PostgreSQL and one cluster, not one for each worker. What
takes longest comes first, so that no worker ends alone.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.system_tools import needed_by, needs

#: Files whose tests need a program that a whole run starts once, longest first.
SERVERS = {
    "java": (
        "tests/spark/test_cluster.py",
        "tests/spark/test_drivers.py",
        "tests/spark/test_files.py",
    ),
    # In the tests' own process, which starts Java once for all its sessions.
    "java alone": (
        "tests/spark/test_golden_engines.py",
        "tests/spark/test_far_nights.py",
        "tests/spark/test_same_refusals.py",
    ),
    "postgresql": (
        "tests/io/sources/",
        "tests/night/test_state.py",
        "tests/night/test_state_rights.py",
        "tests/night/test_moved_projects.py",
        "tests/evidence/test_evidence.py",
    ),
}
#: Files that take a minute of CPU or more: begun late, they would end alone.
LONGEST = (
    "tests/verify/test_forgeries.py",
    "tests/solvers/test_packing.py",
    "tests/test_campaigns.py",
    "tests/test_kernel_cache.py",
    "tests/night/test_crash.py",
    "tests/replay/test_replay.py",
    "tests/test_documentation.py",
    "tests/learn/test_closed_loop.py",
    "tests/test_commands_in_documents.py",
    "tests/spark/test_passes.py",
)
#: A file system in memory, where flushing a file costs nothing; tests flush thousands.
MEMORY, ENOUGH = Path("/dev/shm"), 4 << 30
#: How many threads libraries of linear algebra start, which read it as they load:
#: workers, and the processes that tests start, inherit it.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def group_of(node_id: str) -> str:
    """Name what a test shares its worker with: its file, or all of a server's."""
    path = node_id.split("::")[0]
    of_server = (name for name, paths in SERVERS.items() if path.startswith(paths))
    return next(of_server, path)


class Groups(LoadScopeScheduling):
    """Gives a group to a worker when it has nothing else to do."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def longest_first(items: list[pytest.Item]) -> None:
    """Sort servers, the longest files, and other files with slow tests before all."""
    group = {item: group_of(item.nodeid) for item in items}
    slow = {group[item] for item in items if item.get_closest_marker("slow")}
    first = {name: place for place, name in enumerate((*SERVERS, *LONGEST))}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        own = group[item]
        return first.get(own, len(first)), own not in slow

    items.sort(key=rank)


def pytest_configure(config: pytest.Config) -> None:
    """
    Give each worker one thread for linear algebra, and its folders in memory.

    Threads of several workers on the same cores spin while they wait for one another:
    what is learned took several times as long.
    """
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark who needs a program by a fixture, before ``-m`` looks."""
    marked = {tool for mark in item.iter_markers("needs") for tool in mark.args}
    missing = [tool for tool in needed_by(item) if tool not in marked]
    if missing:
        item.add_marker(needs(*missing))


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Begin with what takes longest where workers share the tests."""
    if hasattr(config, "workerinput"):
        longest_first(items)


# The mark xdist_group is not heard by this pytest (pytest-xdist 3.8, pytest 9.2).
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    """Share tests out by our groups."""
    return Groups(config, log)
