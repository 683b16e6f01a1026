"""
A night as an Airflow DAG: run, then verify, for the day before it starts.

It is the same day by schedule, whatever ``create_cron_data_intervals`` says, by hand,
on catch-up and in a backfill: a logical date is a moment in UTC, no business date.

The optimizer lives in a virtual environment of its own and is called as a command, so
that its dependencies and Airflow's never meet. Environment: ``PREMIUM_DELIVERY_HOME``,
the folder with the configuration; ``PREMIUM_DELIVERY_COMMAND``, the optimizer;
``PREMIUM_DELIVERY_ZONE``, the ``timezone`` of the configuration.
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
ZONE = ZoneInfo(os.environ.get("PREMIUM_DELIVERY_ZONE", "Asia/Shanghai"))
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


def business_date(run: Any) -> dt.date:
    """Day before a run starts, in the zone; a rerun of it is of the same day."""
    start, end, named = run.data_interval_start, run.data_interval_end, run.logical_date
    if run.run_type != "manual":  # by schedule, on catch-up, in a backfill
        moment = end or run.run_after
    elif named is not None and named == end and start < end:
        # By hand, with the logical date of an interval: it starts when that is over.
        return named.astimezone(ZONE).date()
    else:
        moment = named or run.run_after
    return moment.astimezone(ZONE).date() - dt.timedelta(days=1)


@dag(
    schedule="30 2 * * *",
    start_date=dt.datetime(2026, 11, 1, tzinfo=ZONE),
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
    def night(dag_run: Any = None) -> str:
        day = str(business_date(dag_run))
        return call("run", *CONFIG, "--date", day, "--log-json")["run_dir"]

    @task
    def proof(run_dir: str) -> None:
        call("verify", run_dir)

    proof(night())


premium_delivery()
