"""The examples for schedulers are held against the schedulers' own tools."""

from __future__ import annotations

import copy
import datetime as dt
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from cronsim import CronSim

from optimizer.config.business_date import day_before, read_date
from optimizer.errors import ConfigError
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
    """The words are a run of the day before, as the command takes them."""
    assert words[0] == "run"
    assert words[words.index("--date") + 1] == "yesterday"
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_kubernetes_accepts_the_cron_job(tmp_path: Path):
    """Its own schema, strictly; a misspelled key is refused."""
    import kubernetes_validate

    job = yaml.safe_load((EXAMPLES / "cronjob.yaml").read_text())
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(job, version, strict=True)
    wrong = copy.deepcopy(job)
    wrong["spec"]["concurrencyPolicies"] = wrong["spec"].pop("concurrencyPolicy")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)
    spec = job["spec"]["jobTemplate"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    command = shlex.join([*container["command"], *container["args"]])
    assert_runs_yesterday(run_example(command, tmp_path))
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert 75 not in rule["onExitCodes"]["values"]


@pytest.mark.slow
def test_kubernetes_accepts_the_night_on_spark(tmp_path: Path):
    """
    Each part by its schema, and the parts fit each other and the program.

    By kubernetes-validate, which has the schemas with it: kubeconform fetches them.

    The driver is the container of the job, so its exit code is the night's, and its
    memory is more than the heap: the night is solved outside of it.
    """
    import kubernetes_validate

    text = (EXAMPLES / "spark-on-kubernetes.yaml").read_text()
    parts = {part["kind"]: part for part in yaml.safe_load_all(text)}
    for part in parts.values():
        version = kubernetes_validate.latest_version()
        kubernetes_validate.validate(part, version, strict=True)
    job = parts["CronJob"]["spec"]["jobTemplate"]["spec"]
    pod, labels = job["template"]["spec"], job["template"]["metadata"]["labels"]
    assert parts["Service"]["spec"]["selector"].items() <= labels.items()
    account = parts["ServiceAccount"]["metadata"]["name"]
    assert pod["serviceAccountName"] == account
    assert parts["RoleBinding"]["subjects"][0]["name"] == account
    assert parts["RoleBinding"]["roleRef"]["name"] == parts["Role"]["metadata"]["name"]
    (container,) = pod["containers"]
    words = container["args"]
    pairs = [word.removeprefix("--conf=") for word in words if "--conf=" in word]
    settings = dict(pair.split("=", 1) for pair in pairs)
    driver = parts["Service"]["metadata"]["name"]
    assert settings["spark.driver.host"] == f"{driver}.default.svc"
    ports = {port["port"] for port in parts["Service"]["spec"]["ports"]}
    asked = ("spark.driver.port", "spark.driver.blockManager.port")
    assert {int(settings[name]) for name in asked} == ports
    assert settings["spark.kubernetes.container.image"] == container["image"]
    (python,) = (v["value"] for v in container["env"] if v["name"] == "PYSPARK_PYTHON")
    assert settings["spark.executorEnv.PYSPARK_PYTHON"] == python
    assert_image_has(container["image"], python, words[words.index("run") - 1])
    assert "--deploy-mode=client" in words
    heap = int(settings["spark.driver.memory"].removesuffix("g"))
    assert int(container["resources"]["limits"]["memory"].removesuffix("Gi")) > 2 * heap
    command = words[words.index("run") :]
    assert_runs_yesterday(run_example(shlex.join(["optimizer", *command]), tmp_path))
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [1, 2, 3, 4]


def assert_image_has(image: str, python: str, program: str) -> None:
    """
    The recipe makes that image, with that Python and that program in it, and with the
    Spark that its ``pyspark`` is of; all that a night on one machine is pinned to, too.
    """
    recipe = (EXAMPLES / "spark.Containerfile").read_text()
    assert f"podman build -t {image} " in recipe
    assert f"PYSPARK_PYTHON={python} " in recipe
    (version,) = set(re.findall(r"FROM python:([0-9.]+)-slim", recipe))
    folder = Path(python).parents[1]
    there = f"{folder}/lib/python{version}/site-packages/optimizer/__main__.py"
    assert program == f"local://{there}"
    (lock,) = re.findall(r"--require-hashes -r (\S+)", recipe)
    pins = {
        lock: {*re.findall(r"^(\S+==\S+)", (ROOT / lock).read_text(), re.M)}
        for lock in (lock, "requirements/run.lock")
    }
    (spark,) = re.findall(r"FROM apache/spark:([0-9.]+)-", recipe)
    assert f"pyspark=={spark}" in pins[lock]
    others = pins["requirements/run.lock"] - pins[lock]
    assert {pin.partition("==")[0] for pin in others} == {"pandas"}  # below 3 for it


def business_date_of_the_dag(monkeypatch: pytest.MonkeyPatch, zone: str):
    """The function of the Airflow example that names the night, without Airflow."""
    exceptions = types.SimpleNamespace(AirflowFailException=RuntimeError)
    sdk = types.SimpleNamespace(dag=lambda **_: lambda _: lambda: None, task=None)
    monkeypatch.setitem(sys.modules, "airflow", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "airflow.exceptions", exceptions)
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    monkeypatch.setenv("PREMIUM_DELIVERY_ZONE", zone)
    return runpy.run_path(str(EXAMPLES / "airflow_dag.py"))["business_date"]


ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/Los_Angeles", "Pacific/Apia", "UTC")


@pytest.mark.parametrize("zone", ZONES)
def test_every_kind_of_airflow_run_is_of_the_day_before(
    monkeypatch: pytest.MonkeyPatch, zone: str
):
    """
    On each day of a year, with its changes of the clock: the date that the command
    calls yesterday at the moment when the run starts. Airflow's two styles of
    intervals, by schedule and by hand; with a logical date, and without.
    """
    date_of = business_date_of_the_dag(monkeypatch, zone)

    def run(kind, logical, start, end, after):
        return types.SimpleNamespace(
            run_type=kind,
            logical_date=logical,
            data_interval_start=start,
            data_interval_end=end,
            run_after=after,
        )

    first = dt.date(2026, 1, 2)
    for day in (first + dt.timedelta(days=n) for n in range(366)):
        tick, before = (
            dt.datetime(d.year, d.month, d.day, 2, 30, tzinfo=ZoneInfo(zone))
            for d in (day, day - dt.timedelta(days=1))
        )
        tick, before = tick.astimezone(dt.UTC), before.astimezone(dt.UTC)
        wanted = day - dt.timedelta(days=1)
        assert day_before(tick, zone) == wanted
        by_schedule = [
            run(kind, logical, start, tick, tick)
            for kind in ("scheduled", "backfill")
            for logical, start in ((tick, tick), (before, before))
        ]
        named = [
            run("manual", tick, tick, tick, tick + dt.timedelta(days=40)),
            run("manual", before, before - (tick - before), before, tick),
        ]
        assert {date_of(found) for found in by_schedule + named} == {wanted}
        for hours in (-2, 0.01, 8, 20):
            now = tick + dt.timedelta(hours=hours)
            last = tick if hours > 0 else before
            by_hand = [
                run("manual", now, now, now, now),
                run("manual", now, last - dt.timedelta(days=1), last, now),
                run("manual", None, None, None, now),
            ]
            assert {date_of(found) for found in by_hand} == {day_before(now, zone)}


def test_yesterday_is_a_day_of_the_configured_zone(monkeypatch: pytest.MonkeyPatch):
    """Where the machine stands does not matter; without a zone it is no date."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    now = dt.datetime.now(dt.UTC)
    for zone in ("Pacific/Kiritimati", "Asia/Shanghai", "Pacific/Pago_Pago"):
        wanted = now.astimezone(ZoneInfo(zone)).date() - dt.timedelta(days=1)
        assert read_date("yesterday", zone) - wanted in (
            dt.timedelta(0),
            dt.timedelta(days=1),  # midnight struck meanwhile
        )
    with pytest.raises(ConfigError, match="2026-11-22, got 'yesterday'"):
        read_date("yesterday")


def test_the_examples_agree_on_the_zone():
    """The DAG's zone is that of the configuration it runs, like those of the others."""
    zone = yaml.safe_load((ROOT / "configs/nightly.yaml").read_text())["timezone"]
    assert (
        f'"PREMIUM_DELIVERY_ZONE", "{zone}"'
        in (EXAMPLES / "airflow_dag.py").read_text()
    )
    assert f"CRON_TZ={zone}" in (EXAMPLES / "crontab").read_text()
    assert f" {zone}\n" in (EXAMPLES / "premium-delivery.timer").read_text()
    assert f"timeZone: {zone}\n" in (EXAMPLES / "cronjob.yaml").read_text()


NEXT = "== in the other style of intervals"
#: Commands of Airflow's own program, in one process: it takes long to start.
AIRFLOW = f"""
import os, sys
from airflow.__main__ import main
def airflow(*words):
    sys.argv = ["airflow", *words]
    main()
airflow("db", "migrate")
airflow("dags", "test", "premium_delivery", "2026-11-22T18:30:00+00:00")
print({NEXT!r}, flush=True)
os.environ["AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS"] = "True"
airflow("dags", "test", "premium_delivery", "2026-11-21T18:30:00+00:00")
"""


@pytest.mark.slow
@needs("airflow")
def test_the_airflow_dag_runs_to_success(tmp_path: Path):
    """
    Airflow itself runs the DAG on a simulated day; the night is there, proved.

    The run is the one that starts at 02:30 the day after; in Airflow's other style of
    intervals it has another logical date, and finds the same night published.
    """
    python = ROOT / ".venv-airflow" / "bin" / "python"
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
    done = subprocess.run(
        [str(python), "-c", AIRFLOW],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
        env=env,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    for part in done.stdout.split(NEXT):
        assert re.search(r"DagRun Finished: .*state=success", part), part[-3000:]
    assert done.stdout.count(f"\n{NEXT}\n") == 1
    assert [path.name for path in (tmp_path / "runs").glob("2*")] == ["2026-11-22"]
    record = json.loads((tmp_path / "runs/2026-11-22/run.json").read_text())
    assert record["certificate"]["gap"] == 0
