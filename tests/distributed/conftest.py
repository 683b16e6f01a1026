"""Fixtures: a cluster for all tests, a driver for each file."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from pathlib import Path

import pytest
from cluster_on_loopback import REPOSITORY, Cluster, free_port, start, stop, wait_for


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if shutil.which("java") is None:
        pytest.fail("the tests of Spark need Java 17: install openjdk-17-jre-headless")
    try:
        import pyspark
    except ImportError:
        pytest.fail("the tests of Spark need pyspark: install the tests group")

    home = Path(pyspark.__file__).parent
    folder = tmp_path_factory.mktemp("cluster")
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH")))
        ),
        "PYTHONWARNINGS": "ignore",
    }
    os.environ.update(
        {
            k: environment[k]
            for k in ("PYSPARK_PYTHON", "SPARK_LOCAL_IP", "SPARK_LOCAL_DIRS")
        }
    )
    spark_class, port = str(home / "bin/spark-class"), free_port()
    deploy = "org.apache.spark.deploy"
    master_log = folder / "master.log"
    ports = ["--host", "127.0.0.1", "--webui-port", "0"]
    processes = [
        start(
            [spark_class, f"{deploy}.master.Master", *ports, "--port", str(port)],
            master_log,
            environment,
        )
    ]
    url = f"spark://127.0.0.1:{port}"
    try:
        wait_for(lambda: b"elected leader" in master_log.read_bytes(), "the master")
        for number in (1, 2):
            size = ["-c", "1", "-m", "1g", "-d", str(folder / f"worker{number}")]
            command = [spark_class, f"{deploy}.worker.Worker", *ports, *size, url]
            log = folder / f"worker{number}.log"
            processes.append(start(command, log, environment))
        registered = b"Registering worker"
        wait_for(lambda: master_log.read_bytes().count(registered) == 2, "the workers")
        yield Cluster(url, folder, environment)
    finally:
        stop(processes)


@pytest.fixture(scope="module")
def spark(cluster):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support")
        session = cluster.session("tests")
    yield session
    session.stop()
