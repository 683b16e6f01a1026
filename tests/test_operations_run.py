"""The examples for schedulers do their night, as the user they ask for, restricted."""

from __future__ import annotations

import configparser
import datetime as dt
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from optimizer import kernel_cache
from optimizer.simulate import simulate
from tests.support.restricted import ROOT, Place
from tests.support.system_tools import needs

EXAMPLES = ROOT / "configs" / "operations"
#: A user of no name, as systemd and Kubernetes give them.
UID = 61_184
#: Kernels that every night calls.
LACKING = (
    "optimizer.build.canonical_order_kernel.group_orders",
    "optimizer.io.order_keys_kernel.hash_texts",
)


@cache
def yesterday() -> dt.date:
    """The day before the tests began, in Shanghai; midnight in between changes none."""
    return dt.datetime.now(ZoneInfo("Asia/Shanghai")).date() - dt.timedelta(days=1)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment whose ``optimizer`` is this one, with all kernels compiled."""
    folder = tmp_path_factory.mktemp("installed")
    command = folder / ".venv" / "bin" / "optimizer"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m optimizer "$@"\n')
    command.chmod(0o755)
    folder.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    subprocess.run(
        [command, "warm"], cwd=folder, env=env, check=True, capture_output=True
    )
    return folder


def make_inputs(folder: Path) -> Path:
    """Configuration and yesterday's inputs, as the examples expect them in a folder."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(ROOT / "configs", folder / "configs")
    simulate(
        folder / "data",
        num_orders=500,
        num_merchants=5,
        num_days=1,
        seed=7,
        start=yesterday(),
    )
    return folder


def given_to(uid: int, folder: Path) -> Path:
    """The folder, with all in it, as a user's own."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid)
    return folder


def record_in(runs: Path) -> dict[str, object]:
    """The record of yesterday's night."""
    return json.loads((runs / str(yesterday()) / "run.json").read_text())


def without_json(stderr: str) -> list[str]:
    """Lines that are no records of the log."""
    return [line for line in stderr.splitlines() if not line.startswith("{")]


@pytest.mark.slow
def test_the_crontab_does_its_nights(installed: Path, tmp_path: Path) -> None:
    """What it says to do once, then each line, with cron's environment alone."""
    home = make_inputs(tmp_path / "home")
    (home / ".venv").symlink_to(installed / ".venv")
    text = (
        (EXAMPLES / "crontab").read_text().replace("/srv/premium-delivery", str(home))
    )
    once = re.findall(r"^# Once: (.*)$", text, re.M)
    lines = [line for line in text.splitlines() if re.match(r"[\d*]", line)]
    commands = [line.split(maxsplit=5)[5].replace("\\%", "%") for line in lines]
    assert (len(once), len(commands)) == (1, 3)
    env = {"HOME": str(tmp_path), "LOGNAME": "nobody", "SHELL": "/bin/sh"}
    env |= {"PATH": "/usr/bin:/bin"}
    env |= {k: v for k, v in os.environ.items() if k == "PYTHONPATH"}
    for command in (*once, *commands):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command
    assert record_in(home / "runs")["certificate"]["gap"] == 0
    log = [
        json.loads(x) for x in (home / "logs/nightly.jsonl").read_text().splitlines()
    ]
    assert not [line for line in log if "compiling" in line["message"]]


#: What the test below applies, or what does not bear on what a night may touch.
APPLIED = {
    "type": "oneshot",
    "dynamicuser": "yes",
    "statedirectory": "premium-delivery",
    "workingdirectory": "/var/lib/premium-delivery",
    "protectsystem": "strict",
    "protecthome": "yes",
    "privatetmp": "yes",
    "nonewprivileges": "yes",
}
NO_MATTER = {
    "environmentfile",
    "restart",
    "restartsec",
    "restartpreventexitstatus",
    "timeoutstartsec",
    "memorymax",
    "execstart",
}


@needs("unshare")
@pytest.mark.slow
def test_the_systemd_service_does_its_night(installed: Path, tmp_path: Path) -> None:
    """
    As a user without a name or home, with a root that is read-only.

    Every line of the unit that restricts it is applied: another one fails the test
    until it is. The kernels of the install are read, and none is compiled.
    """
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(EXAMPLES / "premium-delivery.service")
    service = dict(unit["Service"])
    assert {k: v for k, v in service.items() if k not in NO_MATTER} == APPLIED
    shutil.copytree("/etc", tmp_path / "etc", symlinks=True)
    shutil.copy(ROOT / "configs/nightly.yaml", tmp_path / "etc/premium-delivery.yaml")
    state = given_to(UID, make_inputs(tmp_path / "state"))
    place = Place(
        uid=UID,
        folders={
            "/srv/premium-delivery": installed,
            "/var/lib/premium-delivery": state,
            "/etc": tmp_path / "etc",
        },
        writable=["/var/lib/premium-delivery"],
        empty=["/home", "/root"],
        scratch=["/tmp", "/var/tmp"],
        env={"PATH": "/usr/bin:/bin"},
    )
    command = shlex.split(service["execstart"].replace("%%", "%"))
    done = place.run(command, service["workingdirectory"])
    assert (done.returncode, without_json(done.stderr)) == (0, []), done.stderr
    assert "compil" not in done.stderr
    assert record_in(state / "runs")["certificate"]["gap"] == 0


