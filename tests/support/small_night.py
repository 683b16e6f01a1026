"""A small simulated night on disk, and a command line called in this process."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.main import get_command

from optimizer.cli import main as cli
from optimizer.config import load_config
from optimizer.job import run_date
from optimizer.night.run import RunReport
from optimizer.simulate import simulate

DAY = dt.date(2026, 11, 22)
SUFFIX = {"orders": "parquet", "capacity": "csv", "merchants": "parquet"}


@dataclass(frozen=True)
class SmallNight:
    """A folder with inputs and a configuration, and perhaps a published night."""

    folder: Path

    @property
    def config(self) -> Path:
        """The YAML configuration."""
        return self.folder / "config.yaml"

    @property
    def runs(self) -> Path:
        """Where nights are published."""
        return self.folder / "runs"

    @property
    def run_dir(self) -> Path:
        """The published night."""
        return self.runs / DAY.isoformat()

    def input(self, name: str) -> Path:
        """Path of an input table."""
        return self.folder / "nights" / DAY.isoformat() / f"{name}.{SUFFIX[name]}"

    def read(self, name: str) -> pl.DataFrame:
        """Read an input table."""
        if SUFFIX[name] == "csv":
            return pl.read_csv(self.input(name))
        return pl.read_parquet(self.input(name))

    def write(self, name: str, table: pl.DataFrame) -> None:
        """Replace an input table."""
        if SUFFIX[name] == "csv":
            table.write_csv(self.input(name))
        else:
            table.write_parquet(self.input(name))

    def forget_kept_inputs(self) -> None:
        """Leave the night to be proved from the files that were read."""
        shutil.rmtree(self.runs / ".inputs")

    def settings(self) -> dict[str, Any]:
        """The configuration as it stands."""
        return json.loads(self.config.read_text())

    def configure(self, **keys: Any) -> None:
        """Replace top-level keys; JSON is YAML too."""
        self.config.write_text(json.dumps(self.settings() | keys))

    def run(self, *, is_forced: bool = False, **how: bool) -> RunReport:
        """Run the date without the command line."""
        return run_date(load_config(self.config), DAY, is_forced=is_forced, **how)


def make_night(folder: Path, num_orders: int = 2_000) -> SmallNight:
    """Simulate the inputs and configure them; publish nothing."""
    num_merchants = num_orders // 100
    simulate(
        folder, num_orders=num_orders, num_merchants=num_merchants, num_days=1, seed=7
    )
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
    }
    settings = {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "inputs": {
            name: f"nights/{{date}}/{name}.{suffix}" for name, suffix in SUFFIX.items()
        },
        "output": "runs",
    }
    night = SmallNight(folder)
    night.config.write_text(json.dumps(settings))
    return night


def copy_night(
    original: SmallNight, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """Copy a night, and work in its folder: its paths are relative."""
    shutil.copytree(original.folder, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return SmallNight(folder)


@dataclass(frozen=True)
class Call:
    """What a call of the command line gave."""

    code: int
    out: str
    err: str


@cache
def _command(app: typer.Typer) -> Any:
    """Build the tree of commands once: that takes longer than many commands."""
    return get_command(app)


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> Call:
    """Call the command line in this process."""
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["optimizer", *map(str, words)])
    monkeypatch.setattr(typer.main, "get_command", _command)
    with pytest.raises(SystemExit) as left:
        cli.main()
    captured = capsys.readouterr()
    return Call(left.value.code or 0, captured.out, captured.err)


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """
    Every file under a folder with its bytes, every link with its target.

    But for the lines that failed runs leave: no night is in them.
    """
    return {
        str(path.relative_to(folder)): (
            str(path.readlink()) if path.is_symlink() else path.read_bytes()
        )
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or path.is_file()) and path.name != ".failures.jsonl"
    }


def sha256(path: Path) -> str:
    """Checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
