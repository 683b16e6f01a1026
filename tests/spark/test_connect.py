"""Spark Connect where nobody answers: a plain sentence, soon, and try again later."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import yaml

from optimizer.errors import BusyError
from optimizer.spark import connect
from optimizer.spark.connect import REMOTE, require_answer
from optimizer.testing import random_tables
from tests.support.engine_nights_more import written
from tests.support.processes import free_port
from tests.support.spark_cluster import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize("is_far", [False, True])
def test_a_server_that_is_down_is_told_and_tried_again_later(tmp_path, is_far):
    """
    Of nights near and far: exit code 75, one line with the address and what to do, no
    stack, and nothing of the token that the address has. Spark's own client would try
    longer than the test waits.
    """
    tables = random_tables(5, num_orders=60)
    place = f"file://{tmp_path}" if is_far else str(tmp_path)
    inputs = written(tmp_path, "night", tables, tables.orders)
    inputs = {name: path.replace(str(tmp_path), place) for name, path in inputs.items()}
    config = tables.config | {"inputs": inputs, "output": f"{place}/runs"}
    path = tmp_path / "night.yaml"
    path.write_text(yaml.safe_dump(config | {"engine": "spark"}))
    address = f"sc://127.0.0.1:{free_port()}"
    run = [sys.executable, "-W", "ignore", "-m", "optimizer", "run"]
    done = subprocess.run(
        [*run, "--config", str(path), "--date", "2026-11-22"],
        cwd=REPOSITORY,
        env=os.environ | {"SPARK_REMOTE": f"{address}/;token=secret"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 75, done.stderr
    assert f"{address}: no Spark Connect server answers there" in last
    assert "mend SPARK_REMOTE, and try again later" in last
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert not [*tmp_path.rglob("run.json")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
def test_a_server_that_answers_is_not_waited_for(monkeypatch):
    """Whatever else it says: the client finds that out."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    monkeypatch.setenv(REMOTE, f"sc://127.0.0.1:{port}")
    server.start()
    require_answer()
    server.stop(None).wait()
    monkeypatch.setattr(connect, "ANSWER_SECONDS", 0.1)
    with pytest.raises(BusyError, match=f"sc://127.0.0.1:{port}: no Spark Connect"):
        require_answer()
