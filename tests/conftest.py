"""What many tests share: nights, made once, and servers, started once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import register_profiles
from tests.support.large_night import OLIST, LargeNight, make_large_night
from tests.support.postgres import Server, running_server
from tests.support.small_night import SmallNight, copy_night, make_night

pytest_plugins = ["tests.support.system_tools", "tests.support.workers"]
register_profiles()


def pytest_report_header() -> str:
    """Say which large night the tests use."""
    which = "real orders (olist)" if OLIST.is_dir() else "the simulator; no real orders"
    return f"large night: {which}"


@pytest.fixture(scope="session")
def large_night(tmp_path_factory: pytest.TempPathFactory) -> LargeNight:
    """Real orders where they are at hand, else simulated ones; it says which."""
    return make_large_night(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="session")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A published night that no test may change."""
    folder = tmp_path_factory.mktemp("original") / "night"
    night = make_night(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        night.run()
    return night


@pytest.fixture
def published(
    published_once: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A published night of one's own, and its folder as working directory."""
    return copy_night(published_once, tmp_path / "night", monkeypatch)


@pytest.fixture
def inputs_only(published: SmallNight) -> SmallNight:
    """The same before anything was published."""
    shutil.rmtree(published.runs)
    return published


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One PostgreSQL for all tests."""
    with running_server() as server:
        yield server
