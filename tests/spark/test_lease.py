"""One driver for a date where there is no lock: claims in a store."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
from pathlib import Path

import pytest

from optimizer.errors import BusyError
from optimizer.spark import lease
from optimizer.spark.lease import CLAIMS, LEASE, date_lease

DAY = dt.date(2026, 11, 22)
FAR = "s3a://warehouse/premium/2026-11-22"
START = dt.datetime(2026, 11, 22, 20, tzinfo=dt.UTC)


class Store:
    """A store of texts, and a clock."""

    def __init__(self):
        self.texts, self.now = {}, START

    def read(self, _, folder):
        """All texts below a folder."""
        return [text for name, text in self.texts.items() if name.startswith(folder)]

    def write(self, _, name, text):
        """Put a text in its place."""
        self.texts[name] = text


@pytest.fixture
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr(lease, "read_lines", store.read)
    monkeypatch.setattr(lease, "write_text", store.write)
    monkeypatch.setattr(lease, "_now", lambda: store.now)
    return store


def test_the_second_driver_gives_way_and_is_told_to_whom(store):
    """Who holds it, since when, until when; then it is free for the next."""
    with date_lease(None, FAR, DAY) as confirm:
        with pytest.raises(BusyError) as told, date_lease(None, FAR, DAY):
            pytest.fail("two drivers hold one date")
        confirm()
    text = str(told.value)
    assert told.value.exit_code == 75
    assert f"process {os.getpid()} on {socket.gethostname()}" in text
    assert f"since {START.isoformat()}" in text
    assert (START + LEASE).isoformat() in text
    with date_lease(None, FAR, DAY):
        pass


def test_drivers_that_claim_at_once_do_not_both_run(store, monkeypatch):
    """Both have written before either reads: nobody runs, rather than both."""

    def read(session, folder):
        other = {"holder": "x", "since": "then", "claim": f"{folder}/other"}
        until = (store.now + LEASE).isoformat()
        store.texts[f"{folder}/other"] = json.dumps(other | {"until": until})
        return store.read(session, folder)

    monkeypatch.setattr(lease, "read_lines", read)
    with pytest.raises(BusyError), date_lease(None, FAR, DAY):
        pytest.fail("the other had claimed it")
    assert [text for name, text in store.texts.items() if "other" not in name] == [""]


def test_a_dead_drivers_claim_ends(store):
    """A claim that nobody took back holds for its time, and not for longer."""
    holding = date_lease(None, FAR, DAY)
    confirm = holding.__enter__()
    store.now = START + LEASE - dt.timedelta(seconds=1)
    confirm()
    with pytest.raises(BusyError), date_lease(None, FAR, DAY):
        pass
    store.now = START + LEASE + dt.timedelta(seconds=1)
    with pytest.raises(BusyError, match="nothing was published"):
        confirm()
    with date_lease(None, FAR, DAY) as mine:
        mine()
    assert all(f"/{CLAIMS}/" in name for name in store.texts)


def test_a_folder_that_the_driver_sees_is_locked_there(store, tmp_path):
    """By the lock of one machine, which excludes both engines and ends by itself."""
    folder = str(tmp_path / "runs" / DAY.isoformat())
    with date_lease(None, folder, DAY):
        with pytest.raises(BusyError), date_lease(None, folder, DAY):
            pass
        assert (Path(folder).parent / ".locks" / DAY.isoformat()).exists()
    assert not store.texts
