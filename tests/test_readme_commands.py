"""Every command in the README's shell blocks runs, with and without its options."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.simulate import simulate
from tests.support.small_night import DAY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
#: Run elsewhere: by CI itself, by the tests of ``audit.sql`` and of Spark.
ELSEWHERE = {"make", "cd", "spark-submit"}


def shell_lines() -> list[str]:
    """Lines of the README's shell blocks, continued ones joined, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
    text = "".join(blocks).replace("\\\n", " ")
    lines = (re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def variants(line: str) -> list[str]:
    """The line with all that stands in brackets, and without it."""
    without = re.sub(r" \[[^]]*\]", "", line)
    return list(dict.fromkeys([re.sub(r"[][]", "", line), without]))


def call(folder: Path, *words: str) -> str:
    """Call the command line in a folder; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "optimizer", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the README's words stand for, where a night has replaced another."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(ROOT / "configs", folder / "configs")
    simulate(folder / "data", num_orders=20_000, num_merchants=100, num_days=1, seed=7)
    config = folder / "configs" / "nightly.yaml"
    text = config.read_text("utf-8").replace("rate: 0.03 ", "rate: 0.05 ")
    config.write_text(re.sub(r"\n  share: 0  ", "\n  share: 0.05  ", text))
    night = ("run", "--config", "configs/nightly.yaml", "--date", str(DAY), "--json")
    call(folder, *night)
    config.write_text(config.read_text("utf-8").replace("rate: 0.05 ", "rate: 0.04 "))
    head = json.loads(call(folder, *night, "--force"))["evidence_head"]["hash"]
    call(folder, "simulate", "outcomes", "--runs", "runs", "--nights", "data/nights")
    decisions = call(folder, "explain", f"runs/{DAY}", "--json")
    assert json.loads(decisions)
    return {"FILE": "configs/nightly.yaml", "HASH": head, "folder": str(folder)}


def test_every_program_of_the_shell_blocks_is_known() -> None:
    """A command of another program must be run by some test, or it is not shown."""
    programs = {shlex.split(line)[0] for line in shell_lines()}
    assert programs == {"optimizer", *ELSEWHERE}


@pytest.mark.slow
def test_the_commands_of_the_shell_blocks_succeed(values: dict[str, str]) -> None:
    """Each, on a small night; dates of a year are those of the one night."""
    import polars as pl

    folder = Path(values["folder"])
    orders = pl.read_parquet(folder / f"data/nights/{DAY}/orders.parquet")
    known = values | {"ORDER_ID": orders["order_id"][0]}
    known |= {"2026-01-01": str(DAY), "2026-12-31": str(DAY)}
    lines = [line for line in shell_lines() if line.startswith("optimizer ")]
    assert len(lines) >= 8
    for line in lines:
        for variant in variants(line):
            call(folder, *(known.get(word, word) for word in shlex.split(variant)[1:]))
