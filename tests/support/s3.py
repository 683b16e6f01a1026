"""An S3 endpoint of the tests' own, on loopback."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.support.processes import free_port, is_open


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
    for _ in range(1_800):
        if server.poll() is not None:
            log.seek(0)
            raise RuntimeError(
                "these tests need a real S3 endpoint: pip install 'moto[s3]' flask "
                f"flask-cors ({log.read()[-300:]})"
            )
        if is_open(port):
            return
        time.sleep(0.1)
    raise RuntimeError("the S3 endpoint did not start within 180 seconds")
