"""Real servers on loopback, for tests: PostgreSQL in a folder of its own, and S3."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

#: In every secret of the tests: no output may hold it.
SENTINEL = "hunter2-sentinel"


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_bin() -> Path:
    """Where PostgreSQL's programs are; a clear error where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise RuntimeError(
            "these tests need a real PostgreSQL: apt-get install postgresql"
        )
    return (found[-1] if found else Path(str(on_path)).resolve()).parent


@contextmanager
def postgres_server(password: str = SENTINEL) -> Iterator[str]:
    """
    Start a cluster of its own as an unprivileged user.

    Yields ``HOST:PORT``; user ``night``, database ``shop``.
    """
    programs, port = postgres_bin(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if become:
        shutil.chown(folder, "postgres")

    def call(program: str, *words: str) -> None:
        done = subprocess.run(
            [*become, str(programs / program), *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    secret = folder / "secret"
    secret.write_text(password)
    if become:
        shutil.chown(secret, "postgres")
    data = str(folder / "data")
    settings = f"-h 127.0.0.1 -p {port} -c fsync=off -c unix_socket_directories="
    try:
        call("initdb", "-D", data, "-U", "night", "-A", "scram-sha-256",
             "--pwfile", str(secret), "-E", "UTF8", "--locale=C")  # fmt: skip
        log = str(folder / "log")
        call("pg_ctl", "-D", data, "-l", log, "-w", "-o", settings, "start")
        try:
            os.environ["PGPASSWORD"] = password
            call("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "night", "shop")
            yield f"127.0.0.1:{port}"
        finally:
            os.environ.pop("PGPASSWORD", None)
            call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


@contextmanager
def s3_server() -> Iterator[str]:
    """Start an S3 endpoint; yields its address, such as ``http://127.0.0.1:9000``."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with tempfile.TemporaryFile("w+") as log:  # a pipe would fill, and stop it
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(server, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()  # its threads outlive a polite word
            server.wait()


def _wait_for(server: subprocess.Popen[bytes], port: int, log: IO[str]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            log.seek(0)
            raise RuntimeError(
                "these tests need a real S3 endpoint: pip install 'moto[s3]' flask "
                f"flask-cors ({log.read()[-300:]})"
            )
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the S3 endpoint did not start within 30 seconds")
