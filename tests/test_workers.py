"""Each server is started once, whatever the number of workers."""

from __future__ import annotations

import pytest

from tests.support.system_tools import needed_by
from tests.support.workers import SERVERS, group_of


def test_all_tests_of_a_server_share_a_worker(request: pytest.FixtureRequest) -> None:
    """Of the tests that were collected, those that need a server are in its group."""
    for item in request.session.items:
        for server in SERVERS.keys() & set(needed_by(item)):
            assert group_of(item.nodeid) == server
