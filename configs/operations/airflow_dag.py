"""
A night as an Airflow DAG: run, then verify, for the day of the data interval.

The optimizer lives in a virtual environment of its own and is called as a command, so
that its dependencies and Airflow's never meet. Environment: ``PREMIUM_DELIVERY_HOME``,
the folder with the configuration; ``PREMIUM_DELIVERY_COMMAND``, the optimizer.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shlex
import subprocess
from typing import Any
from zoneinfo import ZoneInfo

from airflow.exceptions import AirflowFailException
from airflow.sdk import dag, task

HOME = os.environ.get("PREMIUM_DELIVERY_HOME", "/srv/premium-delivery")
COMMAND = os.environ.get("PREMIUM_DELIVERY_COMMAND", f"{HOME}/.venv/bin/optimizer")
CONFIG = ["--config", "configs/nightly.yaml"]
#: "Try again later": a date that is held, or an input that is late.
RETRY = 75


def call(*words: str) -> dict[str, Any]:
    """Call the optimizer; only what a retry can mend is tried again."""
    command = [*shlex.split(COMMAND), *words, "--json"]
    done = subprocess.run(command, cwd=HOME, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, RETRY):
        raise AirflowFailException(f"optimizer left with {done.returncode}; see above")
    done.check_returncode()
    return json.loads(done.stdout)


@dag(
    schedule="30 2 * * *",
    start_date=dt.datetime(2026, 11, 1, tzinfo=ZoneInfo("Asia/Shanghai")),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 6,
        "retry_delay": dt.timedelta(minutes=10),
        "execution_timeout": dt.timedelta(hours=2),
    },
    tags=["premium-delivery"],
)
def premium_delivery() -> None:
    """Choose the day's premium parcels, and prove the published night again."""

    @task
    def night(ds: str | None = None) -> str:
        return call("run", *CONFIG, "--date", str(ds), "--log-json")["run_dir"]

    @task
    def proof(run_dir: str) -> None:
        call("verify", run_dir)

    proof(night())


premium_delivery()
