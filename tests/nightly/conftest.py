"""One small night, made once and copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nightly.postgres import Server, running_server
from nightly.small_night import SmallNight, copy_night, make_night


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
    import shutil

    shutil.rmtree(published.runs)
    return published


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One PostgreSQL for all tests."""
    with running_server() as server:
        yield server
