"""A real cluster on loopback: one master, two workers, each its own process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its address, and its processes."""

    url: str
    folder: Path
    environment: dict[str, str]

    def session(self, name, cores=2):
        """Start a driver in this process."""
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master(self.url).appName(name)
        for key, value in self.settings(cores).items():
            builder = builder.config(key, value)
        return builder.getOrCreate()

    def settings(self, cores):
        """What each driver on this cluster needs."""
        return {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "768m",
            "spark.executor.memory": "768m",
            "spark.cores.max": str(cores),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.executorEnv.PYTHONPATH": str(REPOSITORY),
            # So that the executors of this cluster are known by their command line.
            "spark.executor.extraJavaOptions": f"-Dcluster={self.folder}",
            "spark.locality.wait": "0",
            "spark.task.maxFailures": "8",
            "spark.network.timeout": "60s",
            "spark.executor.heartbeatInterval": "5s",
        }

    def executors(self):
        """Process ids of this cluster's executors, by /proc."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                is_executor = b"CoarseGrainedExecutorBackend" in line
                if is_executor and str(self.folder).encode() in line:
                    found.append(int(entry.name))
        return found

    def start(self, name, command, **environment):
        """Start a process on the cluster, with a log of its name."""
        log = self.folder / f"{name}.log"
        return start(command, log, self.environment | environment)

    def log(self, name):
        """What a process has said so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def spark(self, program):
        """Path of one of Spark's own programs."""
        return str(Path(self.environment["SPARK_HOME"]) / "bin" / program)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port):
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(is_ready, what, seconds=180):
    ends = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > ends:
            pytest.fail(f"{what} did not come up in {seconds} s")
        time.sleep(0.2)


def start(command, log, environment):
    with log.open("wb") as out:
        return subprocess.Popen(
            command, stdout=out, stderr=out, env=environment, start_new_session=True
        )


def stop(processes):
    """End the processes that were started here, and what they started."""
    for process in reversed(processes):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(15)
