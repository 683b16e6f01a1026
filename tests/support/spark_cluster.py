"""A real cluster on loopback: one master, two workers, each its own process."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import free_port, start, stop, wait_for

REPOSITORY = Path(__file__).parents[2]
#: Nights of the tests are over before what the second compiler makes would pay, and
#: each process reads thousands of classes, which are Spark's own.
JVM = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)


#: Of a session in one process.
ALONE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "768m",
    "spark.driver.extraJavaOptions": JVM,
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
}


@contextmanager
def spark_alone(name):
    """A session in one process: where what is asked needs no second machine."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName(name)
    for key, value in ALONE.items():
        builder = builder.config(key, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support")
        session = builder.getOrCreate()
    yield session
    session.stop()


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
            "spark.executor.extraJavaOptions": f"-Dcluster={self.folder} {JVM}",
            "spark.driver.extraJavaOptions": JVM,
            "spark.locality.wait": "0",
            # Java made for a query does not pay here; sessions in one process make it.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
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


@contextmanager
def running_cluster(folder, memory="1g", jvm=JVM):
    """Start a master and two workers with so much memory, and stop them."""
    if shutil.which("java") is None:
        pytest.fail("the tests of Spark need Java 17: install openjdk-17-jre-headless")
    try:
        import pyspark
    except ImportError:
        pytest.fail("the tests of Spark need pyspark: install the tests group")

    home = Path(pyspark.__file__).parent
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": jvm,
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
            size = ["-c", "1", "-m", memory, "-d", str(folder / f"worker{number}")]
            command = [spark_class, f"{deploy}.worker.Worker", *ports, *size, url]
            log = folder / f"worker{number}.log"
            processes.append(start(command, log, environment))
        registered = b"Registering worker"
        wait_for(lambda: master_log.read_bytes().count(registered) == 2, "the workers")
        yield Cluster(url, folder, environment)
    finally:
        stop(processes)
