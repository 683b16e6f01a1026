"""
How tests are shared out: a worker for each core, and what must stay together.

A file's tests stay with one worker, and so its fixtures are made once. So do all tests
of one server, in whatever file: there is one PostgreSQL and one cluster, not one for
each worker. What takes longest comes first, so that no worker ends alone.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.system_tools import needed_by, needs

#: Programs that a whole run starts once.
SERVERS = ("java", "postgresql")
#: A file system in memory, where flushing a file costs nothing; tests flush thousands.
MEMORY, ENOUGH = Path("/dev/shm"), 4 << 30


def group_of(item: pytest.Item) -> str:
    """Name what an item must share its worker with."""
    servers = [tool for tool in needed_by(item) if tool in SERVERS]
    return servers[0] if servers else item.nodeid.split("::")[0]


def longest_first(items: list[pytest.Item], group: dict[pytest.Item, str]) -> None:
    """Sort the servers, and the files with slow tests, before the others."""
    slow = {group[item] for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> tuple[bool, int, bool]:
        server = group[item] in SERVERS
        place = SERVERS.index(group[item]) if server else len(SERVERS)
        return not server, place, group[item] not in slow

    items.sort(key=rank)


def pytest_configure(config: pytest.Config) -> None:
    """Put the tests' folders into memory where there is enough of it."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Mark who needs a program, before ``-m`` looks; and who stays together."""
    for item in items:
        marked = {tool for mark in item.iter_markers("needs") for tool in mark.args}
        missing = [tool for tool in needed_by(item) if tool not in marked]
        if missing:
            item.add_marker(needs(*missing))
    if hasattr(config, "workerinput"):
        group = {item: group_of(item) for item in items}
        for item in items:
            item.add_marker(pytest.mark.xdist_group(group[item]))
        longest_first(items, group)