@needs("unshare")
@pytest.mark.slow
def test_the_cron_job_does_its_night(installed: Path, tmp_path: Path) -> None:
    """As the user it asks for, a read-only root, and the volumes it mounts alone."""
    job = yaml.safe_load((EXAMPLES / "cronjob.yaml").read_text())
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    uid = pod["securityContext"]["runAsUser"]
    assert uid == pod["securityContext"]["fsGroup"] > 0
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    claims = [v["name"] for v in pod["volumes"] if "persistentVolumeClaim" in v]
    scratch = [mounts[v["name"]] for v in pod["volumes"] if "emptyDir" in v]
    assert (claims, len(mounts)) == (["data"], 1 + len(scratch))
    data = make_inputs(tmp_path / "data")
    shutil.copy(data / "configs/nightly.yaml", data)
    place = Place(
        uid=uid,
        folders={mounts["data"]: given_to(uid, data), "/srv/image": installed},
        writable=[mounts["data"]],
        empty=["/home", "/root"],
        scratch=scratch,
        env={"PATH": "/srv/image/.venv/bin:/usr/bin:/bin"},
    )
    command = [*container["command"], *container["args"]]
    done = place.run(command, container["workingDir"])
    assert (done.returncode, without_json(done.stderr)) == (0, []), done.stderr
    assert "compil" not in done.stderr
    assert record_in(data / "runs")["certificate"]["gap"] == 0


@needs("unshare")
@pytest.mark.slow
def test_an_install_that_was_not_warmed_compiles_for_the_run_alone(
    installed: Path, tmp_path: Path
) -> None:
    """
    Read-only code that lacks kernels, no home: one line, and the night is published.

    Two that each night needs are lacking, the others are as ``warm`` left them: what is
    done without a place does not depend on how many are compiled.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    own = tmp_path / "code" / "optimizer"
    shutil.copytree(ROOT / "optimizer", own, ignore=ignored)
    kernels = kernel_cache.first_kept()
    assert kernels is not None, "the fixture has warmed"
    kept = own / "__pycache__" / "kernels" / kernels.name
    shutil.copytree(kernels, kept)
    for name in LACKING:
        (index,) = kept.glob(f"{name}-*.nbi")
        index.unlink()
    state = given_to(UID, make_inputs(tmp_path / "state"))
    place = Place(
        uid=UID,
        folders={"/srv/code": tmp_path / "code", "/var/lib/night": state},
        writable=["/var/lib/night"],
        empty=["/home", "/root"],
        scratch=["/tmp"],
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    words = ["run", "--config", "configs/nightly.yaml", "--date", str(yesterday())]
    code = ["env", "PYTHONPATH=/srv/code", sys.executable, "-m", "optimizer"]
    done = place.run([*code, *words], "/var/lib/night")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "optimizer warm" in line
    assert record_in(state / "runs")["certificate"]["gap"] == 0


@needs("unshare")
def test_what_is_restricted_is_restricted(tmp_path: Path) -> None:
    """The tests above prove nothing if these writes succeed."""
    given_to(UID, tmp_path)
    own = tmp_path / "own"
    own.mkdir(mode=0o777)
    own.chmod(0o777)
    place = Place(
        uid=UID,
        folders={"/srv/own": own, "/var/lib/night": tmp_path},
        writable=["/var/lib/night"],
        empty=["/root"],
        scratch=["/tmp"],
        env={"PATH": "/usr/bin:/bin"},
    )
    for path in ("/usr/x", "/srv/own/x", f"{ROOT}/x", "/root/x", "/etc/x"):
        done = place.run(["touch", path], "/")
        assert done.returncode != 0, path
        assert re.search("Read-only|denied", done.stderr), done.stderr
    for path in ("/var/lib/night/x", "/tmp/x"):
        assert place.run(["touch", path], "/").returncode == 0
    assert place.run(["id", "-u"], "/").stdout.strip() == str(UID)
    assert place.run(["env"], "/").stdout.count("HOME=") == 0
    assert not (tmp_path / "x").is_symlink()
    assert not Path("/tmp/x").exists()
