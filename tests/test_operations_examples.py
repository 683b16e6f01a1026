"""The examples for schedulers are held against the schedulers' own tools."""

from __future__ import annotations

import copy
import datetime as dt
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import kubernetes_validate
import pytest
import yaml
from cronsim import CronSim

from tests.support.system_tools import needs

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "configs" / "operations"
SHANGHAI = ZoneInfo("Asia/Shanghai")
OPTIMIZER = [sys.executable, "-c", "from optimizer.cli.main import main; main()"]
UNITS = ("premium-delivery.service", "premium-delivery.timer")


def run_example(command: str, folder: Path) -> list[str]:
    """Let a shell run an example's command, with an optimizer that tells its words."""
    told = folder / "optimizer"
    told.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    told.chmod(0o755)
    command = re.sub(r"(\S*/)?optimizer(?= )", str(told), command)
    command = command.replace("cd /srv/premium-delivery && ", "")
    command = re.sub(r" 2>>\S+", "", command)
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TZ": "Asia/Shanghai"},
    )
    return done.stdout.splitlines()


def assert_runs_yesterday(words: list[str]) -> None:
    """The words are a run of the day before, in Shanghai, as the command takes them."""
    yesterday = dt.datetime.now(SHANGHAI).date() - dt.timedelta(days=1)
    assert words[0] == "run"
    assert words[words.index("--date") + 1] == str(yesterday)
    assert_known(words)


def assert_known(words: list[str]) -> None:
    """Every option is one of the command's."""
    done = subprocess.run(
        [*OPTIMIZER, words[0], "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )
    for word in words:
        assert not word.startswith("--") or word in done.stdout, word


def crontab_lines() -> list[str]:
    """The entries of the crontab."""
    text = (EXAMPLES / "crontab").read_text()
    return [line for line in text.splitlines() if re.match(r"[\d*]", line)]


def test_the_crontab_runs_at_half_past_two_in_shanghai(tmp_path: Path):
    """A cron parser reads it; its commands, percent signs undone as cron does, run."""
    lines = crontab_lines()
    assert len(lines) == 3
    assert "CRON_TZ=Asia/Shanghai" in (EXAMPLES / "crontab").read_text()
    start = dt.datetime(2026, 11, 22, 12, tzinfo=SHANGHAI)
    times = [next(CronSim(" ".join(line.split()[:5]), start)) for line in lines]
    assert [str(time)[:16] for time in times] == [
        "2026-11-23 02:30",
        "2026-11-23 03:30",
        "2026-11-23 06:00",
    ]
    for line in lines:
        command = line.split(maxsplit=5)[5]
        assert "%" not in command.replace("\\%", ""), "cron ends a command at %"
        words = run_example(command.replace("\\%", "%"), tmp_path)
        if words[0] == "run":
            assert_runs_yesterday(words)
        else:
            assert_known(words)


def systemd_verify(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Let systemd read units."""
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )


@needs("systemd")
def test_systemd_accepts_service_and_timer(tmp_path: Path):
    """Without a word of complaint; one that is misspelled is complained of."""
    done = systemd_verify(*(EXAMPLES / name for name in UNITS))
    assert (done.returncode, done.stderr) == (0, "")
    text = (EXAMPLES / UNITS[0]).read_text()
    wrong = tmp_path / UNITS[0]
    wrong.write_text(text.replace("MemoryMax", "MemoryMaximum"))
    assert "MemoryMaximum" in systemd_verify(wrong).stderr
    (command,) = re.findall(r"^ExecStart=/bin/sh -c '(.*)'$", text, re.M)
    assert_runs_yesterday(run_example(command.replace("%%", "%"), tmp_path))


def test_kubernetes_accepts_the_cron_job(tmp_path: Path):
    """Its own schema, strictly; a misspelled key is refused."""
    job = yaml.safe_load((EXAMPLES / "cronjob.yaml").read_text())
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(job, version, strict=True)
    wrong = copy.deepcopy(job)
    wrong["spec"]["concurrencyPolicies"] = wrong["spec"].pop("concurrencyPolicy")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)
    spec = job["spec"]["jobTemplate"]["spec"]
    (command,) = spec["template"]["spec"]["containers"][0]["args"]
    assert_runs_yesterday(run_example(command, tmp_path))
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert 75 not in rule["onExitCodes"]["values"]


@pytest.mark.slow
@needs("airflow")
def test_the_airflow_dag_runs_to_success(tmp_path: Path):
    """Airflow itself runs the DAG on a simulated day; the night is there, proved."""
    airflow = ROOT / ".venv-airflow" / "bin" / "airflow"
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    simulated = [*OPTIMIZER, "simulate", "--out", "data", "--orders", "2000"]
    subprocess.run(simulated, cwd=tmp_path, check=True, capture_output=True)
    env = os.environ | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PREMIUM_DELIVERY_HOME": str(tmp_path),
        "PREMIUM_DELIVERY_COMMAND": shlex.join(OPTIMIZER),
    }
    for words in (
        ["db", "migrate"],
        ["dags", "test", "premium_delivery", "2026-11-22"],
    ):
        done = subprocess.run(
            [str(airflow), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=env,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-3000:]
    assert "state=success" in said, said[-3000:]
    record = json.loads((tmp_path / "runs/2026-11-22/run.json").read_text())
    assert record["certificate"]["gap"] == 0
