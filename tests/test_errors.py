"""Errors are those of whoever has to act, with one code for each."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from optimizer.errors import ConfigError, OptimizerError
from optimizer.learn.learned import save_model
from optimizer.simulate import simulate


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, 1), (errno.EDQUOT, 1), (errno.EACCES, 2), (errno.ENOTDIR, 2)],
)
def test_a_full_disk_has_one_code_wherever_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, code: int
) -> None:
    """1 of models and of simulated nights too; what another folder mends is 2."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    model: Any = SimpleNamespace(model=SimpleNamespace(version="one"))
    for write in (
        lambda: save_model(model, tmp_path / "models"),
        lambda: simulate(
            tmp_path / "out", num_orders=10, num_merchants=2, num_days=1, seed=1
        ),
    ):
        with pytest.raises(OptimizerError, match="cannot be written") as found:
            write()
        assert found.value.exit_code == code
        assert isinstance(found.value, ConfigError) == (code == 2)
