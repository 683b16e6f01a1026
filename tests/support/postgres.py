"""A PostgreSQL of the tests' own: on loopback, in a temporary folder."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import free_port

#: Must never be seen in what the program writes.
PASSWORD = "canary-4711-secret"


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    folder: Path

    def url(self, database: str) -> str:
        """Address of a database, as it stands in a configuration."""
        return f"postgresql://postgres:${{STATE_PASSWORD}}@127.0.0.1:{self.port}/{database}"

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run a statement."""
        done = subprocess.run(
            [
                *(tool("psql"), "-XAtq", "-h", "127.0.0.1", "-p", str(self.port)),
                *("-U", "postgres", "-d", database, "-c", sql),
            ],
            env=os.environ | {"PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def stop(self) -> None:
        """Stop it as a power cut would."""
        as_user([tool("pg_ctl"), "-D", self.folder / "data", "stop", "-m", "immediate"])

    def start(self) -> None:
        """Start it."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F"
        as_user(
            [
                *(tool("pg_ctl"), "-D", self.folder / "data"),
                *("-l", self.folder / "log", "-o", options, "-w", "start"),
            ]
        )


def tool(name: str) -> str:
    """Path of a program of PostgreSQL, the newest."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    path = found[-1] if found else shutil.which(name)
    assert path, f"{name} is missing: apt-get install postgresql"
    return path


def as_user(command: list[object]) -> None:
    """Run a command as somebody whom the server accepts: it refuses root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def running_server() -> Iterator[Server]:
    """Make a cluster, run it, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="state-"))
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres")
        as_user(
            [
                *(tool("initdb"), "-D", folder / "data", "-U", "postgres", "-N"),
                *("-A", "scram-sha-256", "--pwfile", folder / "password"),
            ]
        )
        server = Server(free_port(), folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
