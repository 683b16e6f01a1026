"""Processes that a test starts, and the ports on loopback that they listen on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import pytest


def free_port():
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port):
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(is_ready, what, seconds=180):
    """Look again and again; a limit only ends what will never come."""
    ends = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > ends:
            pytest.fail(f"{what} did not come up in {seconds} s")
        time.sleep(0.1)


def start(command, log, environment):
    """Start a process in a group of its own; what it says goes to a file."""
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
